"""What lies between client and server fails: a job is charged exactly once for what it committed, or not at all."""

import itertools
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from credits import AsyncCreditsClient, CreditsClient
from credits.api import keys
from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import open_engine, transaction
from credits.engine import Credits
from credits.errors import GateUnavailableError, HoldEndedError, InsufficientCreditsError
from credits.reservations.answers import Committed
from tests.support.api import new_key
from tests.support.in_loop import InLoop
from tests.support.installation import Installation
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.processes import PATIENCE_S, free_port, wait_until
from tests.support.served import FaultyProxy, Harm
from tests.support.valkey import ValkeyServer

ACCOUNTS = (f"user_{number}" for number in itertools.count(1))


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server as it runs in production, in processes of its own, and the library beside it."""

    server: Installation
    library: Credits
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def new_account(self) -> str:
        """An account of the test's own, with 1000 credits."""
        account = next(ACCOUNTS)
        self.library.add(account, TYPE, 1000, key=account)
        return account


@pytest.fixture(scope="module")
def site(migrated_sqlite_file: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this file; each has an account of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(migrated_sqlite_file, folder / "creditgate.sqlite3")
    database_url = f"sqlite:///{folder / 'creditgate.sqlite3'}"
    broker, engine = ValkeyServer(folder / "valkey"), open_engine(database_url)
    broker.start()
    library = Shop(engine=engine, redis_url=broker.url, catalogue=catalogue).process()
    key = new_key(engine, scopes=["reserve", "read", "grant"])
    with Installation(folder / "run", database_url=database_url, broker_url=broker.url) as server:
        server.start_receiver()
        yield Site(server=server, library=library, key=key)
    library.close()
    broker.stop()


@pytest.fixture
def proxy(site: Site) -> Iterator[FaultyProxy]:
    with FaultyProxy(("127.0.0.1", site.server.port)) as proxy:
        yield proxy


def new_client(kind: str, url: str, key: str, *, patience_s: float = PATIENCE_S) -> Any:
    options: dict[str, Any] = {"timeout_s": 1.5, "patience_s": patience_s}
    return CreditsClient(url, key, **options) if kind == "threads" else InLoop(AsyncCreditsClient(url, key, **options))


@pytest.fixture(params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, proxy: FaultyProxy, site: Site) -> Iterator[Any]:
    """Either client, behind the proxy."""
    made = new_client(request.param, proxy.url, site.key)
    yield made
    made.close()


def test_whatever_happens_to_a_request_its_second_try_does_it_once(client: Any, proxy: FaultyProxy, site: Site) -> None:
    account = site.new_account()
    for harm in (Harm.CLOSE, Harm.DROP, Harm.HALVE):
        # Every request meets it the first time, and nothing the second.
        proxy.seen.clear()
        proxy.decide = lambda number, harm=harm: harm if number % 2 == 0 else Harm.NONE
        client.reserve(account, image_generation=10).commit(image_generation=3)
        client.add(account, TYPE, 3, key=f"{account}-{harm}")

        assert len(proxy.seen) >= 6
    assert figures(site.library, account) == (1000, 0, 0, 1000, 0)
    assert [entry["amount"] for entry in site.library.entries(account)] == [3, -3] * 3 + [1000]


def test_a_reply_is_waited_for_and_not_for_ever(client: Any, proxy: FaultyProxy, site: Site) -> None:
    account = site.new_account()
    proxy.decide = lambda number: Harm.HANG if number == 0 else Harm.DELAY

    client.reserve(account, image_generation=10).commit()

    assert len(proxy.seen) >= 3
    assert figures(site.library, account) == (990, 0, 0, 990, 0)


def test_a_server_that_stays_away_is_an_error_in_time_and_the_call_may_be_repeated(
    proxy: FaultyProxy, site: Site
) -> None:
    account = site.new_account()
    client = CreditsClient(proxy.url, site.key, timeout_s=2, patience_s=2)
    hold = client.reserve(account, image_generation=10)
    proxy.decide = lambda _: Harm.DROP
    with Pace() as pace, pytest.raises(GateUnavailableError):
        hold.commit(image_generation=4)
    proxy.decide = lambda _: Harm.NONE

    committed = hold.commit(image_generation=4)

    assert pace.fair_s < 4.5
    assert committed.replayed
    assert figures(site.library, account) == (996, 0, 0, 996, 0)


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_block_whose_commit_was_not_answered_leaves_its_hold_so_that_it_may_be_repeated(
    proxy: FaultyProxy, site: Site, kind: str
) -> None:
    account, client = site.new_account(), new_client(kind, proxy.url, site.key, patience_s=1.0)

    with client.reserve(account, image_generation=10) as hold:
        proxy.decide = lambda _: Harm.CLOSE
        with pytest.raises(GateUnavailableError):
            hold.commit(image_generation=4)
        proxy.decide = lambda _: Harm.NONE
    held = figures(site.library, account)
    committed = hold.commit(image_generation=4)

    assert held == (1000, 10, 0, 990, 0)
    assert (committed.rescued, figures(site.library, account)) == (False, (996, 0, 0, 996, 0))


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_job_goes_on_through_a_restart_of_the_server(site: Site, kind: str) -> None:
    account = site.new_account()
    client = new_client(kind, site.url, site.key)
    with client.reserve(account, image_generation=10, ttl_s=600) as hold:
        site.server.kill("receiver")
        answers: list[Committed] = []
        job = threading.Thread(
            target=lambda: answers.append(hold.commit(image_generation=4, step="page-1", final=False))
        )
        job.start()
        site.server.start_receiver()
        job.join()
        hold.commit(image_generation=1)

    assert [answer.rescued for answer in answers] == [False]
    assert figures(site.library, account) == (995, 0, 0, 995, 0)


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_changed_address_is_found_without_a_restart(site: Site, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account, port, hosts = site.new_account(), free_port(), ["127.0.0.1"]
    look_up = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        return look_up(hosts[0] if host in {"credits.test", b"credits.test"} else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = new_client(kind, f"http://credits.test:{port}", site.key)
    target = ("127.0.0.1", site.server.port)
    with FaultyProxy(target, port=port) as old, FaultyProxy(target, port=port, host="127.0.0.2") as new:
        hold = client.reserve(account, image_generation=10)
        # The old machine still takes connections, and does nothing more.
        old.decide = lambda _: Harm.HANG
        old.seen.clear()
        hosts[0] = "127.0.0.2"

        hold.commit()

        assert (len(old.seen), len(new.seen) >= 1) == (1, True)
    assert figures(site.library, account) == (990, 0, 0, 990, 0)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3))
def test_jobs_through_a_bad_network_are_charged_once_for_what_they_committed_or_not_at_all(
    site: Site, proxy: FaultyProxy, seed: int
) -> None:
    account, server, library = site.new_account(), site.server, site.library
    chance = random.Random(seed)
    harms = [Harm.NONE, Harm.NONE, Harm.CLOSE, Harm.DROP, Harm.HALVE, Harm.DELAY, Harm.HANG]
    proxy.decide, proxy.delay_s = lambda _: chance.choice(harms), 0.2
    # Half of them give up while the server is away, and never know what came of their job.
    clients = [CreditsClient(proxy.url, site.key, timeout_s=0.5, patience_s=one) for one in (3, PATIENCE_S)]
    used = {f"{account}-{number}": chance.randint(0, 9) for number in range(60)}
    paid: list[str] = []
    unknown: list[str] = []

    def work(client: CreditsClient, names: list[str]) -> None:
        for name in names:
            try:
                with client.reserve(account, image_generation=9, reservation_id=name, ttl_s=5) as hold:
                    hold.commit(image_generation=used[name])
                paid.append(name)
            except (GateUnavailableError, HoldEndedError, InsufficientCreditsError):
                unknown.append(name)

    names = list(used)
    threads = [threading.Thread(target=work, args=(clients[at % 2], names[at::6])) for at in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    server.kill("receiver")
    server.start_receiver()
    for thread in threads:
        thread.join()

    # What nobody released is freed by its deadline.
    wait_until(lambda: figures(library, account)[1:3] == (0, 0), what="no hold is left, and all is booked")
    charged: dict[str, list[int]] = {}
    for entry in library.entries(account, limit=200):
        if entry["kind"] == "spend":
            charged.setdefault(entry["reservation_id"], []).append(-entry["amount"])
    assert len(paid) > 20
    assert {name: charged.get(name, [0]) for name in paid} == {name: [used[name]] for name in paid}
    assert all(charged.get(name, [used[name]]) == [used[name]] for name in unknown)
    spent = sum(sum(amounts) for amounts in charged.values())
    assert figures(library, account) == (1000 - spent, 0, 0, 1000 - spent, 0)
    assert_ledger_is_sound(library.engine)


@pytest.mark.proof
def test_a_revoked_key_is_refused_by_every_process_within_five_seconds(site: Site) -> None:
    account, key = site.new_account(), new_key(site.library.engine, scopes=["read"])
    site.server.kill("receiver")
    site.server.start_receiver(processes=3)

    def statuses() -> set[int]:
        # A connection each, so that every process is asked; and it knows the key from then on.
        url, headers = f"{site.url}/v1/accounts/{account}/balances", {"Authorization": f"Bearer {key}"}
        return {httpx.get(url, headers=headers, timeout=PATIENCE_S).status_code for _ in range(40)}

    before = statuses()
    with transaction(site.library.engine) as connection:
        keys.revoke_key(connection, Tenant.SANDBOX, key.split("_")[2], now_ms=system_clock_ms())
    time.sleep(5)

    assert (before, statuses()) == ({200}, {401})
