"""Redis or PostgreSQL hangs: every route of the API answers in time, and serves again without a restart."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from credits.api import keys
from credits.api.endpoint import Endpoint
from credits.api.routes import ENDPOINTS
from credits.clock import system_clock_ms
from credits.config.settings import Tenant
from credits.db import transaction
from credits.ops.migrate import migrate
from tests.support.api_samples import sample_request
from tests.support.installation import Installation
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE
from tests.support.pace import Pace
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.processes import PATIENCE_S, wait_until
from tests.support.valkey import ValkeyServer

ANSWERS_WITHIN_S = 2.5
# What the eight requests that are made at a time may cost each other.
GRACE_S = 1.0
ACCOUNT = "somebody"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_folder() as folder:
        server = PostgresServer(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    url = postgres.create_database("creditgate")
    migrate(url)
    return url


@pytest.fixture
def client(installation: Installation, engine: Engine) -> Iterator[httpx.Client]:
    installation.start_receiver(threads=8)
    with transaction(engine) as connection:
        key = keys.create_key(connection, tenant=Tenant.SANDBOX, name="app", scopes=["admin"], now_ms=system_clock_ms())
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{installation.port}", headers=headers, timeout=PATIENCE_S) as client:
        grant = {"credit_type": TYPE, "amount": 1000, "key": "start"}
        assert client.post(f"/v1/accounts/{ACCOUNT}/grants", json=grant).status_code == 201
        yield client


def asked(client: httpx.Client, endpoint: Endpoint, name: str) -> tuple[str, int, float, httpx.Response]:
    """The route's name, the status, how long it took, and the answer."""
    request = sample_request(endpoint, account=ACCOUNT, name=name)
    began_s = time.monotonic()
    answer = client.request(
        request.method, request.path, params=request.query, json=request.body, headers=request.headers
    )
    return endpoint.name, answer.status_code, time.monotonic() - began_s, answer


def all_asked(client: httpx.Client, name: str) -> list[tuple[str, int, float, httpx.Response]]:
    """Every route twice over, eight requests at a time: as many as there are threads."""
    # A grant and a deduction of one name would be a conflict, whichever is first.
    jobs: Sequence[tuple[Endpoint, str]] = [
        (one, f"{name}-{turn}-{one.name}") for turn in range(2) for one in ENDPOINTS
    ]
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda job: asked(client, *job), jobs))


def assert_answered_in_time(answers: Sequence[tuple[str, int, float, httpx.Response]], pace: Pace) -> None:
    bound_s = ANSWERS_WITHIN_S + GRACE_S
    late = {name: round(took_s, 2) for name, _, took_s, _ in answers if pace.fair(took_s) > bound_s}
    broken = {name: answer.text for name, status, _, answer in answers if status >= 500 and status != 503}
    assert (late, broken) == ({}, {})
    for _, status, _, answer in answers:
        if status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"] == "application/problem+json"


def statuses(answers: Sequence[tuple[str, int, float, Any]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name, status, _, _ in answers:
        found.setdefault(name, set()).add(status)
    return found


def test_while_redis_hangs_everything_is_answered_in_time_and_it_comes_back_by_itself(
    client: httpx.Client, broker: ValkeyServer, engine: Engine
) -> None:
    before = statuses(all_asked(client, "before"))
    broker.freeze()

    with Pace() as pace:
        during = all_asked(client, "during")
    broker.thaw()
    wait_until(lambda: asked(client, _route("reserve"), "after")[1] == 201, what="reservations go on")

    assert not any(503 in found for found in before.values()), before
    assert_answered_in_time(during, pace)
    refused = {name for name, status, _, _ in during if status == 503}
    assert {"reserve", "commit", "spend", "deduct"} <= refused, statuses(during)
    assert statuses(during)["grant"] == {201}
    assert statuses(during)["read_entries"] == {200}
    assert_ledger_is_sound(engine)


def test_while_postgres_hangs_everything_is_answered_in_time_and_it_comes_back_by_itself(
    client: httpx.Client, postgres: PostgresServer, engine: Engine
) -> None:
    all_asked(client, "before")
    postgres.freeze()

    with Pace() as pace:
        during = all_asked(client, "during")
    postgres.thaw()
    wait_until(lambda: asked(client, _route("grant"), "after")[1] == 201, what="grants go on")

    assert_answered_in_time(during, pace)
    assert {"grant", "read_entries"} <= {name for name, status, _, _ in during if status == 503}
    # The account is known: credits can be held without the database.
    assert statuses(during)["reserve"] == {201}
    assert_ledger_is_sound(engine)


def _route(name: str) -> Endpoint:
    return next(one for one in ENDPOINTS if one.name == name)
