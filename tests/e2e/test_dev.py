"""`credits dev` for real: it comes up, heals itself, finds its data again, and never leaves a process behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from credits.ops.dev.environment import API_KEY
from credits.ops.supervise.group import is_alive
from tests.support.dev import COMMAND, DevRun, clean_environment, dev_run
from tests.support.processes import PATIENCE_S, free_port, wait_until


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevRun]:
    """One run for the tests that leave it as they found it."""
    with dev_run(tmp_path_factory.mktemp("shared")) as run:
        yield run


def test_it_comes_up_with_addresses_a_key_and_a_private_file_of_secrets(run: DevRun) -> None:
    environment = run.environment

    assert run.answers()
    assert f"{run.url}/webhooks/stripe" in run.output
    assert environment[API_KEY] in run.output
    assert (run.folder / ".creditgate/dev.env").stat().st_mode & 0o777 == 0o600
    assert environment["CREDITGATE_TENANT"] == "sandbox"
    assert (run.folder / "credits.toml").exists()


def test_it_prints_no_secret_but_the_api_key(run: DevRun) -> None:
    secrets = {name: value for name, value in run.environment.items() if name.endswith("_SECRETS")}
    secrets["the secret key"] = run.environment["CREDITGATE_SECRET_KEY"]
    secrets["the password of Redis"] = run.environment["CREDITGATE_REDIS_URL"].split("@")[0].rpartition(":")[2]

    printed = [name for name, value in secrets.items() if value in run.output]
    command_lines = " ".join(run.processes().values())
    on_command_lines = [name for name, value in secrets.items() if value in command_lines]

    assert printed == []
    assert on_command_lines == []


def test_a_second_start_in_the_same_folder_is_refused_and_names_the_first(run: DevRun) -> None:
    second = _try_to_start(run.folder, "--port", "1")

    assert second.returncode == 1
    assert str(run.process.pid) in second.stderr
    assert run.url in second.stderr
    assert run.answers()


def test_a_taken_port_is_refused_and_names_the_option(run: DevRun, tmp_path: Path) -> None:
    second = _try_to_start(tmp_path, "--port", str(run.port))

    assert second.returncode == 1
    assert f"port {run.port}" in second.stderr
    assert "--port" in second.stderr


def test_a_wrong_credits_toml_is_told_at_once_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "credits.toml").write_text('[credit_types.gold]\nname = "Gold"\ncurrency = "gold"\n')

    started = _try_to_start(tmp_path, "--port", str(free_port()))

    assert started.returncode == 1
    assert "credit_types.gold.currency" in started.stderr
    assert "credits config check" in started.stderr
    assert "Traceback" not in started.stdout + started.stderr


def test_a_killed_worker_is_started_again(run: DevRun) -> None:
    old = run.leader("worker")

    os.kill(old, signal.SIGKILL)

    wait_until(lambda: run.restarted("worker", old_leader=old), what="the worker is back")
    run.buy("after-the-worker", 30)
    wait_until(lambda: run.balance("after-the-worker") == 30, what="the new worker works")


def test_a_killed_redis_is_started_again_with_its_data_and_the_worker_works_on(run: DevRun) -> None:
    with run.redis() as client:
        client.set("kept", "yes")
    old = run.leader("redis")

    run.kill_service("redis")

    wait_until(lambda: run.restarted("redis", old_leader=old), what="Redis is back")
    run.buy("after-redis", 40)
    wait_until(lambda: run.balance("after-redis") == 40, what="a worker works again")
    with run.redis() as client:
        assert client.get("kept") == b"yes"


def test_a_killed_supervisor_is_replaced_and_its_service_with_it(run: DevRun) -> None:
    old = run.leader("beat")
    supervisor = next(pid for pid, line in run.processes().items() if "--name beat" in line)

    os.kill(supervisor, signal.SIGKILL)

    wait_until(lambda: run.restarted("beat", old_leader=old), what="beat is back")
    assert old not in run.processes()


def test_a_stopped_run_leaves_no_process_and_the_next_finds_its_data(tmp_path: Path) -> None:
    with dev_run(tmp_path) as first:
        environment = first.environment
        first.buy("user_1", 50)
        wait_until(lambda: first.balance("user_1") == 50, what="the payment is credited")
        assert (first.stop(signal.SIGINT), first.processes()) == (0, {})

    with dev_run(tmp_path) as second:
        assert second.balance("user_1") == 50
        assert environment[API_KEY] in second.output
        # Each run of this test has ports of its own.
        moved = ("CREDITGATE_BASE_URL", "CREDITGATE_URL", "_API_BASE")
        kept = {name: value for name, value in environment.items() if not name.endswith(moved)}
        assert second.environment | kept == second.environment
        assert (second.stop(signal.SIGTERM), second.processes()) == (0, {})


@pytest.mark.proof
def test_a_killed_run_leaves_no_process_and_the_next_starts_at_once(tmp_path: Path) -> None:
    with dev_run(tmp_path) as run:
        run.process.kill()
        run.process.wait()
        run.wait_until_gone()

    with dev_run(tmp_path) as second:
        assert second.answers()


@pytest.mark.proof
def test_what_outlived_its_supervisor_too_is_ended_by_the_next_start(tmp_path: Path) -> None:
    with dev_run(tmp_path) as run:
        supervisors = [pid for pid, line in run.processes().items() if "credits.ops.supervise" in line]
        # Stopped first: one that saw another end would end its service, or start it again.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (run.process.pid, *supervisors):
                os.kill(pid, number)
        record = tmp_path / ".creditgate/run/redis.pid"
        old = run.leader("redis")
        assert is_alive(record)

        with dev_run(tmp_path) as second:
            assert second.leader("redis") != old
            assert second.environment["CREDITGATE_REDIS_URL"] == run.environment["CREDITGATE_REDIS_URL"]


def _try_to_start(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "dev", *options],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
