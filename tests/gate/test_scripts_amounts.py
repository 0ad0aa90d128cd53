"""Amounts: whole numbers from 1 to 2^53 - 1 go through unharmed, sums stay within, and nothing else gets in."""

from collections.abc import Callable

import pytest
import redis

from credits.reservations.model import Overage
from credits.reservations.scripts import Verb
from tests.support.gate import A_TYPE, GateDriver, LotSpec, Words

MAX = 2**53 - 1
NO_AMOUNTS = [
    "",
    "-1",
    "+1",
    "1.0",
    "1e3",
    " 5",
    "5 ",
    "05",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "9007199254740992",
    "9007199254740993",
    str(10**30),
    "٣",
    "5\n",
    "5\0",
    "true",
]
WRITERS: dict[str, Callable[[GateDriver, dict[str, int]], Words]] = {
    "reserve": lambda gate, items: gate.reserve(items, hold="h2"),
    "commit": lambda gate, items: gate.commit(items, final=False),
    "rescue": lambda gate, items: gate.commit(items, hold="unknown"),
    "spend": lambda gate, items: gate.spend(items),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("text", NO_AMOUNTS)
def test_what_is_no_amount_is_refused_and_nothing_changes(text: str, writer: str, gate: GateDriver) -> None:
    gate.load(100)
    gate.reserve(60)
    before = gate.dump()

    answer = WRITERS[writer](gate, {A_TYPE: text})  # type: ignore[dict-item]

    assert answer == ("BAD",)
    assert gate.dump() == before


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "items",
    [
        {A_TYPE: 1, "a|b": 1},
        {A_TYPE: 1, "a=b": 1},
        {A_TYPE: 1, "a;b": 1},
        {A_TYPE: 1, "": 1},
        {f"type_{number}": 1 for number in range(17)},
    ],
    ids=["bar", "equals", "semicolon", "empty", "seventeen types"],
)
def test_a_name_that_is_no_type_is_refused_and_so_is_a_17th_type(
    items: dict[str, int], writer: str, gate: GateDriver
) -> None:
    gate.load(100)
    gate.reserve(60)
    before = gate.dump()

    assert WRITERS[writer](gate, items) == ("BAD",)

    assert gate.dump() == before


def test_a_type_that_stands_twice_or_has_no_amount_is_refused(gate: GateDriver) -> None:
    gate.load(100)
    head = (gate.epoch, gate.clock(), "h1", "a1", 60_000, 1_000, "job", "")

    assert gate.call(Verb.RESERVE, *head, A_TYPE, 1, A_TYPE, 1) == ("BAD",)
    assert gate.call(Verb.RESERVE, *head, A_TYPE) == ("BAD",)
    assert gate.call(Verb.RESERVE, *head) == ("BAD",)


@pytest.mark.parametrize("total", [10**14 - 1, 10**14, 10**14 + 1, 123_456_789_012_345, MAX - 1, MAX])
def test_a_large_amount_is_held_paid_returned_and_settled_to_the_last_credit(total: int, gate: GateDriver) -> None:
    gate.load(total)

    gate.reserve(total - 1)
    assert gate.figures() == (1, total - 1, 0, 0, 0)
    gate.commit(total - 3)
    assert gate.figures() == (3, 0, total - 3, 0, 0)
    assert gate.spend(4)[:2] == ("INSUFFICIENT", A_TYPE)
    assert gate.settle_all() == ("SETTLED", "1")

    assert gate.figures() == (3, 0, 0, 0, 0)
    assert gate.seen().lots[LotSpec(grant_id=1, amount=1).name][1] == 3


def test_the_largest_amount_is_taken_from_several_lots_of_large_amounts(gate: GateDriver) -> None:
    gate.load(10**15 + 1, 10**15 + 3, MAX - 2 * 10**15 - 4)

    assert gate.spend(MAX)[0] == "COMMITTED"

    assert gate.seen().journal[0].items[0].lots == (
        ("00000000001", 10**15 + 1),
        ("00000000002", 10**15 + 3),
        ("00000000003", MAX - 2 * 10**15 - 4),
    )


def test_a_credit_that_would_lift_the_sum_above_the_bound_is_not_applied(gate: GateDriver) -> None:
    gate.load(MAX - 10)
    gate.reserve(MAX - 10)

    assert gate.apply(1, LotSpec(grant_id=2, amount=11)) == ("BAD",)
    assert gate.apply(1, LotSpec(grant_id=2, amount=10)) == ("APPLIED",)

    assert gate.figures() == (10, MAX - 10, 0, 0, 0)


def test_lots_whose_sum_is_above_the_bound_are_not_loaded(gate: GateDriver) -> None:
    assert gate.load(MAX, 1) == ("BAD",)
    assert gate.read() == ("COLD",)
    gate.clock.advance_ms(2_000)
    assert gate.load(MAX - 1, 1) == ("LOADED", "0")


@pytest.mark.parametrize("words", [("-5",), ("x",), ("1.5",), ("nan",)])
def test_a_debt_or_lot_that_is_no_amount_is_not_loaded(words: tuple[str], gate: GateDriver) -> None:
    gate.begin_load()

    assert gate.finish_load([LotSpec(grant_id=1, amount=words[0])]) == ("BAD",)  # type: ignore[arg-type]
    assert gate.finish_load(debts={A_TYPE: words[0]}) == ("BAD",)  # type: ignore[dict-item]

    assert gate.finish_load([LotSpec(grant_id=1, amount=0)], debts={A_TYPE: 0}) == ("LOADED", "0")


def test_debt_stops_at_the_bound(gate: GateDriver) -> None:
    gate.load(5, debts={"video": MAX - 10})

    assert gate.commit({"video": 11}, hold="a", overage=Overage.ALLOW_DEBT) == ("GONE", "video", "11", "0")
    assert gate.take_lots(11, 9, credit_type="video", allow_debt=True) == ("BAD",)
    assert gate.commit({"video": 10}, hold="b", overage=Overage.ALLOW_DEBT)[0] == "RESCUED"

    assert gate.figures("video") == (0, 0, 10, MAX, 0)


def test_what_is_unsettled_of_all_types_together_stops_at_the_bound(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=MAX), LotSpec(grant_id=2, amount=5, credit_type="video"))
    gate.spend(MAX - 3, hold="s1")
    before = gate.dump()

    assert gate.spend({"video": 4}, hold="s2") == ("BAD",)
    assert gate.commit({"video": 4}, hold="h2") == ("BAD",)
    assert gate.take_lots(4, 2, credit_type="video") == ("BAD",)
    assert gate.dump() == before

    assert gate.spend({"video": 3}, hold="s2") == ("COMMITTED", str(MAX))


BAD_WORDS: list[tuple[str, Callable[[GateDriver], Words]]] = [
    ("caller ms", lambda gate: gate.call(Verb.READ, gate.epoch, "nan", 1_000)),
    ("receipt ms", lambda gate: gate.call(Verb.READ, gate.epoch, gate.clock(), "-1", A_TYPE)),
    ("ttl", lambda gate: gate.reserve(hold="h2", ttl_ms="1.5")),  # type: ignore[arg-type]
    ("fingerprint", lambda gate: gate.reserve(hold="h2", fingerprint="x|y")),
    ("fingerprint of a step", lambda gate: gate.commit(1, fingerprint="")),
    ("op", lambda gate: gate.commit(1, op="a=b;c")),
    ("op of a spending", lambda gate: gate.spend(1, op="a|b")),
    ("sv", lambda gate: gate.apply("1e1", LotSpec(grant_id=5, amount=1))),  # type: ignore[arg-type]
    ("idle ms", lambda gate: gate.unload(idle_ms=-1)),
    ("epoch", lambda gate: gate.arm("2x")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("word", "call"), BAD_WORDS, ids=[word for word, _ in BAD_WORDS])
def test_a_malformed_word_of_our_own_is_an_error_and_nothing_changes(
    word: str, call: Callable[[GateDriver], Words], gate: GateDriver
) -> None:
    gate.load(100)
    gate.reserve(60)
    before = gate.dump()

    with pytest.raises(redis.ResponseError):
        call(gate)

    assert gate.dump() == before
