"""After Redis lost everything, each account is read from SQL once, however many ask for it at the same instant."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event

from credits.engine import Credits
from tests.support.cluster import connected
from tests.support.library import TYPE, Shop

ACCOUNTS = 24
CALLERS = 12


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


def test_each_account_is_read_once_after_redis_lost_it_though_a_dozen_ask_at_once(shop: Shop) -> None:
    libraries = [shop.process() for _ in range(3)]
    names = [f"user_{number}" for number in range(ACCOUNTS)]
    for name in names:
        libraries[0].add(name, TYPE, 100, key=name)
    _have_them_forgotten(shop, libraries, names)
    reads: Counter[int] = Counter()

    def count(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "accounts.sv" in statement and isinstance(parameters, dict) and "account" in parameters:
            reads[parameters["account"]] += 1

    start = threading.Barrier(CALLERS)

    def touch(number: int) -> None:
        start.wait()
        for name in names:
            assert libraries[number % 3].can_deduct(name, TYPE, 100)

    event.listen(shop.engine, "before_cursor_execute", count)
    threads = [threading.Thread(target=touch, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event.remove(shop.engine, "before_cursor_execute", count)

    assert set(reads.values()) == {1}
    assert len(reads) == ACCOUNTS


def _have_them_forgotten(shop: Shop, libraries: Sequence[Credits], names: Sequence[str]) -> None:
    """Redis has lost every account, and every process knows the epoch of each shard."""
    for library in libraries:
        for name in names:
            library.can_deduct(name, TYPE, 1)
    with connected(shop.redis_url) as client:
        # Of every node, where there are several.
        for key in list(client.scan_iter(match="cg:*:account:*", count=1000)):
            client.delete(key)
