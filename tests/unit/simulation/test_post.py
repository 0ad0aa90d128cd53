"""The simulated post: it loses, doubles and delays as it was told, and sends again on the provider's schedule."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from credits.errors import InvalidInputError
from credits.inbox.provider import SignedWebhook
from credits.simulation.account import ProviderAccount
from credits.simulation.clock import NOON_MS, VirtualClock
from credits.simulation.post import Disorder, Fate, Postman, UrlTarget, WsgiTarget
from webhooks.providers import REGISTRY


class Receiver:
    """Answers the statuses it was given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []

    def post(self, webhook: SignedWebhook) -> int:
        self.bodies.append(webhook.body)
        return self.statuses.pop(0) if self.statuses else 200


def postman(provider: str, target: Any, disorder: Disorder | None = None) -> Postman:
    clock = VirtualClock()
    return Postman(
        provider=REGISTRY[provider], secret=b"whsec", target=target, clock=clock, disorder=disorder or Disorder()
    )


def bought(provider: str) -> Any:
    account = ProviderAccount(provider=provider, account="user_1")
    return account.purchase("p1", "image_generation", 100, paid_minor=1000, at_ms=NOON_MS).events[-1]


def test_lemon_squeezy_tries_again_after_5_25_and_125_seconds_and_then_never() -> None:
    post = postman("lemonsqueezy", Receiver(500, 500, 500, 500))

    post.send(bought("lemonsqueezy"))
    tried = post.deliver_all()

    assert [one.at_ms - NOON_MS for one in tried] == [0, 5_000, 30_000, 155_000]
    assert tried[-1].fate is Fate.FORGOTTEN
    assert post.next_at_ms is None


def test_stripe_tries_again_for_three_days() -> None:
    post = postman("stripe", Receiver(*[503] * 20))

    post.send(bought("stripe"))
    tried = post.deliver_all()

    assert tried[-1].fate is Fate.FORGOTTEN
    assert 2 * 86_400_000 < tried[-1].at_ms - NOON_MS <= 3 * 86_400_000


def test_paddle_tries_again_sixty_times_in_three_days_most_of_them_on_the_first() -> None:
    post = postman("paddle", Receiver(*[202] * 80))

    post.send(bought("paddle"))
    tried = [one.at_ms - NOON_MS for one in post.deliver_all()]

    within = [sum(0 < at_ms <= hours * 3_600_000 for at_ms in tried) for hours in (1, 24, 72)]
    assert (len(tried), within) == (61, [20, 47, 60])


def test_an_event_that_is_dropped_arrives_later_with_the_same_body() -> None:
    receiver = Receiver()
    post = postman("stripe", receiver, Disorder(drops=1.0, max_drops=2))

    post.send(bought("stripe"))

    assert [one.fate for one in post.deliver_all()] == [Fate.DROPPED, Fate.DROPPED, Fate.DELIVERED]
    assert len(receiver.bodies) == 1


def test_an_event_that_is_doubled_is_the_same_event() -> None:
    receiver = Receiver()
    post = postman("lemonsqueezy", receiver, Disorder(duplicates=1.0))

    post.send(bought("lemonsqueezy"))

    assert [one.fate for one in post.deliver_all()] == [Fate.DELIVERED, Fate.DUPLICATE]
    assert receiver.bodies[0] == receiver.bodies[1]


def test_the_same_seed_is_the_same_luck_for_an_event_whatever_else_is_sent() -> None:
    disorder = Disorder(seed=5, duplicates=0.5, delays=0.5, drops=0.5)
    account = ProviderAccount(provider="stripe", account="user_1")
    account.subscribe("s1", "price_pro_monthly", price_minor=2000, at_ms=NOON_MS)
    events = account.happened[0].events
    alone, together = (postman("stripe", Receiver(), disorder) for _ in range(2))

    alone.send(events[-1])
    together.send(*events)

    wanted = [(one.at_ms, one.fate) for one in alone.deliver_all()]
    found = [(one.at_ms, one.fate) for one in together.deliver_all() if one.event_type == events[-1].event_type]
    assert found == wanted


def test_a_wsgi_app_gets_a_request_that_its_own_verifier_accepts() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append({**environ, "body": environ["wsgi.input"].read()})
        start_response("202 ACCEPTED", [])
        return [b"thank you"]

    post = postman("stripe", WsgiTarget(app=app, path="/hooks"))
    post.send(bought("stripe"))
    (delivery,) = post.deliver_all()

    assert (delivery.status, delivery.fate) == (202, Fate.DELIVERED)
    assert seen[0]["PATH_INFO"] == "/hooks"
    assert seen[0]["HTTP_STRIPE_SIGNATURE"].startswith("t=")
    assert int(seen[0]["CONTENT_LENGTH"]) == len(seen[0]["body"])


def test_a_share_beyond_its_bounds_and_a_strange_url_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="drops"):
        Disorder(drops=1.5)
    with pytest.raises(InvalidInputError, match="http"):
        UrlTarget(url="file:///etc/passwd")


def test_a_server_that_is_not_there_is_no_error_but_an_attempt_that_failed() -> None:
    post = postman("lemonsqueezy", UrlTarget(url="http://127.0.0.1:9/hooks", timeout_s=1))

    post.send(bought("lemonsqueezy"))

    assert post.deliver_next().status == 0
    assert post.next_at_ms == NOON_MS + 5_000
