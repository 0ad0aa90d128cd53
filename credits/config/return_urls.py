"""Where a payer may be sent back to after a checkout: our own hosts, never anybody's. Pure."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

MAX_URL_LENGTH: Final = 1000

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Browsers read a backslash as a slash and drop tabs and line ends: what we read and what they read would differ.
_PLAIN: Final = re.compile(r"[!-\[\]^_`a-z{|}~]+", re.ASCII)


def return_url_fault(url: object, allowed_hosts: Iterable[str]) -> str | None:
    """
    Why nobody may be sent to `url`; None if it is fine: https (http on this machine alone), and an allowed host.

    A host `*.example.com` allows all below it; one with a port allows that port, one without allows the usual one.
    """
    if not isinstance(url, str) or not 1 <= len(url) <= MAX_URL_LENGTH:
        return f"must be an address of 1 to {MAX_URL_LENGTH} characters"
    if not _PLAIN.fullmatch(url):
        return "must have printable ASCII characters only, without spaces and backslashes"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be an address such as https://app.example.com/thanks"
    if parts.scheme not in {"https", "http"} or not host:
        return "must begin with https:// and a host"
    if "@" in parts.netloc:
        return "must have no user name before its host"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "must begin with https:// (http:// is for this machine alone)"
    allowed = tuple(allowed_hosts)
    if not any(_allows(pattern, host, port) for pattern in allowed):
        listed = ", ".join(allowed) or "none"
        return f"leads to {host[:80]}, and allowed_hosts of [checkout] in credits.toml are: {listed}"
    return None


def _allows(pattern: str, host: str, port: int | None) -> bool:
    name, _, wanted = pattern.partition(":")
    # A loopback host stands for a developer's own programs, on whatever port.
    if port is not None and str(port) != wanted and not (name in _LOOPBACK and not wanted):
        return False
    if port is None and wanted:
        return False
    return host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name
