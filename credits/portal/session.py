"""The visitor of a request, from the cookie; the token of its forms; the headers that fence the page in."""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from flask import Request, Response

from credits.errors import AuthenticationError, PermissionDeniedError
from credits.passes.issuing import SESSION_S
from credits.passes.seals import Purpose, Visitor, seal, unseal

COOKIE: Final = "creditgate_portal"

HEADERS: Final = {
    # Nothing from elsewhere, nothing inline, nobody's frame, no form that posts anywhere else.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would make browsers send `Origin: null` with our own forms, which are refused then.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def visitor_of(request: Request, secret_key: str, *, now_ms: int) -> Visitor:
    """Whose page the request asks for. Raises AuthenticationError."""
    return unseal(Purpose.SESSION, request.cookies.get(COOKIE, ""), secret_key, now_ms=now_ms)


def start_session(response: Response, visitor: Visitor, secret_key: str, *, is_secure: bool) -> None:
    """Let the browser keep the visitor in a cookie that scripts cannot read and other sites cannot use."""
    response.set_cookie(
        COOKIE,
        seal(Purpose.SESSION, visitor, secret_key),
        max_age=SESSION_S,
        path="/portal",
        secure=is_secure,
        httponly=True,
        samesite="Lax",
    )


def form_token(visitor: Visitor, secret_key: str) -> str:
    """What a form of this session has to send along: a page of somebody else's cannot know it."""
    return hmac.new(secret_key.encode(), f"form:{visitor.nonce}".encode(), hashlib.sha256).hexdigest()[:32]


def check_form(request: Request, visitor: Visitor, secret_key: str) -> None:
    """Raise PermissionDeniedError unless the form is one of ours, sent from our own page."""
    sent = request.form.get("form_token", "")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), form_token(visitor, secret_key).encode()):
        raise PermissionDeniedError("a form of this page")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise PermissionDeniedError("a form of this page")
    origin = request.headers.get("Origin")
    # Behind a proxy the scheme may differ; the host may not. "null" is what a page in a sandbox says.
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise PermissionDeniedError("a form of this page")


def opened(request: Request, secret_key: str, *, now_ms: int) -> Visitor:
    """The visitor that a link lets in. Raises AuthenticationError if the link is over, or none of ours."""
    links = request.args.getlist("link")
    if len(links) != 1:
        raise AuthenticationError("no valid link")
    return unseal(Purpose.LINK, links[0], secret_key, now_ms=now_ms)
