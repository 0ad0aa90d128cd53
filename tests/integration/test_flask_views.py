"""`@spends_credits`: a view pays after a 2xx, and for nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort

from credits.engine import Credits
from credits.errors import (
    AccountBlockedError,
    CreditsError,
    GateUnavailableError,
    InvalidIdError,
    InvalidInputError,
    MemberLimitExceededError,
)
from credits.integrations.flask import current_hold, current_job, spends_credits
from credits.reservations.hold import Hold
from tests.support.library import OTHER, TYPE, Shop, figures


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.add("user_1", OTHER, 100, key="b")
    return library


def ask(view: Callable[..., Any], library: Any, *, account: str = "user_1", **options: Any) -> Any:
    """What one request to the view is answered."""
    app = Flask(__name__)
    wanted = options if {"items", TYPE, OTHER} & set(options) else {TYPE: 10, **options}
    app.get("/<account>")(spends_credits(using=library, **wanted)(view))
    return app.test_client().get(f"/{account}")


def uncalled(account: str) -> str:
    """A view that nobody reaches."""
    raise AssertionError(f"called for {account}")


@pytest.mark.parametrize(
    ("answer", "left"), [("done", 90), (("made", 201), 90), (("no", 404), 100), (("see", 302), 100), (("oh", 500), 100)]
)
def test_only_a_2xx_is_paid(library: Credits, answer: Any, left: int) -> None:
    def render(account: str) -> Any:
        held.append(figures(library, account)[1])
        return answer

    held: list[int] = []
    ask(render, library)

    assert held == [10]
    assert figures(library, "user_1") == (left, 0, 0, left, 0)


def test_a_view_that_raises_pays_nothing(library: Credits) -> None:
    def broken(account: str) -> Any:
        raise OSError("the renderer is away")

    def refusing(account: str) -> Any:
        abort(403)

    assert [ask(broken, library).status_code, ask(refusing, library).status_code] == [500, 403]
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_view_pays_what_it_says_it_used(library: Credits) -> None:
    def write(account: str) -> str:
        current_job().spent = {OTHER: 31}
        return "a story"

    ask(write, library, tokens=50)

    assert figures(library, "user_1", OTHER) == (69, 0, 0, 69, 0)


def test_whoever_cannot_pay_is_answered_402_and_the_view_is_not_called(library: Credits) -> None:
    answer = ask(uncalled, library, image_generation=101)

    problem = answer.get_json()
    assert (answer.status_code, answer.content_type) == (402, "application/problem+json")
    assert problem["shortages"] == [{"credit_type": TYPE, "needed": 101, "available": 100}]
    assert problem["code"] == "insufficient_credits"


class _Away:
    """A gate that does not answer."""

    def reserve(self, *_: Any, **__: Any) -> Hold:
        raise GateUnavailableError("Redis did not answer")

    def release(self, *_: Any) -> bool:
        raise GateUnavailableError("Redis did not answer")


def test_a_member_past_its_budget_is_answered_403_and_the_view_is_not_called(library: Credits) -> None:
    def render(account: str) -> str:
        ran.append(account)
        return "done"

    ran: list[str] = []
    library.set_member_limit("user_1", "ada", TYPE, 15, per="month")

    first, second = (ask(render, library, member=lambda _said: "ada") for _ in range(2))

    assert (first.status_code, second.status_code, len(ran)) == (200, 403, 1)
    assert second.get_json()["code"] == "member_limit_exceeded"
    assert figures(library, "user_1")[0] == 90


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (AccountBlockedError("user_1", TYPE, 5, "refunded"), 403),
        (InvalidIdError("account", "must have 1 to 200 characters, got 201"), 422),
        (MemberLimitExceededError("ada"), 403),
    ],
    ids=["blocked", "no name", "budget"],
)
def test_whoever_is_refused_hears_that_and_of_no_failure(refused: CreditsError, status: int) -> None:
    class Refusing:
        def reserve(self, *_: Any, **__: Any) -> Hold:
            raise refused

    answer = ask(uncalled, Refusing)

    assert (answer.status_code, answer.get_json()["code"]) == (status, refused.code)


def test_a_view_whose_credits_went_elsewhere_while_it_ran_is_answered_402_instead_of_the_work(library: Credits) -> None:
    def render(account: str) -> str:
        library.release(account, current_hold().reservation_id)
        library.spend(account, {TYPE: 95}, key="elsewhere")
        return "done"

    answer = ask(render, library)

    assert (answer.status_code, answer.get_json()["code"]) == (402, "hold_ended")
    assert answer.get_json()["shortages"] == [{"credit_type": TYPE, "needed": 10, "available": 5}]
    assert figures(library, "user_1")[0] == 5


def test_a_gate_that_is_away_is_answered_503() -> None:
    answer = ask(uncalled, _Away)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_more_than_can_be_paid_is_answered_402_instead_of_the_work(library: Credits) -> None:
    def write(account: str) -> str:
        current_job().spent = {OTHER: 101}
        return "a long story"

    answer = ask(write, library, tokens=50, overage="if_available")

    assert (answer.status_code, b"story" in answer.data) == (402, False)
    assert figures(library, "user_1", OTHER) == (100, 0, 0, 100, 0)


def test_a_request_whose_job_is_paid_is_not_answered_twice(library: Credits) -> None:
    def render(account: str) -> str:
        return "done"

    answers = [ask(render, library, key=lambda said: f"order-7-{said['account']}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert figures(library, "user_1") == (90, 0, 0, 90, 0)


def test_a_request_that_failed_may_be_repeated_under_its_key(library: Credits) -> None:
    answers = ["try again", "done"]

    def render(account: str) -> Any:
        return (answers.pop(0), 503 if answers else 200)

    statuses = [ask(render, library, key=lambda _said: "order-7").status_code for _ in range(2)]

    assert statuses == [503, 200]
    assert figures(library, "user_1") == (90, 0, 0, 90, 0)


def test_a_streamed_answer_is_paid_when_it_ends(library: Credits) -> None:
    def stream(account: str) -> Response:
        def parts() -> Iterator[str]:
            held.append(figures(library, account, OTHER)[:2])
            current_job().spent = {OTHER: 7}
            yield "once "
            current_job().spent = {OTHER: 9}
            yield "upon"

        return Response(parts())

    held: list[tuple[int, ...]] = []
    answer = ask(stream, library, tokens=50)

    assert answer.text == "once upon"
    answer.close()
    assert held == [(100, 50)]
    assert figures(library, "user_1", OTHER) == (91, 0, 0, 91, 0)


def test_a_stream_that_the_caller_leaves_is_paid_as_far_as_it_went(library: Credits) -> None:
    def stream(account: str) -> Response:
        def parts() -> Iterator[str]:
            for number in range(1, 100):
                current_job().spent = {OTHER: number}
                yield "word "

        return Response(parts())

    app = Flask(__name__)
    app.get("/<account>")(spends_credits(using=library, tokens=100)(stream))
    answer = app.test_client().get("/user_1", buffered=False)
    parts = iter(answer.response)
    next(parts)
    next(parts)
    answer.close()

    paid = 100 - figures(library, "user_1", OTHER)[0]
    assert 1 <= paid <= 3
    assert figures(library, "user_1", OTHER)[1] == 0


def test_what_no_request_could_be_paid_by_is_refused_where_the_view_is_declared() -> None:
    def render(account: str) -> str:
        return account

    with pytest.raises(TypeError, match="say what"):
        spends_credits()(render)
    with pytest.raises(InvalidInputError, match="image_generation: must be a whole number from 0"):
        spends_credits(image_generation=0.5)(render)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="ttl_s: must be a number from 1 to 86400"):
        spends_credits(image_generation=1, ttl_s=0)(render)


def test_an_account_may_be_anything_the_request_knows(library: Credits) -> None:
    def render(account: str) -> str:
        return "done"

    with pytest.raises(TypeError, match="has no argument 'user'"):
        spends_credits(account="user", image_generation=1)(render)
    ask(render, library, account="whoever", items=lambda said: {TYPE: len(said["account"])})

    assert ask(render, library, items=lambda _said: {}).text == "done"
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)
