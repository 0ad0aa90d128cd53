"""Create checkout sessions as Stripe does: what it refuses is refused here, in its words."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from babel.numbers import list_currencies

from webhooks.fakes.stripe.desk import PROVIDER, Desk, Notes, Object

_LEAST_S: Final = 30 * 60
_MOST_S: Final = 24 * 60 * 60
_LARGEST: Final = 99_999_999
_SMALLEST: Final = {"usd": 50, "eur": 50, "gbp": 30}
_PRICE_OF_A_PLAN: Final = 2000


class RefusedError(Exception):
    """The answer is an error, as Stripe words it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        kind: str = "invalid_request_error",
        more: Mapping[str, Any] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, "param": param, **(more or {})}}


def create_session(desk: Desk, params: Mapping[str, Any], *, key: str | None, page_url: str) -> Object:
    """
    A new open session, or the one that was made under the same idempotency key.

    `page_url` is the address of its page, with `{id}` in it. Raises RefusedError.
    """
    asked = json.dumps(params, sort_keys=True)
    if key is not None and (known := desk.store.answered(PROVIDER, key)) is not None:
        if known[0] != asked:
            reason = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise RefusedError(reason, kind="idempotency_error")
        return known[1]
    session, notes = _made(desk, params, page_url)
    desk.keep(session)
    desk.keep_notes(session["id"], notes)
    if key is not None:
        desk.store.remember(PROVIDER, key, asked, session)
    return session


def _made(desk: Desk, params: Mapping[str, Any], page_url: str) -> tuple[Object, Notes]:
    mode = params.get("mode")
    if mode not in {"payment", "subscription"}:
        raise RefusedError("Invalid mode: must be one of payment, subscription, or setup", param="mode")
    line = _line(params)
    currency, amount, title = _priced(line, mode)
    notes = Notes(
        token=secrets.token_hex(12),
        title=title,
        marks=params.get("metadata") or {},
        intent_marks=_marks(params, "payment_intent_data"),
        subscription_marks=_marks(params, "subscription_data"),
        price=line["price"] if mode == "subscription" else None,
        saves_card=_saves_card(params),
    )
    blank: Object = {"amount_total": amount, "currency": currency, "created": desk.now_s}
    session = desk.made("checkout.session.expired", blank, notes)
    session |= {
        "mode": mode,
        "status": "open",
        "amount_subtotal": amount,
        "metadata": params.get("metadata") or {},
        "client_reference_id": params.get("client_reference_id"),
        "customer_email": params.get("customer_email"),
        "customer": params.get("customer"),
        "success_url": params.get("success_url"),
        "cancel_url": params.get("cancel_url"),
        "allow_promotion_codes": params.get("allow_promotion_codes") == "true",
        "expires_at": _expires_at(desk, params),
    }
    session["url"] = page_url.replace("{id}", session["id"])
    if not session["success_url"]:
        raise RefusedError("You must provide a success_url.", param="success_url")
    return session, notes


def _line(params: Mapping[str, Any]) -> Mapping[str, Any]:
    lines = params.get("line_items")
    if not isinstance(lines, list) or len(lines) != 1 or not isinstance(lines[0], dict):
        raise RefusedError("The fake takes exactly one line_items entry.", param="line_items")
    if lines[0].get("quantity", "1") != "1":
        raise RefusedError("The fake takes a quantity of 1.", param="line_items[0][quantity]")
    line: Mapping[str, Any] = lines[0]
    return line


def _priced(line: Mapping[str, Any], mode: str) -> tuple[str, int, str]:
    """Currency, amount and title of what is sold."""
    if mode == "subscription":
        price = line.get("price")
        if not isinstance(price, str) or not price.startswith("price_"):
            raise RefusedError(f"No such price: {str(price)[:60]!r}", param="line_items[0][price]")
        return "usd", _PRICE_OF_A_PLAN, f"Subscription to {price}"
    data = line.get("price_data")
    if not isinstance(data, dict):
        raise RefusedError("Missing required param: line_items[0][price_data].", param="line_items[0][price_data]")
    currency, text = str(data.get("currency", "")), str(data.get("unit_amount", ""))
    if currency.upper() not in list_currencies() or currency != currency.lower():
        raise RefusedError(f"Invalid currency: {currency[:20]}.", param="line_items[0][price_data][currency]")
    if not text.isdigit() or int(text) > _LARGEST:
        reason = f"Invalid integer: {text[:30]}; it must be at most {_LARGEST}"
        raise RefusedError(reason, param="line_items[0][price_data][unit_amount]")
    if int(text) < _SMALLEST.get(currency, 1):
        raise RefusedError("The Checkout Session's total amount due must add up to at least $0.50 usd")
    name = (data.get("product_data") or {}).get("name")
    if not name:
        raise RefusedError("Missing required param: product_data.", param="line_items[0][price_data][product_data]")
    return currency, int(text), str(name)


def _marks(params: Mapping[str, Any], name: str) -> Mapping[str, str]:
    data = params.get(name)
    marks: Mapping[str, str] = (data.get("metadata") or {}) if isinstance(data, dict) else {}
    return marks


def _saves_card(params: Mapping[str, Any]) -> bool:
    data = params.get("payment_intent_data")
    return isinstance(data, dict) and data.get("setup_future_usage") == "off_session"


def _expires_at(desk: Desk, params: Mapping[str, Any]) -> int:
    text = str(params.get("expires_at", desk.now_s + _MOST_S))
    if not text.isdigit() or not desk.now_s + _LEAST_S - 60 <= int(text) <= desk.now_s + _MOST_S + 60:
        reason = "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from session creation."
        raise RefusedError(reason, param="expires_at")
    return int(text)
