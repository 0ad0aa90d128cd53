"""Lots: burnt in order, lapsed at their instant, kept by the holds that took from them."""

import math
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given

from credits.reservations.model import grant_id_of, lot_name, sort_key
from tests.support.gate import A_TYPE, TTL_MS, GateDriver, LotSpec


@dataclass(frozen=True)
class Grant:
    """What the burn order looks at."""

    priority: int
    expires_at_ms: int | None
    is_paid: bool
    grant_id: int

    @property
    def key(self) -> str:
        return sort_key(
            priority=self.priority,
            expires_at_ms=self.expires_at_ms,
            is_paid=self.is_paid,
            grant_id=self.grant_id,
        )


GRANTS = st.builds(
    Grant,
    priority=st.integers(0, 1_000_000),
    expires_at_ms=st.one_of(st.none(), st.integers(0, 10**14)),
    is_paid=st.booleans(),
    grant_id=st.integers(1, 2**53 - 1),
)


@given(st.lists(GRANTS, max_size=20))
def test_sort_keys_sort_by_priority_soonest_expiry_free_before_paid_oldest(grants: list[Grant]) -> None:
    def rank(grant: Grant) -> tuple[int, float, bool, int]:
        never = math.inf if grant.expires_at_ms is None else grant.expires_at_ms
        return (grant.priority, never, grant.is_paid, grant.grant_id)

    assert sorted(grants, key=lambda grant: grant.key) == sorted(grants, key=rank)


@given(GRANTS)
def test_a_sort_key_has_25_characters_and_ends_in_the_grant(grant: Grant) -> None:
    assert len(grant.key) == 25
    assert grant.key[14:] == lot_name(grant.grant_id)
    assert grant_id_of(grant.key[14:]) == grant.grant_id


@pytest.mark.parametrize("priority", [-1, 36**4])
def test_what_a_sort_key_cannot_hold_is_an_error(priority: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 1679615"):
        sort_key(priority=priority, expires_at_ms=None, is_paid=True, grant_id=1)


@pytest.mark.parametrize("step", [1, 7, 60])
def test_lots_are_burnt_by_priority_then_expiry_then_free_before_paid_then_age(step: int, gate: GateDriver) -> None:
    now = gate.clock()
    order = [
        LotSpec(grant_id=40, amount=10, priority=1),
        LotSpec(grant_id=30, amount=10, expires_at_ms=now + 5_000),
        LotSpec(grant_id=31, amount=10, expires_at_ms=now + 6_000, is_paid=False),
        LotSpec(grant_id=20, amount=10, expires_at_ms=now + 6_000),
        LotSpec(grant_id=10, amount=10),
        LotSpec(grant_id=11, amount=10),
    ]
    gate.load(*reversed(order))

    for number in range(60 // step):
        gate.spend(step, hold=f"s{number}")

    taken = [lot for entry in gate.seen().journal for lot, _ in entry.items[0].lots]
    assert list(dict.fromkeys(taken)) == [lot.name for lot in order]


def test_many_lots_pay_for_one_hold_and_take_their_parts_back(gate: GateDriver) -> None:
    gate.load(*([3] * 50))

    gate.reserve(100)
    assert gate.figures() == (50, 100, 0, 0, 0)
    gate.release()

    assert gate.figures() == (150, 0, 0, 0, 0)
    assert [free for _, free in gate.seen().lots.values()] == [3] * 50


def test_credits_are_refused_at_their_instant_and_not_a_millisecond_before(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000))

    gate.clock.advance_ms(999)
    assert gate.reserve(1)[0] == "HELD"
    gate.clock.advance_ms(1)
    assert gate.reserve(1, hold="h2") == ("INSUFFICIENT", A_TYPE, "1", "0")

    assert gate.figures() == (0, 1, 0, 0, 9)


def test_a_hold_keeps_what_lapses_meanwhile_and_pays_with_it(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000))
    gate.reserve(6)
    gate.clock.advance_ms(2_000)

    assert gate.commit(4) == ("COMMITTED", "4", "0")

    assert gate.figures() == (0, 0, 4, 0, 6)


@pytest.mark.parametrize("ending", ["release", "deadline"])
@pytest.mark.parametrize("others", [0, 1, 3])
def test_what_a_hold_gives_back_to_a_lapsed_lot_has_lapsed(ending: str, others: int, gate: GateDriver) -> None:
    lapsing = LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000)
    gate.load(lapsing, *(LotSpec(grant_id=number + 2, amount=5) for number in range(others)))
    gate.reserve(10)
    gate.clock.advance_ms(TTL_MS if ending == "deadline" else 1_000)

    if ending == "release":
        gate.release()

    assert gate.figures() == (5 * others, 0, 0, 0, 10)
    assert gate.reserve(5 * others + 1, hold="h2")[0] == "INSUFFICIENT"
    gate.seen()


def test_lots_that_lapse_one_after_the_other_are_each_refused_at_their_own_instant(gate: GateDriver) -> None:
    now = gate.clock()
    gate.load(*(LotSpec(grant_id=number, amount=10, expires_at_ms=now + 1_000 * number) for number in range(1, 6)))

    left = []
    for _ in range(5):
        gate.clock.advance_ms(1_000)
        left.append(gate.figures())

    assert left == [(10 * n, 0, 0, 0, 50 - 10 * n) for n in (4, 3, 2, 1, 0)]


def test_an_expiry_takes_what_lapsed_and_leaves_what_is_held(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000), LotSpec(grant_id=2, amount=10))
    gate.reserve(4)
    gate.clock.advance_ms(1_000)

    assert gate.take_lots(10, 1) == ("TAKEN", "6", "0")
    gate.release()

    assert gate.figures() == (10, 0, 6, 0, 4)
    assert gate.take_lots(10, 1) == ("REPLAYED", "6", "0")
    assert gate.take_lots(10, 1, hold="t2") == ("TAKEN", "4", "0")
    assert gate.figures() == (10, 0, 10, 0, 0)


def test_a_clawback_takes_what_is_free_and_leaves_the_rest_as_debt(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)

    assert gate.take_lots(100, 1, allow_debt=True, kind="clawback") == ("TAKEN", "40", "60")
    assert gate.figures() == (0, 60, 100, 60, 0)
    assert gate.take_lots(100, 1, allow_debt=True, kind="clawback") == ("REPLAYED", "40", "60")
    gate.release()

    assert gate.reserve(1, hold="h2") == ("INSUFFICIENT", A_TYPE, "1", "0")
    assert gate.seen().journal[0].kind == "clawback"


def test_a_clawback_takes_what_overdue_holds_had_before_it_makes_debt(gate: GateDriver) -> None:
    gate.load(100)
    for number in range(50):
        gate.reserve(2, hold=f"old{number}", ttl_ms=1_000)
    gate.clock.advance_ms(1_000)

    assert gate.take_lots(100, 1, allow_debt=True) == ("TAKEN", "100", "0")


def test_a_command_takes_nothing_of_another_types_lot_nor_of_one_it_does_not_name(gate: GateDriver) -> None:
    now = gate.clock()
    gate.load(
        LotSpec(grant_id=1, amount=10, credit_type="video", expires_at_ms=now + 1_000),
        LotSpec(grant_id=2, amount=10, credit_type="video"),
        LotSpec(grant_id=3, amount=10, expires_at_ms=now + 1_000),
        LotSpec(grant_id=4, amount=10),
    )

    assert gate.take_lots(5, 1, 2, 9) == ("TAKEN", "0", "0")
    gate.clock.advance_ms(1_000)
    assert gate.take_lots(5, 1, 2, 9, hold="t2") == ("TAKEN", "0", "0")

    assert gate.figures("video") == (10, 0, 0, 0, 10)
    assert gate.figures() == (10, 0, 0, 0, 10)
    assert gate.seen().journal == ()


def test_a_credit_that_comes_after_its_own_expiry_has_lapsed(gate: GateDriver) -> None:
    gate.load(5)

    assert gate.apply(1, LotSpec(grant_id=2, amount=10, expires_at_ms=gate.clock())) == ("APPLIED",)

    assert gate.figures() == (5, 0, 0, 0, 10)


def test_a_credit_repays_debt_by_the_part_that_the_ledger_says(gate: GateDriver) -> None:
    gate.load(debts={A_TYPE: 30})

    assert gate.apply(1, LotSpec(grant_id=1, amount=0), repaid=20) == ("APPLIED",)
    assert gate.figures() == (0, 0, 0, 10, 0)
    assert gate.apply(2, LotSpec(grant_id=2, amount=5), repaid=10) == ("APPLIED",)

    assert gate.figures() == (5, 0, 0, 0, 0)


def test_a_credit_that_repays_what_nobody_owes_makes_the_account_load_again(gate: GateDriver) -> None:
    gate.load(5, debts={A_TYPE: 3})

    assert gate.apply(1, LotSpec(grant_id=2, amount=5), repaid=4) == ("COLD",)

    assert gate.read() == ("COLD",)


def test_types_keep_one_lot_by_itself_and_list_several(gate: GateDriver) -> None:
    """The single lot of a type stands with its counters; every way from one to several and back keeps the sums."""
    gate.load(10)
    gate.seen()
    gate.reserve(10)
    gate.apply(1, LotSpec(grant_id=2, amount=5))
    gate.seen()
    gate.release()
    assert gate.figures() == (15, 0, 0, 0, 0)
    gate.seen()
    gate.spend(12)
    gate.spend(3, hold="s2")
    gate.seen()
    gate.settled(*((entry_id, True) for entry_id in gate.journal_ids()))

    assert gate.figures() == (15, 0, 0, 0, 0)
    assert {free for _, free in gate.seen().lots.values()} == {10, 5}
