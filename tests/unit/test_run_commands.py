"""The command lines of the services, and when a production start is refused."""

from pathlib import Path

import pytest

from credits.config.settings import load_settings
from credits.errors import ConfigError
from credits.ops.cli.run import refuse_without_secrets
from credits.ops.commands import receiver_argv, supervised, worker_argv


def test_a_worker_talks_to_nobody_but_its_broker_and_serves_every_queue_unless_told() -> None:
    argv = worker_argv(concurrency=3)

    assert {"--without-gossip", "--without-mingle"} <= set(argv)
    assert argv[argv.index("--concurrency") + 1] == "3"
    assert "--queues" not in argv


def test_a_worker_serves_the_queues_it_is_told() -> None:
    argv = worker_argv(concurrency=1, queues=["events", "sweeps"])

    assert argv[argv.index("--queues") + 1] == "events,sweeps"


@pytest.mark.parametrize(("host", "bound"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_the_receiver_binds_old_and_new_addresses(host: str, bound: str) -> None:
    argv = receiver_argv(host=host, port=80, processes=1, threads=2, patience_s=3)

    assert argv[argv.index("--bind") + 1] == bound


def test_a_supervised_command_comes_after_the_two_dashes() -> None:
    argv = supervised(["celery", "worker"], name="worker", run_folder="/run", options=["--lifeline"])

    assert argv[argv.index("--") + 1 :] == ["celery", "worker"]
    assert argv.index("--lifeline") < argv.index("--")


@pytest.mark.parametrize("env", [{}, {"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_x"}, {"STRIPE_WEBHOOK_SECRETS": " , "}])
def test_a_live_receiver_without_a_live_secret_is_refused_and_names_the_variable(env: dict[str, str]) -> None:
    settings = load_settings({"CREDITGATE_TENANT": "live", **env}, Path("/nowhere"))

    with pytest.raises(ConfigError, match="STRIPE_WEBHOOK_SECRETS"):
        refuse_without_secrets(settings)


@pytest.mark.parametrize(
    "env",
    [
        {"CREDITGATE_TENANT": "sandbox"},
        {"CREDITGATE_TENANT": "live", "LEMONSQUEEZY_WEBHOOK_SECRETS": "something"},
    ],
)
def test_a_sandbox_receiver_and_one_with_a_secret_start(env: dict[str, str]) -> None:
    refuse_without_secrets(load_settings(env, Path("/nowhere")))
