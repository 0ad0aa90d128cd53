"""What the simulator found in the procedures, each as the few steps that it takes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from credits.ledger.model import DebitKind
from credits.reservations import booking, store
from credits.reservations.commands import run_command
from credits.reservations.epochs import renew_epoch
from credits.reservations.keys import shard_of
from credits.reservations.protocol import apply_credits, load, on_account
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import Sql
from credits.reservations.torture.model import Setup
from credits.reservations.torture.mutants import Tamper
from credits.reservations.torture.server import own_servers
from credits.reservations.torture.world import Server, World
from tests.support.procedures import (
    balance,
    commit,
    debit,
    finish,
    go_to,
    go_to_sql,
    grant,
    granted,
    ordered,
    read_args,
    reserve,
    send,
    spend,
    state_of,
)

VIRTUAL_TIME_SEED = 1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_servers() as path:
        server = Server(path)
        yield server
        server.close()


@pytest.fixture
def world(server: Server) -> World:
    return World(server, VIRTUAL_TIME_SEED, Setup(accounts=2, credit_types=1), Tamper())


def test_a_commit_above_its_hold_books_a_lot_once_that_it_held_from_and_takes_more_from(world: World) -> None:
    account_id = granted(world, 100)
    reserve(world, account_id, "a", 10)
    commit(world, account_id, "a", 15)

    settled = finish(world, settle(world.callers[0].runtime, shard_of(account_id)))

    assert settled == 1
    assert balance(world, account_id) == 85


def test_a_line_of_which_one_type_is_booked_already_is_given_back_as_a_whole(world: World) -> None:
    account_id = granted(world, 100)
    epoch, shard = store.read_epoch, shard_of(account_id)
    before = debit(account_id, op="c:a", kind=DebitKind.SPEND, amount=6, lots=((1, 6),))
    again = replace(before, journal_id="2-7", stream_id="7")
    other = replace(again, credit_type="tokens", amount=3, debt=3, lots=())

    with world.server.engine.begin() as connection:
        booking.book(connection, {shard: epoch(connection, shard)}, [before], now_ms=1)
        booked = booking.book(connection, {shard: epoch(connection, shard)}, [other, again], now_ms=1)

    assert [one.is_refunded for one in booked.lines] == [True]
    assert world.server.sql.execute("SELECT count(*) FROM entries WHERE amount < 0").fetchone() == (1,)


def test_a_settler_that_learnt_an_epoch_before_it_was_armed_books_nothing_that_is_wiped_meanwhile(world: World) -> None:
    account_id, shard = granted(world, 100), shard_of(world.account_ids[0])
    spend(world, account_id, "a", 5)
    manager, settler, client = world.callers[0], world.callers[1], world.callers[2]
    epoch = manager.runtime.gate.epochs[shard]
    beginning = renew_epoch(manager.runtime, shard, epoch)
    arming = go_to(world, manager, beginning, Verb.ARM)
    settler.runtime.gate.epochs[shard] = epoch + 1
    settling = settle(settler.runtime, shard)
    booking_step = go_to_sql(world, settler, settling)

    world.wipe()
    answer = world.perform(manager, arming)
    send(beginning, answer)
    client.runtime.gate.epochs[shard] = epoch + 1
    available = finish(world, on_account(client.runtime, account_id, Verb.READ, read_args(world)), client)[2]
    if booking_step is not None:
        world.perform(settler, booking_step)

    assert int(available) == balance(world, account_id)


def test_a_settler_begins_the_epoch_that_an_idle_shard_needs_after_a_restart(world: World) -> None:
    account_id, shard = granted(world, 100), shard_of(world.account_ids[0])
    spend(world, account_id, "a", 5)
    world.restart()

    rounds = [finish(world, settle(world.callers[0].runtime, shard)) for _ in range(3)]

    assert sum(rounds) == 1
    assert balance(world, account_id) == 95


def test_an_account_is_loaded_although_the_beginner_of_the_next_epoch_died_before_arming_it(world: World) -> None:
    account_id, shard = granted(world, 100), shard_of(world.account_ids[0])
    epoch = world.callers[0].runtime.gate.epochs[shard]
    dead = renew_epoch(world.callers[1].runtime, shard, epoch)
    go_to(world, world.callers[1], dead, Verb.ARM)
    world.wire.execute_command("DEL", f"cg:{{{shard}}}:account:{account_id}")

    answer = finish(world, on_account(world.callers[0].runtime, account_id, Verb.READ, read_args(world)))

    assert answer[:3] == ["READ", "images", "100"]


def test_a_credit_that_only_a_redis_of_another_epoch_has_is_not_forgotten(world: World) -> None:
    account_id, shard = granted(world, 100), shard_of(world.account_ids[0])
    grant(world, account_id, 50, "second")
    applying = apply_credits(world.callers[0].runtime, [account_id])
    step = next(applying)
    while not (isinstance(step, Sql) and not step.is_read):
        step = applying.send(world.perform(world.callers[0], step))
    world.server.sql.execute("UPDATE shards SET epoch = epoch + 1 WHERE id = ?", (shard,))

    learning = applying.send(world.perform(world.callers[0], step))
    send(applying, world.perform(world.callers[0], learning))

    (waiting,) = world.server.sql.execute("SELECT count(*) FROM outbox").fetchone()
    assert waiting == 1


def test_a_credit_behind_one_that_was_lost_reaches_the_gate_by_a_new_epoch(world: World) -> None:
    account_id = granted(world, 100)
    grant(world, account_id, 50, "second")
    world.server.sql.execute("DELETE FROM outbox")
    grant(world, account_id, 7, "third")

    for _ in range(2):
        finish(world, apply_credits(world.callers[0].runtime, [account_id]))
    answer = finish(world, on_account(world.callers[0].runtime, account_id, Verb.READ, read_args(world)))

    assert answer[:3] == ["READ", "images", "157"]
    assert world.server.sql.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_an_order_is_not_closed_by_what_a_redis_of_another_epoch_lacked(world: World) -> None:
    account_id, shard = granted(world, 100), shard_of(world.account_ids[0])
    reserve(world, account_id, "a", 100)
    order = ordered(world, account_id, 30)
    running = run_command(world.callers[0].runtime, order)
    closing = running.send(world.perform(world.callers[0], next(running)))
    world.server.sql.execute("UPDATE shards SET epoch = epoch + 1 WHERE id = ?", (shard,))

    learning = running.send(world.perform(world.callers[0], closing))
    send(running, world.perform(world.callers[0], learning))

    assert state_of(world, order) == ("open", None)


def test_an_account_whose_loader_died_is_loaded_by_those_who_wait(world: World) -> None:
    account_id = granted(world, 100)
    world.wipe()
    finish(world, settle(world.callers[0].runtime, shard_of(account_id)))
    dead = load(world.callers[0].runtime, account_id)
    world.perform(world.callers[0], next(dead))
    dead.close()
    before_ms = world.now_ms

    answer = finish(world, on_account(world.callers[0].runtime, account_id, Verb.READ, read_args(world)))

    assert answer[:3] == ["READ", "images", "100"]
    assert world.now_ms - before_ms < 2500


def test_an_order_whose_line_is_not_booked_yet_is_not_closed_as_one_that_took_nothing(world: World) -> None:
    account_id = granted(world, 100)
    order = ordered(world, account_id, 30)
    take_lots = go_to(world, world.callers[0], run_command(world.callers[0].runtime, order), Verb.TAKE_LOTS)
    world.perform(world.callers[0], take_lots)
    again = run_command(world.callers[0].runtime, order)
    world.perform(world.callers[0], next(again))

    # The journal is lost before anybody settles it.
    world.wire.execute_command("DEL", f"cg:{{{shard_of(account_id)}}}:journal")
    while_lost = finish(world, run_command(world.callers[0].runtime, order))

    assert while_lost is True
    assert state_of(world, order) == ("open", None)


def test_an_order_that_found_nothing_to_take_is_closed_even_if_its_closer_died(world: World) -> None:
    account_id = granted(world, 100)
    reserve(world, account_id, "a", 100)
    order = ordered(world, account_id, 30)
    take_lots = go_to(world, world.callers[0], run_command(world.callers[0].runtime, order), Verb.TAKE_LOTS)
    world.perform(world.callers[0], take_lots)

    finish(world, run_command(world.callers[0].runtime, order))

    assert state_of(world, order) == ("done", 0)


def test_an_order_is_closed_although_its_lots_turned_out_to_be_short(world: World) -> None:
    account_id = granted(world, 100)
    order = ordered(world, account_id, 130)
    line = debit(account_id, op=order["op"], kind=DebitKind.CLAWBACK, amount=130, lots=((1, 130),))

    with world.server.engine.begin() as connection:
        booking.book(connection, {shard_of(account_id): 1}, [line], now_ms=world.now_ms)

    assert state_of(world, order) == ("done", 130)


def test_lines_of_two_shards_that_are_numbered_alike_both_become_suspense(world: World) -> None:
    first = granted(world, 100)
    second = granted(world, 100, world.account_ids[1])
    with world.server.engine.begin() as connection:
        for account_id in (first, second):
            one = debit(account_id, op=f"s:{account_id}", kind=DebitKind.SPEND, amount=1, lots=((account_id, 1),))
            epoch = store.read_epoch(connection, shard_of(account_id))
            booking.book(connection, {shard_of(account_id): epoch}, [one], now_ms=1)

    with world.server.engine.begin() as connection:
        for account_id in (first, second):
            other = debit(
                account_id,
                op=f"s:{account_id}",
                kind=DebitKind.SPEND,
                amount=2,
                lots=(),
                fingerprint="cd",
                debt=2,
                journal="7-7",
            )
            epoch = store.read_epoch(connection, shard_of(account_id))
            booking.book(connection, {shard_of(account_id): epoch}, [other], now_ms=1)

    assert [balance(world, account_id) for account_id in (first, second)] == [97, 97]


# ── the few words these tests are written in ─────────────────────────────────────────────────────────────
