"""Notifications: told once, signed, again until they are taken, and never to an address that was not allowed."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import RowMapping

from credits.config.faces import NotificationRules
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import DestinationRefusedError, InvalidInputError
from credits.notifications import managing, service, store
from credits.notifications.addresses import networks
from credits.notifications.managing import MAX_DESTINATIONS
from credits.notifications.model import DeliveryState, Kind
from credits.notifications.rules import MAX_ATTEMPTS, PAUSES_S, signed_headers
from credits.notifications.sending import Sending
from credits.notifications.service import NotifyRuntime
from credits.notifications.store import LEASE_MS
from credits.notifications.watch import WatchRuntime, watch
from tests.support.clock import VirtualClock
from tests.support.hooks import Listener, listening
from tests.support.pipeline import Pipeline
from tests.support.processes import free_port

HERE = networks("127.0.0.0/8")
KEY = "a key for tests only"
DAY_MS = 86_400_000


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def telling(pipeline: Pipeline) -> NotifyRuntime:
    return NotifyRuntime(
        engine=pipeline.runtime.engine, secret_key=KEY, sender=Sending(allowed=HERE), clock=pipeline.runtime.clock
    )


def subscribe(pipeline: Pipeline, url: str, *kinds: Kind, tenant: Tenant = Tenant.SANDBOX) -> tuple[str, str]:
    """Add a destination; answers its name and secret."""
    with transaction(pipeline.runtime.engine) as connection:
        made = managing.create_destination(
            connection,
            tenant,
            url=url,
            kinds=[kind.value for kind in kinds],
            allowed=HERE,
            secret_key=KEY,
            now_ms=pipeline.runtime.clock(),
        )
    return made.destination.name, made.secret


def tell(telling: NotifyRuntime) -> int:
    return service.sweep(telling, until_ms=telling.clock() + 1)


def deliveries(pipeline: Pipeline) -> list[RowMapping]:
    with snapshot(pipeline.runtime.engine) as connection:
        return store.list_deliveries(connection, Tenant.SANDBOX, limit=1000)


def test_a_purchase_is_told_once_and_signed_however_often_its_events_come(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    _, secret = subscribe(pipeline, listener.url)

    for event_id in ("a", "b"):
        pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5, delivery=event_id)
    tell(telling)
    tell(telling)

    [heard] = listener.heard
    said = json.loads(heard.body)
    assert said["type"] == "purchase.completed"
    assert (said["data"]["account"], said["data"]["credit_type"], said["data"]["amount"]) == ("user_1", "tokens", 5)
    at_ms = int(heard.headers["webhook-timestamp"]) * 1000
    expected = signed_headers(heard.headers["webhook-id"], heard.body, [secret], now_ms=at_ms)
    assert heard.headers["webhook-signature"] == expected["webhook-signature"]


def test_a_payment_that_could_not_be_credited_is_told_with_what_to_do(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    subscribe(pipeline, listener.url, Kind.ALLOCATION_FAILED)

    pipeline.receive("purchase.paid", account="user_1", credit_type="gold", amount=5)
    event = pipeline.receive("purchase.paid", account=None, delivery="b", payment="p2")
    pipeline.retry(event["id"])
    pipeline.process()
    tell(telling)

    said = [json.loads(heard.body)["data"] for heard in listener.heard]
    assert sorted(one["code"] for one in said) == ["nobody_to_credit", "unknown_credit_type"]
    assert all(one["fix"] for one in said)


def test_what_was_not_asked_for_is_not_told(pipeline: Pipeline, telling: NotifyRuntime, listener: Listener) -> None:
    subscribe(pipeline, listener.url, Kind.BALANCE_LOW)
    subscribe(pipeline, listener.url, tenant=Tenant.LIVE)

    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    tell(telling)

    assert listener.heard == []


def test_a_refused_notification_comes_again_under_the_same_id_until_it_is_taken(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener, clock: VirtualClock
) -> None:
    subscribe(pipeline, listener.url)
    listener.statuses = [500, 302, 200]

    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    attempts = tell(telling)
    for pause_s in PAUSES_S[:2]:
        assert tell(telling) == 0
        clock.advance_ms(int(pause_s * 1100) + 1)
        attempts += tell(telling)

    assert attempts == 3
    assert len({heard.headers["webhook-id"] for heard in listener.heard}) == 1
    assert len({heard.body for heard in listener.heard}) == 1
    [delivery] = deliveries(pipeline)
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == (DeliveryState.DELIVERED, 3, 200)
    with snapshot(pipeline.runtime.engine) as connection:
        log = store.attempts_of(connection, Tenant.SANDBOX, delivery["id"])
    assert [row["status"] for row in log] == [500, 302, 200]


def test_a_destination_that_never_takes_it_gets_it_ten_times_and_again_when_somebody_says_so(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener, clock: VirtualClock
) -> None:
    subscribe(pipeline, listener.url)
    listener.statuses = [503]

    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    for _ in range(MAX_ATTEMPTS + 3):
        tell(telling)
        clock.advance_ms(2 * DAY_MS)
    assert len(listener.heard) == MAX_ATTEMPTS
    assert [row["state"] for row in deliveries(pipeline)] == [DeliveryState.DEAD]

    listener.statuses = [200]
    with transaction(pipeline.runtime.engine) as connection:
        count = managing.retry_deliveries(connection, Tenant.SANDBOX, state=DeliveryState.DEAD, now_ms=clock())
    tell(telling)

    assert count == 1
    assert [row["state"] for row in deliveries(pipeline)] == [DeliveryState.DELIVERED]


def test_a_destination_that_is_gone_is_disabled_and_hears_nothing_more(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    name, _ = subscribe(pipeline, listener.url)
    listener.statuses = [410]

    for payment in ("p1", "p2"):
        pipeline.receive("purchase.paid", account="user_1", payment=payment, delivery=payment)
        tell(telling)

    assert len(listener.heard) == 1
    with snapshot(pipeline.runtime.engine) as connection:
        found = managing.destination(connection, Tenant.SANDBOX, name)
    assert found.disabled_reason == "it answered 410 Gone"


def test_a_notification_whose_worker_died_is_sent_again_when_its_lease_ends(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener, clock: VirtualClock
) -> None:
    subscribe(pipeline, listener.url)
    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    with pytest.raises(KeyboardInterrupt):
        service.sweep(replace(telling, sender=_Dying()), until_ms=clock() + 1)

    before = tell(telling)
    clock.advance_ms(LEASE_MS)
    after = tell(telling)

    assert (before, after) == (0, 1)
    assert len(listener.heard) == 1


def test_eight_workers_at_once_send_each_notification_once(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    subscribe(pipeline, listener.url)
    for number in range(12):
        pipeline.receive("purchase.paid", account="user_1", payment=f"p{number}", delivery=f"e{number}")

    threads = [threading.Thread(target=tell, args=(telling,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell(telling)

    assert len(listener.heard) == 12
    assert len({heard.headers["webhook-id"] for heard in listener.heard}) == 12


def test_a_name_that_points_inside_at_the_moment_of_delivery_is_not_connected_to(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    # It was a public address when the destination was added; a name may say another one a second later.
    rebinding = Sending(resolve=lambda _host, _port: ["127.0.0.1"])
    with transaction(pipeline.runtime.engine) as connection:
        managing.create_destination(
            connection,
            Tenant.SANDBOX,
            url="https://rebinding.example.com/hook",
            kinds=(),
            allowed=(),
            secret_key=KEY,
            now_ms=pipeline.runtime.clock(),
        )

    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    tell(replace(telling, sender=rebinding))

    [delivery] = deliveries(pipeline)
    assert listener.heard == []
    assert "127.0.0.1 is no public address" in delivery["last_detail"]


def test_a_destination_that_is_silent_costs_an_attempt_and_holds_nobody_up(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    subscribe(pipeline, f"http://127.0.0.1:{free_port()}/")
    subscribe(pipeline, listener.url)

    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    tell(telling)

    assert len(listener.heard) == 1
    assert sorted((row["state"], row["last_detail"]) for row in deliveries(pipeline)) == [
        (DeliveryState.DELIVERED, ""),
        (DeliveryState.PENDING, "no answer (ConnectError)"),
    ]


def test_a_balance_is_told_when_it_becomes_low_and_when_it_recovers_and_not_in_between(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener
) -> None:
    subscribe(pipeline, listener.url, Kind.BALANCE_LOW, Kind.BALANCE_RECOVERED)
    rules = NotificationRules(low_balance={"tokens": 20})
    watching = WatchRuntime(
        engine=pipeline.runtime.engine,
        catalogue=replace(pipeline.runtime.catalogue, notifications=rules),
        clock=pipeline.runtime.clock,
    )

    pipeline.credits.add("user_1", "tokens", 100, key="a")
    for amount in (70, 15, 5):
        assert watch(watching) in (0, 1)
        pipeline.credits.deduct("user_1", "tokens", amount, key=f"job-{amount}")
    watch(watching)
    watch(watching)
    pipeline.credits.add("user_1", "tokens", 50, key="b")
    watch(watching)
    tell(telling)

    said = [json.loads(heard.body) for heard in listener.heard]
    told = sorted((one["type"], one["data"]["available"]) for one in said)
    assert told == [("balance.low", 15), ("balance.recovered", 60)]


def test_credits_that_lapse_within_the_notice_are_told_once_each(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener, clock: VirtualClock
) -> None:
    subscribe(pipeline, listener.url, Kind.CREDITS_LAPSE_SOON)
    rules = NotificationRules(lapse_notice_days=7)
    watching = WatchRuntime(
        engine=pipeline.runtime.engine,
        catalogue=replace(pipeline.runtime.catalogue, notifications=rules),
        clock=clock,
    )
    for days in (3, 9, 30):
        pipeline.credits.add("user_1", "tokens", days, key=f"a{days}", expires_at_ms=clock() + days * DAY_MS)
    pipeline.credits.add("user_1", "tokens", 5, key="never")

    first = [watch(watching), watch(watching)]
    clock.advance_ms(2 * DAY_MS)
    second = [watch(watching), watch(watching)]
    tell(telling)

    assert (first, second) == ([1, 0], [1, 0])
    assert sorted(json.loads(heard.body)["data"]["amount"] for heard in listener.heard) == [3, 9]


def test_a_ping_goes_to_one_destination_alone(pipeline: Pipeline, telling: NotifyRuntime, listener: Listener) -> None:
    name, _ = subscribe(pipeline, listener.url)
    subscribe(pipeline, listener.url)

    with transaction(pipeline.runtime.engine) as connection:
        managing.ping(connection, Tenant.SANDBOX, name, now_ms=pipeline.runtime.clock())
    tell(telling)

    assert [json.loads(heard.body)["type"] for heard in listener.heard] == ["ping"]


def test_an_unknown_kind_a_private_url_and_one_destination_too_many_are_refused(pipeline: Pipeline) -> None:
    def create(url: str, *kinds: str) -> None:
        with transaction(pipeline.runtime.engine) as connection:
            managing.create_destination(
                connection, Tenant.SANDBOX, url=url, kinds=kinds, allowed=(), secret_key=KEY, now_ms=1
            )

    with pytest.raises(InvalidInputError, match=r"purchase\.completed"):
        create("https://example.com/", "purchase.complete")
    with pytest.raises(DestinationRefusedError):
        create("https://192.168.0.1/")
    for number in range(MAX_DESTINATIONS):
        create(f"https://example.com/{number}")
    with pytest.raises(InvalidInputError, match="50 destinations"):
        create("https://example.com/one-more")


def test_what_was_told_a_month_ago_is_forgotten_unless_it_is_still_on_its_way(
    pipeline: Pipeline, telling: NotifyRuntime, listener: Listener, clock: VirtualClock
) -> None:
    subscribe(pipeline, listener.url)
    pipeline.receive("purchase.paid", account="user_1", credit_type="tokens", amount=5)
    tell(telling)
    assert len(deliveries(pipeline)) == 1

    clock.advance_ms(service.KEPT_MS + 1)
    tell(telling)

    assert deliveries(pipeline) == []


class _Dying:
    async def send(self, *_: object) -> None:
        raise KeyboardInterrupt
