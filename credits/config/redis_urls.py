"""URLs of a Redis Cluster: `rediscluster://[user:password@]host:port,host:port`, with TLS `redisscluster://…`."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

CLUSTER_SCHEMES: Final = frozenset({"rediscluster", "redisscluster"})
_DEFAULT_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUrl:
    """Where some nodes of a cluster are; they know the others."""

    nodes: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    is_tls: bool


def scheme_of(url: str) -> str:
    """What stands before `://`; empty if nothing does."""
    # Not urlsplit: some versions of Python 3.11 refuse an address in brackets that is not the first of a list.
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def is_cluster(url: str) -> bool:
    """Whether `url` is a cluster's."""
    return scheme_of(url) in CLUSTER_SCHEMES


def read_cluster_url(url: str) -> ClusterUrl:
    """Take a cluster's URL apart. Raises ValueError that says what is wrong with it."""
    rest, is_optioned, _ = url.partition("://")[2].partition("?")
    place, _, database = rest.partition("/")
    who, _, where = place.rpartition("@")
    user, _, password = who.partition(":")
    if database.strip("/") not in {"", "0"} or is_optioned:
        raise ValueError("a cluster has no database but 0, and its URL no options")
    return ClusterUrl(
        nodes=tuple(_node(text) for text in where.split(",")),
        username=unquote(user) or None,
        password=unquote(password) or None,
        is_tls=scheme_of(url) == "redisscluster",
    )


def _node(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, ":", str(_DEFAULT_PORT))
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no host:port; write rediscluster://host:port,host:port")
    return host.strip("[]"), int(port)
