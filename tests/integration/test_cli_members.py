"""The command's members: list, set, raise, remove, zone; each change rehearsed, logged, and told to the gate."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import Result
from sqlalchemy import select
from typer.testing import CliRunner

from credits.audit_log import audit_log
from credits.clock import iso, system_clock_ms
from credits.db import glance
from credits.engine import Credits
from credits.errors import InvalidInputError
from credits.ops.cli.app import build
from tests.conftest import CONFIG_FILE
from tests.support.library import TYPE, Shop

pytestmark = pytest.mark.usefixtures("within_a_day")

Run = Callable[..., Result]


@pytest.fixture
def run(shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on the test's own database and Redis."""
    monkeypatch.setenv("CREDITGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("CREDITGATE_REDIS_URL", shop.redis_url)
    monkeypatch.setenv("CREDITGATE_CONFIG", str(CONFIG_FILE))
    monkeypatch.setenv("CREDITGATE_TENANT", "sandbox")

    def run(*words: str) -> Result:
        return CliRunner().invoke(build({}), list(words) if words[0] == "holds" else ["members", *words])

    return run


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("team", TYPE, 100, key="a")
    return library


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "team", "--json").output)["items"]
    return found


def test_a_limit_is_set_shown_raised_and_removed(run: Run, library: Credits, shop: Shop) -> None:
    until = iso(system_clock_ms() + 3_600_000)
    assert until is not None

    outputs = [
        run("set", "team", "ada", TYPE, "10", "--per", "day", "--reason", "team budget", "--by", "bo").output,
        run("raise", "team", "ada", TYPE, "20", "--per", "day", "--until", until, "--reason", "demo").output,
    ]
    library.reserve("team", image_generation=12, member="ada")
    table, [shown] = run("list", "team").output, listed(run)
    removed = run("remove", "team", "ada", "--json")

    assert "may spend 10 image_generation per day" in outputs[0]
    assert "then 10 again" in outputs[1]
    [limit] = shown["limits"]
    assert (shown["member"], limit["limit"], limit["amount"], limit["used"], limit["left"]) == ("ada", 20, 10, 12, 8)
    assert (limit["raised_until"], shown["used"]) == (until, {TYPE: 12})
    assert "ada" in table
    assert json.loads(removed.output)["removed"] == 1
    assert library.member("team", "ada").limits == ()
    with glance(shop.engine) as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).mappings().all()
    assert [row["action"] for row in rows] == ["member.limit", "member.raise", "member.remove"]
    assert (rows[0]["actor"], rows[0]["reason"], rows[0]["subject"]) == ("operator:bo", "team budget", "account:team")


def test_a_rehearsal_changes_nothing(run: Run, library: Credits) -> None:
    library.set_member_limit("team", "ada", TYPE, 10, per="day")

    said = [
        run("set", "team", "ada", TYPE, "5", "--per", "day", "--dry-run").output,
        run("remove", "team", "ada", "--dry-run").output,
        run("zone", "team", "Europe/Berlin", "--dry-run").output,
    ]

    assert ["could" in said[0], "would be" in said[1], "would begin" in said[2]] == [True] * 3
    assert listed(run)[0]["limits"][0]["limit"] == 10


def test_a_time_zone_is_set_once_and_one_that_is_none_is_refused(run: Run, library: Credits) -> None:
    first = json.loads(run("zone", "team", "Asia/Kathmandu", "--json").output)
    again = json.loads(run("zone", "team", "Asia/Kathmandu", "--json").output)
    refused = run("zone", "team", "Nepal/Kathmandu")

    assert (first["changed"], again["changed"]) == (True, False)
    assert isinstance(refused.exception, InvalidInputError)


def test_what_is_not_there_cannot_be_removed(run: Run, library: Credits) -> None:
    refused = run("remove", "team", "nobody")

    assert isinstance(refused.exception, InvalidInputError)
    assert listed(run) == []


def test_holds_are_shown_with_what_their_members_may_spend_still(run: Run, library: Credits) -> None:
    until_ms = system_clock_ms() + 3_600_000
    library.set_member_limit("team", "ada", TYPE, 10, per="day")
    library.set_member_limit("team", "bo", TYPE, 5, per="ever")
    library.raise_member_limit("team", "ada", TYPE, 20, per="day", until_ms=until_ms, reason="demo")
    library.reserve("team", image_generation=12, member="ada")
    library.reserve("team", image_generation=1)

    table, shown = run("holds", "team").output, json.loads(run("holds", "team", "--json").output)

    ada, bo = shown["members"]
    [limit] = ada["limits"]
    assert [row["member"] for row in shown["items"]].count("ada") == 1
    assert (ada["member"], limit["limit"], limit["used"], limit["left"]) == ("ada", 20, 12, 8)
    assert limit["raised_until"] == iso(until_ms)
    assert str(iso(until_ms)) in table
    assert (bo["member"], bo["limits"][0]["left"]) == ("bo", 5)


def test_beside_holds_members_are_shown_right_after_redis_is_lost(run: Run, library: Credits, shop: Shop) -> None:
    library.set_member_limit("team", "ada", TYPE, 10, per="day")
    library.spend("team", image_generation=4, key="job-1", member="ada")
    library.reserve("team", image_generation=1, reservation_id="lost", member="ada")
    client = redis.Redis.from_url(shop.redis_url)
    client.flushdb()
    client.close()

    shown = json.loads(run("holds", "team", "--json").output)

    assert shown["items"] == []
    [ada] = shown["members"]
    assert [(one["limit"], one["used"], one["left"]) for one in ada["limits"]] == [(10, 4, 6)]


def test_a_member_whose_hold_is_shown_is_shown_whatever_the_limit(run: Run, library: Credits) -> None:
    for member in ("ada", "bo", "cy"):
        library.set_member_limit("team", member, TYPE, 10, per="day")
    library.reserve("team", image_generation=1, member="cy")

    table, shown = (
        run("holds", "team", "--limit", "1").output,
        json.loads(run("holds", "team", "--limit", "1", "--json").output),
    )

    assert [one["member"] for one in shown["members"]] == ["ada", "cy"]
    assert "credits members list team --after ada" in table
