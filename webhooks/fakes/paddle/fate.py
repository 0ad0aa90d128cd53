"""What may happen to a transaction at the fake Paddle: what a payer does, and what becomes of the money."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from webhooks.fakes.paddle.desk import PRICE_OF_A_PLAN, Desk, Entity, shown
from webhooks.fakes.till import Extras

Happening = Callable[[Desk, Entity, Extras], str]
"""Does it, and answers what to tell whoever clicked; an empty text sends the payer back to the shop."""


def pay(desk: Desk, transaction: Entity, extras: Extras) -> str:
    """The card is charged, and the transaction completed; for a plan, its subscription begins."""
    _completed(desk, transaction, extras)
    return ""


def pay_later(desk: Desk, transaction: Entity, extras: Extras) -> str:
    """The money is taken, and Paddle looks at it for a while before it completes the transaction."""
    paid = _as_paid(desk, transaction, extras, "paid")
    desk.tell(_event(desk, transaction, "transaction.paid", paid))
    return ""


def arrive(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    desk.tell(_event(desk, transaction, "transaction.completed", {**transaction, "status": "completed"}))
    return "Paddle has completed the transaction."


def decline(_desk: Desk, _transaction: Entity, _extras: Extras) -> str:
    return "Your card was declined. Nothing was charged; you may try again."


def expire(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    desk.tell(_event(desk, transaction, "transaction.canceled", {**transaction, "status": "canceled"}))
    return "The transaction was called off."


def refund(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    return refunded(desk, transaction, None)


def refund_half(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    return refunded(desk, transaction, total_of(transaction) // 2)


def refunded(desk: Desk, transaction: Entity, amount_minor: int | None) -> str:
    """Give `amount_minor` back, or what is left; Paddle approves it at once."""
    notes, total = desk.notes(transaction["id"]), total_of(transaction)
    left = total - notes.refunded_minor
    back = left if amount_minor is None else min(left, amount_minor)
    if back <= 0:
        return "Nothing is left to refund."
    number, before = notes.refunds + 1, notes.refunded_minor
    notes = desk.once_more(transaction["id"], refunds=number, refunded_minor=before + back)
    said = {"refund": f"r{number}", "paid_minor": total, "refunded_minor": back, "refunded_before_minor": before}
    desk.tell(*(desk.event(kind, notes, **said) for kind in ("adjustment.created", "adjustment.updated")))
    currency = transaction["currency_code"]
    return f"{shown(notes.refunded_minor, currency)} of {shown(total, currency)} are refunded."


def chargeback(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    _adjusted(desk, transaction, ("adjustment.created", "chargeback"), is_charged_back=True)
    return "The payer's bank has taken the payment back."


def win(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    steps = (("adjustment.updated", "chargeback reversed"), ("adjustment.created", "chargeback_reverse"))
    _adjusted(desk, transaction, *steps, is_charged_back=False)
    return "The bank has given the payment back to us."


def renew(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    period = desk.notes(transaction["id"]).period + 1
    notes = desk.once_more(transaction["id"], period=period)
    desk.tell(desk.event("subscription.updated", notes), desk.event("transaction.completed", notes))
    return f"Period {period + 1} was paid."


def cancel(desk: Desk, transaction: Entity, _extras: Extras) -> str:
    desk.tell(desk.event("subscription.canceled", desk.notes(transaction["id"])))
    return "The subscription has ended."


HAPPENINGS: Final[Mapping[str, Happening]] = {
    "pay": pay,
    "pay_later": pay_later,
    "decline": decline,
    "arrive": arrive,
    "expire": expire,
    "refund": refund,
    "refund_half": refund_half,
    "chargeback": chargeback,
    "win": win,
    "renew": renew,
    "cancel": cancel,
}
"""By the action that a button posts."""


def total_of(transaction: Entity) -> int:
    """What was charged, in minor units."""
    return int(transaction["details"]["totals"]["total"])


def _completed(desk: Desk, transaction: Entity, extras: Extras) -> None:
    completed = _event(desk, transaction, "transaction.completed", _as_paid(desk, transaction, extras, "completed"))
    notes = desk.notes(transaction["id"])
    kinds = ("subscription.created", "subscription.activated") if notes.price is not None else ()
    desk.tell(*(desk.event(kind, notes) for kind in kinds), completed)


def _as_paid(desk: Desk, transaction: Entity, extras: Extras, status: str) -> Entity:
    """The transaction with its promotion and tax, as Paddle spells them."""
    notes = desk.notes(transaction["id"])
    made = desk.event("transaction.completed", notes)["data"]
    price_minor = PRICE_OF_A_PLAN if notes.price is not None else notes.price_minor
    sums = {
        "subtotal": str(price_minor),
        "discount": str(extras.discount_minor(price_minor)),
        "tax": str(extras.tax_minor(price_minor)),
        "total": str(extras.total_minor(price_minor)),
    }
    made["details"]["totals"] |= {**sums, "grand_total": sums["total"]}
    for line in made["details"]["line_items"]:
        line["totals"] = dict(sums)
    kept: dict[str, Any] = {name: transaction[name] for name in ("items", "origin", "checkout", "created_at")}
    return {**made, **kept, "status": status}


def _event(desk: Desk, transaction: Entity, event_type: str, data: Entity) -> Entity:
    return {**desk.event(event_type, desk.notes(transaction["id"])), "data": data}


def _adjusted(desk: Desk, transaction: Entity, *steps: tuple[str, str], is_charged_back: bool) -> None:
    notes = desk.once_more(transaction["id"], is_charged_back=is_charged_back)
    said = {"paid_minor": total_of(transaction), "refunded_before_minor": notes.refunded_minor}
    desk.tell(*(desk.event(event_type, notes, status=status, **said) for event_type, status in steps))
