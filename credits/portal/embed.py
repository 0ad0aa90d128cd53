"""
What the web components talk to: balances as they change, prices, checkouts; on pages of the origins a token names.

A browser sees a short-lived token of one account, never an API key. Cookies play no part: no other page can use them.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from credits.api.bodies import read_json
from credits.api.problems import problem, problem_of
from credits.clock import Clock
from credits.config.faces import PortalRules
from credits.engine import Credits, balances_json
from credits.errors import AuthenticationError, CreditsError, InvalidInputError, PermissionDeniedError
from credits.ids import digest
from credits.passes.seals import Purpose, Visitor, unseal
from credits.portal import view
from credits.portal.brand import on_colour
from credits.portal.buying import asked_price
from credits.portal.texts import Words, first_locale
from credits.portal.visit import Portal
from credits.units import checked_amount

MAX_STREAMS: Final = 4
"""Per process. A stream keeps a thread of the server; who finds no place asks again every few seconds instead."""

STREAM_S: Final = 25.0
_LOOK_S: Final = 1.0
_RETRY_MS: Final = 1_000
_SCRIPT: Final = Path(__file__).parent / "static" / "credits.js"
_COLOUR: Final = "--credits-colour, #1f5fbf"
_ON_COLOUR: Final = "--credits-on-colour, #fff"
_FIELDS: Final = frozenset({"credit_type", "amount", "currency", "provider", "key", "return_url"})

View = Callable[[Visitor, Credits], Any]


def embed_routes(portal: Portal) -> Blueprint:
    """`/embed` and all below it."""
    routes = Blueprint("embed", __name__, url_prefix="/embed")
    routes.add_url_rule("/credits.js", "script", lambda: _script(portal.brand))
    for name, run in {"balances": _show_balances, "price": _show_price, "offers": _show_offers}.items():
        routes.add_url_rule(f"/{name}", name, _view(portal, run), methods=["GET", "OPTIONS"])
    routes.add_url_rule("/checkouts", "checkouts", _view(portal, _open_checkout), methods=["POST", "OPTIONS"])
    stream = partial(_stream, portal.clock, BoundedSemaphore(MAX_STREAMS))
    routes.add_url_rule("/stream", "stream", _view(portal, stream), methods=["GET", "OPTIONS"])
    return routes


def _view(portal: Portal, run: View) -> Callable[[], Response]:
    return lambda: _preflight() if request.method == "OPTIONS" else _shared(portal, run)


def _script(brand: PortalRules) -> Response:
    """The components in the brand's colour: one script without dependencies. It says nothing of anybody."""
    response = Response(_branded(brand.colour, on_colour(brand.colour)), mimetype="text/javascript")
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.add_etag()
    response.make_conditional(request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@cache
def _branded(colour: str, on: str) -> str:
    script = _SCRIPT.read_text("utf-8")
    for default, ours in ((_COLOUR, colour), (_ON_COLOUR, on)):
        name, _, _ = default.partition(", ")
        script = script.replace(default, f"{name}, {ours}")
    return script


def _show_balances(visitor: Visitor, library: Credits) -> Response:
    response = jsonify(_balances(visitor, library, _words(visitor, library)))
    response.set_etag(digest(response.get_data())[:32])
    response.make_conditional(request)
    return response


def _show_price(visitor: Visitor, library: Credits) -> Response:
    asked = asked_price(library, visitor.account, request.args, _words(visitor, library))
    if asked is None:
        raise InvalidInputError("type", "is missing; name a credit type")
    return jsonify(asked)


def _show_offers(_visitor: Visitor, library: Credits) -> Response:
    found = [
        {
            "type": offer.kind.key,
            "name": offer.kind.name,
            "currencies": list(offer.currencies),
            "packs": list(offer.packs),
            "default_amount": offer.default_amount,
        }
        for offer in view.offers(library)
    ]
    return jsonify(offers=found, providers=list(library.shop.offered))


def _open_checkout(visitor: Visitor, library: Credits) -> Response:
    bought = _checkout(visitor, library, read_json())
    return jsonify({name: bought[name] for name in ("purchase_id", "state", "checkout_url", "formatted")})


def _stream(clock: Clock, places: BoundedSemaphore, visitor: Visitor, library: Credits) -> Response:
    if not places.acquire(blocking=False):
        return problem(503, "too_many_streams", "every place is taken; ask for the balances", retry_after_s=5)
    # No longer than the token that opened it: who has logged out by then is told nothing more.
    lasts_s = min(STREAM_S, (visitor.expires_at_ms - clock()) / 1000)
    changes = _changes(visitor, library, _words(visitor, library), lasts_s=lasts_s)
    response = Response(changes, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    # Called however the stream ends: by itself, or because the browser has gone.
    response.call_on_close(places.release)
    return response


def _shared(portal: Portal, run: View) -> Response:
    """Run it for the token's account; the answer may be read by pages of the token's origins and by no others."""
    origin = request.headers.get("Origin")
    try:
        visitor = _visitor(portal)
        if origin is not None and origin.lower() not in visitor.origins:
            raise PermissionDeniedError("an origin that the token names")
        response: Response = run(visitor, portal.credits_of[visitor.tenant])
    except Exception as error:  # noqa: BLE001
        response = problem_of(error)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Vary"] = "Origin"
    if origin is not None:
        # An error says nothing that its reader did not send; it is shown, so that a developer sees why.
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
    return response


def _preflight() -> Response:
    """What a browser asks before it sends a header of ours. It may; whether it reads an answer is decided then."""
    response = Response(status=204)
    response.headers.update(
        {
            "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }
    )
    return response


def _visitor(portal: Portal) -> Visitor:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationError("no valid token")
    return unseal(Purpose.EMBED, token.strip(), portal.secret_key, now_ms=portal.clock())


def _balances(visitor: Visitor, library: Credits, words: Words) -> dict[str, Any]:
    found, _ = view.balances_of(library, visitor.account)
    shown = balances_json(visitor.account, found)
    for name, balance in found.items():
        shown["balances"][name]["formatted"] = words.number(balance.available)
    return {**shown, "names": {name: view.name_of(library, name) for name in library.catalogue.credit_types}}


def _changes(visitor: Visitor, library: Credits, words: Words, *, lasts_s: float) -> Iterator[str]:
    """Balances as server-sent events, one whenever they changed; it ends by itself, and the browser comes back."""
    ends_s, last = monotonic() + lasts_s, ""
    yield f"retry: {_RETRY_MS}\n\n"
    while monotonic() < ends_s:
        try:
            text = json.dumps(_balances(visitor, library, words), separators=(",", ":"))
        except CreditsError:
            # Redis and the database are away; the next look may find them.
            text = last
        # A comment keeps proxies from closing what is silent, and tells us that the browser has gone.
        yield f"data: {text}\n\n" if text != last else ":\n\n"
        last = text
        sleep(_LOOK_S)


def _checkout(visitor: Visitor, library: Credits, sent: dict[str, Any]) -> Any:
    unknown = sorted(sent.keys() - _FIELDS)
    if unknown:
        raise InvalidInputError(unknown[0][:40], f"is not a field; known are {', '.join(sorted(_FIELDS))}")
    sent = {"provider": next(iter(library.shop.offered), ""), **sent}
    for name in ("credit_type", "provider", "key", "return_url"):
        if not isinstance(sent.get(name), str) or not sent[name]:
            raise InvalidInputError(name, "is missing, or no text")
    currency = sent.get("currency")
    if currency is not None and not isinstance(currency, str):
        raise InvalidInputError("currency", "must be text, such as USD")
    amount, back = checked_amount(sent.get("amount")), sent["return_url"]
    if not any(back == origin or back.startswith(f"{origin}/") for origin in visitor.origins):
        raise InvalidInputError("return_url", f"must be on one of the token's origins: {', '.join(visitor.origins)}")
    chosen = (sent["key"], sent["credit_type"], amount, currency, sent["provider"], visitor.email)
    key = f"embed:{digest(visitor.account, *chosen)[:48]}"
    return library.checkout(
        visitor.account,
        provider=sent["provider"],
        credit_type=sent["credit_type"],
        amount=amount,
        currency=currency,
        key=key,
        success_url=back,
        cancel_url=back,
        email=visitor.email,
    )


def _words(visitor: Visitor, library: Credits) -> Words:
    """As the element's `locale` says, else the token's, else the language of the page around it, else ours."""
    tags = (request.args.get("locale"), visitor.locale, request.args.get("lang"))
    return Words(first_locale(*tags, default=library.catalogue.checkout.locale))
