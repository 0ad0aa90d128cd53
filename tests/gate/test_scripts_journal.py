"""The journal: everything taken is in it, counted, forgotten once, and given back where the ledger had it already."""

import pytest
import redis

from credits.reservations.model import Overage
from credits.reservations.scripts import Verb
from tests.support.gate import A_TYPE, GateDriver, LotSpec


def test_an_entry_is_forgotten_once_however_often_that_is_said(gate: GateDriver) -> None:
    gate.load(100)
    gate.spend(20, hold="s1")
    gate.spend(30, hold="s2")
    first, second = gate.journal_ids()

    assert gate.settled((first, False), (first, False)) == ("SETTLED", "1")
    assert gate.settled((first, False)) == ("SETTLED", "0")
    assert gate.figures() == (50, 0, 30, 0, 0)
    assert gate.settled((first, True), (second, False)) == ("SETTLED", "1")

    assert gate.figures() == (50, 0, 0, 0, 0)
    gate.seen()


def test_a_second_charge_goes_back_to_the_lots_it_was_taken_from(gate: GateDriver) -> None:
    gate.load(30, 30)
    gate.spend(50)

    assert gate.settled((gate.journal_ids()[0], True)) == ("SETTLED", "1")

    assert gate.figures() == (60, 0, 0, 0, 0)
    assert [free for _, free in gate.seen().lots.values()] == [30, 30]


def test_a_second_charge_of_credits_that_lapsed_meanwhile_comes_back_lapsed(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=30, expires_at_ms=gate.clock() + 1_000), LotSpec(grant_id=2, amount=30))
    gate.spend(50)
    gate.clock.advance_ms(1_000)

    gate.settled((gate.journal_ids()[0], True))

    assert gate.figures() == (30, 0, 0, 0, 30)


def test_a_second_charge_on_debt_gives_the_debt_back(gate: GateDriver) -> None:
    gate.load(30, debts={A_TYPE: 4})
    gate.commit(50, hold="h1", overage=Overage.ALLOW_DEBT)
    assert gate.figures() == (0, 0, 50, 28, 0)

    gate.settled((gate.journal_ids()[0], True))

    assert gate.figures() == (26, 0, 0, 4, 0)


def test_an_entry_of_an_account_that_is_not_loaded_is_just_forgotten(gate: GateDriver) -> None:
    gate.load(100)
    gate.spend(20)
    gate.arm()

    assert gate.settled((gate.journal_ids()[0], True)) == ("SETTLED", "1")

    assert gate.read() == ("COLD",)
    assert gate.load(80) == ("LOADED", "0")


def test_entries_of_several_accounts_and_types_are_settled_in_one_call(gate: GateDriver) -> None:
    drivers = [
        GateDriver(client=gate.client, clock=gate.clock, epoch=1, account_id=1 + 64 * n, is_loading=False)
        for n in range(5)
    ]
    for driver in drivers:
        driver.load(10, LotSpec(grant_id=2, amount=10, credit_type="video"))
        driver.spend({A_TYPE: 1, "video": 2})
        driver.spend({"video": 3}, hold="s2")
    keys = [gate.keys.shard, gate.keys.journal, *(key for driver in drivers for key in driver.keys.of_account())]
    args = [word for at, entry_id in enumerate(gate.journal_ids()) for word in (entry_id, at // 2, at % 2)]

    assert gate.call(Verb.SETTLED, 1, gate.clock(), *args, keys=keys) == ("SETTLED", "10")

    for driver in drivers:
        assert driver.figures() == (9, 0, 0, 0, 0)
        assert driver.figures("video") == (8, 0, 0, 0, 0)
        driver.seen()


def test_an_entry_that_is_said_to_be_of_another_account_is_an_error_and_nothing_changes(gate: GateDriver) -> None:
    other = GateDriver(client=gate.client, clock=gate.clock, epoch=1, account_id=65, is_loading=False)
    other.load(10)
    other.spend(3)
    gate.load(10)
    gate.spend(4)
    before = gate.dump()

    with pytest.raises(redis.ResponseError, match="another account"):
        gate.settled(*((entry_id, False) for entry_id in reversed(gate.journal_ids())))

    assert gate.dump() == before


@pytest.mark.parametrize("entry_id", ["x", "", "-", "1", "99999999999999999999999-1"])
def test_an_entry_id_that_is_none_is_an_error_and_nothing_changes(entry_id: str, gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(3)
    before = gate.dump()

    with pytest.raises(redis.ResponseError):
        gate.settled((gate.journal_ids()[0], False), (entry_id, False))

    assert gate.dump() == before


def test_a_new_epoch_counts_what_survived_of_the_journal(gate: GateDriver) -> None:
    gate.load(1_000)
    for number in range(501):
        gate.spend(1, hold=f"s{number}")

    gate.arm()

    assert gate.client.hgetall(gate.keys.shard) == {"ep": "2", "vt": "1", "n": "501", "u1": "501"}


def test_an_entry_nobody_can_read_keeps_a_new_epoch_from_nothing_but_settling_it(gate: GateDriver) -> None:
    gate.client.xadd(gate.keys.journal, {"x": "y"})

    assert gate.arm() == ("ARMED",)

    assert gate.load(10) == ("LOADED", "0")
    assert gate.spend(3) == ("COMMITTED", "3")
    assert gate.settled((gate.journal_ids()[1], False)) == ("SETTLED", "1")


def test_the_journal_says_who_took_what_of_which_lots_and_in_which_epoch(gate: GateDriver) -> None:
    gate.load(30, 30)

    gate.spend(50, hold="s1", op="d:1", kind="deduct", fingerprint="ab", name="by hand")

    (_, fields), *_ = gate.client.xrange(gate.keys.journal)  # type: ignore[misc]
    assert fields == {
        "op": "d:1",
        "a": "1",
        "k": "deduct",
        "fp": "ab",
        "i": f"{A_TYPE}=50,0,00000000001:30+00000000002:20",
        "r": "by hand",
        "e": "1",
    }
