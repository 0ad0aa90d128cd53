"""Loads: only with the token intact; keys that vanish are noticed; holds that survived are adopted downwards."""

from collections.abc import Callable

import pytest

from credits.reservations.model import HoldState
from credits.reservations.scripts import Verb
from tests.support.gate import A_TYPE, RECEIPT_MS, TTL_MS, GateDriver, LotSpec, Words


def test_a_credit_that_arrives_between_begin_and_finish_voids_the_load(gate: GateDriver) -> None:
    gate.begin_load()

    assert gate.apply(1, LotSpec(grant_id=2, amount=5)) == ("COLD",)

    assert gate.finish_load([LotSpec(grant_id=1, amount=5)]) == ("LOST_TOKEN",)
    assert gate.read() == ("COLD",)


def test_of_two_loads_the_second_to_begin_wins(gate: GateDriver) -> None:
    gate.begin_load("one")
    assert gate.begin_load("two") == ("LOADING",)
    gate.clock.advance_ms(2_000)
    assert gate.begin_load("two") == ("BEGUN",)

    assert gate.finish_load([LotSpec(grant_id=1, amount=99)], token="one") == ("LOST_TOKEN",)
    assert gate.finish_load([LotSpec(grant_id=1, amount=5)], token="two") == ("LOADED", "0")
    assert gate.finish_load([LotSpec(grant_id=1, amount=99)], token="one") == ("LOADED", "0")

    assert gate.figures() == (5, 0, 0, 0, 0)


def test_a_loaded_account_is_not_loaded_again(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(4)

    assert gate.begin_load("another") == ("LOADED",)

    assert gate.figures() == (6, 4, 0, 0, 0)


def test_a_load_waits_until_the_accounts_own_entries_are_settled(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(4)
    other = GateDriver(
        client=gate.client, clock=gate.clock, epoch=gate.epoch, account_id=gate.account_id + 64, is_loading=False
    )
    gate.client.delete(gate.keys.account)

    assert gate.begin_load("another") == ("DRAIN",)
    assert other.load(10) == ("LOADED", "0")
    gate.settle_all()

    assert gate.load(6) == ("LOADED", "0")
    assert gate.figures() == (6, 0, 0, 0, 0)


def _reserved_and_spent(gate: GateDriver) -> None:
    """Two types of several lots, 60 of 100 held and 20 spent of the first."""
    gate.load(50, 50, LotSpec(grant_id=3, amount=10, credit_type="video"))
    gate.reserve({A_TYPE: 60, "video": 5})
    gate.spend(20)


@pytest.mark.parametrize("vanished", ["account", "lots", "holds", "due"])
def test_a_key_that_vanishes_makes_the_account_load_again_and_frees_no_credit(vanished: str, gate: GateDriver) -> None:
    _reserved_and_spent(gate)

    gate.client.delete(getattr(gate.keys, vanished))

    assert gate.reserve(1, hold="h2") == ("COLD",)
    assert gate.load() == ("DRAIN",)
    gate.settle_all()
    # The ledger has booked the 20, which were of the second lot.
    loaded = gate.load(50, LotSpec(grant_id=2, amount=30), LotSpec(grant_id=3, amount=10, credit_type="video"))
    is_known = vanished != "holds"
    assert loaded == ("LOADED", str(int(is_known)))
    assert gate.figures() == ((20, 60, 0, 0, 0) if is_known else (80, 0, 0, 0, 0))
    assert gate.seen().sv == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda gate: gate.read(),
        lambda gate: gate.commit(60),
        lambda gate: gate.release(),
        lambda gate: gate.extend(),
        lambda gate: gate.spend(1, hold="s2"),
        lambda gate: gate.take_lots(1, 1),
        lambda gate: gate.list_holds(),
        lambda gate: gate.unload(),
        lambda gate: gate.apply(1, LotSpec(grant_id=4, amount=1)),
    ],
)
@pytest.mark.parametrize("vanished", ["account", "lots", "holds", "due"])
def test_every_verb_notices_that_a_key_has_vanished(
    vanished: str, call: Callable[[GateDriver], Words], gate: GateDriver
) -> None:
    _reserved_and_spent(gate)

    gate.client.delete(getattr(gate.keys, vanished))

    assert call(gate) == ("COLD",)
    assert gate.read() == ("COLD",)


def test_a_token_that_vanishes_voids_the_load(gate: GateDriver) -> None:
    gate.begin_load()

    gate.client.delete(gate.keys.token)

    assert gate.finish_load([LotSpec(grant_id=1, amount=5)]) == ("LOST_TOKEN",)


def test_a_journal_that_vanishes_stops_loads_and_settlement_until_a_new_epoch(gate: GateDriver) -> None:
    gate.load(100)
    gate.spend(20)
    gate.client.delete(gate.keys.journal)
    gate.client.delete(gate.keys.account)

    assert gate.begin_load() == ("STALE",)
    assert gate.settled() == ("STALE",)
    gate.arm()

    assert gate.load(100) == ("LOADED", "0")


def test_a_journal_that_vanished_and_grew_again_is_still_not_whole(gate: GateDriver) -> None:
    gate.load(100)
    gate.spend(20)
    gate.client.delete(gate.keys.journal)
    gate.spend(5, hold="s2")

    assert gate.settle_all() == ("STALE",)


def test_a_shard_key_that_vanishes_refuses_everybody_until_a_new_epoch(gate: GateDriver) -> None:
    gate.load(100)
    gate.spend(20)
    gate.client.delete(gate.keys.shard)

    assert gate.reserve() == ("STALE",)
    assert gate.commit() == ("STALE",)
    gate.arm()

    assert gate.begin_load() == ("DRAIN",)


def test_a_hold_survives_a_new_epoch_with_its_lots_steps_and_deadline(gate: GateDriver) -> None:
    gate.load(30, 30)
    due = gate.reserve(50)[1]
    gate.commit(35, op="c:1", final=False)
    gate.settle_all()

    gate.arm()
    assert gate.load(LotSpec(grant_id=2, amount=25)) == ("LOADED", "1")

    assert gate.figures() == (10, 15, 0, 0, 0)
    assert gate.reserve(50) == ("REPLAYED", "H", due)
    assert gate.commit(35, op="c:1", final=False) == ("REPLAYED",)
    assert gate.commit(15, op="c:2") == ("COMMITTED", "15", "0")
    assert gate.seen().journal[0].items[0].lots == (("00000000002", 15),)


def test_a_hold_is_adopted_whole_or_not_at_all(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=30), LotSpec(grant_id=2, amount=30, credit_type="video"))
    gate.reserve({A_TYPE: 20, "video": 20})

    gate.arm()
    loaded = gate.load(LotSpec(grant_id=1, amount=30), LotSpec(grant_id=2, amount=19, credit_type="video"))

    assert loaded == ("LOADED", "0")
    assert gate.figures() == (30, 0, 0, 0, 0)
    assert gate.figures("video") == (19, 0, 0, 0, 0)
    assert gate.seen().holds["h1"].state is HoldState.EXPIRED


def test_the_oldest_holds_are_adopted_first(gate: GateDriver) -> None:
    gate.load(90)
    for hold in ("late", "early", "first"):
        gate.reserve(30, hold=hold, name=hold)
        gate.clock.advance_ms(10)

    gate.arm()
    assert gate.load(70) == ("LOADED", "2")

    assert gate.figures() == (10, 60, 0, 0, 0)
    assert gate.seen().holds["first"].state is HoldState.EXPIRED


def test_a_hold_of_a_lot_that_the_ledger_closed_is_lost_and_rescued_by_what_it_had(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)

    gate.arm()
    assert gate.load(LotSpec(grant_id=2, amount=30)) == ("LOADED", "0")

    assert gate.release() == ("ENDED", "X")
    assert gate.commit() == ("RESCUED", "20", "0")
    assert gate.figures() == (10, 0, 20, 0, 0)


def test_a_lost_hold_leaves_a_receipt_for_its_full_time(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)
    gate.clock.advance_ms(TTL_MS)

    gate.arm()
    gate.load(30)
    gate.clock.advance_ms(RECEIPT_MS - 1)
    gate.read()

    assert gate.seen().holds["h1"].items[A_TYPE].left == 20
    gate.clock.advance_ms(1)
    gate.read()
    assert gate.seen().holds == {}


def test_receipts_survive_a_new_epoch(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)
    gate.commit(5)
    gate.settle_all()

    gate.arm()
    gate.load(25)

    assert gate.commit(5) == ("REPLAYED",)
    assert gate.figures() == (25, 0, 0, 0, 0)


def test_a_hold_of_a_lot_that_lapsed_meanwhile_is_adopted_and_honoured(gate: GateDriver) -> None:
    lapsing = LotSpec(grant_id=1, amount=30, expires_at_ms=gate.clock() + 1_000)
    gate.load(lapsing)
    gate.reserve(20)
    gate.clock.advance_ms(1_000)

    gate.arm()
    assert gate.load(lapsing) == ("LOADED", "1")
    assert gate.figures() == (0, 20, 0, 0, 10)

    assert gate.commit(15)[0] == "COMMITTED"
    assert gate.figures() == (0, 0, 15, 0, 15)


def test_a_stale_copy_that_brings_a_committed_hold_back_gives_the_second_charge_back(gate: GateDriver) -> None:
    """The copy was made before the commit, which the ledger has booked since."""
    gate.load(30)
    gate.reserve(20)
    record = gate.client.hget(gate.keys.holds, "h1")
    gate.commit(12)
    gate.settle_all()
    gate.client.hset(gate.keys.holds, "h1", record)  # type: ignore[arg-type]

    gate.arm()
    assert gate.load(18) == ("LOADED", "0")
    gate.apply(1, LotSpec(grant_id=2, amount=10))
    assert gate.commit(12) == ("RESCUED", "12", "0")
    gate.settled((gate.journal_ids()[0], True))

    assert gate.figures() == (28, 0, 0, 0, 0)


def test_a_record_that_cannot_be_read_is_dropped_by_the_next_load(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)
    gate.reserve(5, hold="h2")
    gate.client.hset(gate.keys.holds, "h1", "no record")

    gate.arm()
    assert gate.load(30) == ("LOADED", "1")

    assert gate.figures() == (25, 5, 0, 0, 0)
    assert set(gate.seen().holds) == {"h2"}


def test_two_thousand_lots_and_a_thousand_holds_are_loaded_again(gate: GateDriver) -> None:
    lots = [LotSpec(grant_id=number + 1, amount=3) for number in range(2_000)]
    gate.load(*lots)
    for number in range(1_000):
        gate.reserve(2, hold=f"h{number}")

    gate.arm()
    assert gate.load(*lots) == ("LOADED", "1000")

    assert gate.figures() == (4_000, 2_000, 0, 0, 0)
    gate.seen()


def test_a_load_that_already_happened_takes_no_arguments_seriously(gate: GateDriver) -> None:
    gate.load(10)

    answer = gate.call(Verb.FINISH_LOAD, gate.epoch, 1, "t", gate.clock(), 1, 0, 0, A_TYPE, 99, "x")

    assert answer == ("LOADED", "0")
    assert gate.figures() == (10, 0, 0, 0, 0)
