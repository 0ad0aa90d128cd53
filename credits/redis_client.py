"""Connections to Redis, with timeouts chosen so that nobody ever hangs on it."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from credits.errors import ConfigError


def open_redis(url: str, *, max_connections: int = 64) -> redis.Redis:
    """
    A client for `url`. Connects on first use.

    Its own retries are off: a call that timed out may have run, and only the caller knows the name under which it may
    be repeated.
    """
    client: redis.Redis = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=1,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
        protocol=2,
    )
    return client


def hurried(client: redis.Redis, *, patience_s: float) -> redis.Redis:
    """The same server for work that somebody else repeats: whoever does it waits no longer than `patience_s`."""
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        # A cluster's client, which keeps a pool for each node.
        return client
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
        return check_server(client)
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
