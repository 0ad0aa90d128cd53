"""What each provider's events do to credits, for rows that all of them have: trials, pauses, coupons, changes."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from credits.clock import from_iso
from credits.config.catalogue import Every
from credits.config.expiry import NEVER
from credits.config.policies import OnPause, ZeroInvoice
from credits.db import snapshot, transaction
from credits.ids import signed_reference
from credits.inbox.model import FINISHED
from credits.inbox.provider import SettledBy
from credits.pricing import store as purchases
from credits.pricing.store import PurchaseState, Quote
from credits.simulation.account import Happened, ProviderAccount
from credits.units import Money
from tests.support.databases import ON_SQLITE
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import Life, images, plan
from tests.support.reversals import till

DAY_MS = 86_400_000
JAN_MS, HALF_MS = from_iso("2026-01-20T00:00Z"), from_iso("2026-02-04T12:00Z")
PROVIDERS = ("stripe", "lemonsqueezy", "paddle")
pytestmark = ON_SQLITE
at_each_provider = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture(autouse=True)
def _sound(pipeline: Pipeline) -> Any:
    yield
    assert_ledger_is_sound(pipeline.runtime.engine)


@dataclass(kw_only=True)
class Customer:
    """One account's subscriptions at one provider, told as they happen."""

    life: Life
    account: ProviderAccount
    told: int = field(default=0)

    @classmethod
    def at(cls, provider: str, pipeline: Pipeline, *plans: Any, **said: Any) -> "Customer":
        """A customer of a shop that sells `plans`."""
        life = Life.of(pipeline, *(replace(one, product_ids={provider: (product(one.key),)}) for one in plans))
        reference = signed_reference("user_1", pipeline.runtime.secret_key)
        account = ProviderAccount(provider=provider, account="user_1", client_reference=reference, **said)
        return cls(life=life, account=account)

    def tell(self, *, until: str | None = None) -> int:
        """Deliver everything that has happened, each at its time, and let the sweeps run; answers what is available."""
        pipeline = self.life.pipeline
        for happened in self.account.happened[self.told :]:
            self.life.clock.set_ms(max(self.life.clock(), happened.at_ms))
            deliver(pipeline, self.account.provider, happened)
            pipeline.process()
        self.told = len(self.account.happened)
        if until is not None:
            self.life.clock.set_ms(from_iso(until))
        self.life.sweep()
        assert set(pipeline.states()) <= set(FINISHED)
        return self.life.available()


def deliver(pipeline: Pipeline, provider: str, happened: Happened) -> None:
    """Put what tells of it into the inbox; the receiver would keep the rest as ignored."""
    one = pipeline.runtime.providers[provider]
    for event in happened.events:
        if one.reads(event.event_type):
            pipeline.deliver_body(provider, one.simulate(event))


def product(plan_key: str) -> str:
    """A product id that every provider could have: Lemon Squeezy's are numbers."""
    return str(700_000 + sum(plan_key.encode()))


@at_each_provider
def test_a_trial_of_each_provider_earns_its_credits_once_and_the_first_payment_the_plans(
    pipeline: Pipeline, provider: str
) -> None:
    customer = Customer.at(provider, pipeline, plan("pro", images(1000, trial=50)))

    one = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS, begins_with_trial=True)
    on_trial = customer.tell()
    customer.account.renew(one)

    assert (on_trial, customer.tell()) == (50, 1000)


@pytest.mark.parametrize("days_late", [0, 1])
@pytest.mark.parametrize("provider", ["stripe", "paddle"])
def test_a_trial_is_none_the_less_one_when_a_later_state_is_told_first(
    pipeline: Pipeline, provider: str, days_late: int
) -> None:
    customer = Customer.at(provider, pipeline, plan("pro", images(1000, trial=50, expires=NEVER)))
    one = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS, begins_with_trial=True)
    customer.account.renew(one)
    began, renewed = customer.account.happened
    first, later = (replace(began, events=tuple(part)) for part in _parted(began))

    for happened in (renewed, first, later):
        deliver(customer.life.pipeline, provider, happened)
        # Whoever waits for the rest has given up by then.
        for _ in range(10):
            customer.life.clock.set_ms(customer.life.clock() + days_late * DAY_MS)
            customer.life.pipeline.process()
    customer.life.sweep()

    granted = {row["source"]: row["amount"] for row in customer.life.pipeline.credits.grants("user_1")}
    assert granted == {"plan": 1000, "trial": 50}


def _parted(happened: Happened) -> tuple[list[Any], list[Any]]:
    """What is charged for, and what tells of the subscription's state."""
    states = [event for event in happened.events if "subscription" in event.event_type]
    return [event for event in happened.events if event not in states], states


@at_each_provider
@pytest.mark.parametrize(("policy", "left"), [(OnPause.KEEP, 2000), (OnPause.STOP_DRIPS, 1000), (OnPause.END, 0)])
def test_a_pause_of_each_provider_follows_the_policy(
    pipeline: Pipeline, provider: str, policy: OnPause, left: int
) -> None:
    dripping = images(1000, every=Every.WEEK, expires=NEVER)
    customer = Customer.at(provider, pipeline, plan("pro", dripping, on_pause=policy))
    one = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS)

    customer.account.pause(one, at_ms=JAN_MS + 5 * DAY_MS)
    customer.tell(until="2026-01-28T00:00Z")
    customer.account.resume(one, at_ms=from_iso("2026-01-28T00:00Z"))

    assert customer.tell() == left
    # The week after is handed out as ever.
    assert customer.tell(until="2026-02-03T12:00Z") == left + 1000


@at_each_provider
@pytest.mark.parametrize("policy", ["grant", "skip"])
def test_a_coupon_of_each_provider_follows_the_policy(pipeline: Pipeline, provider: str, policy: str) -> None:
    credits_ = images(1000, expires=NEVER)
    customer = Customer.at(provider, pipeline, plan("pro", credits_, zero_invoice=ZeroInvoice(coupon=policy)))

    one = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS)
    customer.account.renew(one, settled_by=SettledBy.COUPON)

    assert customer.tell() == {"grant": 2000, "skip": 1000}[policy]


@at_each_provider
def test_an_upgrade_at_each_provider_adds_the_difference_for_the_rest_of_the_period(
    pipeline: Pipeline, provider: str
) -> None:
    customer = Customer.at(provider, pipeline, plan("pro", images(1000)), plan("max", images(5000)))
    one = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS)

    customer.account.change_plan(one, product("max"), price_minor=4000, at_ms=HALF_MS)

    assert customer.tell() == 1000 + 2000


@at_each_provider
def test_a_change_without_proration_waits_for_the_renewal_at_each_provider(pipeline: Pipeline, provider: str) -> None:
    customer = Customer.at(provider, pipeline, plan("pro", images(1000)), plan("max", images(5000)))
    one = customer.account.subscribe("s1", product("max"), price_minor=4000, at_ms=JAN_MS)

    customer.account.change_plan(one, product("pro"), price_minor=2000, at_ms=HALF_MS, is_prorated=False)
    until_renewal = customer.tell()
    customer.account.renew(one)

    assert (until_renewal, customer.tell()) == (5000, 1000)


def test_at_lemon_squeezy_who_comes_back_to_a_plan_within_its_period_has_its_credits_once(pipeline: Pipeline) -> None:
    """It tells nothing of money that it credits for a downgrade: the credits stayed when the plan was left."""
    customer = Customer.at("lemonsqueezy", pipeline, plan("pro", images(1000)), plan("max", images(5000)))
    one = customer.account.subscribe("s1", product("max"), price_minor=4000, at_ms=JAN_MS)

    customer.account.change_plan(one, product("pro"), price_minor=2000, at_ms=JAN_MS + 5 * DAY_MS)
    customer.account.change_plan(one, product("max"), price_minor=4000, at_ms=HALF_MS)

    assert customer.tell() == 5000


@at_each_provider
def test_several_subscriptions_of_one_account_are_apart(pipeline: Pipeline, provider: str) -> None:
    credits_ = [plan("pro", images(1000)), plan("max", images(5000, per_seat=True))]
    customer = Customer.at(provider, pipeline, *credits_)
    first = customer.account.subscribe("s1", product("pro"), price_minor=2000, at_ms=JAN_MS)
    customer.account.subscribe("s2", product("max"), price_minor=8000, at_ms=JAN_MS + DAY_MS, quantity=2)

    both = customer.tell()
    customer.account.end(first)

    assert (both, customer.tell(until="2026-02-20T12:00Z")) == (11_000, 10_000)


def pausing(pause: str, at: str) -> dict[str, Any]:
    return {"status": "paused"} if pause == "status" else {"pause_collection": {"behavior": at, "resumes_at": None}}


@pytest.mark.parametrize("pause", ["status", "collection"])
def test_a_pause_by_stripe_is_one_in_either_of_its_forms(pipeline: Pipeline, pause: str) -> None:
    life = Life.of(pipeline, plan("pro", images(1000), on_pause=OnPause.END))
    start, end = "2026-01-20T00:00Z", "2026-02-20T00:00Z"
    customer = ProviderAccount(provider="stripe", account="user_1")
    customer.subscribe("s1", "price_pro", price_minor=2000, at_ms=JAN_MS)
    deliver(life.pipeline, "stripe", customer.happened[0])
    life.pipeline.process()
    before = life.pipeline.balance("user_1")

    life.seen("pro", "2026-01-25T00:00Z", start, end, **pausing(pause, "void"))

    assert (before, life.available()) == (1000, 0)


@pytest.fixture
def quoted(pipeline: Pipeline) -> dict[str, Any]:
    """What the events of a purchase say that answers a quote."""
    price = Money(amount_minor=1000, currency="USD")
    quote = Quote(quote_id="quote-1", account="user_1", credit_type="image_generation", amount=120, price=price)
    with transaction(pipeline.runtime.engine) as connection:
        purchases.insert_quote(connection, pipeline.tenant, quote, now_ms=pipeline.runtime.clock())
    return {"provider": "paddle", "account": "user_1", "quote_id": quote.quote_id}


def state_of(pipeline: Pipeline, quoted: dict[str, Any]) -> str:
    with snapshot(pipeline.runtime.engine) as connection:
        found = purchases.find_purchase(connection, pipeline.tenant, quoted["quote_id"])
    assert found is not None
    return str(found["state"])


def test_a_transaction_called_off_at_paddle_voids_its_quotes_purchase(
    pipeline: Pipeline, quoted: dict[str, Any]
) -> None:
    pipeline.receive("transaction.canceled", **quoted)

    assert (state_of(pipeline, quoted), pipeline.balance("user_1")) == (PurchaseState.EXPIRED, 0)


def test_a_transaction_that_paddle_still_looks_at_is_pending_and_grants_nothing(
    pipeline: Pipeline, quoted: dict[str, Any]
) -> None:
    pipeline.receive("transaction.paid", **quoted)
    looked_at = state_of(pipeline, quoted), pipeline.balance("user_1")
    pipeline.receive("transaction.completed", **quoted)
    pipeline.receive("transaction.paid", **quoted, delivery="late")

    assert looked_at == (PurchaseState.PENDING, 0)
    assert (state_of(pipeline, quoted), pipeline.balance("user_1")) == (PurchaseState.CREDITED, 120)


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 999), ("KWD", 12_345)])
@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy"])
def test_money_of_any_number_of_decimals_goes_back_in_proportion(
    pipeline: Pipeline, provider: str, currency: str, minor: int
) -> None:
    bank = till(pipeline)
    account = ProviderAccount(provider=provider, account="user_1", currency=currency)
    bought = account.purchase("p1", "image_generation", 100, paid_minor=minor, at_ms=JAN_MS)

    account.refund(bought, "r1", refunded_minor=minor // 3, at_ms=JAN_MS)
    for happened in account.happened:
        deliver(bank.pipeline, provider, happened)
        bank.settle()

    # A share is rounded up: nobody keeps more of the credits than of the price.
    assert bank.figures()["balance"] == 100 - -(-100 * (minor // 3) // minor)
