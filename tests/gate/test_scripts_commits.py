"""Commits: less, in steps, above the hold by policy, and late."""

import pytest

from credits.reservations.model import HoldState, Overage
from tests.support.gate import A_TYPE, TTL_MS, GateDriver, LotSpec

VIDEO = "video"


def test_less_is_committed_and_the_rest_returns(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)

    assert gate.commit(10) == ("COMMITTED", "10", "0")

    assert gate.figures() == (90, 0, 10, 0, 0)


def test_everything_is_committed_without_naming_it(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10), LotSpec(grant_id=2, amount=10, credit_type=VIDEO))
    gate.reserve({A_TYPE: 4, VIDEO: 5})

    assert gate.commit() == ("COMMITTED", "9", "0")

    assert [(item.credit_type, item.amount) for item in gate.seen().journal[0].items] == [(A_TYPE, 4), (VIDEO, 5)]


def test_a_commit_of_nothing_releases_and_journals_nothing(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)

    assert gate.commit(0) == ("COMMITTED", "0", "0")

    assert gate.figures() == (100, 0, 0, 0, 0)
    assert gate.seen().journal == ()
    assert gate.seen().holds["h1"].state is HoldState.COMMITTED


def test_steps_take_from_the_lots_that_the_hold_took_in_their_order(gate: GateDriver) -> None:
    gate.load(30, 30)
    gate.reserve(50)

    assert gate.commit(20, op="c:1", final=False) == ("COMMITTED", "20", "30")
    assert gate.commit(20, op="c:2", final=False) == ("COMMITTED", "40", "10")
    assert gate.commit(5, op="c:3", final=True) == ("COMMITTED", "45", "0")

    lots = [entry.items[0].lots for entry in gate.seen().journal]
    assert lots == [
        (("00000000001", 20),),
        (("00000000001", 10), ("00000000002", 10)),
        (("00000000002", 5),),
    ]
    assert gate.figures() == (15, 0, 45, 0, 0)


def test_each_step_is_done_once_and_its_name_is_bound_to_its_content(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(50)
    gate.commit(20, op="c:1", final=False, fingerprint="aa")

    assert gate.commit(20, op="c:1", final=False, fingerprint="aa") == ("REPLAYED",)
    assert gate.commit(21, op="c:1", final=False, fingerprint="bb") == ("CONFLICT",)
    gate.commit(5, op="c:2", fingerprint="cc")
    assert gate.commit(20, op="c:1", final=False, fingerprint="aa") == ("REPLAYED",)

    assert gate.figures() == (75, 0, 25, 0, 0)


def test_a_hold_has_at_most_256_steps(gate: GateDriver) -> None:
    gate.load(1_000)
    gate.reserve(500)
    for number in range(256):
        assert gate.commit(1, op=f"c:{number}", final=False)[0] == "COMMITTED"

    assert gate.commit(1, op="c:256", final=False) == ("BAD",)
    assert gate.commit(1, op="c:255", final=False) == ("REPLAYED",)


@pytest.mark.parametrize(
    ("overage", "asked", "answer", "figures"),
    [
        (Overage.DENY, 61, ("INSUFFICIENT", A_TYPE, "61", "60"), (40, 60, 0, 0, 0)),
        (Overage.IF_AVAILABLE, 61, ("COMMITTED", "61", "0"), (39, 0, 61, 0, 0)),
        (Overage.IF_AVAILABLE, 100, ("COMMITTED", "100", "0"), (0, 0, 100, 0, 0)),
        (Overage.IF_AVAILABLE, 101, ("INSUFFICIENT", A_TYPE, "101", "100"), (40, 60, 0, 0, 0)),
        (Overage.ALLOW_DEBT, 90, ("COMMITTED", "90", "0"), (10, 0, 90, 0, 0)),
        (Overage.ALLOW_DEBT, 130, ("COMMITTED", "130", "0"), (0, 0, 130, 30, 0)),
    ],
)
def test_more_than_held_is_committed_as_the_policy_says(
    overage: Overage, asked: int, answer: tuple[str, ...], figures: tuple[int, ...], gate: GateDriver
) -> None:
    gate.load(100)
    gate.reserve(60)

    assert gate.commit(asked, overage=overage) == answer

    assert gate.figures() == figures
    gate.seen()


def test_a_commit_on_debt_journals_how_much_of_it_is_debt(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)

    gate.commit(130, overage=Overage.ALLOW_DEBT)

    item = gate.seen().journal[0].items[0]
    assert (item.amount, item.debt, sum(part for _, part in item.lots)) == (130, 30, 100)


def test_credits_that_cover_a_debt_pay_for_no_overage(gate: GateDriver) -> None:
    gate.load(100, debts={A_TYPE: 30})

    assert gate.reserve(71) == ("INSUFFICIENT", A_TYPE, "71", "70")
    gate.reserve(60)
    assert gate.commit(71, op="c:1", overage=Overage.IF_AVAILABLE) == ("INSUFFICIENT", A_TYPE, "71", "70")
    assert gate.commit(75, op="c:2", overage=Overage.ALLOW_DEBT)[0] == "COMMITTED"

    assert gate.figures() == (0, 0, 75, 35, 0)
    assert gate.seen().figures[A_TYPE][0] == 30


def test_a_type_that_was_not_held_is_an_overage_like_any_other(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10), LotSpec(grant_id=2, amount=10, credit_type=VIDEO))
    gate.reserve(5)

    assert gate.commit({A_TYPE: 5, VIDEO: 1}, op="c:1") == ("INSUFFICIENT", VIDEO, "1", "0")
    assert gate.commit({A_TYPE: 5, VIDEO: 1}, op="c:2", overage=Overage.IF_AVAILABLE) == ("COMMITTED", "6", "0")


def test_what_is_unsettled_counts_every_type_whichever_the_commit_names(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10), LotSpec(grant_id=2, amount=10, credit_type=VIDEO))
    gate.spend({VIDEO: 7}, hold="s1")

    assert gate.spend({A_TYPE: 2}, hold="s2") == ("COMMITTED", "9")


def test_a_late_commit_is_honoured_while_nobody_has_freed_the_hold(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(10)
    gate.clock.advance_ms(10 * TTL_MS)

    assert gate.commit(10) == ("COMMITTED", "10", "0")


def test_overdue_holds_pay_for_an_overage_but_never_the_hold_whose_job_has_come(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000), LotSpec(grant_id=2, amount=10))
    gate.reserve(10, hold="own", ttl_ms=500)
    gate.reserve(10, hold="other", ttl_ms=600)
    gate.clock.advance_ms(2_000)

    assert gate.commit(15, hold="own", overage=Overage.IF_AVAILABLE) == ("COMMITTED", "15", "0")

    assert gate.figures() == (5, 0, 15, 0, 0)
    assert gate.seen().journal[0].items[0].lots == (("00000000001", 10), ("00000000002", 5))


def test_a_freed_hold_is_rescued_and_even_remembers_what_it_had(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)
    gate.commit(20, op="c:1", final=False)
    gate.clock.advance_ms(TTL_MS)
    gate.read()

    assert gate.seen().holds["h1"].state is HoldState.EXPIRED
    assert gate.commit(op="c:2") == ("RESCUED", "60", "0")

    assert gate.figures() == (40, 0, 60, 0, 0)
    assert gate.commit(20, op="c:1", final=False) == ("REPLAYED",)
    assert gate.commit(op="c:2") == ("REPLAYED",)


def test_a_freed_hold_whose_credits_went_to_another_is_gone_and_says_what_is_missing(gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)
    gate.clock.advance_ms(TTL_MS)
    gate.reserve(70, hold="h2")

    assert gate.commit() == ("GONE", A_TYPE, "60", "30")
    assert gate.commit(30, op="c:less") == ("RESCUED", "30", "0")


@pytest.mark.parametrize("overage", Overage)
def test_a_rescue_that_does_not_suffice_is_for_the_policy(overage: Overage, gate: GateDriver) -> None:
    gate.load(10)

    answer = gate.commit(15, hold="unknown", overage=overage)

    assert answer == (("RESCUED", "15", "0") if overage is Overage.ALLOW_DEBT else ("GONE", A_TYPE, "15", "10"))
    assert gate.figures() == ((0, 0, 15, 5, 0) if overage is Overage.ALLOW_DEBT else (10, 0, 0, 0, 0))


def test_a_released_hold_is_rescued_by_its_amounts_only(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(6)
    gate.release()

    assert gate.commit() == ("GONE",)
    assert gate.commit(6) == ("RESCUED", "6", "0")
    assert gate.commit(6) == ("REPLAYED",)


def test_an_unknown_hold_is_rescued_by_its_amounts_only_and_leaves_a_receipt(gate: GateDriver) -> None:
    gate.load(10)

    assert gate.commit(hold="unknown") == ("GONE",)
    assert gate.commit(6, hold="unknown") == ("RESCUED", "6", "0")
    assert gate.commit(6, hold="unknown") == ("REPLAYED",)
    assert gate.reserve(6, hold="unknown")[:2] == ("REPLAYED", "C")

    assert gate.figures() == (4, 0, 6, 0, 0)


def test_a_hold_that_was_lost_with_another_load_is_rescued_and_takes_nothing_from_what_is_held(
    gate: GateDriver,
) -> None:
    gate.load(100)
    gate.reserve(60)
    gate.arm()
    gate.load(50)
    gate.reserve(20, hold="h2")

    assert gate.commit(25) == ("RESCUED", "25", "0")

    assert gate.figures() == (5, 20, 25, 0, 0)
