"""What requests about links and tokens for browsers carry, and what is answered."""

from typing import Annotated, Any

from pydantic import BaseModel

from credits.api import fields
from credits.api.models import Sent
from credits.errors import InvalidInputError
from credits.ids import MAX_EMAIL_LENGTH, checked_email
from credits.passes.issuing import (
    DEFAULT_TTL_S,
    MAX_TTL_S,
    MAX_URL_LENGTH,
    MIN_TTL_S,
    checked_locale,
    checked_origin,
    checked_return_url,
    checked_ttl_s,
)
from credits.passes.seals import MAX_ORIGINS


def _origins(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ORIGINS:
        raise InvalidInputError("origins", f"must be a list of 1 to {MAX_ORIGINS} origins")
    return [checked_origin(origin) for origin in value]


def _return_url(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInputError("return_url", "must be text")
    return checked_return_url(value)


_TTL = fields.Checked(checked_ttl_s, {"type": "integer", "minimum": MIN_TTL_S, "maximum": MAX_TTL_S})
_LOCALE = fields.Checked(checked_locale, {"type": "string", "format": "creditgate-locale"})
_EMAIL = fields.Checked(checked_email, {"type": "string", "maxLength": MAX_EMAIL_LENGTH, "format": "email"})
_ORIGIN = {"type": "string", "format": "creditgate-origin"}


class PortalLinkBody(Sent):
    ttl_s: Annotated[int, _TTL] = DEFAULT_TTL_S
    """Seconds until the link opens nothing any more. The page itself then stays open for an hour."""
    return_url: Annotated[
        str | None,
        fields.Checked(
            _return_url, {"type": "string", "maxLength": MAX_URL_LENGTH, "format": "creditgate-url"}
        ).or_none(),
    ] = None
    """Where the page's link back leads."""
    locale: Annotated[str | None, _LOCALE.or_none()] = None
    """Left out: what the visitor's browser asks for."""
    email: Annotated[str | None, _EMAIL.or_none()] = None
    """Of the account's user, verified by you: for the checkouts of the page. The link has it in it."""


class EmbedTokenBody(Sent):
    origins: Annotated[
        list[str],
        fields.Checked(_origins, {"type": "array", "minItems": 1, "maxItems": MAX_ORIGINS, "items": _ORIGIN}),
    ]
    """Whose pages may use the token, as `https://app.example.com`."""
    ttl_s: Annotated[int, _TTL] = DEFAULT_TTL_S
    """Seconds until the token is worthless; the components ask your server for another one."""
    locale: Annotated[str | None, _LOCALE.or_none()] = None
    email: Annotated[str | None, _EMAIL.or_none()] = None
    """Of the account's user, verified by you: for the checkouts that the components open."""


class PortalLink(BaseModel):
    account: str
    url: str
    expires_at: str


class EmbedToken(BaseModel):
    account: str
    token: str
    expires_at: str
