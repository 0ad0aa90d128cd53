"""A checkout session of the fake Stripe as a page: which buttons there are follows from its state. Pure."""

from typing import Final

from webhooks.fakes.stripe.desk import Notes, Object, shown
from webhooks.fakes.till import Button, Till

_PAYER: Final = (
    Button(action="pay", label="Pay", is_main=True),
    Button(action="pay_later", label="Pay by bank transfer", hint="the money comes later, or never"),
    Button(action="decline", label="Pay with a card that is declined"),
)
_SUBSCRIBER: Final = (
    Button(action="pay", label="Subscribe", is_main=True),
    Button(action="decline", label="Pay with a card that is declined"),
)
_CARD: Final = (
    Button(action="card_works", label="The saved card works"),
    Button(action="card_soft", label="The saved card has too little money"),
    Button(action="card_hard", label="The saved card is reported lost"),
    Button(action="card_authentication", label="The saved card's bank wants to see its owner"),
    Button(action="card_slow", label="The saved card takes long to answer"),
)
_STATES: Final = {
    "open": "waits for its payer",
    "processing": "complete, and its money is on the way",
    "paid": "paid",
    "free": "complete, and cost nothing",
    "failed": "complete, and its payment has failed",
    "expired": "expired",
    "disputed": "paid, and disputed",
}


def till_of(session: Object, notes: Notes, message: str = "") -> Till:
    """The page of `session`."""
    state = _state(session, notes)
    details = session["total_details"]
    lines = [("Price", shown(session, session["amount_subtotal"]))]
    if details["amount_discount"]:
        lines.append(("Promotion", shown(session, -details["amount_discount"])))
    if details["amount_tax"]:
        lines.append(("Tax", shown(session, details["amount_tax"])))
    is_subscription = session["mode"] == "subscription"
    return Till(
        provider="stripe",
        seller="Fake Stripe",
        title=notes.title,
        total=shown(session, session["amount_total"]),
        lines=tuple(lines),
        state=state,
        state_text=_STATES[state],
        is_open=state == "open",
        buttons=(_SUBSCRIBER if is_subscription else _PAYER) if state == "open" else (),
        fate=_fate(state, notes, is_subscription=is_subscription),
        cancel_url=session["cancel_url"] if state == "open" else None,
        marks=tuple(sorted(notes.marks.items())),
        message=message,
    )


def _state(session: Object, notes: Notes) -> str:
    if session["status"] != "complete":
        return str(session["status"])
    if session["payment_status"] == "no_payment_required":
        return "free"
    if session["payment_status"] == "paid":
        return "disputed" if notes.is_disputed else "paid"
    return "processing" if session["payment_intent"] else "failed"


def _fate(state: str, notes: Notes, *, is_subscription: bool) -> tuple[Button, ...]:
    match state:
        case "open":
            return (Button(action="expire", label="Let it expire"),)
        case "processing":
            return (
                Button(action="arrive", label="The money arrives"),
                Button(action="bounce", label="The payment fails"),
            )
        case "disputed":
            return (Button(action="win", label="Win the dispute"), Button(action="lose", label="Lose the dispute"))
        case "paid" if is_subscription:
            return (
                Button(action="renew", label=f"Period {notes.period + 2} is paid"),
                Button(action="cancel", label="End the subscription"),
            )
        case "paid":
            return (
                Button(action="refund", label="Refund all"),
                Button(action="refund_half", label="Refund half"),
                Button(action="dispute", label="Dispute it"),
                *(_CARD if notes.saves_card else ()),
            )
        case _:
            return ()
