"""Commands about refunds: what one would do, and accounts that are blocked because of one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from credits.config.shortfall import Shortfall
from credits.ops.cli.app import build
from tests.conftest import CONFIG_FILE
from tests.support.pipeline import Pipeline
from tests.support.reversals import Till, till


@pytest.fixture
def bank(pipeline: Pipeline, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Till:
    """A till whose clawbacks block, in the installation that the command works on."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
    }.items():
        monkeypatch.setenv(name, value)
    return till(pipeline, shortfall=Shortfall.BLOCK)


def credits_command(*arguments: str) -> Result:
    return CliRunner().invoke(build({}), list(arguments))


def as_json(*arguments: str) -> Any:
    return json.loads(credits_command(*arguments, "--json").stdout)


def test_a_simulated_refund_shows_entries_and_balances_and_changes_nothing(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=80, key="s")
    arguments = ("simulate", "refund", "user_1", bank.payment_name(), "--refunded-minor", "500")

    shown, text = as_json(*arguments), credits_command(*arguments).stdout

    assert [(entry["kind"], entry["amount"]) for entry in shown["entries"]] == [("clawback", -20), ("clawback", -30)]
    assert shown["balances"] == {
        "image_generation": {"before": {"balance": 20, "debt": 0}, "after": {"balance": -30, "debt": 30}}
    }
    assert "image_generation: 20 -> -30, debt 0 -> 30" in text
    assert bank.history() == [("grant", 100), ("spend", -80)]


def test_a_refund_of_what_granted_the_account_nothing_is_refused_by_name(bank: Till) -> None:
    bank.paid()

    refused = credits_command("simulate", "refund", "user_2", bank.payment_name(), "--refunded-minor", "500")

    assert refused.exit_code == 1


def test_webhooks_are_simulated_as_before(bank: Till) -> None:
    listed = credits_command("simulate", "nobody", "purchase.paid")

    assert bank.account == "user_1"
    assert listed.exit_code == 1


def test_blocked_accounts_are_listed_and_unblocked_with_a_reason(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=80, key="s")
    bank.refunded(1000)

    (shown,) = as_json("accounts", "blocked")["blocked"]
    rehearsed = as_json("accounts", "unblock", "user_1", "--reason", "they paid by wire", "--dry-run")
    lifted = as_json("accounts", "unblock", "user_1", "--reason", "they paid by wire")

    assert (shown["account"], shown["credit_type"], shown["debt"]) == ("user_1", "image_generation", 80)
    assert rehearsed == {**lifted, "dry_run": True}
    assert as_json("accounts", "blocked") == {"blocked": []}
