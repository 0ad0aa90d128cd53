"""Where the servers are, as the environment says it. What is wrong is told without the address: a password is in it."""

from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from credits.config.redis_urls import CLUSTER_SCHEMES, is_cluster, read_cluster_url, scheme_of

_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "unix"}) | CLUSTER_SCHEMES
_NO_REDIS: Final = "must be such as redis://:password@host:6379/0, with a port from 1 to 65535"
_DATABASES: Final = frozenset({"postgresql", "postgres", "sqlite"})


def wrong_with_redis(url: str) -> str | None:
    """What keeps `url` from being a Redis's; None if nothing does."""
    if scheme_of(url) not in _REDIS_SCHEMES:
        return "must begin with redis://, rediss://, unix:// or, for a cluster, rediscluster://"
    if is_cluster(url):
        try:
            read_cluster_url(url)
        except ValueError as error:
            return str(error)
        return None
    try:
        return None if urlsplit(url).port != 0 else _NO_REDIS
    except ValueError:
        return _NO_REDIS


def wrong_with_database(url: str) -> str | None:
    """What keeps `url` from being a database's; None if nothing does."""
    try:
        is_known = make_url(url).get_backend_name() in _DATABASES
    # A port that is no number is a ValueError.
    except (ArgumentError, ValueError):
        is_known = False
    return None if is_known else "must be such as postgresql://user:password@host:5432/name or sqlite:////a/file"
