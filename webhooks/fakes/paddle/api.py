"""The API of the fake Paddle: transactions to be paid, refunds, and lists of everything that came of them."""

import secrets
import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from babel.numbers import list_currencies
from flask import Blueprint, Response, jsonify, request

from credits.clock import from_iso
from webhooks.fakes.paddle.desk import PRICE_OF_A_PLAN, PROVIDER, Desk, Entity, Notes
from webhooks.fakes.paddle.fate import refunded

LISTS: Final = {"transactions": 30, "adjustments": 200, "subscriptions": 200, "events": 200}
"""What can be listed, and how much of it a page has at the most."""

_LARGEST: Final = 99_999_999
_SMALLEST: Final = 70
_FILTERS: Final = ("status", "origin", "customer_id", "subscription_id", "transaction_id", "event_type", "id")


class RefusedError(Exception):
    """The answer is an error, as Paddle words it."""

    def __init__(self, detail: str, *, status: int = 400, code: str = "bad_request", field: str = "") -> None:
        super().__init__(detail)
        self.status = status
        error: dict[str, Any] = {"type": "request_error", "code": code, "detail": detail}
        if field:
            error |= {"detail": "Invalid request.", "errors": [{"field": field, "message": detail}]}
        self.body = {"error": error, "meta": {"request_id": secrets.token_hex(8)}}


def paddle_api(desk: Desk, lock: threading.Lock) -> Blueprint:
    """`/paddle/transactions`, `/paddle/adjustments`, and the lists."""
    routes = Blueprint("fake_paddle", __name__, url_prefix="/paddle")
    routes.register_error_handler(RefusedError, _refusal)

    @routes.post("/transactions")
    def create() -> Response:
        _refuse_strangers()
        notes = _asked(desk, request.get_json(silent=True))
        page_url = f"{request.host_url.rstrip('/')}/paddle/pay"
        return _answer(desk.new_transaction(notes, page_url=page_url), 201)

    @routes.post("/adjustments")
    def adjust() -> Response:
        _refuse_strangers()
        asked = request.get_json(silent=True) or {}
        if asked.get("action") != "refund":
            raise RefusedError("The fake makes refunds alone.", field="action")
        with lock:
            transaction = _found(desk, "transactions", str(asked.get("transaction_id")))
            if transaction["status"] != "completed":
                raise RefusedError("The transaction is not completed.", code="adjustment_transaction_invalid_status")
            amounts = [str(item.get("amount") or "") for item in asked.get("items") or ()]
            is_whole = asked.get("type") == "full" or not all(amounts)
            refunded(desk, transaction, None if is_whole else sum(int(one) for one in amounts if one.isdigit()))
        return _answer(desk.store.all(PROVIDER, "adjustments")[0], 201)

    for kind, most in LISTS.items():
        routes.add_url_rule(f"/{kind}", f"list {kind}", _lister(desk, kind, most))
        routes.add_url_rule(f"/{kind}/<entity_id>", f"show {kind}", _shower(desk, kind))
    return routes


def _lister(desk: Desk, kind: str, most: int) -> Callable[[], Response]:
    def view() -> Response:
        _refuse_strangers()
        size, after = _page_size(most), request.args.get("after")
        if request.args.get("order_by", "id[DESC]") != "id[DESC]":
            raise RefusedError("The fake lists by id[DESC] alone.", field="order_by")
        found = [entity for entity in desk.store.all(PROVIDER, kind) if _is_asked_for(kind, entity)]
        ids = [_id_of(kind, entity) for entity in found]
        rest = found[ids.index(after) + 1 :] if after in ids else found
        items = rest[:size]
        query = {**request.args, "after": _id_of(kind, items[-1]) if items else after or ""}
        pagination = {
            "per_page": size,
            "next": f"{request.base_url}?{urlencode(query)}",
            "has_more": len(rest) > size,
            "estimated_total": len(found),
        }
        return jsonify({"data": items, "meta": {"request_id": secrets.token_hex(8), "pagination": pagination}})

    return view


def _is_asked_for(kind: str, entity: Entity) -> bool:
    for name in _FILTERS:
        wanted = request.args.get(name)
        if wanted is not None and str(entity.get(name)) not in wanted.split(","):
            return False
    for name in ("created_at", "updated_at", "billed_at"):
        since = request.args.get(f"{name}[GTE]")
        if since is None:
            continue
        # Paddle's operators are for transactions alone.
        if kind != "transactions":
            raise RefusedError(f"{name} is no parameter of {kind}.", field=f"{name}[GTE]")
        if entity[name] is None or from_iso(entity[name]) < from_iso(since):
            return False
    return True


def _shower(desk: Desk, kind: str) -> Callable[[str], Response]:
    def view(entity_id: str) -> Response:
        _refuse_strangers()
        return _answer(_found(desk, kind, entity_id), 200)

    return view


def _found(desk: Desk, kind: str, entity_id: str) -> Entity:
    found = desk.find(kind, entity_id)
    if found is None:
        raise RefusedError(f"Entity {entity_id[:80]} not found", status=404, code="not_found")
    return found


def _id_of(kind: str, entity: Entity) -> str:
    return str(entity["event_id" if kind == "events" else "id"])


def _asked(desk: Desk, body: object) -> Notes:
    """The transaction that is to be made. Raises RefusedError."""
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise RefusedError("The fake takes exactly one item.", field="items")
    item, custom = items[0], body.get("custom_data")
    if item.get("quantity") != 1:
        raise RefusedError("The fake takes a quantity of 1.", field="items[0].quantity")
    if custom is not None and not isinstance(custom, dict):
        raise RefusedError("must be an object", field="custom_data")
    plain: dict[str, Any] = {"token": secrets.token_hex(12), "custom": custom or {}, "at_ms": desk.now_ms()}
    if "price" in item:
        minor, currency, title = _priced(item["price"])
        if body.get("currency_code", currency) != currency:
            raise RefusedError("differs from the price's currency", field="currency_code")
        return Notes(**plain, title=title, price=None, price_minor=minor, currency=currency)
    price_id = item.get("price_id")
    if not isinstance(price_id, str) or not price_id.startswith("pri_"):
        raise RefusedError(f"Price {str(price_id)[:60]} not found", field="items[0].price_id")
    title = f"Subscription to {price_id}"
    return Notes(**plain, title=title, price=price_id, price_minor=PRICE_OF_A_PLAN, currency="USD")


def _priced(price: object) -> tuple[int, str, str]:
    """Sum, currency and title of a price that is in no catalogue."""
    if not isinstance(price, dict) or not isinstance(price.get("unit_price"), dict):
        raise RefusedError("is missing", field="items[0].price.unit_price")
    text, currency = price["unit_price"].get("amount"), str(price["unit_price"].get("currency_code"))
    if not isinstance(text, str) or not text.isdigit() or not int(text) <= _LARGEST:
        raise RefusedError("must be a whole number of minor units, as text", field="items[0].price.unit_price.amount")
    if currency not in list_currencies():
        raise RefusedError("is no currency", field="items[0].price.unit_price.currency_code")
    if currency == "USD" and 0 < int(text) < _SMALLEST:
        raise RefusedError("The total must be at least $0.70.", code="transaction_balance_less_than_charge_limit")
    if not price.get("description") or not (price.get("product_id") or (price.get("product") or {}).get("name")):
        raise RefusedError("needs a description, and a product or a product_id", field="items[0].price")
    return int(text), currency, str(price.get("name") or price["description"])


def _page_size(most: int) -> int:
    text = request.args.get("per_page", str(min(most, 50)))
    if not text.isdigit() or int(text) < 1:
        raise RefusedError("must be a number of at least 1", field="per_page")
    return min(int(text), most)


def _refuse_strangers() -> None:
    auth = request.authorization
    if auth is None or not auth.token:
        raise RefusedError("Authentication header is missing.", status=403, code="authentication_missing")
    if auth.token.startswith("pdl_live_"):
        raise RefusedError("The key is of the live account.", status=403, code="forbidden")


def _answer(entity: Entity, status: int) -> Response:
    answer = jsonify({"data": entity, "meta": {"request_id": secrets.token_hex(8)}})
    answer.status_code = status
    return answer


def _refusal(error: RefusedError) -> Response:
    answer = jsonify(error.body)
    answer.status_code = error.status
    return answer
