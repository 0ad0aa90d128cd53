"""Addresses of servers are checked before anything connects, and what is wrong is told without their passwords."""

from pathlib import Path

import pytest

from credits.config.settings import load_settings
from credits.errors import ConfigError

WRONG = [
    ("CREDITGATE_REDIS_URL", "http://:hunter2@cache:6379", "must begin with redis://"),
    ("CREDITGATE_REDIS_URL", "hunter2", "must begin with redis://"),
    ("CREDITGATE_REDIS_URL", "redis://:hunter2@cache:99999/0", "a port from 1 to 65535"),
    ("CREDITGATE_REDIS_URL", "redis://:hunter2@cache:port/0", "a port from 1 to 65535"),
    ("CREDITGATE_DATABASE_URL", "mysql://app:hunter2@db/credits", "must be such as postgresql://"),
    ("CREDITGATE_DATABASE_URL", "hunter2", "must be such as postgresql://"),
    ("CREDITGATE_DATABASE_URL", "postgresql://app:hunter2@db:port/credits", "must be such as postgresql://"),
    ("CREDITGATE_BASE_URL", "credits.example.com", "must begin with https:// or http://"),
]


@pytest.mark.parametrize(("name", "address", "sentence"), WRONG)
def test_an_address_that_is_none_is_named_by_its_variable_without_its_password(
    name: str, address: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings({name: address}, Path())

    assert name in str(refused.value)
    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("CREDITGATE_REDIS_URL", "rediss://user:pw@cache/1?socket_timeout=2"),
        ("CREDITGATE_REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("CREDITGATE_DATABASE_URL", "postgres://app:pw@db/credits"),
        ("CREDITGATE_DATABASE_URL", "postgresql+psycopg://db/credits?sslmode=require"),
        ("CREDITGATE_DATABASE_URL", "sqlite:////var/lib/creditgate.sqlite3"),
    ],
)
def test_an_address_that_is_one_is_taken(name: str, address: str) -> None:
    load_settings({name: address}, Path())
