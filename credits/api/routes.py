"""Routes of the API that read accounts: balances, entries, grants."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Engine, RowMapping

from credits.api.keys import ApiKey, Scope, authenticate
from credits.clock import Clock, from_iso
from credits.config.catalogue import Catalogue
from credits.db import snapshot
from credits.engine import Credits, balances_json
from credits.errors import AuthenticationError, InvalidInputError, PermissionDeniedError
from credits.ids import checked_id
from credits.ledger.shown import entry_json, grant_json
from credits.reservations.steps import GateRuntime

MAX_PAGE = 200


def account_routes(
    *, engine: Engine, catalogue: Catalogue, secret_key: str, clock: Clock, gate: GateRuntime
) -> Blueprint:
    """`GET /v1/accounts/<account>/balances|entries|grants`."""
    routes = Blueprint("accounts", __name__, url_prefix="/v1/accounts/<path:account>")

    def credits_of(scope: Scope) -> Credits:
        key = _caller(engine, clock(), scope)
        return Credits(
            engine=engine, catalogue=catalogue, tenant=key.tenant, secret_key=secret_key, clock=clock, gate=gate
        )

    @routes.get("/balances")
    def balances(account: str) -> Response:
        credits_ = credits_of(Scope.READ)
        name = checked_id(account, "account")
        return jsonify(balances_json(name, credits_.balances(name, at_ms=_instant("at"))))

    @routes.get("/entries")
    def entries(account: str) -> Response:
        return _page(credits_of(Scope.READ).entries, account, entry_json)

    @routes.get("/grants")
    def grants(account: str) -> Response:
        return _page(credits_of(Scope.READ).grants, account, grant_json)

    return routes


def _caller(engine: Engine, now_ms: int, scope: Scope) -> ApiKey:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationError("no valid API key")
    with snapshot(engine) as connection:
        caller = authenticate(connection, key.strip(), now_ms=now_ms)
    if scope not in caller.scopes and Scope.ADMIN not in caller.scopes:
        raise PermissionDeniedError(scope.value)
    return caller


def _page(
    read: Callable[..., list[RowMapping]], account: str, as_json: Callable[[RowMapping], dict[str, Any]]
) -> Response:
    """One page, newest first; `next` is the cursor of the page after it, null on the last one."""
    account = checked_id(account, "account")
    limit = _whole("limit", default=50, largest=MAX_PAGE)
    cursor = _whole("cursor", default=None, largest=2**62)
    credit_type = request.args.get("credit_type")
    if credit_type is not None:
        credit_type = checked_id(credit_type, "credit_type")
    rows = read(account, credit_type=credit_type, before_id=cursor, limit=(limit or 50) + 1)
    page = rows[: limit or 50]
    return jsonify(
        account=account,
        items=[as_json(row) for row in page],
        next=str(page[-1]["id"]) if len(rows) > len(page) else None,
    )


def _whole(name: str, *, default: int | None, largest: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not 1 <= int(text) <= largest:
        raise InvalidInputError(name, f"must be a whole number from 1 to {largest}, got {text[:40]!r}")
    return int(text)


def _instant(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        raise InvalidInputError(
            name, f"must be an ISO 8601 instant such as 2026-01-31T12:00:00Z, got {text[:40]!r}"
        ) from None
