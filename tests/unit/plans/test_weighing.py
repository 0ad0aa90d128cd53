"""What changes of plan take of the credits that they split: a sum, in whatever order its parts come to be known."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from credits.plans.weighing import Pool, PoolLot, weigh


def pool(asked: int, *lots: PoolLot, ordered: int = 0) -> Pool:
    return Pool(asked=asked, ordered=ordered, is_carried_out=True, lots=lots)


def lot(granted: int, **said: int) -> PoolLot:
    return PoolLot(grant_id=said.pop("grant_id", 1), granted=granted, **said)


def test_what_is_asked_for_is_ordered_once() -> None:
    assert weigh(pool(300, lot(1000))).to_order == 300
    assert weigh(pool(300, lot(1000, taken=300), ordered=300)).to_order == 0


def test_no_more_is_taken_than_was_handed_out() -> None:
    assert weigh(pool(300, lot(200))).to_order == 200
    assert weigh(pool(300)).to_order == 0


def test_nobody_owes_what_lapsed_unused() -> None:
    assert weigh(pool(300, lot(1000, lapsed=900))).to_order == 0
    assert weigh(pool(300, lot(1000, lapsed=200))).to_order == 100


def test_what_waits_to_be_carried_on_goes_before_anything_is_owed() -> None:
    weighed = weigh(pool(900, lot(1000, lapsed=800, to_carry=200)))

    assert (weighed.to_order, weighed.not_to_carry) == (0, {1: 100})


def test_a_refund_comes_before_a_change_where_both_are_more_than_there_was() -> None:
    assert weigh(pool(700, lot(1000, wanted=500))).to_order == 500
    assert weigh(pool(700, lot(1000, wanted=500, clawed=500))).to_order == 500
    assert weigh(pool(700, lot(1000, wanted=500, taken=700), ordered=700)).to_yield == {1: 200}


def test_what_lapsed_unused_stands_for_a_refund_or_for_a_change_and_not_for_both() -> None:
    """Of 1000, 400 were used: of 500 refunded and 300 given back, 200 are owed."""
    assert weigh(pool(300, lot(1000, wanted=500, lapsed=600))).to_order == 200
    assert weigh(pool(300, lot(1000, wanted=500, clawed=500, lapsed=100))).to_order == 200


def test_what_was_ordered_and_is_not_asked_for_any_more_is_given_back() -> None:
    assert weigh(pool(100, lot(1000, taken=300), ordered=300)).to_give_back == 200


def test_what_was_owed_is_given_back_once_as_much_of_the_pool_lapsed_unused() -> None:
    """A job held it while the change was told, and released it."""
    assert weigh(pool(300, lot(1000), ordered=300)).owed == 300
    assert weigh(pool(300, lot(1000, lapsed=1000), ordered=300)).to_give_back == 300


def test_nothing_is_given_back_before_the_gate_has_done_what_was_ordered() -> None:
    weighed = weigh(replace(pool(100, lot(1000), ordered=300), is_carried_out=False))

    assert (weighed.to_give_back, weighed.owed) == (0, 0)


amounts = st.integers(0, 1000)
parts = st.lists(st.tuples(st.sampled_from(["ask", "lot"]), amounts), max_size=6)


@given(parts, st.randoms(use_true_random=False))
def test_however_often_and_in_whatever_order_it_is_weighed_the_same_is_taken(
    told: list[tuple[str, int]], random: Random
) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)

    assert _taken(shuffled) == _taken(told) == min(_sum(told, "ask"), _sum(told, "lot"))


def _sum(told: list[tuple[str, int]], kind: str) -> int:
    return sum(amount for name, amount in told if name == kind)


def _taken(told: list[tuple[str, int]]) -> int:
    """What is ordered in all, less what was given back, as one part after the other comes to be known; twice each."""
    ordered = 0
    for number in range(1, len(told) + 1):
        known = told[:number]
        for _ in range(2):
            whole = lot(_sum(known, "lot"), taken=min(ordered, _sum(known, "lot")))
            weighed = weigh(pool(_sum(known, "ask"), whole, ordered=ordered))
            ordered += weighed.to_order - weighed.to_give_back
    return ordered
