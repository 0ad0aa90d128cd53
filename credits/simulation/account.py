"""A customer's account at a simulated provider: what happens to it, told in the events that the provider would send."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any

from credits.errors import InvalidInputError
from credits.inbox.provider import SettledBy, SimulatedLine, Simulation
from credits.plans.calendar import add_months, instant, to_ms
from credits.simulation.dialects import DIALECTS, SIGNED_AND_QUOTED, Happening, Told, shape_of_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One thing that happened, and the events that tell of it, in the order in which they are sent."""

    what: Happening
    at_ms: int
    words: str
    events: tuple[Simulation, ...]


@dataclass(slots=True, kw_only=True)
class Subscription:
    """A subscription that is billed by the month, as it stands after what happened so far."""

    name: str
    started_at_ms: int
    product_id: str
    price_minor: int
    """Of all its seats, for one period."""
    quantity: int = 1
    begins_with_trial: bool = False
    """Its first period is a trial."""
    period: int = 0
    changes: int = 0

    def period_start_ms(self, period: int) -> int:
        """When the billing period of that number begins: on the day of the first, or its month's last."""
        return to_ms(add_months(instant(self.started_at_ms, UTC), period))


@dataclass(slots=True, kw_only=True)
class ProviderAccount:
    """
    What one of your accounts buys at one provider. Nothing here is random, and nothing is sent.

    Each method lets one thing happen at an instant and answers it with its events; they are kept in `happened`, too.
    What the provider has no events for raises InvalidInputError.
    """

    provider: str
    account: str | None
    api_version: str | None = None
    currency: str = "USD"
    client_reference: str | None = None
    """The account, signed: `credits.client_reference("user_1")`. Paddle's events say whose they are by it alone."""
    happened: list[Happened] = field(default_factory=list)

    def knows(self, what: Happening) -> bool:
        """Whether this provider tells of such a thing at all."""
        return what in self._dialect

    def purchase(self, name: str, credit_type: str, amount: int, *, paid_minor: int, at_ms: int) -> Happened:
        """
        A single purchase of `amount` credits.

        At Paddle it answers a quote, which has to be stored where it is delivered: `store_quotes` of a sandbox does it.
        """
        said = {"payment": name, "credit_type": credit_type, "amount": amount, "paid_minor": paid_minor}
        if self.provider in SIGNED_AND_QUOTED:
            said["quote_id"] = f"{self.account}-{name}"
        return self._tell(Happening.PURCHASED, at_ms, f"{amount} {credit_type} bought", started_at_ms=at_ms, **said)

    def subscribe(
        self,
        name: str,
        product_id: str,
        *,
        price_minor: int,
        at_ms: int,
        quantity: int = 1,
        begins_with_trial: bool = False,
    ) -> Subscription:
        """A subscription begins; its first period is paid, or is a trial that costs nothing."""
        began = Subscription(
            name=name,
            started_at_ms=at_ms,
            product_id=product_id,
            price_minor=price_minor,
            quantity=quantity,
            begins_with_trial=begins_with_trial,
        )
        words = f"{'trial of' if begins_with_trial else 'subscribed to'} {product_id}"
        self._tell(Happening.SUBSCRIBED, at_ms, words, **_of(began))
        return began

    def renew(self, subscription: Subscription, *, settled_by: SettledBy = SettledBy.CARD) -> Happened:
        """The next period begins and is paid at once."""
        at_ms = self._next_period(subscription)
        words = f"period {subscription.period + 1} paid"
        if settled_by is not SettledBy.CARD:
            words += f" by {settled_by.value.replace('_', ' ')}"
        return self._tell(Happening.RENEWED, at_ms, words, **{**_of(subscription), "settled_by": settled_by})

    def fail_payment(self, subscription: Subscription) -> Happened:
        """The next period begins and its payment fails."""
        at_ms = self._next_period(subscription)
        words = f"payment of period {subscription.period + 1} failed"
        return self._tell(Happening.PAYMENT_FAILED, at_ms, words, **_of(subscription))

    def recover_payment(self, subscription: Subscription, *, at_ms: int) -> Happened:
        """The payment that had failed succeeds."""
        words = f"payment of period {subscription.period + 1} recovered"
        return self._tell(Happening.PAYMENT_RECOVERED, at_ms, words, **_of(subscription))

    def change_plan(
        self,
        subscription: Subscription,
        product_id: str,
        *,
        price_minor: int,
        at_ms: int,
        quantity: int | None = None,
        is_prorated: bool = True,
    ) -> Happened:
        """
        Another plan or number of seats from now on, at `price_minor` a period.

        The rest of the period is settled in proportion, or else not at all.
        """
        seats = subscription.quantity if quantity is None else quantity
        words = f"changed to {product_id}" + (f", {seats} seats" if seats != subscription.quantity else "")
        if not is_prorated:
            subscription.product_id, subscription.price_minor, subscription.quantity = product_id, price_minor, seats
            return self._tell(Happening.PLAN_SWITCHED, at_ms, f"{words}, not prorated", **_of(subscription))
        start_ms, end_ms = (subscription.period_start_ms(subscription.period + one) for one in (0, 1))
        if not start_ms <= at_ms < end_ms:
            raise InvalidInputError("at_ms", f"must be within the period, from {start_ms} to {end_ms - 1}, got {at_ms}")
        lines = tuple(
            SimulatedLine(
                product_id=product,
                amount_minor=sign * round(minor * (end_ms - at_ms) / (end_ms - start_ms)),
                start_ms=at_ms,
                end_ms=end_ms,
                quantity=quantity_of_side,
                is_proration=True,
            )
            for product, minor, quantity_of_side, sign in (
                (subscription.product_id, subscription.price_minor, subscription.quantity, -1),
                (product_id, price_minor, seats, 1),
            )
        )
        subscription.product_id, subscription.price_minor, subscription.quantity = product_id, price_minor, seats
        subscription.changes += 1
        name = f"{subscription.name}-change-{subscription.changes}"
        said = {**_of(subscription), "payment": name, "invoice": name, "lines": lines}
        # What a cheaper plan gives back stays with the provider, as a balance; nothing is charged.
        said["paid_minor"] = max(0, sum(line.amount_minor for line in lines))
        return self._tell(Happening.PLAN_CHANGED, at_ms, words, **said)

    def pause(self, subscription: Subscription, *, at_ms: int) -> Happened:
        """The subscription rests."""
        return self._tell(Happening.PAUSED, at_ms, "paused", **_of(subscription))

    def resume(self, subscription: Subscription, *, at_ms: int) -> Happened:
        """The subscription goes on."""
        return self._tell(Happening.RESUMED, at_ms, "resumed", **_of(subscription))

    def cancel(self, subscription: Subscription, *, at_ms: int) -> Happened:
        """It will not be renewed; until the period ends it goes on."""
        return self._tell(Happening.CANCELLED, at_ms, "cancelled, to the end of the period", **_of(subscription))

    def end(self, subscription: Subscription) -> Happened:
        """The last period is over."""
        at_ms = subscription.period_start_ms(subscription.period + 1)
        return self._tell(Happening.ENDED, at_ms, "subscription ended", **_of(subscription))

    def refund(self, of: Happened, name: str, *, refunded_minor: int, before_minor: int = 0, at_ms: int) -> Happened:
        """A part of what `of` charged goes back, beside the `before_minor` that went back before."""
        paid = of.events[-1]
        if not 0 < refunded_minor <= paid.paid_minor - before_minor:
            raise InvalidInputError(
                "refunded_minor", f"must be from 1 to {paid.paid_minor - before_minor}, got {refunded_minor}"
            )
        what = Happening.PURCHASE_REFUNDED if of.what is Happening.PURCHASED else Happening.PERIOD_REFUNDED
        words = f"{refunded_minor} of {paid.paid_minor} refunded (minor units)"
        said = {"refund": name, "refunded_minor": refunded_minor, "refunded_before_minor": before_minor}
        return self._again(paid, what, at_ms, words, **said)

    def fail_refund(self, of: Happened, *, at_ms: int) -> Happened:
        """The bank did not take a refund: its money is ours again."""
        return self._again(of.events[-1], Happening.REFUND_FAILED, at_ms, "the refund failed")

    def open_dispute(self, of: Happened, *, at_ms: int) -> Happened:
        """The payer disputes what `of` charged."""
        return self._again(of.events[-1], Happening.DISPUTE_OPENED, at_ms, "a dispute was opened")

    def close_dispute(self, of: Happened, *, is_won: bool, at_ms: int) -> Happened:
        """The dispute ends."""
        what = Happening.DISPUTE_WON if is_won else Happening.DISPUTE_LOST
        return self._again(of.events[-1], what, at_ms, f"the dispute was {'won' if is_won else 'lost'}")

    @property
    def _dialect(self) -> Mapping[Happening, tuple[Told, ...]]:
        found = DIALECTS.get(self.provider)
        if found is None:
            raise InvalidInputError("provider", f"must be one of {sorted(DIALECTS)}, got {self.provider[:40]!r}")
        return found

    def _next_period(self, subscription: Subscription) -> int:
        subscription.period += 1
        return subscription.period_start_ms(subscription.period)

    def _again(self, paid: Simulation, what: Happening, at_ms: int, words: str, **said: Any) -> Happened:
        """Something more happens to a payment that was made."""
        return self._made(replace(paid, status=None, **said), what, at_ms, words)

    def _tell(self, what: Happening, at_ms: int, words: str, **said: Any) -> Happened:
        names = ("account", "api_version", "currency", "client_reference")
        common: dict[str, Any] = {name: getattr(self, name) for name in names}
        base = Simulation(event_type="", at_ms=at_ms, delivery="", **common, **said)
        return self._made(base, what, at_ms, words)

    def _made(self, base: Simulation, what: Happening, at_ms: int, words: str) -> Happened:
        rows = self._dialect.get(what)
        if rows is None:
            raise InvalidInputError("what", f"{self.provider} has no events that say: {what.value}")
        shape, number = shape_of_version(self.api_version), len(self.happened)
        events = tuple(
            replace(base, event_type=row.event_type, at_ms=at_ms, delivery=f"{self.account}-{number}", **row.said)
            for row in rows
            if row.shapes in {"", shape}
        )
        done = Happened(what=what, at_ms=at_ms, words=words, events=events)
        self.happened.append(done)
        return done


def _of(subscription: Subscription) -> dict[str, Any]:
    """What every event of a subscription says."""
    return {
        "payment": f"{subscription.name}-{subscription.period}",
        "subscription": subscription.name,
        "period": subscription.period,
        "product_id": subscription.product_id,
        "paid_minor": subscription.price_minor,
        "quantity": subscription.quantity,
        "begins_with_trial": subscription.begins_with_trial,
        "started_at_ms": subscription.started_at_ms,
    }
