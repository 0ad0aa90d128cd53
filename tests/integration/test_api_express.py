"""A plain POST is answered on a shorter way; word for word as on Flask's, whatever it asks."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from credits.api.bodies import MAX_API_BODY_BYTES
from credits.config.settings import Settings
from credits.engine import Credits
from tests.support.api import Caller, app_on, caller_of
from tests.support.library import TYPE, figures

PLAIN = "application/json"
FLASKS_WAY = "application/json; charset=utf-8"
ALL = "/v1/accounts/user_1/reservations"


def reserve(name: str | None, amount: int = 1) -> str:
    """A body that reserves so many credits."""
    return json.dumps({"items": {TYPE: amount}} | ({} if name is None else {"reservation_id": name}))


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which way a request goes does not depend on the database."""
    return str(request.param)


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine, library: Credits) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url, base_url="https://credits.example")
    return caller_of(app.test_client(), engine, scopes=["reserve"])


def sent(caller: Caller, path: str, body: str, kind: str, **headers: str) -> TestResponse:
    said = {"Authorization": f"Bearer {caller.key}", "Content-Type": kind, **headers}
    return caller.client.post(path, data=body.encode(), headers={name: text for name, text in said.items() if text})


def shown(answer: TestResponse) -> tuple[int, str, dict[str, str], Any]:
    return answer.status_code, answer.status, dict(answer.headers), answer.get_json()


CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "the same hold again": (ALL, reserve("held"), {}),
    "another content under the name": (ALL, reserve("held", 2), {}),
    "too few credits": (ALL, reserve("much", 1000), {}),
    "a commit that is repeated": (f"{ALL}/spent/commit", "{}", {}),
    "an empty body": (f"{ALL}/spent/commit", "", {}),
    "a hold that never was": (f"{ALL}/nobody/commit", "{}", {}),
    "an id with outer spaces": ("/v1/accounts/%20a%20/reservations", reserve(" x "), {}),
    "an id with a slash": ("/v1/accounts/a%2Fb/reservations", reserve("x"), {}),
    "an account that is no UTF-8": ("/v1/accounts/a%FF/reservations", reserve("x"), {}),
    "an account in UTF-8": ("/v1/accounts/ünü/reservations", reserve("x"), {}),
    "an empty id": ("/v1/accounts//reservations", reserve("x"), {}),
    "a slash too many": (f"{ALL}/", reserve("x"), {}),
    "a path that is none": ("/v1/accounts/user_1/nothing", "{}", {}),
    "fields in the query": (f"{ALL}?ttl_s=5", reserve("x"), {}),
    "no JSON": (ALL, "{", {}),
    "an unknown field": (ALL, '{"item": {}}', {}),
    "a body too large": (ALL, " " * (MAX_API_BODY_BYTES + 1), {}),
    "an encoding": (ALL, reserve("x"), {"Content-Encoding": "gzip"}),
    "no key": (ALL, reserve("x"), {"Authorization": ""}),
    "a key that is none": (ALL, reserve("x"), {"Authorization": "Bearer ck_test_nobody_secret"}),
    "a scope that it has not": ("/v1/accounts/user_1/grants", "{}", {}),
    "a header and a name that differ": (ALL, reserve("x"), {"Idempotency-Key": "y"}),
    "a name in the header": (ALL, reserve(None), {"Idempotency-Key": "held"}),
    "a header that is no name": (ALL, reserve(None), {"Idempotency-Key": " "}),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_ways_answer_alike(caller: Caller, case: str) -> None:
    path, body, headers = CASES[case]
    for name in ("held", "spent"):
        assert sent(caller, ALL, reserve(name), FLASKS_WAY).status_code == 201
    sent(caller, f"{ALL}/spent/commit", "{}", FLASKS_WAY)

    answers = [sent(caller, path, body, kind, **headers) for kind in (PLAIN, FLASKS_WAY)]

    assert shown(answers[0]) == shown(answers[1])


def test_the_short_way_holds_and_spends(caller: Caller, library: Credits) -> None:
    held = sent(caller, ALL, reserve("job"), PLAIN)
    done = sent(caller, f"{ALL}/job/commit", "{}", PLAIN)

    assert (held.status, done.status) == ("201 CREATED", "200 OK")
    assert held.headers["Cache-Control"] == "no-store"
    assert done.get_json()["durability"] == "ledger"
    assert figures(library, "user_1") == (99, 0, 0, 99, 0)


def test_a_body_that_breaks_off_is_refused_and_holds_nothing(caller: Caller, library: Credits) -> None:
    body = reserve("job").encode()

    answer = caller.client.post(
        ALL,
        data=body,
        headers={"Authorization": f"Bearer {caller.key}", "Content-Type": PLAIN},
        environ_overrides={"CONTENT_LENGTH": str(len(body) + 5)},
    )

    assert answer.status_code == 400
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_what_nobody_foresaw_says_nothing_of_our_insides(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("an inside")

    monkeypatch.setattr("credits.reservations.service.Reservations.reserve", broken)
    answers = [sent(caller, ALL, reserve("job"), kind) for kind in (PLAIN, FLASKS_WAY)]

    assert [answer.status_code for answer in answers] == [500, 500]
    assert shown(answers[0]) == shown(answers[1])
    assert "inside" not in answers[0].text
