"""Requests that leave nothing behind that bears their name: with an Idempotency-Key the first answer is remembered."""

import pytest
import redis
from sqlalchemy import Engine

from credits.api.endpoint import IDEMPOTENCY_KEY
from credits.config.settings import Settings
from credits.engine import Credits
from credits.reservations.firsts import ASKED_S, KEPT_S
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.library import TYPE

NAMED = {IDEMPOTENCY_KEY: "the same"}


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """First answers are remembered in Redis."""
    return str(request.param)


@pytest.fixture
def library(library: Credits) -> Credits:
    for name in ("job", "other"):
        library.reserve("user_1", {TYPE: 1}, reservation_id=name, ttl_s=60)
    return library


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine, library: Credits) -> Caller:
    return caller_of(app_on(settings, engine, redis_url=redis_url).test_client(), engine, scopes=["admin"])


def test_a_hold_is_extended_once_per_name(caller: Caller, library: Credits) -> None:
    first = caller.tell("user_1", "reservations/job/extend", {"ttl_s": 600}, headers=NAMED)
    caller.tell("user_1", "reservations/job/extend", {"ttl_s": 6000})
    again = caller.tell("user_1", "reservations/job/extend", {"ttl_s": 600}, headers=NAMED)
    other = caller.tell("user_1", "reservations/other/extend", {"ttl_s": 300}, headers=NAMED)

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 200)
    assert again.get_json() == first.get_json()
    assert other.get_json()["reservation_id"] == "other"


def test_a_name_that_stands_for_other_content_extends_nothing(caller: Caller, library: Credits) -> None:
    first = caller.tell("user_1", "reservations/job/extend", {"ttl_s": 600}, headers=NAMED)
    refused = caller.tell("user_1", "reservations/job/extend", {"ttl_s": 6000}, headers=NAMED)

    assert_problem(refused, 409, "idempotency_conflict")
    found = caller.account("user_1", "reservations/job").get_json()
    assert found["expires_at"] == first.get_json()["expires_at"]


def test_a_refusal_is_not_remembered(caller: Caller, library: Credits) -> None:
    refused = caller.tell("user_1", "reservations/new/extend", {"ttl_s": 600}, headers=NAMED)
    library.reserve("user_1", {TYPE: 1}, reservation_id="new", ttl_s=60)
    extended = caller.tell("user_1", "reservations/new/extend", {"ttl_s": 600}, headers=NAMED)

    assert_problem(refused, 410, "hold_ended")
    assert extended.status_code == 200


@pytest.mark.parametrize(
    ("what", "body", "other"),
    [
        ("portal-links", {}, {"ttl_s": 600}),
        ("embed-tokens", {"origins": ["https://a.example"]}, {"origins": ["https://b.example"]}),
    ],
)
def test_a_pass_is_the_same_for_the_same_name(
    caller: Caller, what: str, body: dict[str, object], other: dict[str, object]
) -> None:
    first, again = (caller.tell("user_1", what, body, headers=NAMED) for _ in range(2))
    unnamed = caller.tell("user_1", what, body)
    of_another = caller.tell("user_2", what, body, headers=NAMED)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert unnamed.get_json() != first.get_json()
    assert of_another.get_json()["account"] == "user_2"
    assert_problem(caller.tell("user_1", what, other, headers=NAMED), 409, "idempotency_conflict")


def test_what_is_remembered_is_forgotten_after_a_day_and_names_nobody(caller: Caller, redis_url: str) -> None:
    caller.tell("user_1", "portal-links", {}, headers=NAMED)

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        kept = [str(key) for key in client.scan_iter("cg:a*")]
        lives_s = [client.ttl(key) for key in kept]

    assert len(kept) == 2
    assert KEPT_S - 60 < min(lives_s) <= KEPT_S < max(lives_s) <= ASKED_S
    assert not any("user_1" in key or "the same" in key for key in kept)


def test_without_redis_a_named_request_is_told_so_and_an_unnamed_one_is_served(
    settings: Settings, engine: Engine
) -> None:
    caller = caller_of(app_on(settings, engine).test_client(), engine, scopes=["admin"])

    assert_problem(caller.tell("user_1", "portal-links", {}, headers=NAMED), 503, "gate_unavailable")
    assert caller.tell("user_1", "portal-links", {}).status_code == 201
