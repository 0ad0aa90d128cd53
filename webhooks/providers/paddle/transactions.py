"""Read Paddle's transactions: a purchase of credits, or the invoice of a subscription, by what its prices are."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from credits.facts import (
    CustomerLinked,
    Fact,
    NothingToDo,
    PlanLine,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
)
from credits.inbox.provider import Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.providers.paddle.custom_data import payer_of, quote_of

_MONTHS_OF: Final = {"month": 1, "year": 12}
_DAYS_OF: Final = {"day": 1, "week": 7}
_DAY_MS: Final = 86_400_000
_ONE: Final = re.compile(r"1(\.0*)?", re.ASCII)


def key_of(transaction_id: str) -> str:
    """Names a transaction in the ledger, for ever."""
    return f"paddle:txn:{transaction_id}"


def transaction_completed(payload: Payload) -> tuple[Fact, ...]:
    """Paid and processed. One with a price that recurs bills a subscription; any other is a purchase."""
    transaction = Node(payload).child("data")
    prices = {item.child("price").required_text("id"): item.child("price") for item in transaction.children("items")}
    if any(price.has("billing_cycle") for price in prices.values()):
        if _is_change_of_card(transaction):
            return (NothingToDo(reason="a change of the card, which bills nothing"),)
        return (*_begun(transaction), _plan_paid(transaction, prices))
    return (_purchase_paid(transaction, prices),)


def transaction_paid(payload: Payload) -> tuple[Fact, ...]:
    """The money was taken, and Paddle still looks at it: it completes the transaction, or gives the money back."""
    transaction = Node(payload).child("data")
    quote_id = _own_quote(transaction)
    if quote_id is None:
        return (NothingToDo(reason="a transaction that is not completed yet"),)
    key, reason = key_of(transaction.required_text("id")), "Paddle has not completed the transaction yet"
    return (PurchasePending(key=key, reason=reason, quote_id=quote_id),)


def transaction_canceled(payload: Payload) -> tuple[Fact, ...]:
    """Called off before anything was paid."""
    transaction = Node(payload).child("data")
    quote_id = _own_quote(transaction)
    if quote_id is None:
        return (NothingToDo(reason="a transaction that was called off unpaid"),)
    key = key_of(transaction.required_text("id"))
    return (PurchaseVoided(key=key, reason="the transaction was called off", quote_id=quote_id, is_expired=True),)


def _begun(transaction: Node) -> tuple[Fact, ...]:
    """The quote of the checkout by which the subscription begins, if it began by one of ours."""
    quote_id, subscription_id = _own_quote(transaction), transaction.text("subscription_id")
    if quote_id is None:
        return ()
    key = key_of(transaction.required_text("id"))
    return (CustomerLinked(payer=payer_of(transaction, subscription_id), quote_id=quote_id, key=key),)


def _own_quote(transaction: Node) -> str | None:
    """
    The quote that this transaction was made for.

    Paddle copies custom data to the subscription, and from there to what it bills later: that is another's quote.
    """
    return None if _is_of_subscription(transaction) else quote_of(transaction)


def _is_change_of_card(transaction: Node) -> bool:
    """A transaction over nothing, by which a customer gives another card; one that is past due is paid by it."""
    is_asked = transaction.text("origin") == "subscription_payment_method_change"
    return is_asked and _totals(transaction, "total").amount_minor == 0


def _purchase_paid(transaction: Node, prices: Mapping[str, Node]) -> PurchasePaid:
    return PurchasePaid(
        key=key_of(transaction.required_text("id")),
        payer=payer_of(transaction, transaction.text("subscription_id")),
        quote_id=_own_quote(transaction),
        product_id=next(iter(prices), None),
        asked=_asked(transaction),
        paid=_totals(transaction, "total"),
        occurred_at_ms=_billed_at_ms(transaction),
    )


def _plan_paid(transaction: Node, prices: Mapping[str, Node]) -> PlanPaid:
    total = _totals(transaction, "total")
    charged = transaction.child("details").child("totals").money_in_text("grand_total", total.currency)
    return PlanPaid(
        key=key_of(transaction.required_text("id")),
        payer=payer_of(transaction, transaction.text("subscription_id")),
        lines=tuple(
            _line(transaction, line, prices.get(line.required_text("price_id"), Node({})))
            for line in transaction.child("details").children("line_items")
            # What does not recur beside what does, such as a setup fee, is in no plan.
            if prices.get(line.required_text("price_id"), line).has("billing_cycle") or _is_proration(line)
        ),
        total=total,
        is_from_balance=total.amount_minor > 0 and charged is not None and charged.amount_minor == 0,
        occurred_at_ms=_billed_at_ms(transaction),
    )


def _line(transaction: Node, line: Node, price: Node) -> PlanLine:
    """
    A line for a whole billing period, or a proration.

    A change in the middle of a period is billed as what is charged for the new plan and, with a negative quantity and
    amount, what is given back of the old one.
    """
    key, line_id = key_of(transaction.required_text("id")), line.required_text("id")
    amount = line.child("totals").required_money_in_text("subtotal", transaction.required_text("currency_code"))
    quantity = line.integer("quantity")
    price_id, is_proration = line.required_text("price_id"), _is_proration(line)
    start_ms, end_ms = _period(transaction, line, price)
    return PlanLine(
        key=f"{key}:{line_id}" if is_proration else f"{key}:{price_id}:{start_ms // 1000}",
        product_id=price_id,
        period_start_ms=start_ms,
        period_end_ms=end_ms,
        quantity=None if quantity is None else abs(quantity),
        amount=amount,
        is_proration=is_proration,
        is_trial=amount.amount_minor == 0 and price.has("trial_period") and not _is_of_subscription(transaction),
    )


def _is_of_subscription(transaction: Node) -> bool:
    """Whether a subscription that was there before asked for it. A trial only comes with the first transaction."""
    return (transaction.text("origin") or "").startswith("subscription_")


def _is_proration(line: Node) -> bool:
    """Whether it bills or gives back a part of a period. A whole one may name a rate too, of 1."""
    rate, subtotal = line.child("proration").text("rate"), line.child("totals").required_text("subtotal")
    return subtotal.startswith("-") or (rate is not None and _ONE.fullmatch(rate) is None)


def _period(transaction: Node, line: Node, price: Node) -> tuple[int, int | None]:
    own, billed = line.child("proration").child("billing_period"), transaction.child("billing_period")
    billed_from_ms = billed.instant_ms("starts_at")
    if own.has("ends_at"):
        # Whether the whole period is named or what is left of it, what is billed begins with the transaction's.
        start_ms = max(own.required_instant_ms("starts_at"), billed_from_ms or 0)
        return start_ms, own.required_instant_ms("ends_at")
    start_ms = _billed_at_ms(transaction) if billed_from_ms is None else billed_from_ms
    return start_ms, billed.instant_ms("ends_at") or _after_cycle_ms(start_ms, price.child("billing_cycle"))


def _after_cycle_ms(start_ms: int, cycle: Node) -> int | None:
    """When a period ends that begins at `start_ms`, for transactions that do not say; None for a cycle unknown here."""
    interval, frequency = cycle.text("interval"), cycle.integer("frequency") or 1
    if interval in _DAYS_OF:
        return start_ms + frequency * _DAYS_OF[interval] * _DAY_MS
    if interval not in _MONTHS_OF:
        return None
    start = datetime.fromtimestamp(start_ms / 1000, tz=UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + frequency * _MONTHS_OF[interval], 12)
    for day in (start.day, 30, 29, 28):
        try:
            return round(start.replace(year=year, month=month + 1, day=day).timestamp() * 1000)
        except ValueError:
            continue
    return None


def _asked(transaction: Node) -> Money:
    """
    What the prices say, before discounts: with their tax or without it, as they were set.

    Paddle's own subtotal leaves out a tax that the price includes, so it is no price that anybody was quoted. Paddle
    may charge a price in the payer's currency: what was asked is the price as it was set. The subtotal has to do where
    prices are of several currencies, or where one has others for some countries.
    """
    items = transaction.children("items")
    if not items:
        return _totals(transaction, "subtotal")
    currency = items[0].child("price").child("unit_price").required_text("currency_code")
    total_minor = 0
    for item in items:
        price, quantity = item.child("price"), item.integer("quantity")
        unit = price.child("unit_price")
        if unit.required_text("currency_code") != currency or price.children("unit_price_overrides"):
            return _totals(transaction, "subtotal")
        each_minor = unit.required_money_in_text("amount", currency).amount_minor
        total_minor += each_minor * (1 if quantity is None else quantity)
    return Money(amount_minor=total_minor, currency=currency.upper())


def _totals(transaction: Node, name: str) -> Money:
    currency = transaction.required_text("currency_code")
    return transaction.child("details").child("totals").required_money_in_text(name, currency)


def _billed_at_ms(transaction: Node) -> int:
    billed_at_ms = transaction.instant_ms("billed_at")
    return transaction.required_instant_ms("created_at") if billed_at_ms is None else billed_at_ms
