"""`credits simulate plan-change`: what it shows is what the change then does, and showing it changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from credits.clock import from_iso
from credits.config.policies import ChangePolicy, OnChange
from credits.db import snapshot
from credits.errors import InvalidInputError
from credits.ops.cli.app import build
from credits.plans.preview import Preview, Wanted, preview_change
from tests.conftest import CONFIG_FILE
from tests.support.databases import ON_SQLITE
from tests.support.pipeline import Pipeline
from tests.support.plan_lives import TYPE, Life, images, line, plan

JAN, HALF, FEB = "2026-01-20T00:00Z", "2026-02-04T12:00Z", "2026-02-20T00:00Z"
PRICES = {"pro": 2000, "max": 4000}


def life_on(pipeline: Pipeline, plan_key: str, policy: OnChange, *, spent: int) -> Life:
    said: Any = {"on_change": ChangePolicy(up=policy, down=policy)}
    life = Life.of(pipeline, plan("pro", images(1000), **said), plan("max", images(5000), **said))
    life.seen(plan_key, JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line(plan_key, PRICES[plan_key], JAN, FEB))
    life.pipeline.credits.add("user_1", TYPE, 70, key="bought")
    if spent:
        life.spend(spent)
    life.sweep()
    return life


def preview(life: Life, to: str, **said: Any) -> Preview:
    runtime = life.pipeline.runtime
    with snapshot(runtime.engine) as connection:
        tenant = life.pipeline.tenant
        wanted = Wanted(plan=to, **said)
        return preview_change(connection, tenant, runtime.catalogue, "user_1", wanted, at_ms=from_iso(HALF))


@ON_SQLITE
@pytest.mark.parametrize("spent", [0, 800, 5070])
@pytest.mark.parametrize("policy", list(OnChange))
@pytest.mark.parametrize(("left", "to"), [("pro", "max"), ("max", "pro")])
def test_what_a_simulated_change_shows_is_what_the_change_does(
    pipeline: Pipeline, left: str, to: str, policy: OnChange, spent: int
) -> None:
    life = life_on(pipeline, left, policy, spent=min(spent, 1070 if left == "pro" else 5070))
    before = life.entries()

    shown = preview(life, to, price_minor=PRICES[to])

    assert life.entries() == before
    life.seen(to, HALF, JAN, FEB)
    sides = [line(key, sign * PRICES[key] // 2, HALF, FEB, proration=True) for key, sign in ((left, -1), (to, 1))]
    life.invoice("change", HALF, *sides)
    balance = life.pipeline.credits.balances("user_1")[TYPE]
    assert shown.balances[TYPE][1] == {"balance": balance.balance, "debt": balance.debt}
    assert [(entry.kind, entry.amount) for entry in shown.entries] == life.entries()[len(before) :]


@ON_SQLITE
def test_seats_are_simulated_at_the_price_that_was_paid_for_one(pipeline: Pipeline) -> None:
    life = Life.of(pipeline, plan("team", images(100, per_seat=True)))
    life.seen("team", JAN, JAN, FEB, kind="created")
    life.invoice("first", JAN, line("team", 1000, JAN, FEB, quantity=2), quantity=2)

    shown = preview(life, "team", quantity=6)

    assert shown.balances[TYPE] == ({"balance": 200, "debt": 0}, {"balance": 400, "debt": 0})
    assert "1000 before and 3000 after" in shown.money


@ON_SQLITE
def test_a_change_of_nothing_is_refused_by_name(pipeline: Pipeline) -> None:
    life = life_on(pipeline, "pro", OnChange.PRORATE, spent=0)

    with pytest.raises(InvalidInputError, match="on plan pro with this quantity already"):
        preview(life, "pro")


@ON_SQLITE
def test_the_command_shows_a_change_in_words_and_as_json(
    pipeline: Pipeline, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDITGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("CREDITGATE_CONFIG", str(CONFIG_FILE))
    monkeypatch.setenv("CREDITGATE_TENANT", "sandbox")
    life_on(pipeline, "pro", OnChange.PRORATE, spent=0)
    arguments = ["simulate", "plan-change", "user_1", "pro", "--at", HALF, "--quantity", "3", "--price-minor", "9000"]

    words = CliRunner().invoke(build({}), arguments)
    data = json.loads(CliRunner().invoke(build({}), [*arguments, "--json"]).stdout)
    refused = CliRunner().invoke(build({}), ["simulate", "plan-change", "user_9", "pro"])

    assert 'on_change of pro: "' in words.stdout
    assert (data["plan_before"], data["plan_after"]) == ("pro", "pro")
    assert refused.exit_code == 1
