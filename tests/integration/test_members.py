"""Members of an account: limits hold, show, change and come back, with the shared purse behind them."""

import threading
from collections import Counter
from typing import Any

import pytest
import redis
from sqlalchemy import select

from credits.audit_log import audit_log
from credits.clock import system_clock_ms
from credits.db import glance
from credits.engine import Credits
from credits.errors import (
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidIdError,
    InvalidInputError,
    MemberLimitExceededError,
    UnknownCreditTypeError,
)
from credits.members.tables import member_changes
from credits.ops.audit.service import audit
from credits.reservations.asks import Commit
from credits.reservations.batch import Reserve
from credits.reservations.sweeps import sweep_gate
from tests.support.library import OTHER, TYPE, Shop, figures

pytestmark = pytest.mark.usefixtures("within_a_day")

HOUR_MS = 3_600_000


@pytest.fixture
def library(shop: Shop) -> Credits:
    """A team with 100 credits, of which Ada may use 10 a day and 15 a month."""
    library = shop.process()
    library.add("team", TYPE, 100, key="a")
    library.set_member_limit("team", "ada", TYPE, 10, per="day")
    library.set_member_limit("team", "ada", TYPE, 15, per="month")
    return library


def used(library: Credits, member: str = "ada") -> dict[str, tuple[int, int, int]]:
    """(limit, used, of that held) by window."""
    return {one.per.value: (one.limit, one.used, one.held) for one in library.member("team", member).limits}


def agrees(shop: Shop) -> bool:
    with redis.Redis.from_url(shop.redis_url, decode_responses=True, protocol=2) as client:
        report = audit(shop.engine, client, now_ms=system_clock_ms())
    assert report.findings == []
    return report.is_gate_read


def test_a_reservation_beyond_a_members_limit_is_refused_and_holds_nothing(library: Credits) -> None:
    library.reserve("team", image_generation=7, member="ada")

    with pytest.raises(MemberLimitExceededError) as refused:
        library.reserve("team", image_generation=4, member="ada", reservation_id="more")

    assert refused.value.member == "ada"
    [exceeded] = refused.value.exceeded
    assert (exceeded.per, exceeded.limit, exceeded.used, exceeded.needed) == ("day", 10, 7, 4)
    assert exceeded.ends_at_ms is not None
    assert 0 < exceeded.ends_at_ms - system_clock_ms() <= 24 * HOUR_MS
    assert library.find_hold("team", "more") is None
    assert used(library) == {"day": (10, 7, 7), "month": (15, 7, 7)}


def test_a_member_without_limits_and_nobody_in_particular_may_spend_what_the_account_has(library: Credits) -> None:
    library.reserve("team", image_generation=60, member="eve")
    library.reserve("team", image_generation=40)

    with pytest.raises(InsufficientCreditsError):
        library.reserve("team", image_generation=1, member="ada")

    assert library.member("team", "eve").used == {TYPE: 60}


def test_committed_released_and_spent_credits_count_as_what_they_are(library: Credits, shop: Shop) -> None:
    with library.reserve("team", image_generation=5, member="ada", reservation_id="job") as hold:
        hold.commit(image_generation=2)
    library.reserve("team", image_generation=3, member="ada").release()
    library.spend("team", image_generation=4, key="s1", member="ada", durability="redis")

    assert used(library) == {"day": (10, 6, 0), "month": (15, 6, 0)}
    assert agrees(shop)
    sweep_gate(shop.gate())
    assert [row["member"] for row in library.entries("team")] == ["ada", "ada", None]
    assert agrees(shop)


def test_a_commit_above_its_hold_keeps_the_limit_unless_debt_is_allowed(library: Credits) -> None:
    hold = library.reserve("team", image_generation=8, member="ada")

    with pytest.raises(MemberLimitExceededError):
        hold.commit(image_generation=11, overage="if_available")
    hold.commit(image_generation=12, overage="allow_debt")

    assert used(library)["day"] == (10, 12, 0)
    assert figures(library, "team")[4] == 0


def test_a_deduction_by_hand_counts_and_is_not_held_up(library: Credits) -> None:
    library.deduct("team", TYPE, 12, key="d1", reason="rendered by phone", member="ada")

    with pytest.raises(MemberLimitExceededError):
        library.reserve("team", image_generation=1, member="ada")
    assert used(library)["day"] == (10, 12, 0)


def test_when_redis_is_lost_usage_comes_back_from_the_ledger(library: Credits, shop: Shop) -> None:
    library.spend("team", image_generation=6, key="s1", member="ada")
    library.reserve("team", image_generation=2, member="ada", reservation_id="lost")
    with redis.Redis.from_url(shop.redis_url) as client:
        client.flushall()

    another = shop.process()

    assert used(another)["day"] == (10, 6, 0)
    with pytest.raises(MemberLimitExceededError):
        another.reserve("team", image_generation=5, member="ada")
    # Its job comes for the hold that Redis has lost: it is paid, and counts for its member.
    another.reservations.commit("team", "lost", {TYPE: 2}, member="ada")
    assert used(another)["day"] == (10, 8, 0)
    assert agrees(shop)


def test_a_restart_with_its_data_keeps_what_members_hold(library: Credits, shop: Shop) -> None:
    library.reserve("team", image_generation=7, member="ada")
    with redis.Redis.from_url(shop.redis_url) as client:
        client.function_flush()

    another = shop.process()

    assert used(another)["day"] == (10, 7, 7)
    assert agrees(shop)


def test_a_changed_limit_holds_for_the_next_reservation_of_every_process(library: Credits, shop: Shop) -> None:
    another = shop.process()
    another.reserve("team", image_generation=9, member="ada")

    library.set_member_limit("team", "ada", TYPE, 5, per="day")
    with pytest.raises(MemberLimitExceededError):
        another.reserve("team", image_generation=1, member="ada")
    library.remove_member_limits("team", "ada", per="day")
    another.reserve("team", image_generation=6, member="ada")

    assert used(library) == {"month": (15, 15, 15)}
    assert agrees(shop)


def test_a_change_whose_teller_died_is_brought_by_the_sweep(library: Credits, shop: Shop) -> None:
    library.reserve("team", image_generation=1, member="ada")
    without_redis = Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=library.tenant)
    without_redis.set_member_limit("team", "ada", TYPE, 3, per="day")

    before = used(library)["day"], library.reservations.find("team", "nothing")
    library.reserve("team", image_generation=4, member="ada")
    swept = sweep_gate(shop.gate())

    assert before[0] == (3, 1, 1)
    assert swept.member_changes == 1
    with pytest.raises(MemberLimitExceededError):
        library.reserve("team", image_generation=1, member="ada")
    with glance(shop.engine) as connection:
        assert connection.execute(select(member_changes)).all() == []


def test_a_raise_holds_until_it_ends_and_says_who_and_why(library: Credits, shop: Shop) -> None:
    until_ms = system_clock_ms() + HOUR_MS

    library.raise_member_limit(
        "team", "ada", TYPE, 14, per="day", until_ms=until_ms, reason="demo on Friday", actor="operator:bo"
    )
    library.reserve("team", image_generation=14, member="ada")

    [shown] = [one for one in library.member("team", "ada").limits if one.per == "day"]
    assert (shown.limit, shown.amount, shown.raised_until_ms, shown.used) == (14, 10, until_ms, 14)
    with glance(shop.engine) as connection:
        logged = connection.execute(select(audit_log).where(audit_log.c.action == "member.raise")).mappings().one()
    assert (logged["actor"], logged["reason"], logged["detail"]["raised_to"]) == ("operator:bo", "demo on Friday", 14)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 10}, "amount"),
        ({"until_ms": 1_000}, "until"),
        ({"until_ms": 253_402_300_799_999}, "until"),
        ({"reason": " "}, "reason"),
        ({"per": "ever"}, "member"),
        ({"per": "week"}, "per"),
        ({"member": "\n"}, "member"),
    ],
)
def test_a_raise_that_cannot_be_names_what_is_wrong(library: Credits, change: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {
        "member": "ada",
        "amount": 20,
        "per": "day",
        "until_ms": system_clock_ms() + HOUR_MS,
        "reason": "demo",
        **change,
    }

    with pytest.raises((InvalidInputError, InvalidIdError)) as refused:
        library.raise_member_limit("team", asked.pop("member"), TYPE, asked.pop("amount"), **asked)

    assert refused.value.field == field
    assert used(library)["day"] == (10, 0, 0)


def test_a_limit_out_of_bounds_is_refused(library: Credits) -> None:
    with pytest.raises(UnknownCreditTypeError):
        library.set_member_limit("team", "ada", "gold", 1, per="day")
    for amount in (-1, 2**53, 1.5, True, "5"):
        with pytest.raises(InvalidInputError, match="amount"):
            library.set_member_limit("team", "ada", TYPE, amount, per="day")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="time_zone"):
        library.set_time_zone("team", "Berlin")


def test_a_limit_of_0_lets_a_member_spend_nothing(library: Credits) -> None:
    library.set_member_limit("team", "bob", TYPE, 0, per="ever")

    with pytest.raises(MemberLimitExceededError, match="for ever"):
        library.spend("team", image_generation=1, key="s", member="bob")
    library.add("team", OTHER, 5, key="o")
    library.spend("team", tokens=5, key="t", member="bob")


def test_another_time_zone_counts_anew_from_its_own_midnight(library: Credits, shop: Shop) -> None:
    library.spend("team", image_generation=6, key="s1", member="ada")
    library.reserve("team", image_generation=1, member="ada", reservation_id="open")

    # Of these two, one is in another day than UTC, whenever this runs.
    ends = set()
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"):
        assert library.set_time_zone("team", zone)
        assert not library.set_time_zone("team", zone)
        [day] = [one for one in shop.process().member("team", "ada").limits if one.per == "day"]
        assert day.held == 1
        assert day.ends_at_ms is not None
        ends.add(day.ends_at_ms)

    assert len(ends) == 3
    assert {at % HOUR_MS for at in ends} == {0}
    assert agrees(shop)


def test_the_same_name_for_another_member_is_a_conflict(library: Credits) -> None:
    first = library.reserve("team", image_generation=1, reservation_id="job", member="ada")
    again = library.reserve("team", image_generation=1, reservation_id="job", member="ada")

    with pytest.raises(IdempotencyConflictError):
        library.reserve("team", image_generation=1, reservation_id="job", member="eve")
    assert (first.member, again.replayed, again.member) == ("ada", True, "ada")
    assert [hold.member for hold in library.holds("team")] == ["ada"]


def test_a_batch_holds_each_member_to_its_own_limit(library: Credits) -> None:
    wanted = [
        Reserve(account="team", items={TYPE: 4}, member=member, reservation_id=f"{member}-{n}")
        for member in ("ada", "eve", "bob")
        for n in range(4)
    ]

    holds = library.reserve_many(wanted)
    library.commit_many([Commit(account="team", reservation_id=one.reservation_id or "") for one in wanted[:2]])

    refused = [type(one) for one in holds if not hasattr(one, "commit")]
    assert refused == [MemberLimitExceededError] * 2
    assert used(library)["day"] == (10, 8, 0)
    assert [one.member for one in library.members("team")] == ["ada"]


@pytest.mark.parametrize("member", ["50%off|;=,+~", "Zoë Ünü", "a/b c", "日本" * 100])
def test_a_members_name_may_have_any_characters(library: Credits, shop: Shop, member: str) -> None:
    library.set_member_limit("team", member, TYPE, 3, per="ever")
    library.spend("team", image_generation=2, key="s", member=member)

    with pytest.raises(MemberLimitExceededError):
        shop.process().reserve("team", image_generation=2, member=member)
    assert used(library, member) == {"ever": (3, 2, 0)}
    assert agrees(shop)


def test_threads_that_race_for_one_members_limit_get_exactly_that(library: Credits, shop: Shop) -> None:
    library.add("team", TYPE, 400, key="more")
    library.set_member_limit("team", "racer", TYPE, 37, per="day")

    answers = _race(shop.process(), [f"racer-{n}" for n in range(200)])

    assert answers == {"held": 37, "member_limit_exceeded": 163}
    assert used(library, "racer")["day"] == (37, 37, 37)


def test_members_whose_limits_are_more_than_the_pool_get_exactly_the_pool(library: Credits, shop: Shop) -> None:
    for number in range(8):
        library.set_member_limit("team", f"m{number}", TYPE, 30, per="month")

    answers = _race(shop.process(), [f"m{n % 8}-{n}" for n in range(240)])

    assert answers == {"held": 100, "insufficient_credits": 140}
    assert figures(library, "team") == (100, 100, 0, 0, 0)
    shares = [used(library, f"m{number}")["month"][1] for number in range(8)]
    assert sum(shares) == 100
    assert max(shares) <= 30
    assert agrees(shop)


def _race(library: Credits, names: list[str], *, threads: int = 16) -> Counter[str]:
    answers: Counter[str] = Counter()
    lock, barrier = threading.Lock(), threading.Barrier(threads)

    def work(number: int) -> None:
        barrier.wait()
        for name in names[number::threads]:
            try:
                library.reserve("team", image_generation=1, reservation_id=name, ttl_s=600, member=name.split("-")[0])
                answer = "held"
            except (MemberLimitExceededError, InsufficientCreditsError) as error:
                answer = error.code
            with lock:
                answers[answer] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answers
