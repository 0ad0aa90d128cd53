"""docker-compose.yml says what it means: valid, pinned, healthy, private, and in the words of our own command."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from credits.config.settings import Settings, Tenant, load_settings
from credits.errors import ConfigError
from credits.ops.cli.app import build
from credits.ops.cli.run import refuse_without_secrets
from credits.ops.supervise.probes import HEARTBEAT_VARIABLE
from webhooks.providers import REGISTRY

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCUMENT: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ONE_SHOT = "migrate"

each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


class RecordingEnvironment(dict[str, str]):
    """Variables that remember which of them were asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_the_file_is_a_valid_compose_file() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_runs_receiver_worker_beat_and_migration_on_postgres_and_redis() -> None:
    assert set(SERVICES) == {"receiver", "worker", "beat", "migrate", "postgres", "redis"}


@each_service
def test_every_service_tells_its_health_or_runs_once_and_is_waited_for(name: str) -> None:
    if name == ONE_SHOT:
        waiting = [service["depends_on"].get(ONE_SHOT, {}) for other, service in OURS.items() if other != ONE_SHOT]
        assert [needs["condition"] for needs in waiting] == ["service_completed_successfully"] * 3
        return

    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(SERVICES[name]["healthcheck"])


@each_service
def test_every_service_is_started_again_when_it_fails(name: str) -> None:
    assert SERVICES[name]["restart"] == ("on-failure:5" if name == ONE_SHOT else "unless-stopped")


@each_service
def test_nothing_starts_before_the_servers_it_needs_are_healthy(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        assert how["condition"] == ("service_completed_successfully" if needed == ONE_SHOT else "service_healthy")


@each_service
def test_images_of_others_are_pinned_to_a_release(name: str) -> None:
    if name in OURS:
        assert SERVICES[name]["image"] == "creditgate:local"
        return

    assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+", SERVICES[name]["image"])


def test_the_servers_are_postgres_17_and_a_redis_7_that_keeps_what_it_holds() -> None:
    redis_command = " ".join(SERVICES["redis"]["command"])

    assert SERVICES["postgres"]["image"].startswith("postgres:17.")
    assert SERVICES["redis"]["image"].startswith("redis:7.")
    assert "--appendonly yes" in redis_command
    assert "--maxmemory-policy noeviction" in redis_command
    assert "requirepass" in redis_command


@each_of_ours
def test_the_command_is_one_that_our_program_understands(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    group = typer.main.get_group(build(REGISTRY))

    subcommand = group.get_command(group.make_context("credits", ["--help"], resilient_parsing=True), command)

    assert subcommand is not None
    # Raises for an option or a value that the command does not have.
    subcommand.make_context(command, arguments)


@each_of_ours
def test_every_variable_is_one_that_the_settings_read(name: str) -> None:
    variables = {key: _interpolated(value) for key, value in SERVICES[name]["environment"].items()}
    recording = RecordingEnvironment(variables)

    load_settings(recording, ROOT)

    secrets = {key for key in variables if key.endswith("_WEBHOOK_SECRETS")}
    assert set(variables) - secrets - {HEARTBEAT_VARIABLE} <= recording.asked
    assert {re.sub(r"(_TEST)?_WEBHOOK_SECRETS$", "", key).lower() for key in secrets} <= set(REGISTRY)


@each_of_ours
def test_the_settings_point_to_the_servers_of_the_file_with_their_passwords(name: str) -> None:
    given = {"POSTGRES_PASSWORD": "for-postgres", "REDIS_PASSWORD": "for-redis"}

    settings = _settings(name, given)

    assert settings.database_url == "postgresql://creditgate:for-postgres@postgres:5432/creditgate"
    assert settings.redis_url == "redis://:for-redis@redis:6379/0"
    assert _interpolated(SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"], given) == "for-postgres"
    assert _interpolated(SERVICES["redis"]["environment"]["REDIS_PASSWORD"], given) == "for-redis"


def test_the_defaults_are_a_sandbox_that_is_open_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert _settings("receiver").tenant is Tenant.SANDBOX
    assert all(port.startswith("127.0.0.1:") for port in published)
    refuse_without_secrets(_settings("receiver"))


def test_going_live_without_a_signing_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="STRIPE_WEBHOOK_SECRETS"):
        refuse_without_secrets(_settings("receiver", {"CREDITGATE_TENANT": "live"}))


@each_of_ours
def test_our_services_run_without_rights_they_do_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.search(r"^USER (?!root)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_the_health_check_looks_at_the_heartbeat_that_the_program_touches(name: str) -> None:
    file = SERVICES[name]["environment"][HEARTBEAT_VARIABLE]

    assert file in SERVICES[name]["healthcheck"]["test"][1]
    assert "--supervised" in SERVICES[name]["command"]


def test_the_image_is_built_from_files_that_are_there() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    for source in _copied(dockerfile):
        assert (ROOT / source).exists()
        assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def _settings(name: str, given: dict[str, str] | None = None) -> Settings:
    variables = SERVICES[name]["environment"].items()
    return load_settings({key: _interpolated(value, given) for key, value in variables}, ROOT)


def _interpolated(value: object, given: dict[str, str] | None = None) -> str:
    """`value` as Compose makes it of `${NAME:-default}`, with `given` in the environment."""

    def one(match: re.Match[str]) -> str:
        return (given or {}).get(match[1]) or match[2]

    return re.sub(r"\$\{(\w+):-([^}]*)\}", one, str(value))


def _copied(dockerfile: str) -> Iterator[str]:
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _target = line.split()
        yield from sources
