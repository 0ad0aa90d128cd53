"""Connections are renewed, and a pool is closed when nobody is using it any more."""

from dataclasses import dataclass, field

import pytest

from credits.client.connections import RENEWED_AFTER_S, YOUNG_S, Connections, Lines


@dataclass
class World:
    """Numbers its pools, and lets a test move time and home."""

    at_s: float = 0.0
    home: str = "here"
    made: list[int] = field(default_factory=list)

    def make(self) -> int:
        self.made.append(len(self.made))
        return self.made[-1]

    def connections(self) -> Connections[int]:
        return Connections(self.make, home=lambda: self.home, now_s=lambda: self.at_s)


@pytest.fixture
def world() -> World:
    return World()


def test_calls_share_a_pool(world: World) -> None:
    connections = world.connections()

    leases = [connections.lease() for _ in range(3)]
    closed = [connections.give_back(lease, has_failed=False) for lease in leases]

    assert [lease.pool for lease in leases] == [0, 0, 0]
    assert closed == [[], [], []]


def test_after_a_failure_the_pool_is_closed_by_the_last_call_on_it(world: World) -> None:
    connections = world.connections()
    first, second = connections.lease(), connections.lease()
    world.at_s = YOUNG_S + 0.1

    after_first = connections.give_back(first, has_failed=True)
    third = connections.lease()
    after_second = connections.give_back(second, has_failed=False)

    assert (third.pool, after_first, after_second) == (1, [], [0])


def test_a_pool_that_fails_at_once_is_not_made_again_by_everybody_on_it(world: World) -> None:
    connections = world.connections()
    first = connections.lease()

    assert (connections.give_back(first, has_failed=True), connections.lease().pool) == ([], 0)


def test_an_old_pool_is_renewed_and_closed(world: World) -> None:
    connections = world.connections()
    connections.give_back(connections.lease(), has_failed=False)
    world.at_s = RENEWED_AFTER_S + 1

    lease = connections.lease()

    assert (lease.pool, connections.give_back(lease, has_failed=False)) == (1, [0])


def test_a_pool_of_another_home_is_forgotten_and_not_closed(world: World) -> None:
    connections = world.connections()
    connections.give_back(connections.lease(), has_failed=False)
    world.home = "elsewhere"

    lease = connections.lease()
    world.at_s = YOUNG_S + 0.1

    assert (lease.pool, connections.give_back(lease, has_failed=True), connections.take_all()) == (1, [1], [])


def test_what_is_in_use_is_closed_at_the_end(world: World) -> None:
    connections = world.connections()
    connections.give_back(connections.lease(), has_failed=False)

    assert (connections.take_all(), connections.take_all(), connections.lease().pool) == ([0], [], 1)


def test_the_line_used_last_is_taken_first_and_another_is_made_where_none_is_free(world: World) -> None:
    lines = Lines(world.make)
    first, second = lines.take(), lines.take()

    lines.put_back(second)
    lines.put_back(first)

    assert [lines.take(), lines.take(), lines.take()] == [first, second, 2]


def test_a_line_that_was_not_put_back_is_nobodys(world: World) -> None:
    lines = Lines(world.make)
    lost, kept = lines.take(), lines.take()

    lines.put_back(kept)

    assert (lines.take_all(), lines.take_all()) == ([kept], [])
    assert lost not in (lines.take(), lines.take())
