"""A transaction of the fake Paddle as a page: which buttons there are follows from its state. Pure."""

from typing import Final

from webhooks.fakes.paddle.desk import PROVIDER, Entity, Notes, shown
from webhooks.fakes.till import Button, Till

_LATER: Final = Button(action="pay_later", label="Pay, and have it reviewed", hint="Paddle completes it later")
_STATES: Final = {
    "open": "waits for its payer",
    "paid": "paid, and not completed yet",
    "completed": "paid",
    "canceled": "called off",
    "charged_back": "paid, and charged back",
}


def till_of(transaction: Entity, notes: Notes, message: str = "") -> Till:
    """The page of `transaction`."""
    totals, currency = transaction["details"]["totals"], transaction["currency_code"]
    lines = [("Price", shown(notes.price_minor, currency))]
    if int(totals["discount"]):
        lines.append(("Promotion", shown(-int(totals["discount"]), currency)))
    if int(totals["tax"]):
        lines.append(("Tax", shown(int(totals["tax"]), currency)))
    if notes.refunded_minor:
        lines.append(("Refunded", shown(-notes.refunded_minor, currency)))
    state = _state(transaction, notes)
    return Till(
        provider=PROVIDER,
        seller="Fake Paddle",
        title=notes.title,
        total=shown(int(totals["total"]), currency),
        lines=tuple(lines),
        state=state,
        state_text=_STATES[state],
        is_open=state == "open",
        buttons=_payer(notes) if state == "open" else (),
        fate=_fate(state, notes),
        cancel_url=None,
        marks=tuple(sorted((name, str(value)) for name, value in notes.custom.items())),
        message=message,
    )


def _state(transaction: Entity, notes: Notes) -> str:
    if transaction["status"] == "draft":
        return "open"
    return "charged_back" if notes.is_charged_back else str(transaction["status"])


def _payer(notes: Notes) -> tuple[Button, ...]:
    declined = Button(action="decline", label="Pay with a card that is declined")
    if notes.price is not None:
        return (Button(action="pay", label="Subscribe", is_main=True), declined)
    return (Button(action="pay", label="Pay", is_main=True), _LATER, declined)


def _fate(state: str, notes: Notes) -> tuple[Button, ...]:
    match state:
        case "open":
            return (Button(action="expire", label="Call it off"),)
        case "paid":
            return (Button(action="arrive", label="Paddle completes it"),)
        case "charged_back":
            return (Button(action="win", label="Win the chargeback"),)
        case "completed" if notes.price is not None:
            return (
                Button(action="renew", label=f"Period {notes.period + 2} is paid"),
                Button(action="cancel", label="End the subscription"),
            )
        case "completed":
            return (
                Button(action="refund", label="Refund all"),
                Button(action="refund_half", label="Refund half"),
                Button(action="chargeback", label="Chargeback"),
            )
        case _:
            return ()
