"""Two releases on one Redis: the newer one takes over beside the older one, and nobody's hold is lost."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import resources

import pytest
import redis
from sqlalchemy import select

from credits.engine import Credits
from credits.errors import GateUnavailableError, InsufficientCreditsError
from credits.ids import digest
from credits.reservations import scripts
from credits.reservations.keys import shard_keys, shard_of
from credits.reservations.scripts import FAMILY, LAYOUT, Library, library, library_of, source
from credits.reservations.tables import shards
from credits.reservations.versions import IDLE_MS, library_names
from tests.support.cluster import connected, servers_of
from tests.support.library import TYPE, Shop, figures


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def newer() -> Library:
    return library_of(f"{source()}\n-- the next release\n")


@pytest.fixture
def redis_client(shop: Shop) -> Iterator[redis.Redis]:
    with connected(shop.redis_url) as client:
        client.function_flush()
        yield client


@pytest.fixture
def old(shop: Shop, redis_client: redis.Redis) -> Credits:
    credits_ = shop.process()
    credits_.add("user_1", TYPE, 1_000, key="a")
    return credits_


def test_a_new_release_serves_the_epoch_of_the_old_one_and_both_go_on(old: Credits, shop: Shop, newer: Library) -> None:
    hold = old.reserve("user_1", {TYPE: 10}, reservation_id="job")
    before = epochs(shop)
    new = shop.process(code=newer)

    assert new.find_hold("user_1", "job") is not None
    assert not hold.commit().rescued
    new.spend("user_1", {TYPE: 5}, key="of the new")
    old.spend("user_1", {TYPE: 5}, key="of the old")

    assert epochs(shop) == before
    assert figures(new, "user_1") == figures(old, "user_1") == (980, 0, 0, 980, 0)


def test_after_a_restart_of_redis_the_first_release_to_come_begins_one_epoch_for_both(
    old: Credits, shop: Shop, newer: Library, redis_client: redis.Redis
) -> None:
    new = shop.process(code=newer)
    new.spend("user_1", {TYPE: 5}, key="of the new")
    before = epochs(shop)
    # What a restart with data leaves: keys and libraries, and nothing of what was volatile.
    for code in (library(), newer):
        redis_client.function_load(code.code, replace=True)

    for number in range(4):
        old.spend("user_1", {TYPE: 1}, key=f"old {number}")
        new.spend("user_1", {TYPE: 1}, key=f"new {number}")

    assert {shard: epoch - before[shard] for shard, epoch in epochs(shop).items()} == {shard_of(1): 1}


def test_a_journal_that_is_not_whole_ends_the_epoch_although_another_release_serves_it(
    old: Credits, shop: Shop, newer: Library, redis_client: redis.Redis
) -> None:
    new = shop.process(code=newer)
    new.spend("user_1", {TYPE: 5}, key="a", durability="redis")
    account_id = old.reservations.account_id("user_1")
    assert account_id is not None
    redis_client.delete(shard_keys(shard_of(account_id)).journal)
    before = epochs(shop)

    new.spend("user_1", {TYPE: 7}, key="b")

    assert epochs(shop)[shard_of(account_id)] == before[shard_of(account_id)] + 1
    assert figures(new, "user_1") == (993, 0, 0, 993, 0)


def test_another_layout_is_not_adopted_and_the_release_before_is_told_to_go(
    old: Credits, shop: Shop, newer: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.reserve("user_1", {TYPE: 10}, reservation_id="job")
    before = epochs(shop)
    monkeypatch.setattr("credits.reservations.versions.LAYOUT", LAYOUT + 1)
    other = Library(
        name=(name := newer.name.replace(f"{FAMILY}{LAYOUT}_", f"{FAMILY}{LAYOUT + 1}_")),
        code=newer.code.replace(newer.name, name),
    )
    new = shop.process(code=other)

    new.spend("user_1", {TYPE: 5}, key="of the new")
    monkeypatch.undo()

    assert epochs(shop) != before
    with pytest.raises(GateUnavailableError, match="newer release"):
        old.spend("user_1", {TYPE: 5}, key="of the old")
    assert new.spend("user_1", {TYPE: 5}, key="of the new").replayed


def test_a_release_rolled_out_under_load_loses_no_hold_overspends_nothing_and_begins_no_epoch(
    old: Credits, shop: Shop, newer: Library
) -> None:
    before = epochs(shop)
    began, errors, spent, lock = threading.Event(), list[BaseException](), list[int](), threading.Lock()

    def work(credits_: Credits, name: str) -> None:
        try:
            for number in range(1_000):
                with credits_.reserve("user_1", {TYPE: 3}, reservation_id=f"{name} {number}") as hold:
                    answer = hold.commit({TYPE: 2}, durability="redis")
                    assert not answer.rescued
                with lock:
                    spent.append(2)
                began.set()
        except InsufficientCreditsError:
            return
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(old, f"old {n}")) for n in range(2)]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        assert began.wait(90)
        # One process of the new release after the other, while the old ones run.
        for n in range(3):
            late = threading.Thread(target=work, args=(shop.process(code=newer), f"new {n}"))
            late.start()
            stack.callback(late.join)
    new = shop.process(code=newer)

    assert errors == []
    assert epochs(shop) == before
    balance, held, pending, available, debt = figures(new, "user_1")
    assert (held, debt) == (0, 0)
    assert balance - pending == available == 1_000 - sum(spent)
    assert available in {0, 1, 2}


def test_a_version_that_nobody_called_for_a_day_is_deleted_and_comes_back_with_who_needs_it(
    old: Credits, shop: Shop, newer: Library, redis_client: redis.Redis
) -> None:
    runtime = shop.gate(newer)
    old.spend("user_1", {TYPE: 5}, key="before")
    shop.process(code=newer).spend("user_1", {TYPE: 5}, key="a")
    now_ms = runtime.clock()
    before = epochs(shop)

    assert runtime.gate.delete_idle_libraries(now_ms=now_ms + IDLE_MS - 60_000) == []
    assert set(runtime.gate.delete_idle_libraries(now_ms=now_ms + IDLE_MS + 60_000)) == {library().name}
    assert {name for server in servers_of(redis_client) for name in library_names(server)} == {newer.name}

    old.spend("user_1", {TYPE: 5}, key="b")
    assert epochs(shop) == before


def test_a_library_says_its_layout_in_its_name() -> None:
    assert scripts.layout_of(library().name) == LAYOUT
    assert scripts.layout_of("creditgate_0123456789") is None


def test_what_the_scripts_write_is_what_their_layout_says() -> None:
    """
    The headers of these files are the layout, and this is their digest.

    If you changed what they say and a script of the release before would misread what yours writes, raise
    `scripts.LAYOUT`; then, or if it would not, put the new digest here.
    """
    folder = resources.files("credits.reservations") / "lua"
    headers = [(folder / f"{name}.lua").read_text("utf-8").partition("]]")[0] for name in ("_account", "_holds")]

    assert (LAYOUT, digest(*headers)[:12]) == (2, "61f4195437aa")


def epochs(shop: Shop) -> dict[int, int]:
    with shop.engine.connect() as connection:
        return {row.id: row.epoch for row in connection.execute(select(shards))}
