"""`@spends`: what a task holds, pays and gives back, whatever becomes of its runs. Real workers are in tests/faults."""

from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

from credits.engine import Credits
from credits.errors import IdempotencyConflictError, InsufficientCreditsError, MemberLimitExceededError
from credits.integrations.celery import current_hold, current_job
from credits.reservations.hold import Hold
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.spending import for_order, make, nothing

pytestmark = pytest.mark.usefixtures("within_a_day")


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.add("user_1", OTHER, 100, key="b")
    return library


@pytest.fixture
def app() -> Celery:
    return Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)


def test_a_task_that_succeeds_pays_for_what_it_held(app: Celery, library: Credits) -> None:
    def render(account: str, prompt: str) -> str:
        assert figures(library, account)[:2] == (100, 3)
        return prompt.upper()

    result = make(app, render, library, image_generation=3).apply(("user_1", "a cat"), task_id="job")

    assert result.get() == "A CAT"
    assert figures(library, "user_1") == (97, 0, 0, 97, 0)
    assert library.entries("user_1")[0]["reservation_id"] == "job"


def test_a_task_that_fails_pays_nothing(app: Celery, library: Credits) -> None:
    def render(account: str) -> None:
        raise ValueError("no such font")

    result = make(app, render, library).apply(("user_1",))

    assert isinstance(result.result, ValueError)
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_task_pays_what_it_says_it_used(app: Celery, library: Credits) -> None:
    def write(account: str, prompt: str, most: int = 50) -> None:
        current_job().spent = {OTHER: 12}
        current_job().spent = {OTHER: 31}

    make(app, write, library, tokens=lambda said: said["most"]).apply(("user_1", "a story"))

    assert figures(library, "user_1", OTHER) == (69, 0, 0, 69, 0)


def test_amounts_and_account_are_computed_from_the_arguments(app: Celery, library: Credits) -> None:
    def render(self: Any, user: dict[str, str], *, count: int) -> None:
        seen.append(dict(current_hold().items))

    seen: list[dict[str, int]] = []
    task = make(
        app,
        render,
        library,
        bind=True,
        account=lambda said: said["user"]["team"],
        items=lambda said: {TYPE: said["count"], OTHER: 10 * said["count"]},
    )

    task.apply(({"team": "user_1"},), {"count": 2})

    assert seen == [{TYPE: 2, OTHER: 20}]
    assert figures(library, "user_1")[0] == 98


def test_a_task_that_needs_no_credits_this_time_runs_without_a_hold(app: Celery, library: Credits) -> None:
    def render(account: str, count: int) -> str:
        return "done"

    result = make(app, render, library, image_generation=lambda said: said["count"]).apply(("nobody", 0))

    assert result.get() == "done"


def test_a_task_counts_against_the_budget_of_the_member_it_is_for(app: Celery, library: Credits) -> None:
    def render(account: str, user: str | None) -> None:
        ran.append(user)

    ran: list[str | None] = []
    library.set_member_limit("user_1", "ada", TYPE, 10, per="day")
    task = make(app, render, library, image_generation=6, member="user")

    states = [task.apply(("user_1", user)).result for user in ("ada", "ada", "eve", None)]

    assert (ran, type(states[1])) == (["ada", "eve", None], MemberLimitExceededError)
    assert figures(library, "user_1") == (82, 0, 0, 82, 0)
    with pytest.raises(TypeError, match="has no argument 'nobody' for the member"):
        make(app, render, library, image_generation=6, member="nobody")


def test_too_few_credits_fail_the_task_before_it_runs_and_without_a_retry(app: Celery, library: Credits) -> None:
    def render(account: str) -> None:
        ran.append(account)

    ran: list[str] = []
    task = make(app, render, library, image_generation=101)

    result = task.apply(("user_1",))

    assert isinstance(result.result, InsufficientCreditsError)
    assert result.result.shortages[0].available == 100
    assert (ran, result.state) == ([], "FAILURE")


def test_too_few_credits_are_waited_for_where_that_is_asked_for(app: Celery, library: Credits) -> None:
    def render(self: Any, account: str) -> int:
        return int(self.request.retries)

    task = make(
        app, render, library, bind=True, image_generation=101, retry_on=(InsufficientCreditsError,), retry_in_s=0
    )
    original = task.retry

    def retry(*args: Any, **kwargs: Any) -> Any:
        # The customer buys more in the meantime.
        library.add("user_1", TYPE, 1, key="more")
        return original(*args, **kwargs)

    task.retry = retry  # type: ignore[method-assign]

    assert task.apply(("user_1",), task_id="job").get() == 1
    assert figures(library, "user_1") == (0, 0, 0, 0, 0)


def test_a_task_that_is_retried_keeps_one_hold_and_pays_once(app: Celery, library: Credits) -> None:
    def render(self: Any, account: str) -> None:
        held.append([record.reservation_id for record in library.holds(account)])
        if self.request.retries < 2:
            self.retry(countdown=1)

    held: list[list[str]] = []
    make(app, render, library, bind=True).apply(("user_1",), task_id="job")

    assert held == [["job"]] * 3
    assert figures(library, "user_1") == (99, 0, 0, 99, 0)


def test_a_task_that_celery_retries_by_itself_keeps_its_hold_until_the_tries_are_used_up(
    app: Celery, library: Credits
) -> None:
    def render(self: Any, account: str) -> None:
        held.append([record.reservation_id for record in library.holds(account)])
        raise OSError("the renderer is away")

    held: list[list[str]] = []
    options: dict[str, Any] = {"autoretry_for": (OSError,), "retry_kwargs": {"max_retries": 2, "countdown": 1}}
    result = make(app, render, library, bind=True, **options).apply(("user_1",), task_id="job")

    assert isinstance(result.result, OSError)
    assert held == [["job"]] * 3
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_time_limit_that_strikes_while_credits_are_reserved_leaves_no_hold(app: Celery, library: Credits) -> None:
    class Slow:
        """The answer comes, and the limit is faster."""

        def reserve(self, *args: Any, **kwargs: Any) -> Hold:
            library.reserve(*args, **kwargs)
            raise SoftTimeLimitExceeded

        def release(self, account: str, reservation_id: str) -> bool:
            return library.release(account, reservation_id)

    result = make(app, nothing, Slow).apply(("user_1",), task_id="job")  # type: ignore[arg-type]

    assert isinstance(result.result, SoftTimeLimitExceeded)
    assert library.find_hold("user_1", "job") is not None
    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_job_that_is_run_again_after_it_was_paid_is_free(app: Celery, library: Credits) -> None:
    runs = []

    def render(account: str) -> int:
        runs.append(account)
        return len(runs)

    task = make(app, render, library)
    results = [task.apply(("user_1",), task_id="job").get() for _ in range(2)]

    assert results == [1, 2]
    assert figures(library, "user_1") == (99, 0, 0, 99, 0)


def test_a_job_that_is_run_again_after_it_was_paid_is_skipped_if_asked_for(app: Celery, library: Credits) -> None:
    def render(account: str) -> None:
        runs.append(account)

    runs: list[str] = []
    task = make(app, render, library, if_paid="skip")

    states = [task.apply(("user_1",), task_id="job").state for _ in range(2)]

    assert (runs, states) == (["user_1"], ["SUCCESS", "IGNORED"])


@pytest.mark.parametrize("has_others_room", [True, False])
def test_a_job_that_is_run_again_after_its_hold_ended_holds_anew_and_pays_once(
    app: Celery, library: Credits, *, has_others_room: bool
) -> None:
    def render(account: str) -> None:
        held.append(figures(library, account)[1])
        if len(held) == 1:
            raise OSError("the renderer is away")

    held: list[int] = []
    amount = 40 if has_others_room else 80
    task = make(app, render, library, image_generation=amount)

    states = [task.apply(("user_1",), task_id="job").state for _ in range(3)]

    assert states == ["FAILURE", "SUCCESS", "SUCCESS"]
    assert held == [amount, amount, 0]
    assert figures(library, "user_1") == (100 - amount, 0, 0, 100 - amount, 0)


def test_a_job_whose_credits_were_spent_elsewhere_in_the_meantime_does_not_run_again(
    app: Celery, library: Credits
) -> None:
    runs = []

    def render(account: str) -> None:
        runs.append(account)
        raise OSError("the renderer is away")

    task = make(app, render, library, image_generation=80)
    task.apply(("user_1",), task_id="job")
    library.spend("user_1", image_generation=30, key="other")

    result = task.apply(("user_1",), task_id="job")

    assert isinstance(result.result, InsufficientCreditsError)
    assert (len(runs), figures(library, "user_1")) == (1, (70, 0, 0, 70, 0))


def test_another_run_that_was_done_first_has_paid_for_both(app: Celery, library: Credits) -> None:
    def render(account: str, used: int) -> None:
        current_job().spent = {TYPE: used}
        if used == 5:
            # The broker hands the same message to another worker, which is faster.
            task.apply((account, 3), task_id="job")

    task = make(app, render, library, image_generation=10)

    outer = task.apply(("user_1", 5), task_id="job")

    assert outer.state == "SUCCESS"
    assert figures(library, "user_1") == (97, 0, 0, 97, 0)


def test_a_run_that_fails_leaves_the_hold_to_a_run_beside_it(app: Celery, library: Credits) -> None:
    def render(account: str, is_second: bool) -> None:
        if is_second:
            raise OSError("killed by the other one's lock")
        task.apply((account, True), task_id="job")
        held.append(figures(library, account)[1])

    held: list[int] = []
    task = make(app, render, library, image_generation=10)

    assert task.apply(("user_1", False), task_id="job").state == "SUCCESS"
    assert (held, figures(library, "user_1")) == ([10], (90, 0, 0, 90, 0))


def test_what_the_task_commits_or_releases_by_itself_is_left_at_that(app: Celery, library: Credits) -> None:
    def commit(account: str) -> None:
        current_hold().commit(image_generation=2)

    def release(account: str) -> None:
        current_hold().release()

    make(app, commit, library, image_generation=10).apply(("user_1",))
    make(app, release, library, image_generation=10).apply(("user_1",))

    assert figures(library, "user_1") == (98, 0, 0, 98, 0)


def test_more_than_was_held_is_paid_as_the_policy_says(app: Celery, library: Credits) -> None:
    def write(account: str) -> None:
        current_job().spent = {OTHER: 150}

    denied = make(app, write, library, tokens=10).apply(("user_1",))
    owed = make(app, write, library, tokens=10, overage="allow_debt").apply(("user_1",))

    assert isinstance(denied.result, InsufficientCreditsError)
    assert owed.state == "SUCCESS"
    assert figures(library, "user_1", OTHER) == (-50, 0, 0, 0, 50)


def test_a_task_called_as_a_function_is_a_job_of_its_own(app: Celery, library: Credits) -> None:
    def render(account: str) -> str:
        return "done"

    task = make(app, render, library)

    assert [task("user_1"), task("user_1")] == ["done", "done"]
    assert figures(library, "user_1")[0] == 98


def test_a_key_of_the_apps_own_names_the_job(app: Celery, library: Credits) -> None:
    task = make(app, for_order, library, key=lambda said: f"order-{said['order']}")

    for _ in range(2):
        task.apply(("user_1", 7))

    assert figures(library, "user_1")[0] == 99
    assert library.entries("user_1")[0]["reservation_id"] == "order-7"


def test_one_name_for_other_amounts_is_a_conflict(app: Celery, library: Credits) -> None:
    task = make(
        app,
        for_order,
        library,
        key=lambda said: said["account"],
        account="account",
        image_generation=lambda said: said["order"],
    )
    task.apply(("user_1", 1))

    result = task.apply(("user_1", 2))

    assert isinstance(result.result, IdempotencyConflictError)
    assert figures(library, "user_1")[0] == 99


def test_a_task_makes_two_calls_of_the_gate(app: Celery, library: Credits, redis_url: str) -> None:
    task = make(app, nothing, library, durability="redis")
    task.apply(("user_1",))

    def calls() -> int:
        with redis.Redis.from_url(redis_url) as client:
            return int(client.info("commandstats")["cmdstat_fcall"]["calls"])

    before = calls()
    task.apply(("user_1",))

    assert calls() - before == 2
