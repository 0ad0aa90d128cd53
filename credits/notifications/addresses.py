"""
Where a destination may be: on the public internet, unless a network is allowed by name.

An app that lets people enter URLs and then calls them can be made to call its own metadata service (server-side
request forgery). So a host is resolved once, every address is checked, and the checked address is connected to.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from credits.errors import DestinationRefusedError
from credits.ids import checked_text
from credits.notifications.model import MAX_URL_LENGTH

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""Answers the addresses of a host, as text. Raises OSError if there are none."""

_PORTS: Final = frozenset({443, 8443})
_MAIL: Final = re.compile(r"mailto:[^@\s,;?%<>\"]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
# Ways to write an IPv4 address inside an IPv6 one; the packet may come out at that address.
_SIX_TO_FOUR: Final = ipaddress.ip_network("2002::/16")
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL with the address to connect to."""

    scheme: str
    host: str
    port: int
    address: str
    path: str


def checked_url(url: object, allowed: Sequence[Network]) -> str:
    """
    Return `url` if notifications may go there as far as its text tells; its addresses are checked at each delivery.

    `https://` on port 443 or 8443, without a user or fragment (`http://` and other ports only where networks are
    allowed), or `mailto:` with one address. Raises DestinationRefusedError.
    """
    text = checked_text(url, "url", max_length=MAX_URL_LENGTH)
    if text.startswith("mailto:"):
        if not _MAIL.fullmatch(text):
            raise DestinationRefusedError("must be one address, such as mailto:ops@example.com")
        return text
    host, port, scheme = _parts(text)
    if not allowed and (scheme != "https" or port not in _PORTS):
        raise DestinationRefusedError(
            "must be an https:// URL on port 443 or 8443 (others: name the network in CREDITGATE_NOTIFY_NETWORKS)"
        )
    literal = _literal(host)
    if literal is not None:
        _check_address(literal, allowed)
    return text


def target_of(url: str, allowed: Sequence[Network], resolve: Resolve | None = None) -> Target:
    """
    `url` with an address that may be connected to.

    Every address of the host has to be allowed: one that is not is no accident. Raises DestinationRefusedError, and
    OSError if the host has no address.
    """
    host, port, scheme = _parts(url)
    addresses = [ipaddress.ip_address(text) for text in (resolve or _resolve)(host, port)]
    if not addresses:
        raise OSError(f"{host} has no address")
    is_private = [_check_address(address, allowed) for address in addresses]
    if not all(is_private) and (scheme != "https" or port not in _PORTS):
        raise DestinationRefusedError("must be an https:// URL on port 443 or 8443 on a public address")
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=scheme, host=host, port=port, address=str(addresses[0]), path=path)


def networks(text: str) -> tuple[Network, ...]:
    """Networks by their CIDR names, separated by commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _parts(url: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DestinationRefusedError("is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DestinationRefusedError("must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise DestinationRefusedError("must not carry a user or password; the signature proves who sent it")
    if parts.fragment or any(char.isspace() or char == "\\" or not char.isprintable() for char in url):
        raise DestinationRefusedError("must have neither a fragment nor spaces, backslashes or control characters")
    return parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.scheme


def _literal(host: str) -> Address | None:
    """The address that a host is by itself, without asking anybody; None for a name."""
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        # Resolvers also take one number, fewer than four, octal and hexadecimal ones: 2130706433, 0x7f.1.
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A scope (`fe80::1%eth0`) belongs to link-local addresses alone, which are refused anyway.
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def _check_address(address: Address, allowed: Sequence[Network]) -> bool:
    """True if it is one of the allowed networks, False if it is public; raises DestinationRefusedError for the rest."""
    inner = _unwrapped(address)
    if any(inner in network for network in allowed if network.version == inner.version):
        return True
    if not inner.is_global or inner.is_multicast or inner.is_reserved:
        raise DestinationRefusedError(
            f"{address} is no public address; to allow it, name its network in CREDITGATE_NOTIFY_NETWORKS"
        )
    return False


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
