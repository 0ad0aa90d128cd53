"""Commands about the gate: holds, balance, deduct, can-deduct, audit."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from credits.audit_log import audit_log
from credits.db import snapshot, transaction
from credits.engine import Credits
from credits.ops.cli.app import build
from tests.conftest import CONFIG_FILE
from tests.support.library import TYPE, Shop, figures
from tests.support.valkey import ValkeyServer


@pytest.fixture
def library(shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Credits:
    """An installation for the command, in a folder without settings of its own; user_1 has 100, of which 30 held."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_REDIS_URL": shop.redis_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
    }.items():
        monkeypatch.setenv(name, value)
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=30, reservation_id="job 1", ttl_s=600)
    return library


def credits_command(*arguments: str) -> Result:
    return CliRunner().invoke(build({}), list(arguments))


def as_json(*arguments: str) -> Any:
    return json.loads(credits_command(*arguments, "--json").stdout)


def test_a_balance_shows_what_is_held_pending_and_available(library: Credits) -> None:
    library.spend("user_1", image_generation=5, key="s", durability="redis")

    shown = as_json("balance", "user_1")

    assert shown == {
        "account": "user_1",
        "balances": {TYPE: {"balance": 100, "held": 30, "pending": 5, "available": 65, "debt": 0}},
    }


@pytest.mark.usefixtures("impatient")
def test_without_redis_a_balance_is_the_ledgers_and_a_note_says_so(
    library: Credits, valkey_server: ValkeyServer
) -> None:
    valkey_server.freeze()
    try:
        result = credits_command("balance", "user_1", "--json")
    finally:
        valkey_server.thaw()

    assert json.loads(result.stdout)["balances"][TYPE]["balance"] == 100
    assert "the ledger's figures" in result.stderr


def test_open_holds_are_listed(library: Credits) -> None:
    (hold,) = as_json("holds", "user_1")["items"]
    table = credits_command("holds", "user_1").stdout

    assert (hold["reservation_id"], hold["state"], hold["items"], hold["commits"]) == ("job 1", "held", {TYPE: 30}, 0)
    assert "30 image_generation" in table


def test_a_deduction_goes_through_the_gate_and_into_the_audit_log(library: Credits, shop: Shop) -> None:
    options = ("--reason", "rendered by hand", "--key", "k", "--by", "ada")

    rehearsed = as_json("deduct", "user_1", TYPE, "20", *options, "--dry-run")
    posted = as_json("deduct", "user_1", TYPE, "20", *options)
    again = as_json("deduct", "user_1", TYPE, "20", *options)

    assert (rehearsed["balance_after"], rehearsed["dry_run"]) == (80, True)
    assert (posted["balance_after"], posted["seq"], posted["replayed"]) == (80, 2, False)
    assert again["replayed"]
    assert figures(library, "user_1") == (80, 30, 0, 50, 0)
    with snapshot(shop.engine) as connection:
        actions = list(connection.execute(audit_log.select().with_only_columns(audit_log.c.action)).scalars())
    assert actions == ["ledger.deduct"]


def test_a_deduction_that_cannot_be_paid_is_refused_in_rehearsal_too(library: Credits) -> None:
    options = ("--reason", "x", "--key", "k")

    results = [credits_command("deduct", "user_1", TYPE, "71", *options, *dry_run) for dry_run in ((), ("--dry-run",))]

    assert [str(result.exception) for result in results] == ["image_generation: 71 needed, 70 available"] * 2


def test_credits_granted_by_the_command_can_be_spent_at_once(library: Credits) -> None:
    credits_command("grant", "user_1", TYPE, "50", "--reason", "sorry", "--key", "g")

    library.reserve("user_1", image_generation=120)

    assert figures(library, "user_1") == (150, 150, 0, 0, 0)


def test_can_deduct_answers_by_its_exit_status(library: Credits) -> None:
    assert credits_command("can-deduct", "user_1", TYPE, "70").exit_code == 0
    assert credits_command("can-deduct", "user_1", TYPE, "71").exit_code == 1


def test_the_audit_exits_with_1_if_anything_disagrees(library: Credits, shop: Shop) -> None:
    healthy = credits_command("audit")
    with transaction(shop.engine) as connection:
        connection.execute(text("UPDATE balances SET balance = balance + 1"))

    broken = credits_command("audit", "--json")

    assert (healthy.exit_code, broken.exit_code) == (0, 1)
    assert "Everything agrees." in healthy.stdout
    assert {"balance_sum", "gate_ledger"} <= {finding["code"] for finding in json.loads(broken.stdout)["findings"]}


def test_the_audit_exits_with_3_if_redis_does_not_answer(library: Credits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_REDIS_URL", "redis://127.0.0.1:1/0")

    result = credits_command("audit")

    assert result.exit_code == 3
    assert "the gate was not audited" in result.stdout
