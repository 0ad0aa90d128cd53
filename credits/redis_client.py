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
