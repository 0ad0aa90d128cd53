"""Which credits burn first, and what can be spent at an instant."""

from hypothesis import given
from hypothesis import strategies as st

from credits.clock import MAX_INSTANT_MS
from credits.ledger.model import GrantSource, Lot
from credits.ledger.rules import available, spendable
from credits.reservations.model import sort_key

NOW_MS = 1_000


def lot(grant_id: int = 1, **changes: object) -> Lot:
    said: dict[str, object] = {
        "remaining": 10,
        "frozen": 0,
        "priority": 100,
        "source": GrantSource.PLAN,
        "effective_at_ms": 0,
        "expires_at_ms": None,
    }
    return Lot(grant_id=grant_id, **{**said, **changes})  # type: ignore[arg-type]


def test_credits_lapse_at_their_instant_itself() -> None:
    one = lot(expires_at_ms=NOW_MS)

    assert (spendable(one, NOW_MS - 1), spendable(one, NOW_MS), spendable(one, NOW_MS + 1)) == (10, 0, 0)


def test_credits_that_are_not_effective_yet_or_frozen_cannot_be_spent() -> None:
    assert spendable(lot(effective_at_ms=NOW_MS + 1), NOW_MS) == 0
    assert spendable(lot(effective_at_ms=NOW_MS), NOW_MS) == 10
    assert spendable(lot(frozen=7), NOW_MS) == 3


def test_debt_is_not_available_and_never_makes_it_negative() -> None:
    assert available([lot()], 4, NOW_MS) == 6
    assert available([lot()], 40, NOW_MS) == 0


KEYED = st.tuples(
    st.sampled_from([50, 100, 200]), st.none() | st.integers(0, MAX_INSTANT_MS), st.booleans(), st.integers(1, 2**53)
)


@given(one=KEYED, other=KEYED)
def test_lots_burn_by_priority_then_expiry_then_free_before_paid_then_age(
    one: tuple[int, int | None, bool, int], other: tuple[int, int | None, bool, int]
) -> None:
    assert (sorting(one) < sorting(other)) == (plainly(one) < plainly(other))


def sorting(lot: tuple[int, int | None, bool, int]) -> str:
    priority, expires_at_ms, is_paid, grant_id = lot
    return sort_key(priority=priority, expires_at_ms=expires_at_ms, is_paid=is_paid, grant_id=grant_id)


def plainly(lot: tuple[int, int | None, bool, int]) -> tuple[int, int, bool, int]:
    priority, expires_at_ms, is_paid, grant_id = lot
    return (priority, MAX_INSTANT_MS + 1 if expires_at_ms is None else expires_at_ms, is_paid, grant_id)
