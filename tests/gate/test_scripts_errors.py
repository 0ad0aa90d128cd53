"""An error in a script, wherever it strikes, leaves no half of a write behind."""

from collections.abc import Callable

import pytest
import redis

from credits.reservations.scripts import Verb
from tests.support.gate import A_TYPE, RECEIPT_MS, TTL_MS, GateDriver, LotSpec, Words

GARBAGE = ["", "x", "-1", "nan", "1|2", "9" * 40, "a=b;c"]


def _prepared(gate: GateDriver) -> GateDriver:
    """An account in which every verb has something to do, overdue holds and lapsed lots included."""
    now = gate.clock()
    gate.load(
        LotSpec(grant_id=1, amount=50, expires_at_ms=now + 500),
        LotSpec(grant_id=2, amount=50),
        LotSpec(grant_id=3, amount=50),
        LotSpec(grant_id=4, amount=10, credit_type="video"),
    )
    gate.reserve({A_TYPE: 60, "video": 5}, hold="h1")
    gate.reserve(10, hold="overdue", ttl_ms=500)
    gate.spend(10, hold="s1")
    gate.load_member("ada", "d90+m90+e90")
    gate.reserve(10, hold="adas", member="ada")
    gate.spend(10, hold="s2", member="ada")
    gate.clock.advance_ms(1_000)
    return gate


def _words(gate: GateDriver, verb: Verb) -> list[object]:
    epoch, now, load = gate.epoch, gate.clock(), gate.load_id()
    lot = LotSpec(grant_id=9, amount=5)
    words: dict[Verb, list[object]] = {
        Verb.ARM: [epoch + 1, 1],
        Verb.HANDOVER: [epoch],
        Verb.ADOPT: [epoch],
        Verb.BEGIN_LOAD: [epoch, 1, "t", now],
        Verb.FINISH_LOAD: [epoch, 1, "t", now, RECEIPT_MS, 0, 1, A_TYPE, 0, A_TYPE, 5, lot.sort_key],
        Verb.APPLY: [epoch, now, 1, A_TYPE, 5, 0, lot.sort_key],
        Verb.RESERVE: [epoch, now, "h9", "a1", TTL_MS, RECEIPT_MS, "job", "", A_TYPE, 1, "video", 1],
        Verb.COMMIT: [epoch, 1, now, "h1", "c:1", "a1", 1, "deny", RECEIPT_MS, "job", "", A_TYPE, 1, "video", 1],
        Verb.RELEASE: [epoch, now, "h1", RECEIPT_MS],
        Verb.EXTEND: [epoch, now, "h1", TTL_MS, TTL_MS],
        Verb.SPEND: [epoch, 1, now, "s9", "s:9", "a1", "spend", RECEIPT_MS, "job", "", A_TYPE, 1],
        Verb.TAKE_LOTS: [epoch, 1, now, "t9", "t:9", "a1", "expire", RECEIPT_MS, "", A_TYPE, 5, 0, "00000000001"],
        Verb.LEAD: [epoch, now, "one", 300],
        Verb.SETTLED: [epoch, now],
        Verb.TELL: [epoch, "one", "{}"],
        Verb.READ: [epoch, now, RECEIPT_MS, A_TYPE],
        Verb.LIST_HOLDS: [epoch, now, RECEIPT_MS, 10, "", now, "h1"],
        Verb.UNLOAD: [epoch, 1, now, 0],
        Verb.USED: [],
        Verb.LOAD_MEMBER: [epoch, now, "eve", load, 1, 2, now, now + 9, 2, now, now + 9, A_TYPE, 1, 1, 1, "d5"],
        Verb.READ_MEMBER: [epoch, now, RECEIPT_MS, "ada"],
        Verb.VOID_LOAD: [epoch, now],
    }
    return words[verb]


@pytest.mark.parametrize("verb", Verb)
def test_words_that_are_missing_or_garbage_change_nothing_or_leave_everything_adding_up(
    verb: Verb, gate: GateDriver
) -> None:
    _prepared(gate)
    words = _words(gate, verb)
    spoilt = [words[:length] for length in range(len(words))]
    spoilt += [[*words[:at], bad, *words[at + 1 :]] for at in range(1, len(words)) for bad in GARBAGE]

    for args in spoilt:
        before = gate.dump()
        try:
            gate.call(verb, *args)
        except redis.ResponseError:
            assert gate.dump() == before, args
        if gate.client.hexists(gate.keys.account, "m"):
            gate.seen()
        else:
            # It was unloaded, or a new epoch began: load it again for the next.
            return


@pytest.mark.parametrize(
    "call",
    [
        lambda gate: gate.reserve(1, hold="h1"),
        lambda gate: gate.commit(1, hold="h1"),
        lambda gate: gate.spend(1, hold="h1"),
        lambda gate: gate.take_lots(1, 2, hold="h1"),
        lambda gate: gate.release("h1"),
        lambda gate: gate.extend("h1"),
    ],
)
def test_a_record_that_cannot_be_read_is_an_error_and_nothing_changes(
    call: Callable[[GateDriver], Words], gate: GateDriver
) -> None:
    _prepared(gate)
    gate.client.hset(gate.keys.holds, "h1", "no record")
    before = gate.dump()

    with pytest.raises(redis.ResponseError, match="cannot be read"):
        call(gate)

    assert gate.dump() == before


def test_an_overdue_record_that_cannot_be_read_wedges_nobody(gate: GateDriver) -> None:
    _prepared(gate)
    gate.client.hset(gate.keys.holds, "overdue", "no record")

    assert gate.reserve(1, hold="h9")[0] == "HELD"

    # What it held is not known any more: the account is loaded again, without it.
    assert gate.read() == ("COLD",)
    gate.settle_all()
    assert gate.load(LotSpec(grant_id=2, amount=50), LotSpec(grant_id=3, amount=50))[0] == "LOADED"
    assert "overdue" not in gate.seen().holds


def test_a_hold_of_a_lot_that_is_not_there_any_more_makes_the_account_load_again(gate: GateDriver) -> None:
    gate.load(50, 50)
    gate.reserve(60)
    gate.client.hdel(gate.keys.account, LotSpec(grant_id=1, amount=1).name.join(["L", ""]))

    gate.release()

    assert gate.read() == ("COLD",)
    assert gate.load(50, 50) == ("LOADED", "0")
    assert gate.figures() == (100, 0, 0, 0, 0)


def test_counters_that_do_not_add_up_make_the_account_load_again(gate: GateDriver) -> None:
    gate.load(50)
    gate.spend(10)
    gate.client.hset(gate.keys.account, f"c:{A_TYPE}", f"40:0:5:0:0:{LotSpec(grant_id=1, amount=1).sort_key}")

    gate.settle_all()

    assert gate.read() == ("COLD",)
