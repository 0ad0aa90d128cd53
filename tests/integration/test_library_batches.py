"""Many at once: one answer or error each, in order, and each as if it had come alone."""

import pytest

from credits.errors import (
    CreditsError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidAmountError,
    InvalidInputError,
)
from credits.reservations.answers import Committed
from credits.reservations.asks import Commit
from credits.reservations.batch import MAX_BATCH, Reserve
from credits.reservations.hold import Hold
from credits.reservations.model import Durability
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures


def test_each_reservation_of_a_batch_has_its_own_answer(shop: Shop) -> None:
    library = shop.process()
    for number in range(70):
        library.add(f"user_{number}", TYPE, 10, key=f"grant-{number}")
    library.reserve("user_3", image_generation=1, reservation_id="taken")

    wanted = [Reserve(account=f"user_{number}", items={TYPE: 4}) for number in range(70)] * 3
    wanted += [
        Reserve(account="nobody", items={TYPE: 1}),
        Reserve(account="user_1", items={TYPE: 0}),
        Reserve(account="user_3", items={TYPE: 2}, reservation_id="taken"),
    ]
    answers = shop.process().reserve_many(wanted)

    assert [type(one) for one in answers[:140]] == [Hold] * 140
    assert {type(one) for one in answers[140:210]} == {InsufficientCreditsError}
    assert [type(one) for one in answers[210:]] == [
        InsufficientCreditsError,
        InvalidAmountError,
        IdempotencyConflictError,
    ]
    assert figures(library, "user_7") == (10, 8, 0, 2, 0)


def test_a_batch_of_commits_waits_for_the_ledger_together(shop: Shop) -> None:
    library = shop.process()
    for number in range(70):
        library.add(f"user_{number}", TYPE, 10, key=f"grant-{number}")
    names = [(f"user_{number}", f"job-{number}") for number in range(70)]
    library.reserve_many([Reserve(account=who, items={TYPE: 4}, reservation_id=name) for who, name in names])
    commits = [Commit(account=who, reservation_id=name, items={TYPE: 3}) for who, name in names]
    commits.append(Commit(account="user_1", reservation_id="never made"))
    commits.append(Commit(account="nobody", reservation_id="x"))

    first = library.commit_many(commits)
    again = library.commit_many(commits)

    assert {(one.durability, one.is_pending, one.replayed) for one in first[:70] if isinstance(one, Committed)} == {
        (Durability.LEDGER, False, False)
    }
    assert all(isinstance(one, Committed) and one.replayed for one in again[:70])
    assert [type(one) for one in first[70:]] == [HoldEndedError, HoldEndedError]
    assert all(figures(library, who) == (7, 0, 0, 7, 0) for who, _ in names)
    assert_ledger_is_sound(shop.engine)


def test_holds_of_a_batch_are_commited_as_any_other(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 10, key="a")

    holds: list[Hold | CreditsError] = library.reserve_many([Reserve(account="user_1", items={TYPE: 2})] * 3)
    for hold in holds:
        assert isinstance(hold, Hold)
        hold.commit(durability="redis")

    assert figures(library, "user_1") == (10, 0, 6, 4, 0)


def test_a_batch_has_a_limit(shop: Shop) -> None:
    with pytest.raises(InvalidInputError, match=f"at most {MAX_BATCH}"):
        shop.process().reserve_many([Reserve(account="user_1", items={TYPE: 1})] * (MAX_BATCH + 1))
