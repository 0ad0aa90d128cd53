"""Lives: what one account buys at one provider, told in the events that the provider would send."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from credits.checkout.marks import ACCOUNT, REFERENCE
from credits.db import transaction
from credits.ids import signed_reference
from credits.pricing import store as purchases_store
from credits.pricing.store import Quote
from credits.units import Money
from tests.support.clock import NOON_MS
from tests.support.pipeline import Edit, Pipeline

MONTH_MS = 31 * 86_400_000
_PRICE_MINOR = 1000
"""What a simulated purchase costs."""
_PLAN = {"credit_type": None, "amount": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of a life, as often as it is sent the same."""

    event_type: str
    provider: str
    said: dict[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    quoted_minor: int | None = None
    """The price of the quote that it answers, where a purchase is granted by its quote alone."""

    @property
    def order(self) -> int:
        """When it happened."""
        at_ms: int = self.said["at_ms"]
        return at_ms


def unpaid(payload: dict[str, Any]) -> None:
    """A checkout session whose money is still on its way."""
    payload["data"]["object"]["payment_status"] = "unpaid"


def begins_subscription(payload: dict[str, Any]) -> None:
    """A checkout session that begins the subscription of the same name."""
    session = payload["data"]["object"]
    name = session["id"].removeprefix("cs_test_").removeprefix("cs_live_")
    session.update(mode="subscription", subscription=f"sub_{name}", payment_intent=None)


def anonymous(payload: dict[str, Any]) -> None:
    """An event that our checkout did not sign: our metadata is gone, wherever it stood."""
    values = list(payload.values())
    for mark in (ACCOUNT, REFERENCE):
        payload.pop(mark, None)
    for value in values:
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                anonymous(inner)


def purchases() -> st.SearchStrategy[list[Told]]:
    """A purchase: at once, delayed, or in vain; told once or by two events of other ids."""
    return st.builds(
        _purchase,
        kind=st.sampled_from(
            [
                "stripe",
                "stripe delayed",
                "stripe in vain",
                "stripe topup",
                "lemonsqueezy",
                "fake",
                "paddle",
                "paddle in vain",
            ]
        ),
        amount=st.integers(1, 10**6),
    )


def subscriptions() -> st.SearchStrategy[list[Told]]:
    """A subscription of one to three periods, in which one event alone may say whose it is."""
    return st.builds(
        _subscription,
        provider=st.sampled_from(["stripe", "lemonsqueezy", "fake", "paddle"]),
        periods=st.integers(1, 3),
        names_itself_once=st.booleans(),
        ends=st.booleans(),
    )


def lives() -> st.SearchStrategy[list[Told]]:
    """Up to three purchases and subscriptions of one account."""
    parts = st.lists(purchases() | subscriptions(), min_size=1, max_size=3)
    return parts.map(lambda told: [event for number, part in enumerate(told) for event in numbered(part, number)])


def retold(told: list[Told]) -> st.SearchStrategy[list[list[Told]]]:
    """The same events, some of them doubled, in any order, arriving in up to six batches."""
    copies = st.lists(st.sampled_from(told), max_size=len(told)).map(lambda more: told + more)

    def split(events: list[Told]) -> st.SearchStrategy[list[list[Told]]]:
        cuts = st.lists(st.integers(0, len(events)), max_size=5).map(sorted)
        return cuts.map(lambda at: [events[a:b] for a, b in zip([0, *at], [*at, len(events)], strict=True)])

    return copies.flatmap(st.permutations).flatmap(split)


def named(pipeline: Pipeline, event: Told, account: str) -> dict[str, Any]:
    """
    What the event says, about objects of this account alone, and signed where the provider's payers could edit it.

    Stores the quote that a purchase answers.
    """
    own: dict[str, Any] = {name: f"{account}-{event.said[name]}" for name in ("payment", "subscription", "delivery")}
    if event.provider == "paddle":
        own["client_reference"] = signed_reference(account, pipeline.runtime.secret_key)
    if event.quoted_minor is not None:
        own["quote_id"] = f"quote-{own['payment']}"
        price = Money(amount_minor=event.quoted_minor, currency="USD")
        bought = {name: event.said[name] for name in ("credit_type", "amount")}
        with transaction(pipeline.runtime.engine) as connection:
            if purchases_store.find_quote(connection, pipeline.tenant, own["quote_id"]) is None:
                quote = Quote(quote_id=own["quote_id"], account=account, price=price, **bought)
                purchases_store.insert_quote(connection, pipeline.tenant, quote, now_ms=pipeline.runtime.clock())
    return {**event.said, **own, "account": account}


def _purchase(kind: str, amount: int) -> list[Told]:
    provider, _, how = kind.partition(" ")
    said = {"amount": amount, "credit_type": "image_generation", "at_ms": NOON_MS}
    later = {**said, "at_ms": NOON_MS + 60_000}
    session = "checkout.session"
    if provider == "fake":
        return [
            Told(event_type="purchase.pending", provider=provider, said=said),
            Told(event_type="purchase.paid", provider=provider, said=later),
        ]
    if provider == "lemonsqueezy":
        return [Told(event_type="order_created", provider=provider, said=said)]
    if provider == "paddle":
        ends = "transaction.canceled" if how == "in vain" else "transaction.completed"
        kinds = ((ends, later),) if how == "in vain" else (("transaction.paid", said), (ends, later))
        return [Told(event_type=kind, provider=provider, said=one, quoted_minor=_PRICE_MINOR) for kind, one in kinds]
    match how:
        case "topup":
            return [Told(event_type="payment_intent.succeeded", provider=provider, said=said)]
        case "delayed":
            return [
                Told(event_type=f"{session}.completed", provider=provider, said=said, edit=unpaid),
                Told(event_type=f"{session}.async_payment_succeeded", provider=provider, said=later),
            ]
        case "in vain":
            return [
                Told(event_type=f"{session}.completed", provider=provider, said=said, edit=unpaid),
                Told(event_type=f"{session}.async_payment_failed", provider=provider, said=later),
            ]
    return [
        Told(event_type=f"{session}.completed", provider=provider, said=said),
        Told(event_type=f"{session}.completed", provider=provider, said={**said, "delivery": "another"}),
    ]


_KINDS = {
    "stripe": ("customer.subscription.created", "invoice.paid", "customer.subscription.deleted", "price_pro_monthly"),
    "lemonsqueezy": ("subscription_created", "subscription_payment_success", "subscription_expired", "111111"),
    "fake": ("subscription.seen", "plan.paid", "customer.linked", "pro"),
    "paddle": ("subscription.created", "transaction.completed", "subscription.canceled", "pri_pro_monthly"),
}
_ALSO_SENT = {
    "stripe": ("invoice.payment_succeeded", "customer.subscription.updated"),
    "lemonsqueezy": ("subscription_payment_recovered", "subscription_updated"),
    "fake": ("subscription.seen",),
    "paddle": ("transaction.paid", "subscription.updated"),
}


def _subscription(provider: str, periods: int, *, names_itself_once: bool, ends: bool) -> list[Told]:
    begun, paid, ended, product_id = _KINDS[provider]
    said = {**_PLAN, "product_id": product_id, "at_ms": NOON_MS}
    edit = anonymous if names_itself_once else None
    told = [Told(event_type=begun, provider=provider, said=said)]
    if provider == "stripe":
        told.append(
            Told(event_type="checkout.session.completed", provider=provider, said=said, edit=begins_subscription)
        )
    if provider == "lemonsqueezy":
        told.append(Told(event_type="order_created", provider=provider, said=said))
    for period in range(periods):
        now = {**said, "period": period, "at_ms": NOON_MS + period * MONTH_MS + 1000}
        kinds = (paid, *_ALSO_SENT[provider])
        told += [Told(event_type=kind, provider=provider, said=now, edit=edit) for kind in kinds]
    if ends:
        at_ms = NOON_MS + periods * MONTH_MS
        told.append(Told(event_type=ended, provider=provider, said={**said, "at_ms": at_ms, "period": periods}))
    return told


def numbered(told: list[Told], number: int) -> Iterator[Told]:
    """The events with names of their own: for the payment, the subscription and each delivery."""
    for index, event in enumerate(told):
        name = f"{event.said.get('delivery', index)}-{number}"
        payment = f"{number}-{event.said.get('period', 0)}" if "period" in event.said else str(number)
        names = {"payment": payment, "subscription": str(number), "delivery": name}
        yield replace(event, said={**event.said, **names})
