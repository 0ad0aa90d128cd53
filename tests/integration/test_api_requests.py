"""What a request may look like: strict JSON, known fields, bounds. Everything else is a 4xx that names the field."""

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from sqlalchemy import Engine

from credits.api.bodies import MAX_API_BODY_BYTES
from credits.api.routes import ENDPOINTS
from credits.config.settings import Settings
from credits.engine import Credits
from credits.errors import ConfigError
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.api_samples import ask, sample_request
from tests.support.library import TYPE, figures

GRANT: dict[str, Any] = {"credit_type": TYPE, "amount": 5, "key": "k"}
RESERVE: dict[str, Any] = {"items": {TYPE: 1}, "reservation_id": "r"}


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What a request may look like does not depend on the database."""
    return str(request.param)


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url)
    return caller_of(app.test_client(), engine, scopes=["admin"])


@pytest.mark.parametrize(
    "amount", [0, -1, 2**53, 10**39, 1.0, 1.5, 1e3, "5", "", True, False, None, [], {}, [5], float("1e300")]
)
def test_an_amount_is_a_json_integer_within_its_bounds(caller: Caller, library: Credits, amount: object) -> None:
    answers = [
        caller.tell("user_1", "grants", {**GRANT, "amount": amount}),
        caller.tell("user_1", "deductions", {**GRANT, "amount": amount}),
        caller.tell("user_1", "reservations", {**RESERVE, "items": {TYPE: amount}}),
        caller.tell("user_1", "spends", {"items": {TYPE: amount}, "key": "s"}),
    ]

    for answer, field in zip(answers, ["amount", "amount", f"items.{TYPE}", f"items.{TYPE}"], strict=True):
        problem = assert_problem(answer, 422, "invalid_amount")
        assert (problem["field"], problem["maximum"]) == (field, 2**53 - 1)
        assert problem["detail"].startswith(f"{field}: must be a whole number from 1 to 9007199254740991")
        # In the words of whoever sent JSON, not of Python.
        assert not re.search(r"None|True|False|NoneType", problem["detail"])
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


MALFORMED = {
    "no JSON": b"{",
    "no object": b"[]",
    "text": b'"text"',
    "two of a name": b'{"amount": 1, "amount": 2}',
    "two of a name inside": b'{"items": {"tokens": 1, "tokens": 2}}',
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": -Infinity}',
    "an overflow": b'{"amount": 1e999}',
    "too many digits": b'{"amount": ' + b"9" * 5000 + b"}",
    "too deep": b'{"items": ' + b"[" * 40 + b"]" * 40 + b"}",
    "far too deep": b"[" * 30000,
    "no UTF-8": b'{"key": "\xff"}',
    "trailing text": b"{} {}",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_body_that_two_readers_could_read_differently_is_400(caller: Caller, raw: bytes) -> None:
    problem = assert_problem(caller.tell("user_1", "grants", raw=raw), 400, "malformed_body")

    assert problem["field"] == "body"
    assert problem["fix"]


def test_a_field_that_is_not_known_is_named_with_those_that_are(caller: Caller) -> None:
    misspelt = assert_problem(caller.tell("user_1", "reservations", {**RESERVE, "ttl": 5}), 422, "unknown_field")
    in_query = assert_problem(caller.account("user_1", "entries", page=2), 422, "unknown_field")
    in_the_wrong_place = caller.post("/v1/accounts/user_1/reservations?ttl_s=5", RESERVE)

    assert misspelt["field"] == "ttl"
    assert "items, reservation_id, ttl_s" in misspelt["detail"]
    assert "credit_type, limit, cursor" in in_query["detail"]
    assert assert_problem(in_the_wrong_place, 422, "invalid_input")["field"] == "ttl_s"


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "", "x" * 5000, "\u202e"])
def test_odd_names_of_fields_and_types_are_answered_in_order(caller: Caller, name: str) -> None:
    raw = [json.dumps({**RESERVE, name: 1}).encode(), json.dumps({"items": {name: 1}}).encode()]

    answers = [caller.tell("user_1", "reservations", raw=one) for one in raw]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert all(len(answer.data) < 2000 for answer in answers)


@pytest.mark.parametrize("field", ["credit_type", "amount"])
def test_a_field_that_is_missing_is_named(caller: Caller, field: str) -> None:
    body = {name: value for name, value in GRANT.items() if name != field}

    assert assert_problem(caller.tell("user_1", "grants", body), 422, "missing_field")["field"] == field


OUTSIDE = {
    "items": [{}, [], None, "text", {f"type_{number}": 1 for number in range(17)}, {"gold": 1}],
    "reservation_id": ["", "a\0", "a\n", "\ud800", "x" * 201, 5, True, []],
    "ttl_s": [0, 0.5, 86401, -1, "60", True, None, [], 1e308],
}


@pytest.mark.parametrize(("field", "value"), [(name, value) for name, values in OUTSIDE.items() for value in values])
def test_a_field_of_a_reservation_outside_its_bounds_is_422_and_holds_nothing(
    caller: Caller, library: Credits, field: str, value: object
) -> None:
    answer = caller.tell("user_1", "reservations", {**RESERVE, field: value})

    assert answer.status_code == 422, answer.text
    assert answer.get_json()["fix"]
    assert figures(library, "user_1")[1] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("items", {TYPE: -1}),
        ("items", {}),
        ("items", {TYPE: 1.0}),
        ("if_lost", {TYPE: 0}),
        ("if_lost", {"gold": 1}),
        ("if_lost", []),
        ("step", ""),
        ("final", 1),
        ("final", "true"),
        ("final", None),
        ("overage", "yes"),
        ("overage", None),
        ("durability", 5),
        ("durability", ["ledger"]),
    ],
)
def test_a_field_of_a_commit_outside_its_bounds_is_422_and_charges_nothing(
    caller: Caller, library: Credits, field: str, value: object
) -> None:
    caller.tell("user_1", "reservations", RESERVE)

    answer = caller.tell("user_1", "reservations/r/commit", {field: value})

    assert answer.status_code == 422, answer.text
    assert answer.get_json()["field"].split(".")[0] in {field, "credit_type"}
    assert figures(library, "user_1") == (100, 1, 0, 99, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", "r" * 501),
        ("reason", "a\0b"),
        ("reason", "\ud800"),
        ("reason", None),
        ("expires_at", "soon"),
        ("expires_at", 5),
        ("expires_at", "1969-12-31T23:59:59Z"),
        ("expires_at", "10000-01-01T00:00:00Z"),
        ("credit_type", 5),
        ("credit_type", "gold"),
    ],
)
def test_a_field_of_a_grant_outside_its_bounds_is_422_and_grants_nothing(
    caller: Caller, library: Credits, field: str, value: object
) -> None:
    problem = caller.tell("user_1", "grants", {**GRANT, field: value})

    assert problem.status_code == 422, problem.text
    assert problem.get_json()["field"] == field
    assert figures(library, "user_1")[0] == 100


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\tb"])
def test_an_idempotency_key_that_is_no_name_is_422(caller: Caller, key: str) -> None:
    answer = caller.tell("user_1", "reservations", RESERVE, headers={"Idempotency-Key": key})

    assert assert_problem(answer, 422, "invalid_id")["field"] == "Idempotency-Key"


def test_a_body_is_bounded_before_it_is_read(caller: Caller) -> None:
    largest = json.dumps({**GRANT, "reason": "r"}).encode().ljust(MAX_API_BODY_BYTES)
    headers = {"Authorization": f"Bearer {caller.key}", "Content-Type": "application/json"}

    taken = caller.tell("user_1", "grants", raw=largest)
    refused = caller.tell("user_1", "grants", raw=largest + b" ")
    in_pieces = caller.client.post(
        "/v1/accounts/user_1/grants",
        headers={**headers, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "wsgi.input": _Endless()},
    )

    assert taken.status_code == 201
    for answer in (refused, in_pieces):
        assert assert_problem(answer, 413, "body_too_large")["maximum"] == MAX_API_BODY_BYTES


class _Endless:
    def read(self, size: int = -1) -> bytes:
        return b" " * (size if size > 0 else 1 << 16)

    def readinto(self, buffer: bytearray) -> int:
        buffer[:] = b" " * len(buffer)
        return len(buffer)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_json_is_415(caller: Caller, headers: dict[str, str]) -> None:
    assert_problem(caller.tell("user_1", "grants", GRANT, headers=headers), 415, "unsupported_body")


def test_unknown_paths_and_methods_are_problems_too(caller: Caller) -> None:
    assert "openapi.json" in assert_problem(caller.get("/v1/nothing"), 404, "not_found")["fix"]
    assert_problem(caller.get("/v1/accounts//balances"), 404, "not_found")
    assert_problem(caller.get("/v1/accounts/a/b/balances"), 404, "not_found")
    answer = caller.tell("user_1", "balances", {})
    assert_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
    assert answer.get_json()["fix"]


@pytest.mark.parametrize("path", ["%FF", "%ed%a0%80", "a%00b", "%0a"])
def test_an_id_in_a_path_that_is_no_name_is_422(caller: Caller, path: str) -> None:
    path = f"/v1/accounts/{path}/balances"
    # As a server hands it over; the test client would put something legible in its place.
    decoded = unquote_to_bytes(path).decode("latin-1")

    answer = caller.client.get(
        path, headers={"Authorization": f"Bearer {caller.key}"}, environ_overrides={"PATH_INFO": decoded}
    )

    assert assert_problem(answer, 422, "invalid_id")["field"] == "account"


def test_who_polls_a_balance_hears_304_while_nothing_has_changed(caller: Caller, library: Credits) -> None:
    first = caller.account("user_1", "balances")
    tag = {"If-None-Match": first.headers["ETag"]}

    unchanged = caller.get("/v1/accounts/user_1/balances", headers=tag)
    library.reserve("user_1", {TYPE: 1}, reservation_id="r")
    changed = caller.get("/v1/accounts/user_1/balances", headers=tag)

    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_whatever_is_read_may_be_polled_by_its_etag(caller: Caller, library: Credits) -> None:
    library.reserve("user_1", {TYPE: 1}, reservation_id="sample")
    requests = {one.name: sample_request(one, account="user_1") for one in ENDPOINTS if one.method == "GET"}

    first = {name: caller.get(request.path, **request.query) for name, request in requests.items()}
    found = {name: answer.headers["ETag"] for name, answer in first.items() if answer.status_code == 200}
    again = {
        name: caller.get(requests[name].path, **requests[name].query, headers={"If-None-Match": tag}).status_code
        for name, tag in found.items()
    }

    assert set(requests) - set(found) == {"read_purchase", "find_topup", "find_destination", "find_delivery"}
    assert again == dict.fromkeys(found, 304)


def test_what_this_installation_is_not_configured_for_is_said_and_is_no_failure(
    settings: Settings, redis_url: str, engine: Engine
) -> None:
    app = app_on(settings, engine, redis_url=redis_url, secret_key="")
    caller = caller_of(app.test_client(), engine, scopes=["admin"])

    answers = {endpoint.name: ask(caller, endpoint, account="user_1") for endpoint in ENDPOINTS}
    answers["create_embed_token"] = caller.tell("user_1", "embed-tokens", {"origins": ["https://app.example.com"]})

    unsigned = {name for name, answer in answers.items() if answer.status_code >= 500}
    assert unsigned == {endpoint.name for endpoint in ENDPOINTS if ConfigError in endpoint.errors}
    for name in unsigned:
        problem = assert_problem(answers[name], 501, "config_invalid")
        assert "CREDITGATE_SECRET_KEY" in problem["detail"]


def test_answers_are_neither_kept_nor_guessed_at_by_browsers(caller: Caller, library: Credits) -> None:
    for answer in (caller.account("user_1", "balances"), caller.account("user_1", "nothing"), caller.get("/v1/x")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
