"""dev.env: what `credits dev` makes once, what follows each start, and what the user's own settings replace."""

from pathlib import Path

import pytest

from credits.config.settings import Tenant, load_settings, read_environment, secret_variable
from credits.ops.dev.environment import complete, given_environment, read_dev_env, without_written, write_dev_env
from webhooks.providers import REGISTRY

FOLDER = Path("/home/somebody/shop")
REDIS = "redis://:password@127.0.0.1:7001/0"


def completed(
    known: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    *,
    port: int = 8000,
    redis_url: str = REDIS,
    folder: Path = FOLDER,
) -> dict[str, str]:
    secrets = iter(f"secret{number}" for number in range(100))
    return complete(
        known or {},
        given=given or {},
        folder=folder,
        port=port,
        fakes_port=8001,
        redis_url=redis_url,
        new_secret=lambda: next(secrets),
    )


def test_the_first_start_makes_a_secret_for_each_provider_and_no_two_alike() -> None:
    values = completed()

    made = [values[secret_variable(name, Tenant.SANDBOX)] for name in REGISTRY]
    assert all(value.startswith("whsec_") for value in made)
    assert len({*made, values["CREDITGATE_SECRET_KEY"]}) == len(REGISTRY) + 1
    assert values["CREDITGATE_TENANT"] == "sandbox"


def test_secrets_are_kept_and_addresses_follow_the_start() -> None:
    first = completed() | {"CREDITGATE_API_KEY": "ck_test_x"}

    second = completed(first, port=9000, redis_url="redis://:password@127.0.0.1:7002/0")

    assert second["CREDITGATE_BASE_URL"] == "http://127.0.0.1:9000"
    assert second["CREDITGATE_REDIS_URL"].endswith(":7002/0")
    moving = {"CREDITGATE_BASE_URL", "CREDITGATE_URL", "CREDITGATE_REDIS_URL"}
    assert {name: second[name] for name in second if name not in moving} == {
        name: first[name] for name in first if name not in moving
    }


@pytest.mark.parametrize("name", ["REDIS_URL", "CREDITGATE_REDIS_URL"])
def test_a_redis_of_the_user_is_not_hidden_by_ours(name: str) -> None:
    values = completed(given={name: "redis://elsewhere"})

    assert "CREDITGATE_REDIS_URL" not in values
    assert "CREDITGATE_DATABASE_URL" in values


@pytest.mark.parametrize("name", ["DATABASE_URL", "CREDITGATE_DATABASE_URL"])
def test_a_database_of_the_user_is_not_hidden_by_ours(name: str) -> None:
    values = completed(given={name: "postgresql://elsewhere/shop"})

    assert "CREDITGATE_DATABASE_URL" not in values
    assert "CREDITGATE_REDIS_URL" in values


def test_a_shell_that_has_read_what_was_written_sets_nothing_by_that(tmp_path: Path) -> None:
    (tmp_path / ".creditgate").mkdir()
    write_dev_env(tmp_path, {"CREDITGATE_REDIS_URL": REDIS, "CREDITGATE_SECRET_KEY": "ours"})

    environ = {"CREDITGATE_REDIS_URL": REDIS, "CREDITGATE_SECRET_KEY": "theirs", "HOME": "/home/somebody"}

    assert without_written(environ, tmp_path) == {"CREDITGATE_SECRET_KEY": "theirs", "HOME": "/home/somebody"}


def test_the_environment_goes_before_dot_env_and_what_was_written_is_not_given(tmp_path: Path) -> None:
    (tmp_path / ".creditgate").mkdir()
    write_dev_env(tmp_path, {"CREDITGATE_SECRET_KEY": "ours"})
    (tmp_path / ".env").write_text("REDIS_URL=redis://from-file\nCREDITGATE_ALARM_AGE_S=7\n")

    given = given_environment({"REDIS_URL": "redis://from-environment", "EMPTY": ""}, tmp_path)

    assert given == {"REDIS_URL": "redis://from-environment", "CREDITGATE_ALARM_AGE_S": "7"}


def test_the_file_is_private_and_reads_back_what_was_written(tmp_path: Path) -> None:
    (tmp_path / ".creditgate").mkdir()
    folder = tmp_path / "it's a #folder with \\ in it"
    values = completed(folder=folder)

    write_dev_env(tmp_path, values)
    write_dev_env(tmp_path, values)

    assert read_dev_env(tmp_path) == values
    assert (tmp_path / ".creditgate/dev.env").stat().st_mode & 0o777 == 0o600


def test_settings_are_made_of_what_was_written(tmp_path: Path) -> None:
    (tmp_path / ".creditgate").mkdir()
    write_dev_env(tmp_path, completed(folder=tmp_path))

    settings = load_settings(read_environment({}, tmp_path), tmp_path)

    assert settings.tenant is Tenant.SANDBOX
    assert settings.redis_url == REDIS
    assert settings.database_url == f"sqlite:///{tmp_path}/.creditgate/creditgate.sqlite3"
    assert set(settings.webhook_secrets) == {"stripe", "lemonsqueezy", "paddle", "fake"}
