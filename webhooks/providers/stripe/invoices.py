"""Invoices of subscriptions: which paid lines earn a plan's credits, decided line by line."""

from dataclasses import replace

from credits.errors import MalformedPayloadError
from credits.facts import Deferred, Fact, Feature, NothingToDo, Payer, PlanLine, PlanPaid
from credits.inbox.provider import Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.providers.stripe.shapes import (
    LineKind,
    account_of,
    created_ms,
    event_object,
    instant_ms,
    invoice_subscription,
    known_as,
    line_item,
    line_kind,
    line_subscription,
    price_of,
    reference,
    subscription_details,
)


def invoice_paid(payload: Payload) -> tuple[Fact, ...]:
    """
    An invoice was settled: by a charge, from the customer's balance, out of band, or because it was for nothing.

    The invoice's `billing_reason` decides nothing: one invoice may renew one item and prorate another.
    """
    invoice = event_object(payload)
    invoice_id = invoice.required_text("id")
    if not _is_paid(invoice):
        return (NothingToDo(reason=f"invoice {invoice_id} is not paid"),)
    lines = invoice.child("lines").children("data")
    bills_subscription = invoice_subscription(invoice) is not None or _of(LineKind.SUBSCRIPTION, lines) != ()
    if bills_subscription:
        _refuse_cut_off(invoice)
    plan_lines = _merged(invoice, _of(LineKind.SUBSCRIPTION, lines))
    total = _money(invoice, "total")
    facts = (
        *_plan_paid(payload, invoice, lines, plan_lines, total),
        *_deferred(f"stripe:in:{invoice_id}", plan_lines, total, prorated=_of(LineKind.PRORATION, lines) != ()),
    )
    return facts or (
        NothingToDo(reason=f"invoice {invoice_id} bills no period of a subscription; a purchase has its own event"),
    )


def invoice_payment_succeeded(payload: Payload) -> tuple[Fact, ...]:
    """The older twin of invoice.paid, which is also sent when no charge was needed: that one counts."""
    return (NothingToDo(reason=f"invoice.paid says the same of {event_object(payload).text('id')}"),)


def invoice_payment_failed(payload: Payload) -> tuple[Fact, ...]:
    """A charge failed. If a later one succeeds, the same invoice comes as invoice.paid."""
    return (
        NothingToDo(reason=f"the payment of invoice {event_object(payload).text('id')} failed; nothing was earned"),
    )


def _is_paid(invoice: Node) -> bool:
    """Until basil an invoice had a flag `paid`, which is older than `status`; since then the status alone tells."""
    flag = invoice.flag("paid")
    return invoice.required_text("status") == "paid" if flag is None else flag


def _of(kind: LineKind, lines: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(line for line in lines if line_kind(line) is kind)


def _refuse_cut_off(invoice: Node) -> None:
    """Half an invoice must not earn half the credits in silence: an operator has to see it."""
    lines = invoice.child("lines")
    if not lines.has("data"):
        raise MalformedPayloadError(f"{lines.path}.data is missing; it must list the invoice's lines")
    if lines.flag("has_more"):
        raise MalformedPayloadError(f"{lines.path}.has_more is true: the invoice has more lines than the event carries")


def _merged(invoice: Node, lines: tuple[Node, ...]) -> tuple[PlanLine, ...]:
    """One PlanLine for each subscription item and period: a price with tiers bills an item in several lines."""
    merged: dict[str, PlanLine] = {}
    for line in lines:
        read = _plan_line(invoice, line)
        first = merged.get(read.key)
        merged[read.key] = read if first is None else _sum(first, read, line)
    return tuple(merged.values())


def _plan_line(invoice: Node, line: Node) -> PlanLine:
    # The line's own period: the invoice's `period_*` is when its items were added, one period too early.
    period = line.child("period")
    start_ms = instant_ms(period, "start")
    if start_ms is None:
        raise MalformedPayloadError(f"{period.path}.start is missing; it must be seconds since 1970")
    return PlanLine(
        key=f"stripe:inv:{invoice.required_text('id')}:{line_item(line)}:{start_ms // 1000}",
        product_id=price_of(line),
        period_start_ms=start_ms,
        period_end_ms=instant_ms(period, "end"),
        quantity=line.integer("quantity"),
        amount=_money(line, "amount", currency_of=invoice),
    )


def _sum(first: PlanLine, second: PlanLine, line: Node) -> PlanLine:
    if first.product_id != second.product_id:
        raise MalformedPayloadError(
            f"{line.path} bills the item and period of an earlier line at another price "
            f"({second.product_id}, not {first.product_id})"
        )
    quantities = [quantity for quantity in (first.quantity, second.quantity) if quantity is not None]
    return replace(
        first,
        quantity=sum(quantities) if quantities else None,
        amount=Money(
            amount_minor=first.amount.amount_minor + second.amount.amount_minor, currency=first.amount.currency
        ),
    )


def _plan_paid(
    payload: Payload, invoice: Node, lines: tuple[Node, ...], plan_lines: tuple[PlanLine, ...], total: Money
) -> tuple[Fact, ...]:
    earning = _earning(plan_lines)
    # Not `amount_paid`: it is 0 for what was paid from the customer's balance or out of band.
    if not earning or total.amount_minor <= 0:
        return ()
    invoice_id = invoice.required_text("id")
    fact = PlanPaid(
        key=f"stripe:inv:{invoice_id}",
        payer=_payer(invoice, lines),
        lines=earning,
        total=total,
        also_known_as=known_as(("in", invoice_id), *_payments(invoice)),
        occurred_at_ms=created_ms(payload),
    )
    return (fact,)


def _deferred(subject: str, plan_lines: tuple[PlanLine, ...], total: Money, *, prorated: bool) -> tuple[Deferred, ...]:
    """What a paid invoice says beyond full periods that were paid for."""
    if prorated:
        return (
            Deferred(feature=Feature.PLAN_CHANGE, subject=subject, reason="the invoice prorates a change of the plan"),
        )
    if _earning(plan_lines):
        if total.amount_minor > 0:
            return ()
        reason = "the subscription has a price, but a coupon or credit left nothing to pay"
        return (Deferred(feature=Feature.ZERO_INVOICE, subject=subject, reason=reason),)
    if any(line.amount.amount_minor == 0 for line in plan_lines):
        reason = "the subscription's period costs nothing: a trial or a free price"
        return (Deferred(feature=Feature.TRIAL, subject=subject, reason=reason),)
    return ()


def _earning(plan_lines: tuple[PlanLine, ...]) -> tuple[PlanLine, ...]:
    """Lines that cost something. A negative one gives money back and never earns."""
    return tuple(line for line in plan_lines if line.amount.amount_minor > 0)


def _payer(invoice: Node, lines: tuple[Node, ...]) -> Payer:
    """A subscription's lines repeat its metadata too, which is all there was before 2023."""
    plan_lines = _of(LineKind.SUBSCRIPTION, lines)
    named = (line_subscription(line) for line in plan_lines)
    return Payer(
        account=account_of(subscription_details(invoice), invoice, *plan_lines),
        customer_id=reference(invoice, "customer"),
        subscription_id=invoice_subscription(invoice) or next((found for found in named if found is not None), None),
    )


def _payments(invoice: Node) -> tuple[tuple[str, str | None], ...]:
    """Payment and charge: on the invoice until basil, in a list since then, which events carry only if expanded."""
    since_basil = [entry.child("payment") for entry in invoice.child("payments").children("data")]
    return tuple(
        pair
        for node in (invoice, *since_basil)
        for pair in (("pi", reference(node, "payment_intent")), ("ch", reference(node, "charge")))
    )


def _money(node: Node, name: str, *, currency_of: Node | None = None) -> Money:
    """A required amount in the invoice's currency."""
    return node.required_money(name, (currency_of or node).required_text("currency"))
