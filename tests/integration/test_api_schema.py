"""The OpenAPI document is true: a fuzzer that knows nothing else finds no answer that differs from it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from sqlalchemy import Engine

from credits.api import keys
from credits.api.openapi import documented_errors
from credits.api.routes import ENDPOINTS
from credits.clock import system_clock_ms
from credits.config.settings import Settings, Tenant
from credits.db import open_engine, transaction
from credits.engine import Credits
from credits.ops.migrate import migrate
from tests.support.api import app_on, caller_of
from tests.support.installation import Installation
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import OTHER, TYPE, Shop
from tests.support.schemathesis_hooks import CREDITS, RICH

SUPPORT = Path(__file__).parents[1] / "support"
CONFIG = SchemathesisConfig.from_path(SUPPORT / "schemathesis.toml")


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What an answer looks like does not depend on the database."""
    return str(request.param)


@pytest.fixture
def rich(shop: Shop) -> Iterator[Credits]:
    """The library, with accounts that have credits."""
    credits_ = shop.process()
    for account in RICH:
        for credit_type in (TYPE, OTHER):
            credits_.add(account, credit_type, CREDITS, key=f"{account} {credit_type}")
    yield credits_
    credits_.close_gate()


def test_every_route_answers_as_the_document_says(
    settings: Settings, redis_url: str, engine: Engine, rich: Credits
) -> None:
    app = app_on(settings, engine, redis_url=redis_url)
    caller = caller_of(app.test_client(), engine, scopes=["admin"])
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=CONFIG)
    headers = {"Authorization": f"Bearer {caller.key}"}
    asked = []

    for operation in schema.get_all_operations():

        @hypothesis.settings(
            max_examples=4, derandomize=True, database=None, suppress_health_check=[*hypothesis.HealthCheck]
        )
        @hypothesis.given(case=operation.ok().as_strategy())
        def check(case: Any) -> None:
            asked.append(case.operation.label)
            case.call_and_validate(headers=headers)

        check()

    assert len(set(asked)) == len(ENDPOINTS)
    assert_ledger_is_sound(engine)


def test_every_error_of_a_route_is_documented_with_its_code() -> None:
    codes = {error.code for error in documented_errors(ENDPOINTS)}

    assert {"insufficient_credits", "rate_limited", "malformed_body", "hold_ended"} <= codes


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_fuzzer_finds_nothing_in_any_route_nor_in_any_order_of_them(redis_url: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'creditgate.sqlite3'}"
    migrate(url)
    with Installation(tmp_path / "installation", database_url=url, broker_url=redis_url) as installation:
        installation.env["CREDITGATE_RATE_LIMIT"] = "none"
        installation.start_receiver()
        engine = open_engine(url)
        with transaction(engine) as connection:
            key = keys.create_key(
                connection, tenant=Tenant.SANDBOX, name="fuzzer", scopes=["admin"], now_ms=system_clock_ms()
            )
        grants = [
            ["grant", account, kind, str(CREDITS), "--reason", "for the fuzzer", "--key", f"{account} {kind}"]
            for account in RICH
            for kind in (TYPE, OTHER)
        ]
        for grant in grants:
            run = [sys.executable, "-m", "workers", *grant]
            subprocess.run(run, env=installation.env, cwd=tmp_path, check=True, capture_output=True)

        found = _fuzz(installation.port, key, tmp_path)

        assert found.returncode == 0, found.stdout
        assert not re.search(r"(?<!\d)0 generated", found.stdout)
        (followed,) = re.findall(r"API Links:\s+(\d+) covered", found.stdout)
        assert int(followed) >= 5, found.stdout
        assert_ledger_is_sound(engine)


def _fuzz(port: int, key: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Schemathesis itself: examples, every bound, random cases and sequences along the links."""
    options = ["--max-examples", "40", "--header", f"Authorization: Bearer {key}", "--no-color", "--seed", "1"]
    argv = [
        sys.executable,
        "-m",
        "schemathesis.cli.__main__",
        "--config-file",
        str(SUPPORT / "schemathesis.toml"),
        "run",
    ]
    return subprocess.run(
        [*argv, f"http://127.0.0.1:{port}/openapi.json", *options],
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
            "PYTHONPATH": str(SUPPORT.parents[1]),
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_document_is_one_that_its_readers_understand(settings: Settings, engine: Engine) -> None:
    app = app_on(settings, engine)

    document = json.loads(app.test_client().get("/openapi.json").data)

    assert document["openapi"] == "3.1.0"
    assert {(method.upper(), path) for path, operations in document["paths"].items() for method in operations} == {
        (endpoint.method, endpoint.path) for endpoint in ENDPOINTS
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"].endswith(".")
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
    assert document["components"]["schemas"]["CreditType"]["enum"] == sorted([TYPE, OTHER])
