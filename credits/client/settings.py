"""Where the server is, how to show who we are, and how long to wait: checked when a client is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from credits.errors import ConfigError, InvalidInputError

URL_VARIABLE: Final = "CREDITGATE_URL"
KEY_VARIABLE: Final = "CREDITGATE_API_KEY"

DEFAULT_TIMEOUT_S: Final = 15.0
"""For one try. Longer than a commit waits for a ledger that hangs, so that its answer is heard."""

DEFAULT_PATIENCE_S: Final = 30.0
"""For one call with all its tries."""

CONNECT_TIMEOUT_S: Final = 2.0
"""An address that is not there any more must not use up the patience of a call."""

PASS_TTL_S: Final = 900
"""How long a link or token lasts if nothing else is said: as in the library."""

MAX_CONNECTIONS: Final = 20
"""Calls beyond that wait for their turn. More connections would not be served sooner by a server of a few threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What both clients are made from."""

    url: str
    api_key: str = field(repr=False)
    timeout_s: float
    patience_s: float
    max_connections: int


def client_settings(
    url: str | None,
    api_key: str | None,
    *,
    timeout_s: float,
    patience_s: float,
    max_connections: int,
    env: Mapping[str, str] | None = None,
) -> ClientSettings:
    """
    The settings of a client; what is not given is taken from CREDITGATE_URL and CREDITGATE_API_KEY.

    Raises ConfigError that lists what is missing or wrong.
    """
    environment = os.environ if env is None else env
    address = (url or environment.get(URL_VARIABLE, "")).strip().rstrip("/")
    key = (api_key or environment.get(KEY_VARIABLE, "")).strip()
    problems = {}
    if not address:
        problems[URL_VARIABLE] = "must be the address of the server, such as https://credits.example.com"
    elif not _is_address(address):
        problems[URL_VARIABLE] = f"must begin with http:// or https:// and name a host, got {address[:80]!r}"
    if not key:
        problems[KEY_VARIABLE] = "must be an API key; `credits keys create` makes one"
    elif not (key.isascii() and key.isprintable()) or " " in key:
        problems[KEY_VARIABLE] = "must be one API key, without spaces or other characters around it"
    if problems:
        raise ConfigError(problems)
    return ClientSettings(
        url=address,
        api_key=key,
        timeout_s=_positive(timeout_s, "timeout_s"),
        patience_s=_positive(patience_s, "patience_s"),
        max_connections=max_connections,
    )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # `port` is checked when it is read.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return False


def _positive(value: float, field_name: str) -> float:
    if not value > 0:
        raise InvalidInputError(field_name, f"must be a number of seconds above 0, got {value!r}")
    return value
