"""Names are for ever: what Redis has forgotten, the ledger remembers."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from credits.errors import HoldEndedError, IdempotencyConflictError
from credits.reservations.asks import Commit
from credits.reservations.model import Durability
from credits.reservations.sweeps import sweep_gate
from tests.support.cluster import connected
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures

Forget = Callable[[], None]


@pytest.fixture
def forget(shop: Shop) -> Forget:
    """Let Redis lose its receipts, as time does."""

    def flush() -> None:
        with connected(shop.redis_url) as client:
            client.flushall()

    return flush


def test_a_job_under_the_name_of_an_old_one_is_not_charged_again(shop: Shop, forget: Forget) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=30, reservation_id="job").commit()
    forget()

    library.reserve("user_1", image_generation=30, reservation_id="job").commit()

    sweep_gate(shop.gate())
    assert figures(library, "user_1") == (70, 0, 0, 70, 0)
    assert_ledger_is_sound(shop.engine)


def test_a_spend_that_redis_forgot_is_a_replay_or_a_conflict(shop: Shop, forget: Forget) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.spend("user_1", image_generation=30, key="s")
    forget()

    again = library.spend("user_1", image_generation=30, key="s")
    with pytest.raises(IdempotencyConflictError):
        library.spend("user_1", image_generation=31, key="s")

    assert (again.replayed, again.durability) == (True, Durability.LEDGER)
    assert figures(library, "user_1") == (70, 0, 0, 70, 0)


def test_another_amount_at_redis_level_under_a_forgotten_name_is_kept_in_suspense(shop: Shop, forget: Forget) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.spend("user_1", image_generation=30, key="s")
    forget()

    library.spend("user_1", image_generation=31, key="s", durability="redis")
    sweep_gate(shop.gate())

    assert [row["kind"] for row in library.entries("user_1")] == ["suspense", "spend", "grant"]
    assert figures(library, "user_1") == (39, 0, 0, 39, 0)
    assert_ledger_is_sound(shop.engine)


def test_a_commit_with_other_amounts_under_a_forgotten_name_raises_the_conflict(shop: Shop, forget: Forget) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=30, reservation_id="job").commit(image_generation=10)
    forget()

    with pytest.raises(IdempotencyConflictError):
        library.reserve("user_1", image_generation=30, reservation_id="job").commit(image_generation=11)


def test_a_commit_of_nothing_is_no_entry_and_not_pending(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    hold = library.reserve("user_1", image_generation=30)
    hold.commit(image_generation=30, step="all", final=False)

    rest = hold.commit()

    assert (rest.is_pending, rest.durability) == (False, Durability.LEDGER)
    assert len(library.entries("user_1")) == 2


def test_a_commit_whose_line_was_lost_with_redis_is_never_called_booked(shop: Shop, forget: Forget) -> None:
    library = replace(shop, ledger_wait_s=0.5).process()
    library.add("user_1", TYPE, 100, key="a")
    gate, hold = library.reservations, library.reserve("user_1", image_generation=30, reservation_id="job")
    ask = gate.commit_ask(Commit(account="user_1", reservation_id=hold.reservation_id))
    answered = gate.call(ask)
    forget()
    library.balances("user_1")

    answer = gate.acknowledged(ask, answered, Durability.LEDGER)

    assert (answer.is_pending, answer.durability) == (True, Durability.REDIS)


def test_many_threads_that_wait_for_the_ledger_all_hear_of_their_own_commit(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 1000, key="a")
    booked: list[bool] = []

    def work(number: int) -> None:
        for turn in range(3):
            answer = library.spend("user_1", image_generation=1, key=f"{number}-{turn}")
            booked.append(answer.durability is Durability.LEDGER and not answer.is_pending)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert booked == [True] * 72
    assert figures(library, "user_1") == (928, 0, 0, 928, 0)


def test_a_hold_that_never_was_cannot_be_committed_or_extended(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")

    with pytest.raises(HoldEndedError):
        library.reservations.commit("user_1", "never")
    with pytest.raises(HoldEndedError):
        library.reservations.extend("user_1", "never", ttl_s=5)
    assert not library.reservations.release("user_1", "never")
