"""Invoices of subscriptions: which paid lines earn a plan's credits, decided line by line."""

from collections.abc import Iterable
from dataclasses import replace

from credits.errors import MalformedPayloadError
from credits.facts import Fact, NothingToDo, Payer, PlanLine, PlanPaid
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
    An event carries its first ten lines or so, and says if there are more.
    """
    invoice = event_object(payload)
    invoice_id = invoice.required_text("id")
    if not _is_paid(invoice):
        return (NothingToDo(reason=f"invoice {invoice_id} is not paid"),)
    lines = invoice.child("lines").children("data")
    billed = _of(LineKind.SUBSCRIPTION, lines)
    is_plans = invoice_subscription(invoice) is not None or bool(billed)
    if is_plans and not invoice.child("lines").has("data"):
        raise MalformedPayloadError("data.object.lines.data is missing; it must list the invoice's lines")
    plan_lines = _merged(
        [
            *(_plan_line(invoice, line) for line in billed if _amount(line) >= 0),
            *(_proration(invoice, line) for line in _of(LineKind.PRORATION, lines)),
        ]
    )
    is_cut_off = bool(is_plans and invoice.child("lines").flag("has_more"))
    if not plan_lines and not is_cut_off:
        return (
            NothingToDo(reason=f"invoice {invoice_id} bills no period of a subscription; a purchase has its own event"),
        )
    return (_plan_paid(payload, invoice, lines, plan_lines, is_cut_off=is_cut_off),)


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


def _merged(lines: Iterable[PlanLine]) -> tuple[PlanLine, ...]:
    """One line for each subscription item and period: a price with tiers bills an item in several lines."""
    merged: dict[tuple[object, ...], PlanLine] = {}
    for line in sorted(lines, key=lambda line: line.key):
        name = _what_it_bills(line)
        first = merged.get(name)
        merged[name] = line if first is None else _sum(first, line)
    return tuple(merged.values())


def _what_it_bills(line: PlanLine) -> tuple[object, ...]:
    if not line.is_proration:
        return (line.key,)
    # Lines of one change: time given back, or time charged for, of one price.
    return (line.product_id, line.period_start_ms, line.period_end_ms, line.amount.amount_minor < 0)


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


def _proration(invoice: Node, line: Node) -> PlanLine:
    """The difference that a change makes: the line's own id names it, for an item may have several."""
    key = f"stripe:inv:{invoice.required_text('id')}:{line.required_text('id')}"
    return replace(_plan_line(invoice, line), key=key, is_proration=True)


def _amount(line: Node) -> int:
    return line.required_integer("amount")


def _sum(first: PlanLine, second: PlanLine) -> PlanLine:
    if first.product_id != second.product_id:
        raise MalformedPayloadError(
            f"two lines bill one item and period ({first.key}) at different prices "
            f"({second.product_id}, {first.product_id})"
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
    payload: Payload,
    invoice: Node,
    lines: tuple[Node, ...],
    plan_lines: tuple[PlanLine, ...],
    *,
    is_cut_off: bool,
) -> PlanPaid:
    invoice_id, total = invoice.required_text("id"), _money(invoice, "total")
    paid_at_ms = instant_ms(invoice.child("status_transitions"), "paid_at")
    return PlanPaid(
        key=f"stripe:inv:{invoice_id}",
        payer=_payer(invoice, lines),
        lines=plan_lines,
        total=total,
        # Not `amount_paid`: until basil it is 0 for what was paid out of band, too.
        is_from_balance=total.amount_minor > 0 and invoice.integer("amount_due") == 0,
        is_out_of_band=_is_out_of_band(invoice, total),
        is_cut_off=is_cut_off,
        subtotal=_money(invoice, "subtotal") if is_cut_off else None,
        also_known_as=known_as(("in", invoice_id), *_payments(invoice)),
        # The same in every event about the invoice.
        occurred_at_ms=created_ms(payload) if paid_at_ms is None else paid_at_ms,
    )


def _is_out_of_band(invoice: Node, total: Money) -> bool | None:
    """
    Whether all that was due was paid past Stripe; None if only its API can tell.

    A flag said so until basil. Since then events do not, and the API does by an amount that it is asked for
    (`expand[]=amount_paid_off_stripe`, since 2026-05-27.dahlia).
    """
    due_minor = invoice.integer("amount_due")
    if total.amount_minor <= 0 or due_minor == 0:
        return False
    flag, past_minor = invoice.flag("paid_out_of_band"), invoice.integer("amount_paid_off_stripe")
    if flag is not None or past_minor is None:
        return flag
    return past_minor >= (total.amount_minor if due_minor is None else due_minor)


def _payer(invoice: Node, lines: tuple[Node, ...]) -> Payer:
    """A subscription's lines repeat its metadata too, which is all there was before 2023."""
    plan_lines = (*_of(LineKind.SUBSCRIPTION, lines), *_of(LineKind.PRORATION, lines))
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
