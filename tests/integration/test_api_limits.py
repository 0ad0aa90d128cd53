"""Rate limits: per key, over all processes, exact where they are small, and never a reason to fail."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from credits.api.limits import open_limits
from credits.config.settings import Settings, load_settings
from credits.errors import ConfigError, CreditsError
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.clock import VirtualClock
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("within_a_day")


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Requests are counted in Redis."""
    return str(request.param)


def caller_on(settings: Settings, engine: Engine, redis_url: str, *, limit: str = "5/day") -> Caller:
    app = app_on(settings, engine, redis_url=redis_url, broker_url=redis_url, rate_limit=limit)
    return caller_of(app.test_client(), engine)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    settings: Settings, engine: Engine, redis_url: str
) -> None:
    caller = caller_on(settings, engine, redis_url)

    answers = [caller.account("user_1", "entries") for _ in range(7)]
    other = caller_of(caller.client, engine).account("user_1", "entries")

    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    problem = assert_problem(answers[-1], 429, "rate_limited")
    assert "5 per 1 day" in problem["detail"]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2 * 86_400 + 1
    assert other.status_code == 200


def test_a_limit_counts_what_all_processes_answer(settings: Settings, engine: Engine, redis_url: str) -> None:
    one = caller_on(settings, engine, redis_url)
    other = Caller(client=caller_on(settings, engine, redis_url).client, key=one.key)

    answers = [caller.account("user_1", "entries").status_code for _ in range(4) for caller in (one, other)]

    assert sorted(answers) == [200] * 5 + [429] * 3


def test_a_large_limit_costs_few_round_trips_and_is_not_passed(valkey_server: ValkeyServer, redis_url: str) -> None:
    limits = open_limits("1000/day", redis_url)
    assert limits is not None
    asked: list[int] = []
    hit = limits.strategy.hit

    def counted(*args: object, **options: object) -> bool:
        asked.append(1)
        return hit(*args, **options)  # type: ignore[arg-type]

    limits.strategy.hit = counted  # type: ignore[method-assign]
    admitted = 0
    for _ in range(1100):
        try:
            limits.admit("kid")
        except CreditsError:
            break
        admitted += 1

    assert 980 <= admitted <= 1000
    assert len(asked) < 100


def test_threads_that_ask_at_once_use_up_no_more_than_they_send(redis_url: str) -> None:
    processes = [open_limits("20000/second", redis_url) for _ in range(2)]

    def send(number: int) -> int:
        limits = processes[number % 2]
        assert limits is not None
        for _ in range(200):
            limits.admit("kid")
        return 200

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(send, range(16))) == 3200


def test_without_redis_requests_are_admitted_uncounted(settings: Settings, engine: Engine) -> None:
    caller = caller_on(settings, engine, "redis://127.0.0.1:1/0")

    answers = [caller.account("user_1", "entries").status_code for _ in range(10)]

    assert answers == [200] * 10


def test_what_is_no_limit_is_refused_at_the_start(clock: VirtualClock, settings: Settings) -> None:
    folder = settings.config_path.parent

    for text in ("many", "", "0/second", "10/second; 0/day"):
        with pytest.raises(ConfigError, match="CREDITGATE_RATE_LIMIT"):
            load_settings({"CREDITGATE_RATE_LIMIT": text}, folder)
    assert load_settings({"CREDITGATE_RATE_LIMIT": "none"}, folder).rate_limit == ""
    assert load_settings({}, folder).rate_limit == "2000/second"
