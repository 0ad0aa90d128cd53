"""The audit finds whatever was changed by hand, and nothing where nothing was."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from sqlalchemy import Connection, Engine, create_engine, text

from credits.clock import system_clock_ms
from credits.db import transaction
from credits.engine import Credits
from credits.errors import InsufficientCreditsError
from credits.ops.audit.gate_view import loaded_accounts
from credits.ops.audit.model import Code
from credits.ops.audit.service import audit
from credits.redis_client import open_redis
from credits.reservations.keys import AccountKeys, account_keys
from credits.reservations.sweeps import sweep_gate
from tests.support.cluster import connected
from tests.support.library import OTHER, TYPE, Shop
from tests.support.valkey import ValkeyServer

LAPSES_AT_MS = 4_102_444_800_000


@pytest.fixture
def database_url(own_database_url: str) -> str:
    """To be broken, constraints and all."""
    return own_database_url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connected(redis_url) as client:
        yield client


@pytest.fixture
def library(shop: Shop) -> Credits:
    """user_1 with two lots, an open hold, a commit that is booked and one that is not; user_2 with a lot alone."""
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.add("user_1", TYPE, 50, key="b", expires_at_ms=LAPSES_AT_MS)
    library.add("user_1", OTHER, 500, key="c")
    library.spend("user_1", image_generation=5, key="booked")
    library.reserve("user_1", image_generation=30, tokens=10, reservation_id="open", ttl_s=600)
    library.spend("user_1", image_generation=7, key="waiting", durability="redis")
    library.add("user_2", TYPE, 10, key="d")
    library.balances("user_2")
    return library


@contextmanager
def unprotected(engine: Engine) -> Iterator[Connection]:
    """A transaction in which no trigger, foreign key or check stands in the way. The database is the test's own."""
    # Not one of our engines, whose transactions begin before a pragma could take effect.
    bare = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with bare.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            for trigger in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.exec_driver_sql(f"DROP TRIGGER {trigger.name}")
        else:
            connection.execute(text("SET session_replication_role = replica"))
            checks = text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'grants'::regclass")
            for check in connection.execute(checks).all():
                connection.exec_driver_sql(f"ALTER TABLE grants DROP CONSTRAINT {check.conname}")
        yield connection
    bare.dispose()


def codes(shop: Shop, client: redis.Redis, *, in_ms: int = 0) -> set[Code]:
    report = audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms() + in_ms)
    assert report.is_gate_read
    return {finding.code for finding in report.findings}


def keys_of(library: Credits, account: str = "user_1") -> AccountKeys:
    account_id = library.reservations.account_id(account)
    assert account_id is not None
    return account_keys(account_id)


def test_a_healthy_installation_agrees_and_says_what_was_read(
    library: Credits, shop: Shop, client: redis.Redis
) -> None:
    report = audit(shop.engine, open_redis(shop.redis_url), now_ms=system_clock_ms())

    assert report.findings == []
    assert (report.entries, report.accounts, report.gate_accounts, report.journal_lines) == (5, 2, 2, 1)


def test_debt_lapsed_credits_and_a_cold_gate_agree_too(library: Credits, shop: Shop, client: redis.Redis) -> None:
    library.reserve("user_2", image_generation=5).commit(image_generation=25, overage="allow_debt")
    library.add("user_3", TYPE, 10, key="lapsed", expires_at_ms=system_clock_ms() + 50)
    time.sleep(0.06)
    library.balances("user_3")
    agreed = codes(shop, client)
    client.flushall()

    assert agreed == set()
    assert codes(shop, client) == set()


LEDGER_CORRUPTIONS: dict[Code, str] = {
    Code.ENTRY_NUMBERS: "UPDATE entries SET seq = 17 WHERE key = 'manual:b'",
    Code.ENTRY_BALANCE: "UPDATE entries SET balance_after = balance_after + 1 WHERE key = 'manual:b'",
    Code.ENTRY_LOTS: "UPDATE entry_lots SET amount = amount - 1 WHERE amount < 0",
    Code.BALANCE_SUM: "UPDATE balances SET balance = balance + 1 WHERE credit_type = 'tokens'",
    Code.BALANCE_LAST: "UPDATE balances SET debt = 3 WHERE credit_type = 'tokens'",
    Code.BALANCE_LOTS: "UPDATE grants SET remaining = remaining - 1 WHERE key = 'manual:c'",
    Code.LOT_MOVES: "UPDATE grants SET remaining = remaining - 1 WHERE key = 'manual:c'",
    Code.TENANT: "UPDATE grants SET tenant = 'live' WHERE key = 'manual:c'",
    Code.OUTBOX_NUMBERS: "UPDATE accounts SET sv = sv + 1 WHERE external_id = 'user_3'",
    Code.OUTBOX_AMOUNT: "UPDATE outbox SET amount = amount + 1",
    Code.SUSPENSE: "UPDATE entries SET kind = 'suspense' WHERE amount < 0",
    Code.JOURNAL_ACCOUNT: "UPDATE accounts SET id = id + 640000 WHERE external_id = 'user_1'",
    Code.GATE_CREDITS: "UPDATE accounts SET sv = 1 WHERE external_id = 'user_1'",
    Code.GATE_LEDGER: "UPDATE balances SET balance = balance + 1 WHERE credit_type = 'tokens'",
    Code.LOT_BOUNDS: "UPDATE grants SET frozen = remaining + 1 WHERE key = 'manual:c'",
}


@pytest.mark.parametrize("code", LEDGER_CORRUPTIONS, ids=str)
def test_what_was_changed_in_the_ledger_is_found(library: Credits, shop: Shop, client: redis.Redis, code: Code) -> None:
    Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=library.tenant).add("user_3", TYPE, 1, key="waits")
    before = codes(shop, client)

    with unprotected(shop.engine) as connection:
        connection.execute(text(LEDGER_CORRUPTIONS[code]))

    assert before == set()
    assert code in codes(shop, client)


def test_a_key_that_stands_twice_is_found(library: Credits, shop: Shop, client: redis.Redis) -> None:
    with unprotected(shop.engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE entries DROP CONSTRAINT uq_entries_tenant_key"))
        else:
            connection.execute(text("CREATE TABLE copied AS SELECT * FROM entries"))
            connection.execute(text("DROP TABLE entries"))
            connection.execute(text("ALTER TABLE copied RENAME TO entries"))
        connection.execute(text("UPDATE entries SET key = 'manual:a' WHERE key = 'manual:b'"))

    assert codes(shop, client) == {Code.ENTRY_KEY}


def test_what_waits_too_long_is_found(library: Credits, shop: Shop, client: redis.Redis) -> None:
    Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=library.tenant).add("user_3", TYPE, 1, key="waits")
    with transaction(shop.engine) as connection:
        connection.execute(
            text(
                "INSERT INTO commands (tenant, account_id, kind, credit_type, amount, grant_ids, allow_debt, op, "
                "fingerprint, actor, reason, state, created_at_ms) SELECT tenant, id, 'expire', 'tokens', 1, '[]', 0, "
                "'x', '', '', '', 'open', :now FROM accounts WHERE external_id = 'user_2'"
            ),
            {"now": system_clock_ms()},
        )

    assert codes(shop, client) == set()
    assert codes(shop, client, in_ms=61_000) == {Code.OUTBOX_LATE, Code.ORDER_LATE}


def _line(keys: AccountKeys, client: redis.Redis, **changes: str) -> None:
    [(_, fields)] = client.xrange(keys.journal)
    client.xadd(keys.journal, {**fields, **changes})


def _figure(keys: AccountKeys, client: redis.Redis, place: int, by: int) -> None:
    name = f"c:{TYPE}"
    parts = str(client.hget(keys.account, name)).split(":")
    parts[place] = str(int(parts[place]) + by)
    client.hset(keys.account, name, ":".join(parts))


GATE_CORRUPTIONS: dict[str, tuple[Code, Callable[[AccountKeys, redis.Redis], object]]] = {
    "a counter of what is available": (Code.GATE_AVAILABLE, lambda k, c: _figure(k, c, 0, 1)),
    "a counter of what is held": (Code.GATE_HELD, lambda k, c: _figure(k, c, 1, 1)),
    "a counter of what is unsettled": (Code.GATE_UNSETTLED, lambda k, c: _figure(k, c, 2, 1)),
    "a debt that nobody owes": (Code.GATE_LEDGER, lambda k, c: _figure(k, c, 3, 1)),
    "a hold without a record": (Code.GATE_HELD, lambda k, c: c.delete(k.holds)),
    "a deadline that is gone": (Code.GATE_SIZES, lambda k, c: c.delete(k.due)),
    "a lot that is gone": (Code.GATE_SIZES, lambda k, c: c.zpopmin(k.lots)),
    "a journal that is gone": (Code.JOURNAL_COUNT, lambda k, c: c.delete(k.journal)),
    "a line nobody can read": (Code.JOURNAL_UNREADABLE, lambda k, c: _line(k, c, i="image_generation=x,0,")),
    "a line that does not add up": (Code.JOURNAL_UNREADABLE, lambda k, c: _line(k, c, i="image_generation=9,0,")),
    "a line of nobody": (Code.JOURNAL_ACCOUNT, lambda k, c: _line(k, c, a="999999")),
    "a Redis of another database": (Code.GATE_OWNER, lambda k, c: c.set(k.shard.replace("shard", "owner"), "x")),
    "a record nobody can read": (Code.GATE_UNREADABLE, lambda k, c: c.hset(k.holds, "x", "?")),
    "a credit the ledger does not have": (
        Code.GATE_CREDITS,
        lambda k, c: c.hset(k.account, "m", str(c.hget(k.account, "m")).replace("|3|", "|4|")),
    ),
}


@pytest.mark.parametrize("what", GATE_CORRUPTIONS)
def test_what_was_changed_in_redis_is_found(library: Credits, shop: Shop, client: redis.Redis, what: str) -> None:
    code, corrupt = GATE_CORRUPTIONS[what]

    corrupt(keys_of(library), client)

    assert code in codes(shop, client)


def test_a_busy_installation_agrees_at_every_moment(shop: Shop, client: redis.Redis) -> None:
    library = shop.process()
    for account in range(4):
        library.add(f"user_{account}", TYPE, 10_000, key=f"first-{account}")
    is_over = threading.Event()

    def work(number: int) -> None:
        mine, count = shop.process(), 0
        while not is_over.is_set():
            count += 1
            account = f"user_{count % 4}"
            try:
                with mine.reserve(account, image_generation=3) as hold:
                    hold.commit(image_generation=count % 4, durability="redis" if count % 3 else "ledger")
            except InsufficientCreditsError:
                mine.add(account, TYPE, 100, key=f"{number}-{count}")
            if count % 5 == 0:
                mine.add(account, TYPE, 2, key=f"more-{number}-{count}")
            if count % 7 == 0:
                sweep_gate(shop.gate())

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        found = [codes(shop, client) for _ in range(25)]
    finally:
        is_over.set()
        for worker in workers:
            worker.join()

    assert set().union(*found) == set()
    assert sum(map(len, loaded_accounts(client).values())) == 4


def test_without_redis_the_ledger_is_audited_and_the_report_says_so(
    library: Credits, shop: Shop, valkey_server: ValkeyServer
) -> None:
    with redis.Redis(port=1, socket_timeout=1) as nobody:
        report = audit(shop.engine, nobody, now_ms=system_clock_ms())

    assert (report.findings, report.is_gate_read, report.entries) == ([], False, 5)
    assert report.as_json()["ok"] is False
