"""
Sealed tokens: what a browser carries, signed so that it cannot be changed, and worthless after its instant.

Nothing is stored for them. Each purpose has a salt of its own: a token made for one opens nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from credits.config.settings import Tenant
from credits.errors import AuthenticationError, ConfigError, PassExpiredError

MAX_TOKEN_LENGTH: Final = 4_096
MAX_ORIGINS: Final = 10


class Purpose(StrEnum):
    """What a token is for."""

    LINK = "link"
    """In the URL that an app sends its customer to."""
    SESSION = "session"
    """In the cookie that the page sets in its place."""
    EMBED = "embed"
    """In the hands of the web components."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Whose page it is, and for how long: what a token says."""

    tenant: Tenant
    account: str
    expires_at_ms: int
    nonce: str
    """Made up for each token; forms of a session are tied to it."""
    return_url: str | None = None
    locale: str | None = None
    email: str | None = None
    """The account's user's, for the checkouts that are opened there."""
    origins: tuple[str, ...] = ()
    """Pages that may use it; only for the web components."""


def seal(purpose: Purpose, visitor: Visitor, secret_key: str) -> str:
    """`visitor` as a token. Raises ConfigError if there is no key to sign with."""
    content = {
        "t": visitor.tenant.value,
        "a": visitor.account,
        "x": visitor.expires_at_ms,
        "n": visitor.nonce,
        "r": visitor.return_url,
        "l": visitor.locale,
        "e": visitor.email,
        "o": list(visitor.origins),
    }
    return str(_serializer(purpose, secret_key).dumps({name: value for name, value in content.items() if value}))


def unseal(purpose: Purpose, token: str, secret_key: str, *, now_ms: int) -> Visitor:
    """Who a token was made for. Raises AuthenticationError if it is not ours or was changed, PassExpiredError."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise AuthenticationError("no valid link")
    try:
        content: Mapping[str, Any] = _serializer(purpose, secret_key).loads(token)
    except BadData:
        raise AuthenticationError("no valid link") from None
    visitor = Visitor(
        tenant=Tenant(content["t"]),
        account=content["a"],
        expires_at_ms=content["x"],
        nonce=content["n"],
        return_url=content.get("r"),
        locale=content.get("l"),
        email=content.get("e"),
        origins=tuple(content.get("o", ())),
    )
    if now_ms >= visitor.expires_at_ms:
        raise PassExpiredError(visitor.return_url)
    return visitor


def _serializer(purpose: Purpose, secret_key: str) -> URLSafeSerializer:
    if not secret_key:
        raise ConfigError({"CREDITGATE_SECRET_KEY": "must be set: links to the hosted page are signed with it"})
    return URLSafeSerializer(secret_key, salt=f"creditgate.portal.{purpose.value}")
