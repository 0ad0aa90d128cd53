"""Connections to Redis, one server or a cluster, with timeouts chosen so that nobody ever hangs on it."""

from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from credits.config.redis_urls import is_cluster, read_cluster_url
from credits.errors import ConfigError
from credits.redis_cluster import ClusterClient

PATIENCE_S: Final = 1.0
"""How long one call waits for an answer, and as long again for a connection."""

RedisClient = redis.Redis | ClusterClient
"""One server, or a cluster of them."""


def open_redis(url: str, *, max_connections: int = 64) -> RedisClient:
    """
    A client for `url`: `redis://`, `rediss://`, `unix://`, or `rediscluster://` for a cluster. Connects on first use.

    Its own retries are off: a call that timed out may have run, and only the caller knows the name under which it may
    be repeated.
    """
    if is_cluster(url):
        return ClusterClient(read_cluster_url(url), max_connections=max_connections)
    client: redis.Redis = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
        protocol=2,
    )
    return client


def masters_of(client: RedisClient) -> list[redis.Redis]:
    """Every server that takes writes."""
    return client.masters() if isinstance(client, ClusterClient) else [client]


def node_of(client: RedisClient, key: str) -> redis.Redis:
    """The server that has `key`."""
    return client.node_of(key) if isinstance(client, ClusterClient) else client


def run_many(client: RedisClient, commands: Sequence[tuple[str, Sequence[str | int]]]) -> list[Any]:
    """
    Run independent commands, each given with its key, in one round trip per server; answers each one's answer or error.

    Raises where no server answers. If some of a cluster's do, what the others did not answer is their error.
    """
    if not isinstance(client, ClusterClient):
        return _run_there(client, [command for _, command in commands])
    of_node: dict[str, list[int]] = {}
    for number, (key, _) in enumerate(commands):
        of_node.setdefault(client.name_of(key), []).append(number)
    answers: list[Any] = [None] * len(commands)
    failures: list[redis.RedisError | OSError] = []
    for numbers in of_node.values():
        there = [commands[number] for number in numbers]
        try:
            found = _run_there(client.node_of(there[0][0]), [command for _, command in there])
        except (redis.RedisError, OSError) as error:
            failures.append(error)
            found = [error] * len(there)
        for number, answer in zip(numbers, found, strict=True):
            answers[number] = answer
    if failures:
        client.refresh()
    if len(failures) == len(of_node) and failures:
        raise failures[0]
    return [_followed(client, command, answer) for (_, command), answer in zip(commands, answers, strict=True)]


def _run_there(server: redis.Redis, commands: Sequence[Sequence[str | int]]) -> list[Any]:
    pipeline = server.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute(raise_on_error=False)


def _followed(client: ClusterClient, command: Sequence[str | int], answer: Any) -> Any:
    """The answer of the node that a slot has moved to: the one that was asked has not run the command."""
    if not isinstance(answer, redis.exceptions.AskError):
        return answer
    try:
        return client.execute_command(*command)
    except (redis.RedisError, OSError) as error:
        return error


def hurried(client: RedisClient, *, patience_s: float) -> RedisClient:
    """The same server for work that somebody else repeats: whoever does it waits no longer than `patience_s`."""
    if isinstance(client, ClusterClient):
        return client.hurried(patience_s)
    pool = client.connection_pool
    options = {**pool.connection_kwargs, "socket_timeout": patience_s, "socket_connect_timeout": patience_s}
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class, max_connections=pool.max_connections, **options
        )
    )


def warnings_of(url: str) -> list[str]:
    """
    As `check_server`, for the Redis at `url`; none if it cannot be asked: it may be up a moment later.

    Raises ConfigError if it may evict keys.
    """
    client = open_redis(url, max_connections=1)
    try:
        return list(dict.fromkeys(warning for server in masters_of(client) for warning in check_server(server)))
    except (redis.RedisError, OSError):
        return []
    finally:
        client.close()


def check_server(client: redis.Redis) -> list[str]:
    """
    Warnings about how this Redis keeps its data.

    Raises ConfigError if it may evict keys: a gate whose holds can vanish at any moment is none.
    """
    policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise ConfigError(
            {"CREDITGATE_REDIS_URL": f"this Redis evicts keys (maxmemory-policy {policy}); set it to noeviction"}
        )
    if client.config_get("appendonly").get("appendonly") != "yes" and not client.config_get("save").get("save"):
        return ["this Redis keeps nothing on disk: a restart forgets open holds and commits that are not settled"]
    return []
