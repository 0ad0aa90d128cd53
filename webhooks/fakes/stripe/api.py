"""The API of the fake Stripe: sessions, and lists of everything that came of them."""

import threading
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from webhooks.fakes.stripe.cards import cancel_intent, create_intent
from webhooks.fakes.stripe.desk import PROVIDER, Desk
from webhooks.fakes.stripe.fate import expire, refunded
from webhooks.fakes.stripe.form import MalformedFormError, nested
from webhooks.fakes.stripe.invoices import found_in, invoice_routes, limit_of
from webhooks.fakes.stripe.sessions import RefusedError, create_session
from webhooks.fakes.till import Extras

KINDS: Final = {
    "checkout/sessions": "checkout.session",
    "payment_intents": "payment_intent",
    "customers": "customer",
    "payment_methods": "payment_method",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "invoices": "invoice",
    "subscriptions": "subscription",
    "events": "event",
}
"""What can be listed: by path, the object's name."""

_MODES: Final = ("sk_test_", "rk_test_")
_FILTERS: Final = ("customer", "subscription", "payment_intent", "charge", "status", "type", "invoice")
_BOUNDS: Final = ("gt", "gte", "lt", "lte")


def stripe_api(desk: Desk, lock: threading.Lock) -> Blueprint:
    """`/v1/checkout/sessions`, `/v1/payment_intents`, `/v1/refunds` and the lists."""
    routes = Blueprint("fake_stripe", __name__, url_prefix="/v1")
    routes.before_request(_refuse_strangers)
    routes.register_error_handler(RefusedError, _refusal)

    @routes.post("/checkout/sessions")
    def create() -> Response:
        page_url = f"{request.host_url.rstrip('/')}/stripe/pay/{{id}}"
        with lock:
            session = create_session(desk, _sent(), key=request.headers.get("Idempotency-Key"), page_url=page_url)
        return jsonify(session)

    @routes.post("/checkout/sessions/<session_id>/expire")
    def end(session_id: str) -> Response:
        with lock:
            session = found_in(desk, "checkout.session", session_id)
            if session["status"] != "open":
                raise RefusedError(f"This Session is {session['status']}, and only an open one can be expired.")
            expire(desk, session, Extras())
        return jsonify(session)

    @routes.post("/payment_intents")
    def charge() -> Response:
        with lock:
            return jsonify(create_intent(desk, _sent(), key=request.headers.get("Idempotency-Key")))

    @routes.post("/payment_intents/<intent_id>/cancel")
    def give_up(intent_id: str) -> Response:
        with lock:
            return jsonify(cancel_intent(desk, found_in(desk, "payment_intent", intent_id)))

    @routes.get("/customers/<customer_id>/payment_methods")
    def cards(customer_id: str) -> Response:
        found_in(desk, "customer", customer_id)
        page = desk.store.page(PROVIDER, "payment_method", limit=100, fields={"customer": customer_id})
        return jsonify({"object": "list", "url": request.path, "has_more": False, "data": page.items})

    @routes.post("/refunds")
    def refund() -> Response:
        sent = _sent()
        intent_id = str(sent.get("payment_intent") or str(sent.get("charge", "")).replace("ch_", "pi_", 1))
        amount = sent.get("amount")
        with lock:
            session = _session_of(desk, intent_id)
            refunded(desk, session, None if amount is None else int(amount))
            made = desk.store.page(PROVIDER, "refund", limit=1, fields={"payment_intent": intent_id})
        return jsonify(made.items[0])

    routes.register_blueprint(invoice_routes(desk))
    for path, kind in KINDS.items():
        routes.add_url_rule(f"/{path}", f"list {path}", _lister(desk, path, kind))
        if path != "invoices":
            routes.add_url_rule(f"/{path}/<object_id>", f"show {path}", _shower(desk, kind))
    return routes


def _lister(desk: Desk, path: str, kind: str) -> Callable[[], Response]:
    def view() -> Response:
        query = nested(request.args.items())
        created = query.get("created") or {}
        if not isinstance(created, dict):
            raise RefusedError("The fake takes created[gt], [gte], [lt] and [lte].", param="created")
        page = desk.store.page(
            PROVIDER,
            kind,
            limit=limit_of(query.get("limit", "10")),
            after_id=query.get("starting_after"),
            created={name: _instant(created[name]) for name in _BOUNDS if name in created},
            fields={name: query[name] for name in _FILTERS if query.get(name, "all") != "all"},
        )
        return jsonify({"object": "list", "url": f"/v1/{path}", "has_more": page.has_more, "data": page.items})

    return view


def _shower(desk: Desk, kind: str) -> Callable[[str], Response]:
    return lambda object_id: jsonify(found_in(desk, kind, object_id))


def _session_of(desk: Desk, intent_id: str) -> dict[str, Any]:
    page = desk.store.page(PROVIDER, "checkout.session", limit=1, fields={"payment_intent": intent_id})
    if not page.items:
        raise RefusedError(f"No such payment_intent: {intent_id[:80]!r}", status=404, param="payment_intent")
    return page.items[0]


def _refuse_strangers() -> None:
    auth = request.authorization
    key = (auth.token or auth.username or "") if auth is not None else ""
    if not str(key).startswith(_MODES):
        shown = f"{key[:8]}{'*' * 8}" if key else "none"
        reason = f"Invalid API Key provided: {shown}. The fake takes test keys only."
        raise RefusedError(reason, status=401)


def _sent() -> dict[str, Any]:
    try:
        return nested(request.form.items())
    except MalformedFormError as error:
        raise RefusedError(str(error)) from None


def _instant(text: str) -> int:
    if not str(text).isdigit() or len(text) > 12:
        raise RefusedError("created must be in seconds since 1970", param="created")
    return int(text)


def _refusal(error: RefusedError) -> Response:
    answer = jsonify(error.body)
    answer.status_code = error.status
    return answer
