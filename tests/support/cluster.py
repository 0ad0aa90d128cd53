"""A Redis Cluster of three Valkey servers of the test run's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.cluster import RedisCluster

from tests.support.processes import PATIENCE_S, free_port, wait_until
from tests.support.valkey import ValkeyServer

SLOTS = 16_384


class ValkeyCluster:
    """Masters with a third of the slots each; with `replicas`, one replica of the first of them."""

    def __init__(self, folder: Path, *, replicas: int = 0, node_timeout_ms: int = 3_000) -> None:
        self._bus_ports: list[int] = []
        self.masters = [self._node(folder / f"master {number}", node_timeout_ms) for number in range(3)]
        self.replicas = [self._node(folder / f"replica {number}", node_timeout_ms) for number in range(replicas)]

    @property
    def nodes(self) -> list[ValkeyServer]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "rediscluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.masters)

    def start(self) -> None:
        """Start the servers, and wait until every slot is served and every node knows it."""
        for server in self.nodes:
            server.start()
        first = self.masters[0]
        for number, server in enumerate(self.masters):
            begin, end = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            ask(server, "CLUSTER", "ADDSLOTSRANGE", begin, end)
            ask(server, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.nodes[1:]:
            ask(server, "CLUSTER", "MEET", "127.0.0.1", first.port, self._bus_ports[0])
        wait_until(lambda: all(self._knows_all(server) for server in self.nodes), what="the cluster meets")
        name = ask(first, "CLUSTER", "MYID")
        for server in self.replicas:
            ask(server, "CLUSTER", "REPLICATE", name)
        wait_until(lambda: all(map(_is_in_step, self.replicas)), what="the replicas have everything")
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Wait until every slot is served, and every master knows it."""
        wait_until(lambda: all(_is_ok(server) for server in self.masters), what="the cluster is up")

    def stop(self) -> None:
        """Stop in order."""
        for server in self.nodes:
            server.stop()

    def empty(self) -> None:
        """Delete every key and every library."""
        for server in self.masters:
            server.empty()

    def of_slot(self, slot: int) -> ValkeyServer:
        """The master that had a slot in the beginning."""
        return self.masters[min(2, slot * 3 // SLOTS)]

    def _node(self, folder: Path, node_timeout_ms: int) -> ValkeyServer:
        # A cluster's nodes talk on a second port, which would be the first one plus 10,000: not a free one, perhaps.
        bus = free_port()
        options = (
            *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
            *("--cluster-node-timeout", str(node_timeout_ms), "--cluster-require-full-coverage", "no"),
            *("--repl-diskless-sync-delay", "0"),
        )
        self._bus_ports.append(bus)
        return ValkeyServer(folder, options=options)

    def _knows_all(self, server: ValkeyServer) -> bool:
        nodes = str(ask(server, "CLUSTER", "NODES")).splitlines()
        return len(nodes) == len(self.nodes) and not any("handshake" in line or "noaddr" in line for line in nodes)


def _is_in_step(replica: ValkeyServer) -> bool:
    return "master_link_status:up" in str(ask(replica, "INFO", "replication"))


def _is_ok(server: ValkeyServer) -> bool:
    info = str(ask(server, "CLUSTER", "INFO"))
    return "cluster_state:ok" in info and f"cluster_slots_ok:{SLOTS}" in info


def ask(server: ValkeyServer, *command: str | int) -> Any:
    """One command, to one of the servers, and its answer as it is."""
    with redis.Redis(port=server.port, decode_responses=True, socket_timeout=PATIENCE_S) as client:
        # Without its callbacks: answers as they are.
        client.response_callbacks.clear()
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


def servers_of(client: Any) -> list[redis.Redis]:
    """Every server that takes writes, of redis-py's own client."""
    if not isinstance(client, RedisCluster):
        return [client]
    return [client.get_redis_connection(node) for node in client.get_primaries()]  # type: ignore[no-untyped-call]


def server_of(client: Any, key: str) -> redis.Redis:
    """The server that has a key, of redis-py's own client."""
    if not isinstance(client, RedisCluster):
        return client  # type: ignore[no-any-return]
    found: redis.Redis = client.get_redis_connection(client.get_node_from_key(key))
    return found


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """redis-py's own client of a server or a cluster, to look into it and to harm it."""
    if not url.startswith("rediscluster://"):
        with redis.Redis.from_url(url, decode_responses=True, protocol=2, socket_timeout=PATIENCE_S) as client:
            yield client
        return
    host, _, port = url.removeprefix("rediscluster://").split(",")[0].rpartition(":")
    cluster = RedisCluster(host, int(port), decode_responses=True, protocol=2, require_full_coverage=False)
    try:
        yield cluster
    finally:
        cluster.close()
