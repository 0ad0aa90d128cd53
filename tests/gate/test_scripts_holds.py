"""Holds: all types or none, replayed by name, freed at their deadline and never wedged."""

import pytest

from credits.reservations.model import HoldState
from tests.support.gate import A_TYPE, RECEIPT_MS, TTL_MS, GateDriver, LotSpec
from tests.support.gate_keys import read_record

HD = "image_generation_hd"
NAMES = ["job|1", "50%off", "{0}:account:2", "a;b=c,d", "日本語 🦉", "x" * 200, "-", "|||"]


def test_types_that_share_a_prefix_are_held_apart(gate: GateDriver) -> None:
    gate.load(
        LotSpec(grant_id=1, amount=10, credit_type="image"),
        LotSpec(grant_id=2, amount=10, credit_type="image_generation"),
        LotSpec(grant_id=3, amount=10, credit_type=HD),
        LotSpec(grant_id=4, amount=10, credit_type="image_generation"),
        LotSpec(grant_id=5, amount=10, credit_type="image"),
        LotSpec(grant_id=6, amount=10, credit_type=HD),
    )

    assert gate.reserve({"image": 21}) == ("INSUFFICIENT", "image", "21", "20")
    assert gate.reserve({A_TYPE: 15, "image": 15})[0] == "HELD"

    assert gate.figures("image") == (5, 15, 0, 0, 0)
    assert gate.figures(A_TYPE) == (5, 15, 0, 0, 0)
    assert gate.figures(HD) == (20, 0, 0, 0, 0)
    gate.seen()


def test_one_type_that_is_short_leaves_all_of_them_alone(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10), LotSpec(grant_id=2, amount=3, credit_type=HD))
    before = gate.dump()

    answer = gate.reserve({A_TYPE: 10, HD: 4, "video": 1})

    assert answer == ("INSUFFICIENT", HD, "4", "3", "video", "1", "0")
    assert gate.dump() == before


@pytest.mark.parametrize("name", NAMES)
def test_the_callers_name_comes_back_as_it_was_given(name: str, gate: GateDriver) -> None:
    gate.load(10)

    gate.reserve(5, name=name)
    _, _, record = gate.list_holds()
    gate.commit(2, name=name)

    assert read_record(record, "1.1").name == name
    assert gate.seen().journal[0].name == name
    assert gate.seen().holds["h1"].name == name


def test_the_same_request_is_answered_the_same_whatever_became_of_the_hold(gate: GateDriver) -> None:
    gate.load(10)
    due = str(gate.clock() + TTL_MS)

    assert gate.reserve(4) == ("HELD", due)
    assert gate.reserve(4) == ("REPLAYED", "H", due)
    gate.commit(1)
    assert gate.reserve(4)[:2] == ("REPLAYED", "C")
    assert gate.reserve(4, fingerprint="b2") == ("CONFLICT",)

    assert gate.figures() == (9, 0, 1, 0, 0)


def test_a_refusal_is_not_remembered(gate: GateDriver) -> None:
    gate.load(3)

    assert gate.reserve(4)[0] == "INSUFFICIENT"
    gate.apply(1, LotSpec(grant_id=2, amount=1))

    assert gate.reserve(4)[0] == "HELD"


def test_a_name_that_was_spent_under_is_no_hold(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(1, hold="s1", fingerprint="e1")

    assert gate.reserve(1, hold="s1", fingerprint="e1") == ("CONFLICT",)
    assert gate.commit(1, hold="s1") == ("CONFLICT",)
    assert gate.release("s1") == ("ENDED", "S")
    assert gate.extend("s1") == ("ENDED", "S")

    assert gate.figures() == (9, 0, 1, 0, 0)


def test_a_hold_is_freed_at_its_deadline_and_not_a_millisecond_before(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(10, ttl_ms=1_000)

    gate.clock.advance_ms(999)
    assert gate.reserve(10, hold="h2")[0] == "INSUFFICIENT"
    gate.clock.advance_ms(1)

    assert gate.reserve(10, hold="h2")[0] == "HELD"
    assert gate.seen().holds["h1"].state is HoldState.EXPIRED


@pytest.mark.parametrize("overdue", [15, 16, 17, 40, 300])
def test_nobody_is_refused_while_credits_are_behind_overdue_holds(overdue: int, gate: GateDriver) -> None:
    gate.load(overdue)
    for number in range(overdue):
        gate.reserve(1, hold=f"old{number}", ttl_ms=1_000)
    gate.clock.advance_ms(1_000)

    assert gate.reserve(overdue, hold="new")[0] == "HELD"

    assert gate.figures() == (0, overdue, 0, 0, 0)
    assert gate.seen().holds["new"].state is HoldState.HELD


def test_a_call_that_is_not_short_frees_sixteen_overdue_holds_and_no_more(gate: GateDriver) -> None:
    gate.load(100)
    for number in range(40):
        gate.reserve(1, hold=f"old{number:02}", ttl_ms=1_000)
    gate.clock.advance_ms(1_000)

    gate.reserve(1, hold="new")

    states = [hold.state for name, hold in sorted(gate.seen().holds.items()) if name != "new"]
    assert states == [HoldState.EXPIRED] * 16 + [HoldState.HELD] * 24


def test_an_overdue_receipt_is_forgotten(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(4)
    gate.commit(1)

    gate.clock.advance_ms(RECEIPT_MS - 1)
    gate.read()
    assert set(gate.seen().holds) == {"h1"}
    gate.clock.advance_ms(1)
    gate.read()

    assert gate.seen().holds == {}


def test_a_released_hold_gives_everything_back_once(gate: GateDriver) -> None:
    gate.load(3, 4)
    gate.reserve(6)

    assert gate.release() == ("RELEASED",)
    assert gate.release() == ("ENDED", "R")

    assert gate.figures() == (7, 0, 0, 0, 0)
    assert {free for _, free in gate.seen().lots.values()} == {3, 4}


def test_a_deadline_moves_away_within_its_bound_and_never_nearer(gate: GateDriver) -> None:
    gate.load(10)
    made = gate.clock()
    gate.reserve(1, ttl_ms=60_000)

    assert gate.extend(ttl_ms=30_000, longest_ms=100_000) == ("EXTENDED", str(made + 60_000))
    gate.clock.advance_ms(50_000)
    assert gate.extend(ttl_ms=30_000, longest_ms=100_000) == ("EXTENDED", str(made + 80_000))
    assert gate.extend(ttl_ms=60_000, longest_ms=100_000) == ("EXTENDED", str(made + 100_000))
    assert gate.extend(ttl_ms=90_000, longest_ms=100_000) == ("EXTENDED", str(made + 100_000))


def test_an_overdue_hold_that_nobody_freed_is_extended(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(10, ttl_ms=1_000)
    gate.clock.advance_ms(5_000)

    assert gate.extend(ttl_ms=1_000)[0] == "EXTENDED"

    assert gate.reserve(1, hold="h2")[0] == "INSUFFICIENT"


def test_open_holds_are_listed_soonest_due_first_up_to_the_limit_past_any_number_of_receipts(
    gate: GateDriver,
) -> None:
    gate.load(2_000)
    for number in range(300):
        gate.reserve(1, hold=f"done{number}")
        gate.release(f"done{number}")
    for number, ttl_ms in enumerate([3_000_000, 1_000_000, 2_000_000]):
        gate.reserve(1, hold=f"open{number}", ttl_ms=ttl_ms)

    assert gate.list_holds()[1::2] == ("open1", "open2", "open0")
    assert gate.list_holds(limit=2)[1::2] == ("open1", "open2")
    assert gate.list_holds(hold="done7")[1::2] == ("done7",)
    assert gate.list_holds(hold="nobody") == ("HOLDS",)


def test_an_account_is_unloaded_when_idle_and_comes_back(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(4)
    gate.clock.advance_ms(TTL_MS)

    assert gate.unload(idle_ms=TTL_MS + 1) == ("BUSY",)
    assert gate.unload(idle_ms=TTL_MS) == ("BUSY",)
    gate.clock.advance_ms(TTL_MS)
    assert gate.unload(idle_ms=TTL_MS) == ("UNLOADED",)

    assert gate.client.keys("*:1") == []
    assert gate.load(10) == ("LOADED", "0")


def test_an_account_with_unsettled_entries_is_not_unloaded(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(4)
    gate.clock.advance_ms(2 * RECEIPT_MS)

    assert gate.unload() == ("BUSY",)
    gate.settle_all()

    assert gate.unload() == ("UNLOADED",)


def test_a_list_of_holds_goes_on_where_a_page_ended_also_among_holds_due_at_the_same_instant(gate: GateDriver) -> None:
    gate.load(1_000)
    names = [f"hold{number:03}" for number in range(600)]
    for name in names:
        gate.reserve(1, hold=name, ttl_ms=1_000_000)
    gate.reserve(1, hold="early", ttl_ms=500_000)

    seen: list[str] = []
    after: tuple[str | int, ...] = ()
    while page := gate.list_holds(limit=70, after=after)[1:]:
        seen += page[::2]
        after = (page[-1].split("|")[1], page[-2])
        gate.release(page[0])

    assert seen == ["early", *names]
