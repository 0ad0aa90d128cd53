"""Makes links to the hosted page and tokens for the web components: an app's server asks for them."""

import re
import secrets
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlsplit

from babel import Locale, UnknownLocaleError

from credits.config.settings import Tenant
from credits.errors import InvalidInputError
from credits.ids import checked_email, checked_id
from credits.passes.seals import MAX_ORIGINS, Purpose, Visitor, seal

DEFAULT_TTL_S: Final = 900
MIN_TTL_S: Final = 60
MAX_TTL_S: Final = 86_400
MAX_URL_LENGTH: Final = 1_000

SESSION_S: Final = 3_600

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?", re.ASCII)


def portal_link(
    *,
    tenant: Tenant,
    account: str,
    secret_key: str,
    base_url: str,
    now_ms: int,
    ttl_s: int = DEFAULT_TTL_S,
    return_url: str | None = None,
    locale: str | None = None,
    email: str | None = None,
) -> tuple[str, int]:
    """
    A URL that opens the page of `account` and of no other, and until when it does.

    Raises InvalidInputError that names the field, ConfigError if there is no key to sign with.
    """
    visitor = Visitor(
        tenant=tenant,
        account=checked_id(account, "account"),
        expires_at_ms=now_ms + checked_ttl_s(ttl_s) * 1000,
        nonce=secrets.token_urlsafe(9),
        return_url=None if return_url is None else checked_return_url(return_url),
        locale=None if locale is None else checked_locale(locale),
        email=None if email is None else checked_email(email),
    )
    return f"{base_url}/portal/enter?link={quote(seal(Purpose.LINK, visitor, secret_key))}", visitor.expires_at_ms


def embed_token(
    *,
    tenant: Tenant,
    account: str,
    secret_key: str,
    now_ms: int,
    origins: Sequence[str],
    ttl_s: int = DEFAULT_TTL_S,
    locale: str | None = None,
    email: str | None = None,
) -> tuple[str, int]:
    """
    A token for the web components on pages of these origins, and until when it is good.

    It reads the account's balances and opens checkouts for it, and does nothing else. Errors as `portal_link`.
    """
    if not 1 <= len(origins) <= MAX_ORIGINS:
        raise InvalidInputError("origins", f"must name 1 to {MAX_ORIGINS} origins, such as https://app.example.com")
    visitor = Visitor(
        tenant=tenant,
        account=checked_id(account, "account"),
        expires_at_ms=now_ms + checked_ttl_s(ttl_s) * 1000,
        nonce=secrets.token_urlsafe(9),
        locale=None if locale is None else checked_locale(locale),
        email=None if email is None else checked_email(email),
        origins=tuple(checked_origin(origin) for origin in origins),
    )
    return seal(Purpose.EMBED, visitor, secret_key), visitor.expires_at_ms


def checked_ttl_s(value: object) -> int:
    """How long a link or token lasts. Raises InvalidInputError."""
    if type(value) is not int or not MIN_TTL_S <= value <= MAX_TTL_S:
        raise InvalidInputError("ttl_s", f"must be a whole number from {MIN_TTL_S} to {MAX_TTL_S}, got {value!r}")
    return value


def checked_return_url(url: str) -> str:
    """Where the page's link back leads. The app's server says it, so it is trusted; but it must be a web page."""
    parts = urlsplit(url) if len(url) <= MAX_URL_LENGTH and url.isprintable() else None
    if parts is None or parts.scheme not in {"https", "http"} or not parts.hostname or "\\" in url:
        raise InvalidInputError(
            "return_url", f"must be an http or https URL of at most {MAX_URL_LENGTH} characters, got {url[:60]!r}"
        )
    return url


def checked_origin(origin: object) -> str:
    """A scheme, a host and at most a port, as browsers write it in `Origin`. Raises InvalidInputError."""
    if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
        raise InvalidInputError("origins", f"must be origins such as https://app.example.com, got {str(origin)[:60]!r}")
    return origin.lower()


def checked_locale(text: object) -> str:
    """A locale that Babel knows, as `de` or `pt_BR`. Raises InvalidInputError."""
    try:
        return str(Locale.parse(str(text).replace("-", "_")[:20]))
    except (UnknownLocaleError, ValueError, TypeError):
        raise InvalidInputError("locale", f"must be a locale such as de or pt_BR, got {str(text)[:20]!r}") from None
