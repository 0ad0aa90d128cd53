"""What a start makes of the Redis it is given."""

from dataclasses import replace

import pytest
import redis

from credits.config.settings import Settings
from credits.errors import ConfigError
from credits.ops.cli.run import warn_about_redis


@pytest.fixture
def at_redis(settings: Settings, redis_url: str) -> Settings:
    return replace(settings, redis_url=redis_url)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_is_refused_with_what_to_change(at_redis: Settings, policy: str) -> None:
    with redis.Redis.from_url(at_redis.redis_url) as client:
        client.config_set("maxmemory-policy", policy)
        try:
            with pytest.raises(ConfigError, match=f"maxmemory-policy {policy}.*noeviction"):
                warn_about_redis(at_redis)
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_a_redis_without_persistence_is_warned_about(at_redis: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    warn_about_redis(at_redis)

    assert "keeps nothing on disk" in capsys.readouterr().err


def test_a_redis_that_does_not_answer_keeps_nobody_from_starting(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_about_redis(replace(settings, redis_url="redis://127.0.0.1:1/0"))

    assert capsys.readouterr().err == ""
