"""What may happen to a checkout session at the fake Stripe: what a payer does, and what becomes of the money."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from webhooks.fakes.stripe.cards import WORKS, save_card, set_fate
from webhooks.fakes.stripe.desk import Desk, Object, shown
from webhooks.fakes.till import Extras

Happening = Callable[[Desk, Object, Extras], str]
"""Does it, and answers what to tell whoever clicked; an empty text sends the payer back to the shop."""


def pay(desk: Desk, session: Object, extras: Extras) -> str:
    """The card is charged; where nothing is left to pay, none is needed."""
    _complete(desk, session, extras, "paid")
    return ""


def pay_later(desk: Desk, session: Object, extras: Extras) -> str:
    """A bank transfer: the checkout is complete, the money on the way."""
    _complete(desk, session, extras, "unpaid")
    return ""


def decline(_desk: Desk, _session: Object, _extras: Extras) -> str:
    """The bank says no. The checkout stays open."""
    return "Your card was declined. Nothing was charged; you may try again."


def arrive(desk: Desk, session: Object, _extras: Extras) -> str:
    notes = desk.notes(session["id"])
    session |= {"payment_status": "paid"}
    desk.tell(
        session,
        notes,
        *_money(desk, session, paid=True),
        ("checkout.session.async_payment_succeeded", session),
    )
    return "The money has arrived."


def bounce(desk: Desk, session: Object, _extras: Extras) -> str:
    desk.tell(session, desk.notes(session["id"]), ("checkout.session.async_payment_failed", session))
    session |= {"payment_status": "unpaid", "payment_intent": None}
    desk.keep(session)
    return "The delayed payment has failed."


def expire(desk: Desk, session: Object, _extras: Extras) -> str:
    session |= {"status": "expired", "url": None}
    desk.tell(session, desk.notes(session["id"]), ("checkout.session.expired", session))
    return "The checkout has expired."


def refund(desk: Desk, session: Object, _extras: Extras) -> str:
    return refunded(desk, session, None)


def refund_half(desk: Desk, session: Object, _extras: Extras) -> str:
    return refunded(desk, session, session["amount_total"] // 2)


def refunded(desk: Desk, session: Object, amount_minor: int | None) -> str:
    """Give `amount_minor` back, or what is left."""
    notes = desk.notes(session["id"])
    charge = _charge(desk, session)
    left = charge["amount"] - charge["amount_refunded"]
    back = left if amount_minor is None else min(left, amount_minor)
    if back <= 0:
        return "Nothing is left to refund."
    charge |= {"amount_refunded": charge["amount_refunded"] + back}
    charge |= {"refunded": charge["amount_refunded"] == charge["amount"]}
    notes = replace(notes, refunds=notes.refunds + 1)
    desk.keep_notes(session["id"], notes)
    made = desk.made("refund.created", session, notes)
    made |= {"id": f"re_{notes.token}_{notes.refunds}", "amount": back}
    desk.tell(session, notes, ("refund.created", made), ("charge.refunded", charge))
    return f"{shown(session, charge['amount_refunded'])} of {shown(session, charge['amount'])} are refunded."


def dispute(desk: Desk, session: Object, _extras: Extras) -> str:
    notes = replace(desk.notes(session["id"]), is_disputed=True)
    desk.keep_notes(session["id"], notes)
    made = desk.made("charge.dispute.created", session, notes)
    desk.tell(session, notes, ("charge.dispute.created", made), ("charge.dispute.funds_withdrawn", made))
    return "The payer disputes the payment; its money was withdrawn."


def win(desk: Desk, session: Object, _extras: Extras) -> str:
    return _closed(desk, session, "won", ("charge.dispute.funds_reinstated", "charge.dispute.closed"))


def lose(desk: Desk, session: Object, _extras: Extras) -> str:
    return _closed(desk, session, "lost", ("charge.dispute.closed",))


def renew(desk: Desk, session: Object, _extras: Extras) -> str:
    notes = desk.notes(session["id"])
    notes = replace(notes, period=notes.period + 1)
    desk.keep_notes(session["id"], notes)
    subscription = _marked(desk.made("customer.subscription.updated", session, notes), notes.subscription_marks)
    invoice = _invoice(desk, session, "invoice.paid")
    desk.tell(session, notes, ("customer.subscription.updated", subscription), ("invoice.paid", invoice))
    return f"The invoice of period {notes.period + 1} was paid."


def cancel(desk: Desk, session: Object, _extras: Extras) -> str:
    notes = desk.notes(session["id"])
    subscription = _marked(desk.made("customer.subscription.deleted", session, notes), notes.subscription_marks)
    desk.tell(session, notes, ("customer.subscription.deleted", subscription))
    return "The subscription has ended."


def card_of(fate: str) -> Happening:
    """From now on the saved card does this when it is charged."""

    def happen(desk: Desk, session: Object, _extras: Extras) -> str:
        set_fate(desk, f"pm_{desk.notes(session['id']).token}", fate)
        return f"From now on the saved card is: {fate}."

    return happen


HAPPENINGS: Final[Mapping[str, Happening]] = {
    "pay": pay,
    "pay_later": pay_later,
    "decline": decline,
    "arrive": arrive,
    "bounce": bounce,
    "expire": expire,
    "refund": refund,
    "refund_half": refund_half,
    "dispute": dispute,
    "win": win,
    "lose": lose,
    "renew": renew,
    "cancel": cancel,
    **{f"card_{fate}": card_of(fate) for fate in (WORKS, "soft", "hard", "authentication", "slow")},
}
"""By the action that a button posts."""


def _complete(desk: Desk, session: Object, extras: Extras, payment_status: str) -> None:
    notes = desk.notes(session["id"])
    price_minor = session["amount_subtotal"]
    total_minor = extras.total_minor(price_minor)
    is_free = total_minor == 0
    session |= {
        "amount_total": total_minor,
        "total_details": {
            "amount_discount": extras.discount_minor(price_minor),
            "amount_shipping": 0,
            "amount_tax": extras.tax_minor(price_minor),
        },
        "status": "complete",
        "payment_status": "no_payment_required" if is_free else payment_status,
        "url": None,
    }
    session["customer"] = desk.made("customer.created", session, notes)["id"]
    if notes.saves_card:
        save_card(desk, session["customer"], notes.token)
    if session["mode"] == "subscription":
        desk.tell(session, notes, *_subscribed(desk, session), ("checkout.session.completed", session))
        return
    money = [] if is_free else _money(desk, session, paid=payment_status == "paid")
    desk.tell(session, notes, *money, ("checkout.session.completed", session))


def _money(desk: Desk, session: Object, *, paid: bool) -> list[tuple[str, Object]]:
    """The payment intent and the charge of a session; they carry the metadata that was asked for."""
    notes = desk.notes(session["id"])
    intent = desk.made("payment_intent.succeeded" if paid else "payment_intent.created", session, notes)
    intent["metadata"] = dict(notes.intent_marks)
    session["payment_intent"] = intent["id"]
    if not paid:
        intent["status"] = "processing"
        return [("payment_intent.created", intent)]
    charge = desk.made("charge.succeeded", session, notes)
    return [("charge.succeeded", charge), ("payment_intent.succeeded", intent)]


def _subscribed(desk: Desk, session: Object) -> list[tuple[str, Object]]:
    notes = desk.notes(session["id"])
    subscription = _marked(desk.made("customer.subscription.created", session, notes), notes.subscription_marks)
    invoice = _invoice(desk, session, "invoice.paid")
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
    return [("customer.subscription.created", subscription), ("invoice.paid", invoice)]


def _invoice(desk: Desk, session: Object, event_type: str) -> Object:
    notes = desk.notes(session["id"])
    invoice = desk.made(event_type, session, notes)
    invoice["parent"]["subscription_details"]["metadata"] = dict(notes.subscription_marks)
    for line in invoice["lines"]["data"]:
        line["metadata"] = dict(notes.subscription_marks)
    return invoice


def _marked(item: Object, marks: Mapping[str, str]) -> Object:
    return {**item, "metadata": dict(marks)}


def _charge(desk: Desk, session: Object) -> Object:
    charge = desk.find("charge", str(session["payment_intent"]).replace("pi_", "ch_", 1))
    return charge or {"amount": 0, "amount_refunded": 0, "refunded": False}


def _closed(desk: Desk, session: Object, status: str, event_types: tuple[str, ...]) -> str:
    notes = desk.notes(session["id"])
    made: dict[str, Any] = desk.made("charge.dispute.closed", session, notes)
    made["status"] = status
    desk.keep_notes(session["id"], replace(notes, is_disputed=False))
    desk.tell(session, notes, *((event_type, made) for event_type in event_types))
    return f"The dispute is closed: {status}."
