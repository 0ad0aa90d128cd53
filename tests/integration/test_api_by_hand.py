"""Grants and deductions over HTTP: once per key, with reason and actor in the ledger."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from credits.config.settings import Settings
from credits.engine import Credits
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.library import TYPE, Shop, figures


@pytest.fixture
def library(shop: Shop) -> Iterator[Credits]:
    credits_ = shop.process()
    yield credits_
    credits_.close_gate()


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url)
    return caller_of(app.test_client(), engine, scopes=["grant", "read"])


def test_a_grant_puts_credits_in_once_per_key(caller: Caller, library: Credits) -> None:
    body = {"credit_type": TYPE, "amount": 50, "key": "ticket-1", "reason": "sorry", "expires_at": "2099-01-01T00:00Z"}

    first, again = (caller.tell("user_1", "grants", body) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json() == {
        "account": "user_1",
        "credit_type": TYPE,
        "key": "ticket-1",
        "seq": 1,
        "amount": 50,
        "balance_after": 50,
        "replayed": False,
    }
    assert again.get_json() == {**first.get_json(), "replayed": True}
    assert figures(library, "user_1") == (50, 0, 0, 50, 0)
    (grant,) = caller.account("user_1", "grants").get_json()["items"]
    assert grant["expires_at"] == "2099-01-01T00:00:00.000Z"


def test_a_deduction_takes_credits_out_once_per_key(caller: Caller, library: Credits) -> None:
    library.add("user_1", TYPE, 50, key="start")
    body = {"credit_type": TYPE, "amount": 20, "key": "ticket-2", "reason": "by hand"}

    first, again = (caller.tell("user_1", "deductions", body) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.get_json()["amount"], first.get_json()["balance_after"]) == (-20, 30)
    assert again.get_json() == {**first.get_json(), "replayed": True}
    entry = caller.account("user_1", "entries").get_json()["items"][0]
    assert (entry["kind"], entry["reason"], entry["actor"]) == ("deduct", "by hand", f"key:{caller.key.split('_')[2]}")


@pytest.mark.parametrize("what", ["grants", "deductions"])
def test_the_idempotency_key_is_the_key_of_a_change_without_one(caller: Caller, library: Credits, what: str) -> None:
    library.add("user_1", TYPE, 50, key="start")
    body, key = {"credit_type": TYPE, "amount": 20}, {"Idempotency-Key": "ticket-3"}

    first, again = (caller.tell("user_1", what, body, headers=key) for _ in range(2))
    other = caller.tell("user_1", what, {**body, "amount": 21}, headers=key)
    nameless = caller.tell("user_1", what, body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json()["key"] == "ticket-3"
    assert assert_problem(other, 409, "idempotency_conflict")["detail"].startswith("key 'ticket-3' was used before")
    assert assert_problem(nameless, 422, "invalid_input")["field"] == "key"


def test_a_refused_deduction_says_what_there_is_and_its_key_may_be_used_again(caller: Caller, library: Credits) -> None:
    body = {"credit_type": TYPE, "amount": 20, "key": "ticket-4"}

    refused = caller.tell("user_1", "deductions", body)
    caller.tell("user_1", "grants", {"credit_type": TYPE, "amount": 20, "key": "top-up"})
    taken = caller.tell("user_1", "deductions", body)

    problem = assert_problem(refused, 402, "insufficient_credits")
    assert problem["shortages"] == [{"credit_type": TYPE, "needed": 20, "available": 0}]
    assert problem["buy_url"] is None
    assert taken.status_code == 201
