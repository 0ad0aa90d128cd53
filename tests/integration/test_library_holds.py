"""Holds in the hands of jobs: commit, release, leave the block, lose the hold and be rescued."""

import re
import threading
import time

import pytest
from sqlalchemy import select

from credits.db import snapshot
from credits.engine import Credits
from credits.errors import (
    GateUnavailableError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidAmountError,
    InvalidIdError,
    InvalidInputError,
    UnknownCreditTypeError,
)
from credits.ledger.tables import accounts
from credits.reservations.batch import Reserve
from credits.reservations.hold import Hold
from credits.reservations.model import Durability, HoldState
from credits.reservations.wire import DirectLine
from tests.support.cluster import connected
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.processes import wait_until

LOOK_ALIKE = [
    *("{1}", "{ 1 }", "{1", "1}", "{{1}}", "1", "01", "%1", "%%1", "%31", "%7B1%7D", "1 %", "1%"),
    *("a", " a", "a ", " a ", "  a", "a\u00a0", " ", "  ", "\u00a0"),
    *("c:1", "c :1", "c: 1", "c::1", ":c:1", "c%3A1", "cg:{1}:account:1", "cg:{1}:shard", "*", "?", "[1]"),
]
"""Made of what has a meaning in Redis's keys, in patterns of Lua, in addresses, and in our own names."""


@pytest.fixture
def credits_(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="first")
    library.add("user_1", OTHER, 1000, key="second")
    return library


def test_a_block_that_commits_pays_and_one_that_raises_does_not(credits_: Credits, shop: Shop) -> None:
    with credits_.reserve("user_1", image_generation=30) as hold:
        inside = figures(credits_, "user_1")
        committed = hold.commit()
    with pytest.raises(ZeroDivisionError), credits_.reserve("user_1", image_generation=30):
        _ = 1 / 0

    assert inside == (100, 30, 0, 70, 0)
    assert committed.durability is Durability.LEDGER
    assert figures(credits_, "user_1") == (70, 0, 0, 70, 0)
    assert_ledger_is_sound(shop.engine)


def test_a_hold_is_committed_or_released_by_its_name_from_another_process(credits_: Credits, shop: Shop) -> None:
    for name in ("job-1", "job-2"):
        credits_.reserve("user_1", image_generation=30, reservation_id=name)
    elsewhere = shop.process()

    committed = elsewhere.commit("user_1", "job-1", image_generation=10)
    released = [elsewhere.release("user_1", "job-2"), elsewhere.release("user_1", "never-made")]

    assert (committed.rescued, released) == (False, [True, False])
    assert figures(credits_, "user_1") == (90, 0, 0, 90, 0)


def test_a_block_that_ends_without_a_commit_gives_everything_back(credits_: Credits) -> None:
    with credits_.reserve("user_1", image_generation=30) as hold:
        pass

    assert hold.state is HoldState.RELEASED
    assert figures(credits_, "user_1") == (100, 0, 0, 100, 0)


def test_a_commit_of_less_returns_the_rest_and_one_of_nothing_returns_all(credits_: Credits) -> None:
    with credits_.reserve("user_1", image_generation=30, tokens=500) as hold:
        hold.commit(image_generation=10)
    with credits_.reserve("user_1", image_generation=30) as unused:
        answer = unused.commit(image_generation=0)

    assert figures(credits_, "user_1") == (90, 0, 0, 90, 0)
    assert figures(credits_, "user_1", OTHER) == (1000, 0, 0, 1000, 0)
    assert not answer.is_pending


def test_steps_pay_bit_by_bit_and_the_last_one_returns_the_rest(credits_: Credits) -> None:
    with credits_.reserve("user_1", tokens=500) as hold:
        for page in range(3):
            hold.commit(tokens=100, step=f"page-{page}", final=False)
            hold.commit(tokens=100, step=f"page-{page}", final=False)
        halfway = figures(credits_, "user_1", OTHER)
        hold.commit(tokens=50)

    assert halfway == (700, 200, 0, 500, 0)
    assert figures(credits_, "user_1", OTHER) == (650, 0, 0, 650, 0)


def test_a_commit_above_the_hold_is_up_to_the_policy(credits_: Credits) -> None:
    hold = credits_.reserve("user_1", image_generation=30)
    with pytest.raises(InsufficientCreditsError, match="40 needed, 30 available"):
        hold.commit(image_generation=40)
    with pytest.raises(InsufficientCreditsError):
        hold.commit(image_generation=140, overage="if_available", step="second")
    hold.commit(image_generation=40, overage="if_available", step="third")
    indebted = credits_.reserve("user_1", image_generation=10)
    indebted.commit(image_generation=75, overage="allow_debt")

    assert figures(credits_, "user_1") == (-15, 0, 0, 0, 15)


def test_every_call_may_be_repeated_and_counts_once(credits_: Credits, shop: Shop) -> None:
    elsewhere = shop.process()

    first = credits_.reserve("user_1", image_generation=30, reservation_id="job 1|{}%")
    again = elsewhere.reserve("user_1", image_generation=30, reservation_id="job 1|{}%")
    committed = [first.commit(), again.commit(), first.commit()]
    spent = [credits_.spend("user_1", image_generation=5, key="s"), elsewhere.spend("user_1", {TYPE: 5}, key="s")]

    assert (first.replayed, again.replayed) == (False, True)
    assert [one.replayed for one in committed + spent] == [False, True, True, False, True]
    assert figures(credits_, "user_1") == (65, 0, 0, 65, 0)


def test_a_name_used_for_something_else_is_a_conflict_and_changes_nothing(credits_: Credits) -> None:
    hold = credits_.reserve("user_1", image_generation=30, reservation_id="job")
    with pytest.raises(IdempotencyConflictError):
        credits_.reserve("user_1", image_generation=31, reservation_id="job")
    hold.commit(image_generation=10)
    with pytest.raises(IdempotencyConflictError):
        hold.commit(image_generation=11)
    credits_.spend("user_1", image_generation=1, key="s")
    with pytest.raises(IdempotencyConflictError):
        credits_.spend("user_1", image_generation=2, key="s")

    assert figures(credits_, "user_1") == (89, 0, 0, 89, 0)


def test_several_types_are_held_all_or_none(credits_: Credits) -> None:
    with pytest.raises(InsufficientCreditsError) as refused:
        credits_.reserve("user_1", {TYPE: 101, OTHER: 1})

    assert [(one.credit_type, one.needed, one.available) for one in refused.value.shortages] == [(TYPE, 101, 100)]
    assert figures(credits_, "user_1", OTHER) == (1000, 0, 0, 1000, 0)


def test_a_hold_is_extended_while_its_block_runs_and_freed_when_its_process_dies(credits_: Credits) -> None:
    abandoned = credits_.reserve("user_1", image_generation=20, ttl_s=1)
    with credits_.reserve("user_1", image_generation=30, ttl_s=3) as hold:
        first_end_ms = hold.expires_at_ms
        wait_until(lambda: hold.expires_at_ms > first_end_ms, what="the hold is extended")
        wait_until(lambda: figures(credits_, "user_1") == (100, 30, 0, 70, 0), what="the other one is freed")
        assert not hold.commit().rescued

    assert abandoned.expires_at_ms < hold.expires_at_ms
    assert figures(credits_, "user_1") == (70, 0, 0, 70, 0)


def test_one_thread_extends_all_holds_of_a_process(credits_: Credits) -> None:
    with credits_.reserve("user_1", image_generation=1, ttl_s=30):
        before = threading.active_count()
        holds = [credits_.reserve("user_1", image_generation=1, ttl_s=30).__enter__() for _ in range(20)]
        during = threading.active_count()
        for hold in holds:
            hold.__exit__(None, None, None)

    assert during == before


def test_a_heartbeat_that_finds_the_hold_over_says_so(credits_: Credits) -> None:
    with credits_.reserve("user_1", image_generation=30, ttl_s=1, reservation_id="job") as hold:
        credits_.reservations.release("user_1", "job")

        wait_until(lambda: hold.is_over, what="the heartbeat finds the hold released")


def test_a_late_commit_is_paid_from_what_is_available_or_says_that_it_cannot(credits_: Credits) -> None:
    rescued = credits_.reserve("user_1", image_generation=60, ttl_s=1)
    too_late = credits_.reserve("user_1", image_generation=40, ttl_s=1)
    time.sleep(1.1)
    freed = figures(credits_, "user_1")

    answer = rescued.commit()
    credits_.spend("user_1", image_generation=10, key="in between")
    with pytest.raises(HoldEndedError, match="40 needed, 30 available"):
        too_late.commit()

    assert freed == (100, 0, 0, 100, 0)
    assert answer.rescued
    assert rescued.commit().replayed
    assert figures(credits_, "user_1") == (30, 0, 0, 30, 0)


def test_a_hold_that_was_paid_in_parts_is_rescued_for_the_rest_only(credits_: Credits) -> None:
    hold = credits_.reserve("user_1", image_generation=60, ttl_s=1)
    hold.commit(image_generation=20, step="half", final=False)
    time.sleep(1.1)
    freed = figures(credits_, "user_1")

    answer = hold.commit()

    assert freed == (80, 0, 0, 80, 0)
    assert answer.rescued
    assert figures(credits_, "user_1") == (40, 0, 0, 40, 0)


def test_a_commit_at_redis_level_is_pending_until_a_settler_books_it(credits_: Credits) -> None:
    answer = credits_.reserve("user_1", image_generation=30).commit(durability="redis")
    pending = figures(credits_, "user_1")
    credits_.spend("user_1", image_generation=1, key="s")

    assert (answer.durability, answer.is_pending) == (Durability.REDIS, False)
    assert pending == (100, 0, 30, 70, 0)
    assert figures(credits_, "user_1") == (69, 0, 0, 69, 0)


def test_above_the_exposure_a_commit_waits_for_the_ledger_whatever_it_asked_for(credits_: Credits, shop: Shop) -> None:
    careful = shop.process(max_exposure=25)

    levels = [
        careful.spend("user_1", image_generation=10, key=f"s{number}", durability="redis").durability
        for number in range(4)
    ]

    assert levels == [Durability.REDIS, Durability.REDIS, Durability.LEDGER, Durability.REDIS]


def test_holds_are_listed_and_found_by_their_id(credits_: Credits) -> None:
    credits_.reserve("user_1", image_generation=1, reservation_id="later", ttl_s=90)
    credits_.reserve("user_1", image_generation=2, tokens=3, reservation_id="sooner | {1}", ttl_s=30)
    credits_.reserve("user_1", image_generation=4, reservation_id="done").commit()

    listed = [(hold.reservation_id, hold.left) for hold in credits_.holds("user_1")]
    found = credits_.find_hold("user_1", "done")

    assert listed == [("sooner | {1}", {TYPE: 2, OTHER: 3}), ("later", {TYPE: 1})]
    assert found is not None
    assert (found.state, found.steps) == (HoldState.COMMITTED, 1)
    assert credits_.find_hold("user_1", "never") is None
    with pytest.raises(InvalidInputError, match="limit: must be a whole number from 1 to 1001, got 1002"):
        credits_.holds("user_1", limit=1002)


def test_can_deduct_answers_without_holding(credits_: Credits) -> None:
    credits_.reserve("user_1", image_generation=60)

    answers = [credits_.can_deduct("user_1", TYPE, amount) for amount in (40, 41)]

    assert answers == [True, False]
    assert not credits_.can_deduct("nobody", TYPE, 1)
    assert figures(credits_, "user_1") == (100, 60, 0, 40, 0)


@pytest.mark.parametrize("amount", [0, -1, 1.5, float("nan"), 10**30, True, "5", None])
def test_what_is_no_amount_is_refused_and_the_bound_named(credits_: Credits, amount: object) -> None:
    with pytest.raises(InvalidAmountError, match=f"from 1 to {2**53 - 1}"):
        credits_.reserve("user_1", {TYPE: amount})  # type: ignore[dict-item]

    assert figures(credits_, "user_1") == (100, 0, 0, 100, 0)


@pytest.mark.parametrize("ttl_s", [0, 0.5, 86_401, float("nan"), True, "60"])
def test_a_ttl_outside_its_bounds_is_refused(credits_: Credits, ttl_s: float) -> None:
    with pytest.raises(InvalidInputError, match="ttl_s"):
        credits_.reserve("user_1", image_generation=1, ttl_s=ttl_s)


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "a\nb", "x" * 201])
def test_a_reservation_id_that_cannot_be_stored_is_refused(credits_: Credits, name: str) -> None:
    with pytest.raises(InvalidIdError, match="reservation_id"):
        credits_.reserve("user_1", {TYPE: 1}, reservation_id=name, ttl_s=5)

    (batched,) = credits_.reserve_many([Reserve(account="user_1", items={TYPE: 1}, reservation_id=name)])
    assert isinstance(batched, InvalidIdError)
    assert credits_.holds("user_1") == []


def test_types_nobody_declared_and_too_many_or_none_are_refused(credits_: Credits) -> None:
    with pytest.raises(UnknownCreditTypeError):
        credits_.reserve("user_1", {"voice": 1})
    with pytest.raises(InvalidInputError, match="items: must name 1 to 16 credit types, got 0"):
        credits_.reserve("user_1")
    with pytest.raises(InvalidInputError, match="items: must be amounts by credit type"):
        credits_.reserve("user_1", [TYPE])  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="items: must name 1 to 16 credit types, got 17"):
        credits_.reserve("user_1", {f"type_{number}": 1 for number in range(17)})
    with pytest.raises(InvalidInputError, match="not both"):
        credits_.reserve("user_1", {TYPE: 1}, tokens=1)
    with pytest.raises(InvalidInputError, match="deny, if_available, allow_debt"):
        credits_.reserve("user_1", image_generation=1).commit(overage="sometimes")
    with pytest.raises(InvalidInputError, match="final: must be True or False, got 2"):
        credits_.reserve("user_1", image_generation=1).commit(final=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="step"):
        credits_.reserve("user_1", image_generation=1).commit(image_generation=1, final=False)


def test_an_account_nobody_knows_is_refused_and_nothing_is_made(credits_: Credits, shop: Shop) -> None:
    with pytest.raises(InsufficientCreditsError, match="5 needed, 0 available"):
        credits_.reserve("nobody", image_generation=5)

    assert credits_.balances("nobody") == {}
    assert credits_.holds("nobody") == []
    with snapshot(shop.engine) as connection:
        assert list(connection.execute(select(accounts.c.external_id)).scalars()) == ["user_1"]


def test_accounts_and_tenants_never_meet_however_they_are_spelled(shop: Shop) -> None:
    names = ["a{b}", "a}b{", "50%off", "50off", "a:b", "a b", "ключ", "a|b;c=d,e+f", *LOOK_ALIKE]
    library = shop.process()
    for number, name in enumerate(names, start=1):
        library.add(name, TYPE, number, key=name)

    holds: list[Hold] = [library.reserve(name, image_generation=1, reservation_id="same") for name in names]

    assert [figures(library, name)[3] for name in names] == list(range(len(names)))
    assert all(not hold.replayed for hold in holds)


def test_reservations_steps_and_keys_that_look_alike_are_each_their_own(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 10_000, key="a")

    for number, name in enumerate(LOOK_ALIKE, start=1):
        hold = library.reserve("user_1", image_generation=number, reservation_id=name)
        assert not hold.replayed
        assert not hold.commit(image_generation=number, step=name).replayed
        assert not library.spend("user_1", image_generation=number, key=name).replayed

    spent = 2 * sum(range(1, len(LOOK_ALIKE) + 1))
    assert figures(library, "user_1") == (10_000 - spent, 0, 0, 10_000 - spent, 0)
    with connected(shop.redis_url) as client:
        assert all(re.fullmatch(r"cg:\{\d+\}:[a-z]+(:\d+)?", key) for key in client.scan_iter("*"))


def test_without_a_redis_every_call_of_the_gate_says_so(shop: Shop) -> None:
    alone = Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=shop.process().tenant)
    alone.add("user_1", TYPE, 5, key="a")

    with pytest.raises(GateUnavailableError, match="without a Redis"):
        alone.reserve("user_1", image_generation=1)
    assert alone.ledger_balances("user_1")[TYPE].balance == 5


def test_a_lone_commit_at_ledger_level_asks_redis_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=1).commit()
    hold, line, questions = library.reserve("user_1", image_generation=2), DirectLine, list[int]()
    for name in ("run", "run_many"):
        asked = getattr(line, name)
        monkeypatch.setattr(line, name, lambda self, said, ask=asked: questions.append(len(said)) or ask(self, said))

    answer = hold.commit()

    # Take it, lead, read; then, once it is booked, forget it and tell.
    assert (answer.durability, questions) == (Durability.LEDGER, [3, 2])
    assert figures(library, "user_1") == (97, 0, 0, 97, 0)
