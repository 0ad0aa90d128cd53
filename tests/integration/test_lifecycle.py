"""`credits simulate lifecycle`: a whole subscription in a sandbox, the same each time, however badly it is told."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from credits.ops.cli.app import build
from credits.ops.cli.context import errors_as_sentences
from tests.support.library import TYPE
from webhooks.app import sandbox_app
from webhooks.providers import REGISTRY

REPOSITORY = Path(__file__).parents[2]
CONFIG_FILE = REPOSITORY / "tests" / "support" / "credits.toml"
PRO = ["pro", "--months", "3", "--seed", "7"]
CARRY = re.compile(r"carry:[0-9a-f]+")
REFUND = re.compile(r".*:(?:refund:[^:]+|refunded:[0-9]+):((?:claw|restore).*)")
RETURNED = re.compile(r"paddle:adj:[^:]+:(restore.*)")
LOT = re.compile(r"\b(expire|claw|restore|freeze|thaw):\d+")


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `credits simulate lifecycle` in a folder without an installation; answers (status, output, errors)."""
    monkeypatch.setenv("CREDITGATE_CONFIG", str(CONFIG_FILE))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status: Any = 0
        try:
            with errors_as_sentences():
                build(REGISTRY, sandbox_app)(["simulate", "lifecycle", *words])
        except SystemExit as left:
            status = left.code
        shown = capsys.readouterr()
        return int(status or 0), shown.out, shown.err

    return run


def facts(output: str) -> Counter[tuple[str, str]]:
    """
    What each fact led to in all, by credit type, whenever and in whatever order it was learnt.

    Lots are numbered as they come. What a refund takes is named by the event of it that was first; what lapses in two
    steps is carried on in two. That a chargeback is reversed two adjustments say, and the first of them gives it back.
    """
    found: Counter[tuple[str, str]] = Counter()
    for row in json.loads(output)["entries"]:
        key = RETURNED.sub(r"adj:\1", row["key"])
        key = REFUND.sub(r"refund:\1", LOT.sub(r"\1:lot", CARRY.sub("carry", key)))
        found[row["credit_type"], key] += row["amount"]
    return found


@pytest.mark.proof
def test_the_same_seed_gives_the_same_statement_to_the_last_byte(life: Any, tmp_path: Path) -> None:
    first, second = life(*PRO), life(*PRO)

    assert first == second
    assert first[0] == 0
    assert "the books balance" in first[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proof
def test_other_bad_luck_and_the_old_shape_change_no_fact_of_a_life(life: Any) -> None:
    orderly = life(*PRO, "--orderly", "--json")[1]
    disorderly = life(*PRO, "--disorder", "3", "--api-version", "old", "--json")[1]

    assert facts(disorderly) == facts(orderly)
    assert json.loads(disorderly)["balances"] == json.loads(orderly)["balances"]
    assert json.loads(disorderly)["deliveries"]["duplicate"] > 0
    assert json.loads(disorderly)["deliveries"]["dropped"] > 0
    assert json.loads(disorderly)["deliveries"]["out_of_order"] > 0


@pytest.mark.proof
def test_a_life_at_lemon_squeezy_says_what_that_provider_has_no_events_of(life: Any) -> None:
    status, output, _ = life(*PRO, "--provider", "lemonsqueezy", "--account", "me", "--json")

    told = json.loads(output)
    assert (status, told["account"], told["books_balance"]) == (0, "me", True)
    assert any("dispute" in part for part in told["left_out"])
    assert {row["credit_type"] for row in told["entries"]} >= {TYPE}


@pytest.mark.proof
def test_a_life_at_paddle_leaves_nothing_out_and_ends_the_same_however_it_is_told(life: Any) -> None:
    asked = [*PRO, "--provider", "paddle", "--json"]

    orderly, disorderly = life(*asked, "--orderly"), life(*asked, "--disorder", "3")

    told = json.loads(orderly[1])
    assert (orderly[0], disorderly[0], told["left_out"]) == (0, 0, [])
    assert {"grant", "clawback", "spend", "expire"} <= {row["kind"] for row in told["entries"]}
    assert facts(orderly[1]) == facts(disorderly[1])
    assert told["balances"] == json.loads(disorderly[1])["balances"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["platinum"], "platinum"),
        (["pro", "--provider", "paypal"], "provider"),
        (["pro", "--api-version", "next"], "api_version"),
        (["pro", "--upgrade", "platinum"], "platinum"),
    ],
)
def test_what_cannot_be_simulated_is_an_error_that_names_it(life: Any, words: list[str], named: str) -> None:
    status, _, errors = life(*words)

    assert status == 1
    assert named in errors


@pytest.mark.proof
@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy", "paddle"])
@pytest.mark.parametrize("seed", range(2))
def test_long_lives_end_the_same_however_they_are_told(
    life: Any, monkeypatch: pytest.MonkeyPatch, provider: str, seed: int
) -> None:
    monkeypatch.setenv("CREDITGATE_CONFIG", str(REPOSITORY / "credits.toml"))
    asked = ["pro", "--months", "14", "--seed", str(seed), "--provider", provider, "--json"]

    orderly, disorderly = life(*asked, "--orderly"), life(*asked, "--disorder", str(seed + 100))

    assert orderly[0] == disorderly[0] == 0
    assert facts(orderly[1]) == facts(disorderly[1])
    assert json.loads(orderly[1])["balances"] == json.loads(disorderly[1])["balances"]
