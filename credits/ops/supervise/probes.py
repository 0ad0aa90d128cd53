"""Signs of life: each probe answers whether its program has just shown that it works."""

import http.client
import socket
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import redis

from credits.config.redis_urls import ClusterUrl, is_cluster, read_cluster_url

HEARTBEAT_VARIABLE: Final = "CREDITGATE_HEARTBEAT_FILE"
"""Tells a worker or beat which file to touch as long as it works."""

ANSWER_WITHIN_S: Final = 2.0


class Probe(Protocol):
    """One way to tell that a program works."""

    def shows_life(self) -> bool:
        """Whether the program shows life now, or has since the last question. Takes 2 s at most; never raises."""


class HeartbeatProbe:
    """Life is a file that was touched since the last look. Compared by change, so that no clock has to be right."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last_ns = self._touched_ns()

    def shows_life(self) -> bool:
        touched_ns = self._touched_ns()
        changed = touched_ns != self._last_ns
        self._last_ns = touched_ns
        return changed

    def _touched_ns(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            return 0


class HttpProbe:
    """Life is any answer below 500 to GET `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._path = parts.path or "/"

    def shows_life(self) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", self._path)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class RedisProbe:
    """Life is an answer to PING."""

    def __init__(self, url: str) -> None:
        self._url = url

    def shows_life(self) -> bool:
        return server_answers(self._url)


def server_answers(url: str) -> bool:
    """Whether the server at `url` takes requests: PING for Redis, a TCP connection for anything else (RabbitMQ)."""
    if is_cluster(url):
        return any(_redis_answers(one) for one in _nodes_of(read_cluster_url(url)))
    parts = urlsplit(url)
    if parts.scheme in {"redis", "rediss", "unix"}:
        return _redis_answers(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5672), timeout=ANSWER_WITHIN_S).close()
    except OSError:
        return False
    return True


def _nodes_of(cluster: ClusterUrl) -> list[str]:
    scheme = "rediss" if cluster.is_tls else "redis"
    who = f"{quote(cluster.username or '')}:{quote(cluster.password or '')}@" if cluster.password else ""
    return [f"{scheme}://{who}{host}:{port}/0" for host, port in cluster.nodes]


def _redis_answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S, socket_connect_timeout=1, retry=None)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
