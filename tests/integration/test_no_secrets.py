"""No secret of an installation is in anything it says: answers, errors and logs, whether all is well or nothing is."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from credits.api.routes import ENDPOINTS
from credits.config.settings import Settings
from credits.db import open_engine
from tests.support.api import caller_of
from tests.support.api_samples import ask
from tests.support.webhooks import simulation
from webhooks.app import create_app, ring_workers
from webhooks.providers import REGISTRY

SIMULATED = {
    "fake": "purchase.paid",
    "stripe": "checkout.session.completed",
    "lemonsqueezy": "order_created",
    "paddle": "transaction.completed",
}
NOW_S = 1_768_478_400


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.mark.parametrize("is_well", [True, False], ids=["all is well", "nothing answers"])
def test_no_route_and_no_log_line_tells_a_secret(
    settings: Settings,
    engine: Engine,
    redis_url: str,
    is_well: bool,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = "127.0.0.1:1"
    settings = replace(
        settings,
        secret_key="the key that signs links",
        redis_url=redis_url if is_well else f"redis://user:pass-of-redis@{away}/0",
        broker_url=f"redis://user:pass-of-broker@{away}/0",
        database_url=settings.database_url if is_well else f"postgresql://user:pass-of-sql@{away}/none",
    )
    secrets = {"the key that signs links", "pass-of-redis", "pass-of-broker", "pass-of-sql"}
    secrets |= {one.value.decode() for known in settings.webhook_secrets.values() for one in known}
    used = engine if is_well else open_engine(settings.database_url)
    app = create_app(settings, engine=used, doorbell=ring_workers(settings.broker_url), registry=CollectorRegistry())
    client = app.test_client()
    caller = caller_of(client, engine, scopes=["admin"])

    answers = [ask(caller, endpoint, account="user_1") for endpoint in ENDPOINTS]
    for name, event_type in SIMULATED.items():
        body = REGISTRY[name].simulate(simulation(event_type, at_ms=NOW_S * 1000, started_at_ms=NOW_S * 1000))
        for secret in settings.webhook_secrets.get(name, ())[:1] or [None]:
            signed = REGISTRY[name].sign(body, b"another" if secret is None else secret.value, NOW_S)
            answers.append(client.post(f"/webhooks/{name}", data=signed.body, headers=dict(signed.headers)))
    answers += [client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")]
    said = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    said += caplog.text + "".join(capsys.readouterr())

    assert ({200, 201} if is_well else {503}) <= {answer.status_code for answer in answers}
    assert len(answers) == len(ENDPOINTS) + len(SIMULATED) + 5
    assert {secret for secret in {*secrets, caller.key[17:60]} if secret in said} == set()
