"""A caller of the HTTP API, over Flask's own client."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from credits.api import keys
from credits.clock import Clock, system_clock_ms
from credits.config.settings import Settings, Tenant
from credits.db import transaction
from webhooks.app import create_app
from webhooks.doorbell import Doorbell


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody with an API key."""

    client: FlaskClient
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, **query: object) -> TestResponse:
        return self.client.get(path, query_string=query, headers={**self._headers, **(headers or {})})

    def post(
        self, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, raw: bytes | None = None
    ) -> TestResponse:
        """POST `body` as JSON, or `raw` as it is."""
        return self.send("POST", path, body, headers=headers, raw=raw)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> TestResponse:
        """Any method with a body: `body` as JSON, or `raw` as it is."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = {**self._headers, "Content-Type": "application/json", **(headers or {})}
        return self.client.open(path, method=method, data=data, headers=sent)

    def account(self, account: str, what: str, **query: object) -> TestResponse:
        return self.get(f"/v1/accounts/{quote(account, safe='')}/{what}", **query)

    def tell(self, account: str, what: str, body: object = None, **options: Any) -> TestResponse:
        return self.post(f"/v1/accounts/{quote(account, safe='')}/{what}", body, **options)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **self.headers}


def app_on(settings: Settings, engine: Engine, *, clock: Clock = system_clock_ms, **changes: Any) -> Flask:
    """Receiver and API with `changes` of the settings; nobody hears its doorbell, and its figures are its own."""
    return create_app(
        replace(settings, **changes),
        engine=engine,
        doorbell=Doorbell(lambda _: None),
        clock=clock,
        registry=CollectorRegistry(),
    )


def new_key(
    engine: Engine,
    *,
    tenant: Tenant = Tenant.SANDBOX,
    scopes: Sequence[str] = ("read",),
    now_ms: int | None = None,
    **options: Any,
) -> str:
    """A new API key."""
    with transaction(engine) as connection:
        return keys.create_key(
            connection,
            tenant=tenant,
            name="app",
            scopes=scopes,
            now_ms=system_clock_ms() if now_ms is None else now_ms,
            **options,
        )


def caller_of(client: FlaskClient, engine: Engine, **said: Any) -> Caller:
    """A caller with a new key; `said` as new_key has it."""
    return Caller(client=client, key=new_key(engine, **said))


def assert_problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that `answer` is this problem, and answer its members."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = answer.get_json()
    assert (problem["code"], problem["status"]) == (code, status)
    return problem
