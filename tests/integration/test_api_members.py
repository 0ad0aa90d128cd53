"""Members over HTTP: limits are set, shown, raised, hit and removed."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from credits.clock import iso, system_clock_ms
from credits.config.settings import Settings
from credits.engine import Credits
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.library import TYPE, Shop

pytestmark = pytest.mark.usefixtures("within_a_day")

LIMIT = f"/v1/accounts/team%2F1/members/ada%20b/limits/{TYPE}/day"


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url)
    client: FlaskClient = app.test_client()
    return caller_of(client, engine, scopes=["admin"])


@pytest.fixture
def library(shop: Shop) -> Iterator[Credits]:
    library = shop.process()
    library.add("team/1", TYPE, 100, key="a")
    yield library
    library.close_gate()


def test_a_limit_is_set_used_hit_raised_and_removed(caller: Caller, library: Credits) -> None:
    made = caller.send("PUT", LIMIT, {"amount": 10, "reason": "team budget"})
    held = caller.tell("team/1", "reservations", {"items": {TYPE: 8}, "member": "ada b", "reservation_id": "r1"})
    refused = caller.tell("team/1", "reservations", {"items": {TYPE: 3}, "member": "ada b"})
    until_ms = system_clock_ms() + 3_600_000
    raised = caller.send("PUT", f"{LIMIT}/raise", {"amount": 20, "until": iso(until_ms), "reason": "demo"})
    again = caller.send("PUT", f"{LIMIT}/raise", {"amount": 20, "until": iso(until_ms), "reason": "demo"})
    spent = caller.tell("team/1", "spends", {"items": {TYPE: 3}, "member": "ada b", "key": "s1"})
    shown = caller.account("team/1", "members")
    removed = [caller.send("DELETE", LIMIT).get_json()["removed"] for _ in range(2)]

    assert (made.status_code, made.get_json()["limits"][0]["limit"]) == (200, 10)
    assert (held.status_code, held.get_json()["member"]) == (201, "ada b")
    problem = assert_problem(refused, 403, "member_limit_exceeded")
    [exceeded] = problem["exceeded"]
    assert (problem["member"], exceeded["per"], exceeded["used"], exceeded["needed"]) == ("ada b", "day", 8, 3)
    assert exceeded["ends_at"].endswith("Z")
    assert (raised.get_json()["limits"][0]["limit"], raised.get_json()["limits"][0]["raised_until"]) == (
        20,
        iso(until_ms),
    )
    assert again.get_json() == raised.get_json()
    assert spent.status_code == 200
    [member] = shown.get_json()["items"]
    assert (member["member"], member["used"], member["limits"][0]["left"]) == ("ada b", {TYPE: 11}, 9)
    assert removed == [1, 0]
    assert caller.account("team/1", "reservations/r1").get_json()["member"] == "ada b"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (LIMIT, {"amount": -1}, "invalid_input"),
        (LIMIT, {}, "missing_field"),
        (LIMIT.replace("/day", "/week"), {"amount": 1}, "invalid_input"),
        (LIMIT.replace(TYPE, "gold"), {"amount": 1}, "unknown_credit_type"),
        (f"{LIMIT}/raise", {"amount": 2, "until": "2026-01-01T00:00:00Z"}, "missing_field"),
        (f"{LIMIT}/raise", {"amount": 2, "until": "2001-01-01T00:00:00Z", "reason": "late"}, "invalid_input"),
        ("/v1/accounts/team%2F1/time-zone", {"time_zone": "Mars/Olympus"}, "invalid_input"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(
    caller: Caller, library: Credits, path: str, body: dict[str, object], code: str
) -> None:
    assert_problem(caller.send("PUT", path, body), 422, code)


def test_whose_midnight_begins_a_day_is_set_once(caller: Caller, library: Credits) -> None:
    answers = [caller.send("PUT", "/v1/accounts/team%2F1/time-zone", {"time_zone": "Europe/Berlin"}) for _ in range(2)]

    assert [answer.get_json()["replayed"] for answer in answers] == [False, True]


def test_a_page_of_members_goes_on_where_the_last_one_ended(caller: Caller, library: Credits) -> None:
    for name in ("ada", "bob", "cy", "eve"):
        library.set_member_limit("team/1", name, TYPE, 1, per="ever")

    first = caller.account("team/1", "members", limit=2).get_json()
    second = caller.account("team/1", "members", limit=2, cursor=first["next"]).get_json()

    assert [one["member"] for one in first["items"] + second["items"]] == ["ada", "bob", "cy", "eve"]
    assert second["next"] is None
