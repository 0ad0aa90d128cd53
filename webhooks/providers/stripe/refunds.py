"""Money that goes back: refunds, credit notes, voided invoices; and what ties an invoice to the payment of it."""

from typing import Final

from credits.errors import MalformedPayloadError
from credits.facts import Fact, NothingToDo, PaymentNamed, RefundsCounted, RefundSeen, RefundStatus
from credits.inbox.provider import Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.providers.stripe.shapes import event_object, known_as, reference

_STATUS: Final = {
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
"""Any other status (pending, requires_action, one that is yet to be invented): on its way, and so the credits are."""


def refund_changed(payload: Payload) -> tuple[Fact, ...]:
    """A refund was made, went through, or failed; its status tells which. Early API versions had none."""
    refund = event_object(payload)
    status = refund.text("status")
    fact = RefundSeen(
        ref=_ref(refund.required_text("id")),
        names=payment_of(refund),
        amount=refund.required_money("amount", refund.required_text("currency")),
        status=RefundStatus.SUCCEEDED if status is None else _STATUS.get(status, RefundStatus.PENDING),
    )
    return (fact,)


def charge_refunded(payload: Payload) -> tuple[Fact, ...]:
    """A charge was refunded, in part or whole. The event counts what all its refunds add up to, and names none."""
    charge = event_object(payload)
    currency = charge.required_text("currency")
    charged = charge.money("amount_captured", currency) or charge.required_money("amount", currency)
    fact = RefundsCounted(
        names=(*known_as(("ch", charge.required_text("id"))), *payment_of(charge, is_charge=True)),
        refunded=charge.required_money("amount_refunded", currency),
        charged=charged,
    )
    return (fact,)


def credit_note_created(payload: Payload) -> tuple[Fact, ...]:
    """
    An invoice was reduced after it was sent.

    Refunds that the note names are those refunds, whoever tells of them first. What it credits to the payer's balance,
    or what was paid back elsewhere, is a refund that no charge counts. Before the invoice was paid nothing was earned.
    """
    note = event_object(payload)
    note_id, currency = note.required_text("id"), note.required_text("currency")
    names = known_as(("in", reference(note, "invoice")))
    if note.text("type") == "pre_payment" or note.text("status") == "void" or not names:
        return (NothingToDo(reason=f"credit note {note_id} changed what was to be paid, and takes nothing back"),)
    refunds = _refunds_of(note, names, currency)
    after_payment = note.integer("post_payment_amount")
    total = note.required_integer("total") if after_payment is None else after_payment
    rest = total - sum(one.amount.amount_minor for one in refunds if one.amount is not None)
    if rest > 0:
        amount = Money(amount_minor=rest, currency=currency.upper())
        own = RefundSeen(
            ref=f"stripe:cn:{note_id}", names=names, amount=amount, status=RefundStatus.SUCCEEDED, is_counted=False
        )
        refunds = (*refunds, own)
    return refunds or (NothingToDo(reason=f"credit note {note_id} is over nothing"),)


def invoice_voided(payload: Payload) -> tuple[Fact, ...]:
    """An invoice was declared void. What it brought, if anything, has to go back; mostly nobody had paid it."""
    invoice = event_object(payload)
    invoice_id = invoice.required_text("id")
    if not invoice.integer("amount_paid"):
        return (NothingToDo(reason=f"invoice {invoice_id} was voided, and nothing had been paid on it"),)
    fact = RefundSeen(
        ref=f"stripe:in:{invoice_id}:void",
        names=known_as(("in", invoice_id)),
        amount=None,
        status=RefundStatus.SUCCEEDED,
        is_counted=False,
    )
    return (fact,)


def invoice_payment_paid(payload: Payload) -> tuple[Fact, ...]:
    """Which payment paid which invoice. Since basil nothing else says so."""
    link = event_object(payload)
    payment = link.child("payment")
    names = known_as(
        ("in", reference(link, "invoice")),
        ("pi", reference(payment, "payment_intent")),
        ("ch", reference(payment, "charge")),
    )
    link.required_text("id")
    if len(names) < 2:
        return (NothingToDo(reason="it names no invoice, or no payment that refunds and disputes would name"),)
    return (PaymentNamed(names=names),)


def payment_of(node: Node, *, is_charge: bool = False) -> tuple[str, ...]:
    """
    Every name that a refund, dispute or charge gives the payment it is about.

    Raises MalformedPayloadError if there is none.
    """
    names = known_as(
        ("pi", reference(node, "payment_intent")),
        ("ch", None if is_charge else reference(node, "charge")),
        ("in", reference(node, "invoice")),
    )
    if not names and not is_charge:
        raise MalformedPayloadError(f"{node.path}.charge is missing; it must name the payment")
    return names


def _refunds_of(note: Node, names: tuple[str, ...], currency: str) -> tuple[RefundSeen, ...]:
    """The refunds a note names: one with the note's whole amount until 2024, since then a list with amounts."""
    listed = [(reference(one, "refund"), one.money("amount_refunded", currency)) for one in note.children("refunds")]
    if not listed and note.has("refund"):
        listed = [(reference(note, "refund"), note.required_money("total", currency))]
    return tuple(
        RefundSeen(ref=_ref(refund_id), names=names, amount=amount, status=RefundStatus.PENDING)
        for refund_id, amount in listed
        if refund_id is not None and amount is not None
    )


def _ref(refund_id: str) -> str:
    return f"stripe:refund:{refund_id}"
