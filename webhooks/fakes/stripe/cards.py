"""Saved cards at the fake Stripe: customers, their cards, and payment intents charged while the payer is away."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from webhooks.fakes.stripe.desk import PROVIDER, Desk, Notes, Object
from webhooks.fakes.stripe.sessions import RefusedError

WORKS: Final = "works"
FATES: Final[Mapping[str, tuple[str, str]]] = {
    "soft": ("card_declined", "insufficient_funds"),
    "hard": ("card_declined", "lost_card"),
    "authentication": ("authentication_required", "authentication_required"),
    "slow": ("", ""),
}
"""What a saved card does when it is charged: code and decline code. `slow` is processing until the money arrives."""


def save_card(desk: Desk, customer_id: str, token: str) -> None:
    """Keep the card that a session was paid with, for its customer."""
    customer = {
        "id": customer_id,
        "object": "customer",
        "created": desk.now_s,
        "livemode": False,
        "metadata": {},
        "invoice_settings": {"default_payment_method": None},
    }
    if desk.find("customer", customer_id) is None:
        desk.keep(customer)
    desk.keep(
        {
            "id": f"pm_{token}",
            "object": "payment_method",
            "type": "card",
            "customer": customer_id,
            "created": desk.now_s,
            "livemode": False,
            "metadata": {},
            "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034},
        }
    )


def set_fate(desk: Desk, payment_method: str, fate: str) -> None:
    """Let a saved card work or not from now on."""
    method = desk.find("payment_method", payment_method)
    if method is not None:
        desk.keep({**method, "metadata": {"fate": fate}})


def create_intent(desk: Desk, params: Mapping[str, Any], *, key: str | None) -> Object:
    """
    Charge a saved card, or answer as to the first call with the same idempotency key, declines included.

    Raises RefusedError, with the payment intent in it where the bank said no.
    """
    asked = json.dumps(params, sort_keys=True)
    if key is not None and (known := desk.store.answered(PROVIDER, key)) is not None:
        if known[0] != asked:
            reason = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise RefusedError(reason, kind="idempotency_error")
        return _answered(known[1])
    answer = _made(desk, params)
    if key is not None:
        desk.store.remember(PROVIDER, key, asked, answer)
    return _answered(answer)


def cancel_intent(desk: Desk, intent: Object) -> Object:
    """Let nobody finish it any more. Raises RefusedError if it is paid, or being paid."""
    if intent["status"] in {"succeeded", "processing", "canceled"}:
        raise RefusedError(f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.")
    canceled = {**intent, "status": "canceled", "canceled_at": desk.now_s}
    desk.keep(canceled)
    return canceled


def arrive(desk: Desk, intent: Object) -> Object:
    """The money of a payment that was processing is there."""
    return _succeed(desk, intent)


def _answered(answer: Object) -> Object:
    if "error" in answer:
        error = answer["error"]
        raise RefusedError(error["message"], status=402, kind="card_error", more=error)
    return answer


def _made(desk: Desk, params: Mapping[str, Any]) -> Object:
    method = desk.find("payment_method", str(params.get("payment_method")))
    if method is None or method["customer"] != params.get("customer"):
        raise RefusedError(f"No such PaymentMethod: {str(params.get('payment_method'))[:60]!r}", param="payment_method")
    amount, currency = str(params.get("amount", "")), str(params.get("currency", ""))
    if not amount.isdigit() or int(amount) < 1:
        raise RefusedError("Invalid integer: amount", param="amount")
    if params.get("off_session") != "true" or params.get("confirm") != "true":
        raise RefusedError("The fake takes off_session=true with confirm=true only.", param="off_session")
    intent = _blank(desk, params, int(amount), currency)
    fate = method["metadata"].get("fate", WORKS)
    if fate == WORKS:
        return _succeed(desk, intent)
    if fate == "slow":
        intent |= {"status": "processing"}
        desk.keep(intent)
        return intent
    return _declined(desk, intent, *FATES[fate])


def _blank(desk: Desk, params: Mapping[str, Any], amount: int, currency: str) -> Object:
    token = secrets.token_hex(12)
    session: Object = {"amount_total": amount, "currency": currency, "created": desk.now_s}
    notes = Notes(token=token, title=str(params.get("description", "")), marks=params.get("metadata") or {})
    intent = desk.made("payment_intent.created", session, notes)
    return intent | {
        "amount": amount,
        "currency": currency,
        "customer": params["customer"],
        "payment_method": params["payment_method"],
        "description": params.get("description"),
        "metadata": dict(notes.marks),
        "created": desk.now_s,
        "last_payment_error": None,
    }


def _succeed(desk: Desk, intent: Object) -> Object:
    session, notes = _about(intent)
    charge = desk.made("charge.succeeded", session, notes) | {"customer": intent["customer"]}
    paid = intent | {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
    }
    desk.tell(session, notes, ("charge.succeeded", charge), ("payment_intent.succeeded", paid))
    return paid


def _declined(desk: Desk, intent: Object, code: str, decline_code: str) -> Object:
    error: Object = {"type": "card_error", "code": code, "decline_code": decline_code}
    error |= {"message": "Your card was declined.", "param": None}
    failed = intent | {"status": "requires_payment_method", "last_payment_error": dict(error)}
    desk.keep(failed)
    session, notes = _about(failed)
    event = desk.event("payment_intent.created", session, notes) | {"type": "payment_intent.payment_failed"}
    event["data"]["object"] = failed
    desk.keep(event)
    desk.deliverer.send(PROVIDER, [json.dumps(event, indent=2).encode()])
    return {"error": error | {"payment_intent": failed}}


def _about(intent: Object) -> tuple[Object, Notes]:
    """What events of the intent are made of."""
    session: Object = {
        "amount_total": intent["amount"],
        "currency": intent["currency"],
        "created": intent["created"],
    }
    token = str(intent["id"]).removeprefix("pi_")
    return session, Notes(token=token, title=intent["description"] or "", marks=intent["metadata"])
