"""Taking turns: one thread settles for all that wait, and whatever goes wrong, somebody goes on."""

import threading

from credits.reservations.turns import MOST_SHARDS, Taken, Turn, Turns, Waiter


class Desk:
    """Turns under a clock of the test's, and waiters that are threads in name only."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.turns = Turns(monotonic=lambda: self.now_s)

    def waiter(self, shard: int) -> Waiter:
        waiter = Waiter(shard=shard, taken=(Taken(op=f"op-{id(self)}", account_id=shard, epoch=1),))
        self.turns.enter(waiter)
        return waiter

    def end(
        self, turn: Turn, *served: Waiter, led_after: dict[int, str] | None = None, has_failed: bool = False
    ) -> None:
        for waiter in served:
            for one in waiter.taken:
                one.is_booked = True
        self.turns.end(turn, led_after=led_after or {}, has_failed=has_failed)


def taken(desk: Desk, waiter: Waiter) -> Turn:
    turn = desk.turns.take(waiter)
    assert turn is not None
    return turn


def test_one_turn_serves_all_that_wait_whatever_their_shards() -> None:
    desk = Desk()
    waiters = [desk.waiter(shard) for shard in (7, 3, 7, 5)]

    turn = taken(desk, waiters[0])

    assert turn.shards == (3, 5, 7)
    assert turn.taken == tuple(one for waiter in waiters for one in waiter.taken)
    assert [desk.turns.take(waiter) for waiter in waiters] == [None] * 4


def test_who_comes_during_a_turn_is_called_for_the_next_one() -> None:
    desk = Desk()
    first = desk.waiter(1)
    turn = taken(desk, first)
    late, later = desk.waiter(2), desk.waiter(3)
    assert desk.turns.take(late) is None

    desk.end(turn, first)

    assert (first.woken.is_set(), late.woken.is_set(), later.woken.is_set()) == (True, True, False)
    assert taken(desk, late).shards == (2, 3)


def test_a_shard_that_another_process_settles_is_listened_to_by_one_and_keeps_nobody_else_waiting() -> None:
    desk = Desk()
    mine, same, other = desk.waiter(1), desk.waiter(1), desk.waiter(2)
    desk.end(taken(desk, mine), other, led_after={1: "5-0"})

    listening = taken(desk, mine)
    new = desk.waiter(3)

    assert (listening.shards, listening.told_after) == ((1,), "5-0")
    assert desk.turns.take(same) is None
    assert taken(desk, new).shards == (3,)


def test_shards_of_a_turn_that_failed_are_settled_one_by_one_for_a_while() -> None:
    desk = Desk()
    one, two = desk.waiter(1), desk.waiter(2)
    desk.end(taken(desk, one), has_failed=True)

    apart = [taken(desk, one), taken(desk, two)]
    assert [(turn.shards, turn.is_shared) for turn in apart] == [((1,), False), ((2,), False)]
    for turn in apart:
        desk.end(turn, has_failed=True)
    desk.now_s = 5.5

    assert taken(desk, one).shards == (1, 2)


def test_whoever_gives_up_leaves_its_call_to_another() -> None:
    desk = Desk()
    first = desk.waiter(1)
    turn = taken(desk, first)
    called, quiet = desk.waiter(2), desk.waiter(3)
    desk.end(turn, first)
    assert (called.woken.is_set(), quiet.woken.is_set()) == (True, False)

    desk.turns.leave(called)

    assert quiet.woken.is_set()


def test_what_another_process_told_last_is_forgotten_with_the_last_who_waits() -> None:
    desk = Desk()
    gone = desk.waiter(1)
    desk.end(taken(desk, gone), led_after={1: "5-0"})
    desk.turns.leave(gone)

    assert taken(desk, desk.waiter(1)).told_after is None


def test_a_turn_has_a_limit() -> None:
    desk = Desk()
    waiters = [desk.waiter(shard) for shard in range(MOST_SHARDS + 5)]

    turn = taken(desk, waiters[-1])

    assert len(turn.shards) == MOST_SHARDS
    assert waiters[-1].shard in turn.shards


def test_a_hundred_threads_are_all_served_and_no_shard_is_settled_twice_at_once() -> None:
    turns, lock, busy, shared = Turns(), threading.Lock(), set[int](), list[Turn]()

    def work(shard: int) -> None:
        waiter = Waiter(shard=shard, taken=(Taken(op="op", account_id=shard, epoch=1),))
        turns.enter(waiter)
        while not waiter.is_done:
            turn = turns.take(waiter)
            if turn is None:
                # Without the nap that a real one takes to be sure: every call must arrive.
                assert waiter.woken.wait(90)
                waiter.woken.clear()
                continue
            with lock:
                assert busy.isdisjoint(turn.shards)
                busy.update(turn.shards)
                shared.append(turn)
            for one in turn.taken:
                one.is_booked = True
            with lock:
                busy.difference_update(turn.shards)
            turns.end(turn, led_after={}, has_failed=False)
        turns.leave(waiter)

    threads = [threading.Thread(target=work, args=(number % 40,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)

    assert not any(thread.is_alive() for thread in threads)
    assert shared


def test_who_is_about_to_wait_takes_the_turn_only_if_nobody_waits_or_is_at_it() -> None:
    desk = Desk()

    alone = desk.turns.take_alone(1)
    second = desk.turns.take_alone(2)
    late = desk.waiter(1)
    assert alone is not None
    desk.end(alone)

    assert (alone.shards, alone.taken, second) == ((1,), (), None)
    assert late.woken.is_set()
    assert desk.turns.take_alone(2) is None
    assert taken(desk, late).taken == late.taken
