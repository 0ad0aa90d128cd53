"""URLs of a Redis Cluster: `rediscluster://[user:password@]host:port,host:port`, with TLS `redisscluster://…`."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

CLUSTER_SCHEMES: Final = frozenset({"rediscluster", "redisscluster"})
_DEFAULT_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUrl:
    """Where some nodes of a cluster are; they know the others."""

    nodes: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    is_tls: bool


def is_cluster(url: str) -> bool:
    """Whether `url` is a cluster's."""
    return urlsplit(url).scheme in CLUSTER_SCHEMES


def read_cluster_url(url: str) -> ClusterUrl:
    """Take a cluster's URL apart. Raises ValueError that says what is wrong with it."""
    parts = urlsplit(url)
    who, _, where = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    if parts.path.strip("/") not in {"", "0"} or parts.query:
        raise ValueError("a cluster has no database but 0, and its URL no options")
    return ClusterUrl(
        nodes=tuple(_node(text) for text in where.split(",")),
        username=unquote(user) or None,
        password=unquote(password) or None,
        is_tls=parts.scheme == "redisscluster",
    )


def _node(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, ":", str(_DEFAULT_PORT))
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no host:port; write rediscluster://host:port,host:port")
    return host.strip("[]"), int(port)
