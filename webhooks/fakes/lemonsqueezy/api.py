"""The API of the fake Lemon Squeezy: checkouts, and lists of everything that came of them, as JSON:API."""

import threading
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from credits.clock import from_iso
from webhooks.fakes.lemonsqueezy.desk import PROVIDER, Desk
from webhooks.fakes.lemonsqueezy.fate import refunded

KINDS: Final = ("checkouts", "orders", "subscriptions", "subscription-invoices")

_LARGEST: Final = 99_999_999


class RefusedError(Exception):
    """The answer is an error, as Lemon Squeezy words it."""

    def __init__(self, detail: str, *, status: int = 422, pointer: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"errors": [{"detail": detail, "source": {"pointer": pointer}, "status": str(status)}]}


def lemonsqueezy_api(desk: Desk, lock: threading.Lock) -> Blueprint:
    """`/lemonsqueezy/v1/checkouts` and the lists."""
    routes = Blueprint("fake_lemonsqueezy", __name__, url_prefix="/lemonsqueezy/v1")
    routes.before_request(_refuse_strangers)
    routes.register_error_handler(RefusedError, _refusal)

    @routes.post("/checkouts")
    def create() -> Response:
        attributes, variant = _asked(request.get_json(silent=True))
        page_url = f"{request.host_url.rstrip('/')}/lemonsqueezy/checkout/{{id}}"
        answer = jsonify({"data": desk.new_checkout(attributes, variant=variant, page_url=page_url)})
        answer.status_code = 201
        return answer

    @routes.post("/orders/<order_id>/refund")
    def refund(order_id: str) -> Response:
        asked = (((request.get_json(silent=True) or {}).get("data") or {}).get("attributes") or {}).get("amount")
        with lock:
            order = _found(desk, "orders", order_id)
            refunded(desk, order, asked if isinstance(asked, int) else None)
        return jsonify({"data": order})

    @routes.get("/prices")
    def prices() -> Response:
        variant = request.args.get("filter[variant_id]", "")
        every_month = {"renewal_interval_unit": "month", "renewal_interval_quantity": 1}
        price = {"variant_id": variant, "category": "subscription", **every_month}
        return jsonify({"data": [{"type": "prices", "id": variant, "attributes": price}] if variant.isdigit() else []})

    for kind in KINDS:
        routes.add_url_rule(f"/{kind}", f"list {kind}", _lister(desk, kind))
        routes.add_url_rule(f"/{kind}/<resource_id>", f"show {kind}", _shower(desk, kind))
    return routes


def _lister(desk: Desk, kind: str) -> Callable[[], Response]:
    def view() -> Response:
        size = min(_whole("page[size]", 10), 100)
        number = _whole("page[number]", 1)
        found = [resource for resource in desk.store.all(PROVIDER, kind) if _is_asked_for(resource)]
        last = max(1, -(-len(found) // size))
        page = {"currentPage": number, "perPage": size, "total": len(found), "lastPage": last}
        items = found[(number - 1) * size : number * size]
        return jsonify({"meta": {"page": page}, "jsonapi": {"version": "1.0"}, "data": items})

    return view


def _is_asked_for(resource: dict[str, Any]) -> bool:
    for name in ("store_id", "order_id", "subscription_id", "variant_id", "user_email", "status"):
        wanted = request.args.get(f"filter[{name}]")
        if wanted is not None and str(resource["attributes"].get(name)) != wanted:
            return False
    return True


def _shower(desk: Desk, kind: str) -> Callable[[str], Response]:
    return lambda resource_id: jsonify({"data": _found(desk, kind, resource_id)})


def _found(desk: Desk, kind: str, resource_id: str) -> dict[str, Any]:
    found = desk.find(kind, resource_id)
    if found is None:
        raise RefusedError("The requested resource does not exist.", status=404)
    return found


def _asked(body: object) -> tuple[dict[str, Any], str]:
    """Attributes and variant of a checkout that is to be made. Raises RefusedError."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or data.get("type") != "checkouts":
        raise RefusedError("The member type must be checkouts.", pointer="/data/type")
    attributes = data.get("attributes") or {}
    ids = {}
    for name, kind in (("store", "stores"), ("variant", "variants")):
        linked = (((data.get("relationships") or {}).get(name) or {}).get("data")) or {}
        if linked.get("type") != kind or not str(linked.get("id", "")).isdigit():
            raise RefusedError(f"The related {name} does not exist.", pointer=f"/data/relationships/{name}")
        ids[name] = str(linked["id"])
    price = attributes.get("custom_price")
    if price is not None and (type(price) is not int or not 0 < price <= _LARGEST):
        reason = f"The custom price must be a number of cents from 1 to {_LARGEST}."
        raise RefusedError(reason, pointer="/data/attributes/custom_price")
    custom = (attributes.get("checkout_data") or {}).get("custom") or {}
    if not isinstance(custom, dict) or not all(isinstance(value, str) for value in custom.values()):
        raise RefusedError("The custom data must be strings.", pointer="/data/attributes/checkout_data/custom")
    try:
        from_iso(attributes.get("expires_at") or "2100-01-01T00:00:00Z")
    except ValueError:
        raise RefusedError("The expires at is not a valid date.", pointer="/data/attributes/expires_at") from None
    return {**attributes, "store_id": int(ids["store"])}, ids["variant"]


def _refuse_strangers() -> None:
    auth = request.authorization
    if auth is None or not auth.token:
        raise RefusedError("Unauthenticated.", status=401)


def _whole(name: str, otherwise: int) -> int:
    text = request.args.get(name, str(otherwise))
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise RefusedError(f"{name} must be a number of at least 1.", status=400)
    return int(text)


def _refusal(error: RefusedError) -> Response:
    answer = jsonify(error.body)
    answer.status_code = error.status
    return answer
