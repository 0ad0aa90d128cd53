"""Reservations over HTTP: held, committed, released, extended, found; each safe to repeat by its name."""

from typing import Any

import pytest
from sqlalchemy import Engine

from credits.config.settings import Settings
from credits.engine import Credits
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.library import OTHER, TYPE, figures

BUY_URL = "https://app.example.com/buy?for={account}"


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url, buy_url=BUY_URL)
    return caller_of(app.test_client(), engine, scopes=["reserve", "read"])


def reserve(caller: Caller, reservation_id: str = "job-1", *, amount: int = 10, **fields: Any) -> dict[str, Any]:
    body = {"reservation_id": reservation_id, "items": {TYPE: amount}, **fields}
    answer = caller.tell("user_1", "reservations", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_a_reservation_holds_credits_and_says_until_when(caller: Caller, library: Credits) -> None:
    answer = caller.tell("user_1", "reservations", {"reservation_id": "job-1", "items": {TYPE: 10}, "ttl_s": 60})

    assert answer.status_code == 201
    held = answer.get_json()
    assert held.pop("expires_at").endswith("Z")
    assert held == {
        "account": "user_1",
        "reservation_id": "job-1",
        "state": "held",
        "items": {TYPE: 10},
        "member": None,
        "replayed": False,
    }
    assert figures(library, "user_1") == (100, 10, 0, 90, 0)


def test_a_repeated_reservation_is_answered_as_the_first_time_with_200(caller: Caller, library: Credits) -> None:
    first = reserve(caller)

    again = caller.tell("user_1", "reservations", {"reservation_id": "job-1", "items": {TYPE: 10}})

    assert again.status_code == 200
    assert again.get_json() == {**first, "replayed": True}
    assert figures(library, "user_1")[1] == 10


def test_the_same_reservation_id_with_other_items_is_a_conflict(caller: Caller, library: Credits) -> None:
    reserve(caller)

    answer = caller.tell("user_1", "reservations", {"reservation_id": "job-1", "items": {TYPE: 11}})

    assert_problem(answer, 409, "idempotency_conflict")
    assert figures(library, "user_1")[1] == 10


def test_the_idempotency_key_names_a_reservation_that_has_no_name_of_its_own(caller: Caller, library: Credits) -> None:
    key = {"Idempotency-Key": "order/17"}

    first = caller.tell("user_1", "reservations", {"items": {TYPE: 10}}, headers=key)
    again = caller.tell("user_1", "reservations", {"items": {TYPE: 10}}, headers=key)
    other = caller.tell("user_1", "reservations", {"items": {TYPE: 11}}, headers=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json()["reservation_id"] == again.get_json()["reservation_id"] == "order/17"
    assert_problem(other, 409, "idempotency_conflict")
    assert figures(library, "user_1")[1] == 10


def test_two_names_for_one_reservation_are_refused(caller: Caller, library: Credits) -> None:
    body = {"reservation_id": "job-1", "items": {TYPE: 10}}

    differing = caller.tell("user_1", "reservations", body, headers={"Idempotency-Key": "job-2"})
    same = caller.tell("user_1", "reservations", body, headers={"Idempotency-Key": "job-1"})

    assert assert_problem(differing, 422, "invalid_input")["field"] == "Idempotency-Key"
    assert same.status_code == 201


def test_without_a_name_each_request_is_another_reservation(caller: Caller, library: Credits) -> None:
    names = {caller.tell("user_1", "reservations", {"items": {TYPE: 1}}).get_json()["reservation_id"] for _ in range(3)}

    assert len(names) == 3
    assert figures(library, "user_1")[1] == 3


def test_too_few_credits_say_per_type_what_is_missing_and_where_to_buy(caller: Caller, library: Credits) -> None:
    answer = caller.tell("user_1", "reservations", {"items": {TYPE: 101, OTHER: 5}})

    problem = assert_problem(answer, 402, "insufficient_credits")
    assert sorted(problem["shortages"], key=lambda one: str(one["credit_type"])) == [
        {"credit_type": TYPE, "needed": 101, "available": 100},
        {"credit_type": OTHER, "needed": 5, "available": 0},
    ]
    assert problem["buy_url"] == "https://app.example.com/buy?for=user_1"
    assert figures(library, "user_1")[1] == 0


def test_where_to_buy_names_the_account_encoded(caller: Caller) -> None:
    answer = caller.tell("a/b & c", "reservations", {"items": {TYPE: 1}})

    assert answer.get_json()["buy_url"] == "https://app.example.com/buy?for=a%2Fb%20%26%20c"


def test_a_commit_pays_for_what_was_used_and_gives_the_rest_back(caller: Caller, library: Credits) -> None:
    reserve(caller)

    answer = caller.tell("user_1", "reservations/job-1/commit", {"items": {TYPE: 4}})

    assert answer.status_code == 200
    assert answer.get_json() == {
        "account": "user_1",
        "reservation_id": "job-1",
        "durability": "ledger",
        "is_pending": False,
        "rescued": False,
        "replayed": False,
    }
    assert figures(library, "user_1") == (96, 0, 0, 96, 0)


def test_a_commit_with_an_empty_body_pays_for_all_that_is_held_once(caller: Caller, library: Credits) -> None:
    reserve(caller)

    first = caller.tell("user_1", "reservations/job-1/commit")
    # Another Idempotency-Key does not make it another commit: it is the final one of this reservation.
    again = caller.tell("user_1", "reservations/job-1/commit", {}, headers={"Idempotency-Key": "another"})

    assert (first.get_json()["replayed"], again.get_json()["replayed"]) == (False, True)
    assert figures(library, "user_1") == (90, 0, 0, 90, 0)


def test_steps_of_a_commit_are_named_by_step_or_by_the_idempotency_key(caller: Caller, library: Credits) -> None:
    reserve(caller)
    path, part = "reservations/job-1/commit", {"items": {TYPE: 2}, "final": False}

    nameless = caller.tell("user_1", path, part)
    by_step = caller.tell("user_1", path, {**part, "step": "page-1"})
    by_key = [caller.tell("user_1", path, part, headers={"Idempotency-Key": "page-2"}) for _ in range(2)]

    assert assert_problem(nameless, 422, "invalid_input")["field"] == "step"
    assert by_step.status_code == 200
    assert [one.get_json()["replayed"] for one in by_key] == [False, True]
    assert figures(library, "user_1") == (96, 6, 0, 90, 0)


def test_a_commit_above_its_hold_needs_a_policy(caller: Caller, library: Credits) -> None:
    reserve(caller)

    refused = caller.tell("user_1", "reservations/job-1/commit", {"items": {TYPE: 12}})
    allowed = caller.tell("user_1", "reservations/job-1/commit", {"items": {TYPE: 12}, "overage": "if_available"})

    assert_problem(refused, 402, "insufficient_credits")
    assert allowed.status_code == 200
    assert figures(library, "user_1")[0] == 88


def test_a_commit_of_a_hold_that_is_gone_is_rescued_or_says_what_is_short(caller: Caller, library: Credits) -> None:
    short = caller.tell("user_1", "reservations/lost-1/commit", {"items": {TYPE: 101}})
    rescued = caller.tell("user_1", "reservations/lost-2/commit", {"if_lost": {TYPE: 7}})

    problem = assert_problem(short, 410, "hold_ended")
    assert problem["shortages"] == [{"credit_type": TYPE, "needed": 101, "available": 100}]
    assert rescued.get_json()["rescued"] is True
    assert figures(library, "user_1")[0] == 93


def test_a_release_gives_everything_back_and_may_be_repeated(caller: Caller, library: Credits) -> None:
    reserve(caller)

    answers = [caller.tell("user_1", "reservations/job-1/release").get_json() for _ in range(2)]

    assert answers == [{"account": "user_1", "reservation_id": "job-1", "released": True}] * 2
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_committed_hold_is_not_released(caller: Caller, library: Credits) -> None:
    reserve(caller)
    caller.tell("user_1", "reservations/job-1/commit")

    answer = caller.tell("user_1", "reservations/job-1/release")

    assert (answer.status_code, answer.get_json()["released"]) == (200, False)
    assert figures(library, "user_1")[0] == 90


def test_a_hold_is_extended_and_one_that_is_over_is_not(caller: Caller, library: Credits) -> None:
    first = reserve(caller, ttl_s=10)

    extended = caller.tell("user_1", "reservations/job-1/extend", {"ttl_s": 120})
    caller.tell("user_1", "reservations/job-1/release")
    over = caller.tell("user_1", "reservations/job-1/extend", {"ttl_s": 120})

    assert extended.get_json()["expires_at"] > first["expires_at"]
    assert_problem(over, 410, "hold_ended")


def test_a_reservation_is_found_by_its_id_and_open_ones_are_listed(caller: Caller, library: Credits) -> None:
    reserve(caller, "job-1", ttl_s=60)
    reserve(caller, "a/b c%20", ttl_s=50)
    caller.tell("user_1", "reservations/job-1/commit", {"items": {TYPE: 1}, "final": False, "step": "one"})

    found = caller.account("user_1", "reservations/job-1").get_json()
    by_odd_name = caller.account("user_1", "reservations/a%2Fb%20c%2520").get_json()
    listed = caller.account("user_1", "reservations").get_json()

    assert (found["state"], found["items"], found["commits"]) == ("held", {TYPE: 9}, 1)
    assert by_odd_name["reservation_id"] == "a/b c%20"
    assert listed == {"account": "user_1", "items": [by_odd_name, found], "next": None}


def test_open_reservations_are_listed_in_pages(caller: Caller, library: Credits) -> None:
    for number in range(7):
        reserve(caller, f"job-{number}", amount=1, ttl_s=60 + number)

    pages = [caller.account("user_1", "reservations", limit=3).get_json()]
    while pages[-1]["next"] is not None:
        pages.append(caller.account("user_1", "reservations", limit=3, cursor=pages[-1]["next"]).get_json())
    odd = caller.account("user_1", "reservations", cursor="5-x")

    assert [[one["reservation_id"] for one in page["items"]] for page in pages] == [
        ["job-0", "job-1", "job-2"],
        ["job-3", "job-4", "job-5"],
        ["job-6"],
    ]
    assert assert_problem(odd, 422, "invalid_input")["field"] == "cursor"


@pytest.mark.parametrize("account", ["user_1", "nobody"])
def test_a_reservation_that_is_not_there_is_404(caller: Caller, library: Credits, account: str) -> None:
    found = caller.account(account, "reservations/nothing")
    released = caller.tell(account, "reservations/nothing/release")

    assert_problem(found, 404, "reservation_not_found")
    assert_problem(released, 404, "reservation_not_found")


def test_a_spend_takes_credits_once_per_key(caller: Caller, library: Credits) -> None:
    answers = [caller.tell("user_1", "spends", {"items": {TYPE: 5}, "key": "job-9"}) for _ in range(2)]
    by_header = caller.tell("user_1", "spends", {"items": {TYPE: 5}}, headers={"Idempotency-Key": "job-9"})
    other = caller.tell("user_1", "spends", {"items": {TYPE: 6}, "key": "job-9"})
    nameless = caller.tell("user_1", "spends", {"items": {TYPE: 6}})

    assert [one.get_json()["replayed"] for one in (*answers, by_header)] == [False, True, True]
    assert_problem(other, 409, "idempotency_conflict")
    assert assert_problem(nameless, 422, "invalid_input")["field"] == "key"
    assert figures(library, "user_1")[0] == 95


def test_whether_so_much_could_be_taken(caller: Caller, library: Credits) -> None:
    enough = caller.account("user_1", "can-deduct", credit_type=TYPE, amount=100)
    too_much = caller.account("user_1", "can-deduct", credit_type=TYPE, amount=101)

    assert enough.get_json() == {"account": "user_1", "credit_type": TYPE, "amount": 100, "can_deduct": True}
    assert too_much.get_json()["can_deduct"] is False
