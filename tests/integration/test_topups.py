"""Automatic top-ups at the fake Stripe: charged once for a shortage, whatever runs at once or dies in between."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, select

from credits.api.health import health_routes
from credits.checkout.cards import Charge, ChargeOrder, SavedCard
from credits.checkout.connect import Sellers
from credits.checkout.model import Shop
from credits.checkout.stripe import StripeSeller
from credits.clock import system_clock_ms
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.db import snapshot
from credits.engine import Credits
from credits.errors import InvalidInputError, ProviderUnavailableError, TopupNotFoundError, TopupNotSoldByError
from credits.notifications.tables import notifications
from credits.topup.health import list_in_flight
from credits.topup.service import TopupRuntime, sweep
from credits.topup.tables import topup_attempts
from tests.support.api import assert_problem
from tests.support.databases import ON_SQLITE
from tests.support.market import KEYS, Market, market

HOUR_MS = 3_600_000


@dataclass
class Topups:
    """A market, with a clock that can be put forward and sweeps to be run."""

    market: Market
    ahead_ms: int = 0

    def clock(self) -> int:
        return system_clock_ms() + self.ahead_ms

    @property
    def library(self) -> Credits:
        runtime = self.market.pipeline.runtime
        return Credits(
            engine=runtime.engine,
            catalogue=runtime.catalogue,
            tenant=Tenant.SANDBOX,
            clock=self.clock,
            sellers=Sellers(self.market.settings, Tenant.SANDBOX),
            base_url=self.market.settings.base_url,
        )

    def shop(self, seller: Any = None) -> Shop:
        return self.library.shop if seller is None else replace(self.library.shop, sellers={"stripe": seller})

    def sweep(self, seller: Any = None) -> int:
        runtime = TopupRuntime(shops=[self.shop(seller)], clock=self.clock)
        begun = sweep(runtime, until_ms=self.clock() + 60_000)
        self.market.settle()
        return begun

    def buy(self, account: str = "user_1") -> str:
        """A first purchase by hand, which leaves a card; answers its page."""
        url: str = self.market.checkout(account, amount=5)["checkout_url"]
        self.market.click(url, "pay")
        return url

    def set(self, **changes: Any) -> Any:
        said = {"threshold": 10, "amount": 100, "monthly_cap_minor": 3_000, **changes}
        return self.library.set_topup("user_1", "image_generation", **said)

    def found(self) -> Any:
        return self.library.topup("user_1", "image_generation")

    def intents(self) -> list[dict[str, Any]]:
        return [
            one
            for one in self.market.store.all("stripe", "payment_intent")
            if one["metadata"].get("creditgate_kind") == "topup"
        ]

    def paid(self) -> int:
        return sum(one["status"] == "succeeded" for one in self.intents())

    def balance(self) -> int:
        return self.market.pipeline.balance("user_1")

    def told(self) -> list[Any]:
        with snapshot(self.market.pipeline.runtime.engine) as connection:
            rows = connection.execute(select(notifications.c.data).where(notifications.c.kind == "topup.failed"))
            return [row.data for row in rows]


@pytest.fixture
def topups(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Topups]:
    with market(engine, settings, tmp_path) as made:
        yield Topups(market=made)


class Seller(StripeSeller):
    """Stripe, with something in the way."""

    def __init__(self, topups: Topups, trouble: Callable[[str], None]) -> None:
        super().__init__(ProviderAccess(api_key=KEYS["stripe"], api_base=topups.market.fakes_url))
        self._trouble = trouble

    def saved_card(self, customer_ids: tuple[str, ...], payment_method: str | None) -> SavedCard | None:
        self._trouble("card")
        return super().saved_card(customer_ids, payment_method)

    def charge_off_session(self, order: ChargeOrder) -> Charge:
        self._trouble("before")
        answer = super().charge_off_session(order)
        self._trouble("after")
        return answer


class Killed(BaseException):
    """The process ends here."""


def dies_at(place: str) -> Callable[[str], None]:
    def trouble(now: str) -> None:
        if now == place:
            raise Killed

    return trouble


# ── Once ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_shortage_is_charged_once_and_its_credits_are_those_of_the_quote(topups: Topups) -> None:
    """An automatic top-up charges 15 times (Lago #6177)."""
    topups.buy()
    topups.set()

    begun = [topups.sweep() for _ in range(3)]

    assert begun == [1, 0, 0]
    assert (topups.paid(), topups.balance()) == (1, 105)
    found = topups.found()
    assert (found["decision"], found["reason"], found["spent_this_month_minor"]) == ("wait", "enough", 1_000)
    assert [one["state"] for one in found["attempts"]] == ["granted"]
    assert topups.market.rows()[-1]["state"] == "credited"


def test_many_sweeps_at_once_charge_once(topups: Topups) -> None:
    topups.buy()
    topups.set()
    shop = topups.shop()

    with ThreadPoolExecutor(6) as pool:
        runtime = TopupRuntime(shops=[shop], clock=topups.clock)
        list(pool.map(lambda _: sweep(runtime, until_ms=topups.clock() + 60_000), range(12)))
    topups.market.settle()
    topups.sweep()

    assert (len(topups.intents()), topups.paid(), topups.balance()) == (1, 1, 105)


@pytest.mark.parametrize("place", ["card", "before", "after"])
def test_killed_anywhere_it_is_charged_once(topups: Topups, place: str) -> None:
    topups.buy()
    topups.set()
    for _ in range(3):
        with pytest.raises(Killed):
            topups.sweep(Seller(topups, dies_at(place)))
        topups.ahead_ms += 60_000

    topups.sweep()
    topups.sweep()

    assert (len(topups.intents()), topups.paid(), topups.balance()) == (1, 1, 105)
    assert [one["state"] for one in topups.found()["attempts"]] == ["granted"]


@ON_SQLITE
@pytest.mark.parametrize("was_made", [True, False])
def test_a_day_later_the_charge_is_looked_for_and_not_made_again(topups: Topups, was_made: bool) -> None:
    topups.buy()
    topups.set()
    with pytest.raises(Killed):
        topups.sweep(Seller(topups, dies_at("after" if was_made else "before")))
    with topups.market.pipeline.runtime.engine.begin() as connection:
        row = connection.execute(select(topup_attempts)).mappings().one()
    topups.ahead_ms = 23 * HOUR_MS
    # What the idempotency key knew is forgotten.
    with topups.market.store._open() as store:
        store.execute("DELETE FROM requests WHERE key = ?", (row["charge_id"],))

    topups.sweep()
    topups.sweep()

    assert topups.paid() == (1 if was_made else 0)
    assert topups.found()["attempts"][0]["state"] == ("granted" if was_made else "lost")


@ON_SQLITE
def test_a_provider_that_is_away_is_asked_again_under_the_same_name(topups: Topups) -> None:
    topups.buy()
    topups.set()

    def away(_: str) -> None:
        raise ProviderUnavailableError("stripe", "no answer")

    topups.sweep(Seller(topups, away))
    first = topups.found()
    topups.ahead_ms = 60_000
    topups.sweep()

    assert (first["reason"], first["attempts"][0]["state"]) == ("in_flight", "open")
    assert (len(topups.intents()), topups.balance()) == (1, 105)


# ── Declines ─────────────────────────────────────────────────────────────────────────────────────────────


@ON_SQLITE
def test_a_soft_decline_is_tried_again_after_an_hour_and_told(topups: Topups) -> None:
    url = topups.buy()
    topups.set()
    topups.market.click(url, "card_soft")

    topups.sweep()
    topups.sweep()
    declined = topups.found()
    topups.market.click(url, "card_works")
    topups.ahead_ms = HOUR_MS + 1_000
    topups.sweep()

    assert (declined["reason"], declined["attempts"][0]["reason"]) == ("back_off", "insufficient_funds")
    assert [one["reason"] for one in topups.told()] == ["insufficient_funds"]
    assert (len(topups.intents()), topups.balance()) == (2, 105)


@ON_SQLITE
def test_a_lost_card_is_charged_no_more_until_it_is_replaced(topups: Topups) -> None:
    url = topups.buy()
    topups.set(threshold=200)
    topups.market.click(url, "card_hard")
    for hours in (0, 2, 200):
        topups.ahead_ms = hours * HOUR_MS
        topups.sweep()
    blocked = topups.found()

    topups.buy()
    topups.ahead_ms += 2 * HOUR_MS
    topups.sweep()
    topups.sweep()

    assert (blocked["decision"], blocked["reason"], len(blocked["attempts"])) == ("blocked", "card_declined", 1)
    assert (topups.paid(), topups.balance()) == (1, 110)


@ON_SQLITE
def test_without_a_card_nothing_is_charged_and_somebody_is_told(topups: Topups) -> None:
    topups.set()

    topups.sweep()

    assert topups.found()["reason"] == "card_declined"
    assert [one["reason"] for one in topups.told()] == ["no_payment_method"]
    assert topups.intents() == []


def test_what_the_bank_wants_to_see_is_finished_by_the_payer_and_paid_once(topups: Topups) -> None:
    url = topups.buy()
    topups.set()
    topups.market.click(url, "card_authentication")

    topups.sweep()
    topups.sweep()
    stopped = topups.found()
    topups.market.click(stopped["finish_url"], "pay")
    topups.sweep()

    assert (stopped["decision"], stopped["reason"]) == ("blocked", "authentication_needed")
    assert [(one["reason"], one["finish_url"]) for one in topups.told()] == [
        ("authentication_required", stopped["finish_url"])
    ]
    assert [one["status"] for one in topups.intents()] == ["canceled"]
    assert (topups.balance(), topups.found()["reason"], topups.found()["finish_url"]) == (105, "enough", None)


@ON_SQLITE
def test_a_charge_that_takes_long_is_waited_for(topups: Topups) -> None:
    url = topups.buy()
    topups.set()
    topups.market.click(url, "card_slow")
    for minutes in range(4):
        topups.ahead_ms = minutes * 120_000
        topups.sweep()

    assert [one["state"] for one in topups.found()["attempts"]] == ["pending"]
    assert (len(topups.intents()), topups.balance()) == (1, 5)


# ── What was agreed ──────────────────────────────────────────────────────────────────────────────────────


@ON_SQLITE
def test_the_cap_of_a_month_holds(topups: Topups) -> None:
    topups.buy()
    topups.set(threshold=1_000, monthly_cap_minor=2_500)

    for minutes in range(5):
        topups.ahead_ms = minutes * 600_000
        topups.sweep()

    assert (topups.paid(), topups.found()["spent_this_month_minor"]) == (2, 2_000)
    assert topups.found()["last_decision"]["reason"] == "monthly_cap"
    assert [one["reason"] for one in topups.told()] == ["monthly_cap"]


@ON_SQLITE
def test_after_a_refund_nothing_is_charged_until_somebody_says_so(topups: Topups) -> None:
    url = topups.buy()
    topups.set()
    topups.market.click(url, "refund")

    topups.sweep()
    refunded = topups.found()["reason"]
    topups.ahead_ms = 1_000
    topups.library.retry_topup("user_1", "image_generation")
    topups.market.settle()

    assert (refunded, topups.paid()) == ("refunded", 1)


@ON_SQLITE
def test_what_cannot_be_agreed_names_the_field(topups: Topups) -> None:
    with pytest.raises(TopupNotSoldByError, match="'lemonsqueezy' cannot charge a saved card"):
        topups.set(provider="lemonsqueezy")
    with pytest.raises(InvalidInputError, match="monthly_cap_minor: must be at least 1000"):
        topups.set(monthly_cap_minor=999)
    with pytest.raises(InvalidInputError, match="target: must be above the threshold"):
        topups.set(amount=None, target=10)
    with pytest.raises(InvalidInputError, match="amount: give it or target"):
        topups.set(target=50)
    with pytest.raises(InvalidInputError, match="amount"):
        topups.set(amount=3)
    with pytest.raises(TopupNotFoundError):
        topups.found()


@ON_SQLITE
def test_over_http_it_is_set_shown_and_switched_off(topups: Topups) -> None:
    caller, path = topups.market.caller, "/v1/accounts/user_1/topups/image_generation"
    body = {"threshold": 10, "target": 50, "monthly_cap_minor": 2_000}

    missing = caller.get(path)
    made = caller.send("PUT", path, body)
    bad = caller.send("PUT", path, {**body, "provider": "lemonsqueezy"})
    listed = caller.get("/v1/accounts/user_1/topups").get_json()
    off = caller.send("DELETE", path)

    assert_problem(missing, 404, "topup_not_found")
    assert (made.status_code, made.get_json()["decision"]) == (200, "charge")
    assert_problem(bad, 422, "topup_not_offered_by_provider")
    assert [one["target"] for one in listed["items"]] == [50]
    assert (off.status_code, off.get_json()["reason"]) == (200, "off")


@ON_SQLITE
def test_one_that_is_in_flight_for_an_hour_is_an_alarm_until_its_credits_are_there(topups: Topups) -> None:
    topups.buy()
    topups.set()
    engine, app, registry = topups.market.pipeline.runtime.engine, Flask("health"), CollectorRegistry()
    app.register_blueprint(
        health_routes(engine=engine, clock=topups.clock, alarm_age_s=300, ready={}, registry=registry)
    )
    topups.market.down.set()

    topups.sweep()
    fresh = app.test_client().get("/readyz").get_json()["alarms"]
    topups.ahead_ms = HOUR_MS + 60_000
    [alarm] = app.test_client().get("/readyz").get_json()["alarms"]
    with snapshot(engine) as connection:
        [listed] = list_in_flight(connection, Tenant.SANDBOX, now_ms=topups.clock())
    labels = {"tenant": "sandbox", "state": "charged"}
    age_s = registry.get_sample_value("creditgate_topup_oldest_age_seconds", labels)
    topups.market.deliver_late()
    topups.sweep()

    assert fresh == []
    assert "a sandbox top-up is charged and has been in flight for 36" in alarm
    assert (listed["account"], listed["state"], listed["cost_minor"]) == ("user_1", "charged", 1_000)
    assert age_s is not None
    assert age_s > 3_600
    assert app.test_client().get("/readyz").get_json()["alarms"] == []
