"""A client of a Redis Cluster: connects on first use, follows slots that move, and never repeats a call by itself."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisClusterException, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from credits.config.redis_urls import ClusterUrl

_TIMEOUT_S: Final = 1.0
_REDIRECTIONS: Final = 5
_KEY_AT: Final = {"FCALL": 3, "XREAD": 4}
"""Where a command's first key stands, of those that do not begin with it; of XREAD BLOCK ms STREAMS key id."""


class ClusterClient:
    """
    What the gate needs of a cluster. Safe to share between threads.

    MOVED and ASK are followed: the node that answers so has not run the call. A call that got no answer may have run;
    it is an error, the nodes are asked anew who has which slots, and only the caller may repeat it. A slot that nobody
    serves (its master is dead, and no replica took over yet) is an outage of that slot alone.
    """

    def __init__(self, url: ClusterUrl, *, max_connections: int, timeout_s: float = _TIMEOUT_S) -> None:
        self._url, self._max_connections, self._timeout_s = url, max_connections, timeout_s
        self._made: RedisCluster | None = None
        self._lock = threading.Lock()

    def execute_command(self, *command: str | int) -> Any:
        """
        Run a command where its first key is.

        redis-py would ask a node for the keys of a script before each call: a round trip, and an outage if it is away.
        """
        key = str(command[_KEY_AT.get(str(command[0]), 1)])
        with _outages():
            cluster = self._cluster()
            for _ in range(_REDIRECTIONS):
                node = _of_slot(cluster, key)
                try:
                    return cluster.get_redis_connection(node).execute_command(*command)  # type: ignore[no-untyped-call]
                except MovedError as moved:
                    cluster.nodes_manager.move_slot(moved)
                except AskError as asked:
                    return _ask(cluster, asked, command)
                except (RedisConnectionError, RedisTimeoutError):
                    self._look_again(cluster, str(node.name))
                    raise
            raise RedisConnectionError(f"the slot of {key} moves and moves")

    def node_of(self, key: str) -> redis.Redis:
        """The master that has `key`."""
        with _outages():
            cluster = self._cluster()
            node: redis.Redis = cluster.get_redis_connection(_of_slot(cluster, key))
            return node

    def name_of(self, key: str) -> str:
        """A name of the master that has `key`."""
        with _outages():
            return str(_of_slot(self._cluster(), key).name)

    def masters(self) -> list[redis.Redis]:
        """Every master, always in the same order."""
        with _outages():
            cluster = self._cluster()
            masters: list[ClusterNode] = cluster.get_primaries()  # type: ignore[no-untyped-call]
            found = sorted(masters, key=lambda node: str(node.name))
            return [cluster.get_redis_connection(node) for node in found]

    def refresh(self) -> None:
        """Ask the nodes who has which slots. Nothing happens if none of them answers."""
        with _outages():
            self._look_again(self._cluster(), None)

    def hurried(self, patience_s: float) -> "ClusterClient":
        """The same cluster, with less patience."""
        return ClusterClient(self._url, max_connections=self._max_connections, timeout_s=patience_s)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _look_again(self, cluster: RedisCluster, failed: str | None) -> None:
        # Who has failed to answer must not lose his error for another one.
        with suppress(RedisClusterException, redis.RedisError, OSError):
            cluster.nodes_manager.initialize(last_failed_node_name=failed)

    def _cluster(self) -> RedisCluster:
        with self._lock:
            if self._made is None:
                url = self._url
                self._made = RedisCluster(
                    startup_nodes=[ClusterNode(host, port) for host, port in url.nodes],  # type: ignore[no-untyped-call]
                    username=url.username,
                    password=url.password,
                    ssl=url.is_tls,
                    decode_responses=True,
                    socket_connect_timeout=self._timeout_s,
                    socket_timeout=self._timeout_s,
                    socket_keepalive=True,
                    retry=Retry(NoBackoff(), 0),
                    max_connections=self._max_connections,
                    require_full_coverage=False,
                    protocol=2,
                )
            return self._made


def _ask(cluster: RedisCluster, asked: AskError, command: Sequence[str | int]) -> Any:
    """While a slot moves, what is not here any more is there; the node there wants to be told that we know."""
    node = cluster.get_node(asked.host, asked.port)  # type: ignore[no-untyped-call]
    if node is None:
        raise RedisConnectionError(f"{asked.host}:{asked.port} is not known yet")
    pipeline = cluster.get_redis_connection(node).pipeline(transaction=False)
    pipeline.execute_command("ASKING")  # type: ignore[no-untyped-call]
    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute()[-1]


def _of_slot(cluster: RedisCluster, key: str) -> ClusterNode:
    node = cluster.nodes_manager.get_node_from_slot(cluster.keyslot(key))  # type: ignore[no-untyped-call]
    if not isinstance(node, ClusterNode):
        raise RedisConnectionError(f"no node of the cluster has the slot of {key}")
    return node


@contextmanager
def _outages() -> Iterator[None]:
    """What redis-py says of a cluster in several tongues is one thing to us: nobody answered."""
    try:
        yield
    except (RedisClusterException, ClusterDownError, TryAgainError) as error:
        raise RedisConnectionError(str(error)) from error
