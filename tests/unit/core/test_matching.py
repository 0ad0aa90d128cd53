"""Whose an order is that nobody is named on: unambiguous, or nobody's; a stranger's quotes never win it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.allocation.matching import LATE_MS, SETTLING_MS, Candidate, Later, Matched, Tie, Unclear, Verdict, match

HOUR_MS = 3_600_000
PAID_MS = 100 * HOUR_MS
LONG_AFTER_MS = PAID_MS + 100 * HOUR_MS


def quote(name: str = "q1", *, account: str = "a", tie: Tie = Tie.NONE, **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "quote_id": name,
        "account": account,
        "what": "100 image_generation",
        "is_unpaid": True,
        "made_at_ms": PAID_MS - HOUR_MS,
        "expires_at_ms": PAID_MS + HOUR_MS,
        "tie": tie,
    }
    return Candidate(**values | changes)


def verdict(*candidates: Candidate, now_ms: int = LONG_AFTER_MS, believes: bool = True, others: int = 0) -> Verdict:
    return match(candidates, paid_at_ms=PAID_MS, now_ms=now_ms, believes_price=believes, other_orders=lambda _: others)


def won(found: Verdict) -> str | None:
    return found.chosen.quote_id if isinstance(found, Matched) else None


def test_the_only_quote_of_a_price_is_believed_once_its_time_is_over() -> None:
    over_ms = PAID_MS + HOUR_MS + LATE_MS + SETTLING_MS

    assert verdict(quote(), now_ms=over_ms - 1) == Later(quote_id="q1", at_ms=over_ms)
    assert won(verdict(quote(), now_ms=over_ms)) == "q1"


def test_a_known_payer_is_believed_at_once_and_against_any_number_of_other_quotes() -> None:
    crowd = [quote(f"x{number}", account=f"x{number}", tie=Tie.AGAINST) for number in range(50)]

    assert won(verdict(*crowd, quote(tie=Tie.PAYER), quote("q2", account="b"), now_ms=PAID_MS)) == "q1"


def test_a_reference_beats_a_payer() -> None:
    assert won(verdict(quote(tie=Tie.PAYER), quote("q2", account="b", tie=Tie.REFERENCE))) == "q2"


@pytest.mark.parametrize(
    ("candidates", "others", "believes", "why"),
    [
        ([], 0, True, "no quote of that price"),
        ([quote(expires_at_ms=PAID_MS - LATE_MS - 1)], 0, True, "no quote of that price"),
        ([quote(made_at_ms=PAID_MS + HOUR_MS)], 0, True, "no quote of that price"),
        ([quote(), quote("q2", account="b")], 0, True, "2 quotes of that price"),
        ([quote(), quote("q2", account="b", is_unpaid=False)], 0, True, "2 quotes of that price"),
        ([quote(), quote("q2", expires_at_ms=PAID_MS - 9 * HOUR_MS)], 0, True, "2 quotes of that price"),
        ([quote(is_unpaid=False)], 0, True, "was paid before"),
        ([quote(tie=Tie.AGAINST)], 0, True, "another person paid"),
        ([quote()], 1, True, "2 orders may be its own"),
        ([quote()], 0, False, "purchases.unnamed does not believe"),
        ([quote(tie=Tie.PAYER), quote("q2", account="b", tie=Tie.PAYER)], 0, True, "fits several quotes"),
        ([quote(tie=Tie.PAYER), quote("q2", what="9 video", tie=Tie.PAYER)], 0, True, "fits several quotes"),
    ],
)
def test_what_is_not_unambiguous_waits_for_somebody_and_says_why(
    candidates: list[Candidate], others: int, believes: bool, why: str
) -> None:
    found = verdict(*candidates, others=others, believes=believes)

    assert isinstance(found, Unclear)
    assert why in found.reason


def test_of_one_accounts_equal_quotes_the_unpaid_one_is_taken_and_a_quote_paid_twice_is_paid_twice() -> None:
    paid, unpaid = quote("q2", tie=Tie.PAYER, is_unpaid=False), quote("q1", tie=Tie.PAYER)

    assert won(verdict(paid, unpaid)) == "q1"
    assert won(verdict(paid)) == "q2"


@given(
    strangers=st.lists(
        st.builds(
            quote,
            st.uuids().map(str),
            account=st.just("stranger"),
            tie=st.sampled_from([Tie.NONE, Tie.AGAINST]),
            is_unpaid=st.booleans(),
            made_at_ms=st.integers(PAID_MS - 9 * HOUR_MS, PAID_MS + HOUR_MS),
            expires_at_ms=st.integers(PAID_MS - 8 * HOUR_MS, PAID_MS + 9 * HOUR_MS),
        ),
        max_size=4,
    ),
    own=st.builds(quote, st.just("own"), tie=st.sampled_from([Tie.NONE, Tie.PAYER, Tie.AGAINST, Tie.REFERENCE])),
    is_first=st.booleans(),
)
def test_quotes_of_strangers_never_win_what_a_checkout_of_ours_sold(
    strangers: list[Candidate], own: Candidate, is_first: bool
) -> None:
    every = [own, *strangers] if is_first else [*strangers, own]

    assert won(verdict(*every)) in {None, "own"}
