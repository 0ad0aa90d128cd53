"""Invoices at the fake Stripe: each with its lines, and with what was paid past Stripe for those who ask for it."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from webhooks.fakes.stripe.desk import Desk
from webhooks.fakes.stripe.sessions import RefusedError

_PAST_STRIPE: Final = "amount_paid_off_stripe"


def invoice_routes(desk: Desk) -> Blueprint:
    """`/invoices/<id>` and its lines; `/simulated` is told of invoices that `credits simulate` sends webhooks of."""
    routes = Blueprint("invoices", __name__)

    @routes.post("/simulated")
    def know() -> Response:
        # Not of Stripe's API: `credits simulate` tells of an invoice whose webhook it sends.
        told = request.get_json(silent=True)
        if not isinstance(told, dict) or told.get("object") != "invoice" or not isinstance(told.get("id"), str):
            raise RefusedError("The fake is told of invoices alone, as Stripe's API shows them.")
        desk.keep(told)
        return jsonify(told)

    @routes.get("/invoices/<invoice_id>")
    def invoice(invoice_id: str) -> Response:
        found = found_in(desk, "invoice", invoice_id)
        past_minor = found.pop(_PAST_STRIPE, 0)
        # As Stripe, which shows it to those who ask for it.
        asked = {value for name, value in request.args.items(multi=True) if name.startswith("expand")}
        return jsonify(found | ({_PAST_STRIPE: past_minor} if _PAST_STRIPE in asked else {}))

    @routes.get("/invoices/<invoice_id>/lines")
    def lines(invoice_id: str) -> Response:
        items = found_in(desk, "invoice", invoice_id)["lines"]["data"]
        ids = [item["id"] for item in items]
        after = request.args.get("starting_after")
        if after is not None and after not in ids:
            raise RefusedError(f"No such line item: {after[:80]!r}", status=404, param="starting_after")
        start = 0 if after is None else ids.index(after) + 1
        end = start + limit_of(request.args.get("limit", "10"))
        has_more = end < len(items)
        return jsonify({"object": "list", "url": request.path, "has_more": has_more, "data": items[start:end]})

    return routes


def found_in(desk: Desk, kind: str, object_id: str) -> dict[str, Any]:
    """The object of that kind and id. Raises RefusedError, as Stripe would."""
    found = desk.find(kind, object_id)
    if found is None:
        raise RefusedError(f"No such {kind}: {object_id[:80]!r}", status=404, param="id")
    return found


def limit_of(text: str) -> int:
    """How long a page is to be. Raises RefusedError."""
    if not str(text).isdigit() or not 1 <= int(text) <= 100:
        raise RefusedError("limit must be from 1 to 100", param="limit")
    return int(text)
