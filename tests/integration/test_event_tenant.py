"""Whether credits are real is decided by the secret that signed the event, never by the event alone."""

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, select

from credits.allocation.model import Runtime
from credits.allocation.service import sweep
from credits.config.settings import Settings, Tenant
from credits.db import snapshot
from credits.inbox.model import EventState
from credits.inbox.tables import events
from credits.ledger.tables import grants
from tests.support.clock import VirtualClock
from tests.support.webhooks import simulation
from webhooks.app import create_app
from webhooks.doorbell import Doorbell
from webhooks.providers import REGISTRY

PURCHASES = {"stripe": "checkout.session.completed", "lemonsqueezy": "order_created"}


@pytest.fixture
def client(settings: Settings, engine: Engine, clock: VirtualClock) -> FlaskClient:
    """The receiver, with a doorbell that rings nobody: the sweep has to find the events."""
    silent = Doorbell(lambda _event_ids: None)
    return create_app(settings, engine=engine, doorbell=silent, clock=clock, registry=CollectorRegistry()).test_client()


def _deliver(client: FlaskClient, provider: str, *, mode: Tenant, signed_by: Tenant, clock: VirtualClock) -> int:
    said = simulation(PURCHASES[provider], tenant=mode, at_ms=clock(), started_at_ms=clock())
    secret = {Tenant.LIVE: f"{provider}_live_secret", Tenant.SANDBOX: f"{provider}_test_secret"}[signed_by]
    webhook = REGISTRY[provider].sign(REGISTRY[provider].simulate(said), secret.encode(), clock() // 1000)
    return client.post(f"/webhooks/{provider}", data=webhook.body, headers=dict(webhook.headers)).status_code


@pytest.mark.parametrize("provider", sorted(PURCHASES))
@pytest.mark.parametrize("tenant", list(Tenant))
def test_a_payment_credits_the_world_whose_secret_signed_it(
    client: FlaskClient, runtime: Runtime, clock: VirtualClock, provider: str, tenant: Tenant
) -> None:
    status = _deliver(client, provider, mode=tenant, signed_by=tenant, clock=clock)
    sweep(runtime)

    assert status == 200
    with snapshot(runtime.engine) as connection:
        assert connection.execute(select(grants.c.tenant, grants.c.amount)).all() == [(tenant.value, 100)]


@pytest.mark.parametrize("provider", sorted(PURCHASES))
@pytest.mark.parametrize(("mode", "signed_by"), [(Tenant.SANDBOX, Tenant.LIVE), (Tenant.LIVE, Tenant.SANDBOX)])
def test_an_event_of_one_mode_under_the_other_modes_secret_is_kept_and_credits_nobody(
    client: FlaskClient, runtime: Runtime, clock: VirtualClock, provider: str, mode: Tenant, signed_by: Tenant
) -> None:
    status = _deliver(client, provider, mode=mode, signed_by=signed_by, clock=clock)
    sweep(runtime)

    assert status == 200
    with snapshot(runtime.engine) as connection:
        kept = connection.execute(select(events.c.state, events.c.code, events.c.endpoint)).all()
        assert kept == [(EventState.REJECTED.value, "mode_mismatch", signed_by.value)]
        assert connection.execute(select(grants.c.id)).all() == []
