"""All that moves credits at once, at a few accounts, while processes are killed and stand still: the books agree."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Engine

from credits.api import keys
from credits.clock import system_clock_ms
from credits.config.settings import Tenant
from credits.db import open_engine, transaction
from credits.ops.audit.service import audit
from credits.redis_client import open_redis
from tests.support.installation import Installation, signed_event
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import OTHER, TYPE
from tests.support.processes import wait_until

ACCOUNTS: Final = ("ada", "ben", "eve")
THREADS: Final = 8
OF_EACH: Final = 5
"""How often each kind of change has to succeed at least, before and after the harm, for the test to tell anything."""
MONEY: Final = ("refund.created", "refund.failed", "dispute.opened", "dispute.lost", "dispute.won")


@pytest.fixture
def installation(own_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "run", database_url=own_database_url, broker_url=redis_url) as installation:
        installation.env["CREDITGATE_RATE_LIMIT"] = "none"
        installation.start_receiver(processes=2)
        installation.start_worker()
        installation.start_beat()
        yield installation


@dataclass(kw_only=True)
class Customer:
    """One thread of callers. Whatever it is answered, it goes on; what succeeded is counted."""

    installation: Installation
    key: str
    number: int
    done: Counter[str] = field(default_factory=Counter)
    _holds: list[tuple[str, str, dict[str, int]]] = field(default_factory=list)
    _payments: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.number)
        self._account = self._name = ""

    def live(self, is_over: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.installation.port}/v1/accounts/"
        turns = 0
        with httpx.Client(base_url=url, headers=headers, timeout=20) as self._client:
            while not is_over.is_set():
                turns += 1
                self._account, self._name = self._rng.choice(ACCOUNTS), f"{self.number}-{turns}"
                what = self._rng.choice(CHANGES)
                try:
                    is_done = what(self)
                except httpx.HTTPError:
                    time.sleep(0.05)
                else:
                    self.done[what.__name__] += is_done

    def grant(self) -> bool:
        return self._post("grants", **self._change(60))

    def grant_for_moments(self) -> bool:
        lapses = datetime.now(UTC) + timedelta(seconds=self._rng.choice([1, 2, 4]))
        return self._post("grants", **self._change(80), expires_at=lapses.isoformat())

    def deduct(self) -> bool:
        return self._post("deductions", **self._change(40))

    def spend(self) -> bool:
        member = self._rng.choice([None, "mia", "max"])
        return self._post("spends", key=self._name, items=self._items(1), durability=self._durability(), member=member)

    def reserve(self) -> bool:
        items = self._items(1)
        self._holds.append((self._account, self._name, items))
        return self._post("reservations", reservation_id=self._name, items=items, ttl_s=self._rng.choice([1, 2, 60]))

    def commit(self) -> bool:
        self._account, hold, items = self._rng.choice(self._holds[-10:] or [("ada", "none", {TYPE: 1})])
        return self._post(
            f"reservations/{hold}/commit",
            items=self._rng.choice([None, {name: self._rng.randint(0, 40) for name in items}]),
            overage=self._rng.choice(["deny", "if_available", "allow_debt"]),
            final=self._rng.choice([True, False]),
            step=f"step {self._rng.randint(1, 3)}",
            durability=self._durability(),
        )

    def release(self) -> bool:
        self._account, hold, _ = self._rng.choice(self._holds[-10:] or [("ada", "none", {})])
        return self._post(f"reservations/{hold}/release")

    def buy(self) -> bool:
        self._payments.append((self._name, self._account, self._rng.randint(1, 100)))
        return self._hear("purchase.paid", *self._payments[-1])

    def turn_money_back(self) -> bool:
        return bool(self._payments) and self._hear(self._rng.choice(MONEY), *self._rng.choice(self._payments[-4:]))

    def _change(self, most: int) -> dict[str, Any]:
        kind = self._rng.choice([TYPE, OTHER])
        return {"credit_type": kind, "amount": self._rng.randint(1, most), "key": self._name}

    def _items(self, least: int) -> dict[str, int]:
        names = self._rng.sample([TYPE, OTHER], self._rng.randint(1, 2))
        return {name: self._rng.randint(least, 20) for name in names}

    def _durability(self) -> str:
        return self._rng.choice(["ledger", "redis"])

    def _post(self, path: str, **body: object) -> bool:
        said = {name: value for name, value in body.items() if value is not None}
        answer = self._client.post(f"{self._account}/{path}", json=said)
        assert answer.status_code < 500 or answer.status_code == 503, (path, said, answer.text)
        return answer.is_success

    def _hear(self, event_type: str, payment: str, account: str, amount: int) -> bool:
        event = signed_event(event_type, payment, account=account, amount=amount, delivery=self._name)
        return self.installation.post(event).status == 200


CHANGES: Final[tuple[Callable[[Customer], bool], ...]] = (
    Customer.grant,
    Customer.grant_for_moments,
    Customer.deduct,
    Customer.spend,
    Customer.reserve,
    Customer.reserve,
    Customer.commit,
    Customer.commit,
    Customer.release,
    Customer.buy,
    Customer.turn_money_back,
)


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_books_agree_whatever_happens_at_once_and_whoever_dies_of_it(installation: Installation) -> None:
    engine = open_engine(installation.env["CREDITGATE_DATABASE_URL"])
    with transaction(engine) as connection:
        key = keys.create_key(
            connection, tenant=Tenant.SANDBOX, name="customers", scopes=["admin"], now_ms=system_clock_ms()
        )
    customers = [Customer(installation=installation, key=key, number=number) for number in range(THREADS)]
    is_over, failures = threading.Event(), list[BaseException]()
    threads = [threading.Thread(target=_live, args=(one, is_over, failures)) for one in customers]

    for thread in threads:
        thread.start()
    try:
        for harm in (_kill_receiver, _kill_worker, _stop_worker):
            _wait_for_changes(customers)
            assert_ledger_is_sound(engine)
            harm(installation)
        _wait_for_changes(customers)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

    assert failures == []
    wait_until(lambda: _is_settled(engine, installation), what="the books agree")
    assert_ledger_is_sound(engine)


def _live(customer: Customer, is_over: threading.Event, failures: list[BaseException]) -> None:
    try:
        customer.live(is_over)
    except AssertionError as failure:
        failures.append(failure)


def _wait_for_changes(customers: list[Customer]) -> None:
    """Until each kind of change has succeeded some more times."""
    before = sum((one.done for one in customers), Counter[str]())

    def are_enough() -> bool:
        now = sum((one.done for one in customers), Counter[str]())
        return all(now[what.__name__] - before[what.__name__] >= OF_EACH for what in CHANGES)

    wait_until(are_enough, what="every kind of change succeeds some more times")


def _kill_receiver(installation: Installation) -> None:
    installation.kill("receiver")
    installation.start_receiver(processes=2)


def _kill_worker(installation: Installation) -> None:
    installation.kill("worker")


def _stop_worker(installation: Installation) -> None:
    """Let it stand still in the middle of whatever it does, for longer than a lease."""
    installation.hold_up("worker", for_s=0.5)


def _is_settled(engine: Engine, installation: Installation) -> bool:
    client = open_redis(installation.env["CREDITGATE_REDIS_URL"])
    try:
        report = audit(engine, client, now_ms=system_clock_ms())
    finally:
        client.close()
    return report.findings == [] and report.is_gate_read
