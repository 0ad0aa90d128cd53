"""Webhooks that others recorded, posted to the receiver and processed: none is refused, none crashes a worker."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import RowMapping, select

from credits.allocation.model import Runtime
from credits.config.catalogue import Catalogue, Every
from credits.config.expiry import NEVER
from credits.config.load import load_catalogue
from credits.config.settings import Tenant, WebhookSecret, load_settings
from credits.db import open_engine, snapshot, transaction
from credits.facts import SubscriptionSeen
from credits.inbox import service
from credits.inbox.model import EventState
from credits.inbox.tables import events
from credits.ledger.tables import entries
from credits.payload import parse
from tests.conftest import CONFIG_FILE
from tests.support.api import app_on
from tests.support.clock import VirtualClock
from tests.support.pipeline import OPERATOR, Pipeline
from tests.support.recorded import Recorded, recorded_folder, recorded_webhooks
from webhooks.providers import REGISTRY

SECRET = b"a secret of both modes"
WEBHOOKS = recorded_webhooks()

DONE = {EventState.DONE}
NOTHING = {EventState.IGNORED}
WAITS = {EventState.WAITING}
NEEDS_SOMEBODY = {EventState.UNATTRIBUTED}

# Nobody's metadata but their own is on these payloads: what was paid is kept for an operator to attach.
FITTING: dict[str, set[EventState]] = {
    "ADD purchased credits": NEEDS_SOMEBODY,
    "if order belongs to a subscription variant": NEEDS_SOMEBODY | DONE,
    "PENDING": DONE,
    "VOID pending purchase": DONE,
    "ALLOCATE plan credits": NEEDS_SOMEBODY | WAITS,
    "RENEW": NEEDS_SOMEBODY | WAITS,
    "(twin of invoice.paid": NOTHING,
    "no subscription: grant only if": NOTHING,
    "NO GRANT": NOTHING,
    "LINK+UPSERT": DONE | WAITS,
    "UPSERT": DONE | WAITS | NOTHING,
    "END plan": DONE,
    # A payment may be known and not be credited yet; then its refund is kept with it.
    "CLAWBACK": WAITS | DONE,
    "REVERSE clawback": WAITS,
    "RESTORE": WAITS,
    "update refund state": WAITS,
    "if it refunds/credits a granted invoice": WAITS | NOTHING,
    "if credits had been granted on this invoice": WAITS | NOTHING,
    "if status not warning_*": WAITS | NOTHING,
    "inquiry/other close": WAITS | NOTHING,
    "state only": WAITS | NOTHING,
    "unlink": NOTHING,
    "FLAG account": NOTHING,
    "IGNORE for grants (invoice.paid covers)": DONE | NOTHING,
    "IGNORE": NOTHING,
    # One has a price that no recorded subscription is for.
    "GRANT: origin": NEEDS_SOMEBODY | WAITS | {EventState.FAILED, EventState.DEAD},
    "if action refund/chargeback and status approved": WAITS,
    "pending approval": NOTHING,
    "see type": DONE | NOTHING | WAITS,
}
"""What the index expects, by how it begins, and the states of the event that fit."""

Ended = dict[str, tuple[int, RowMapping]]
"""By file: the receiver's answer to the webhook, and its event after the workers were through with all of them."""

if WEBHOOKS:

    @pytest.fixture(scope="module")
    def workers(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Runtime]:
        file = tmp_path_factory.mktemp("recorded") / "creditgate.sqlite3"
        file.write_bytes(migrated_sqlite_file.read_bytes())
        engine = open_engine(f"sqlite:///{file}")
        catalogue = with_recorded_prices(load_catalogue(CONFIG_FILE))
        yield Runtime(engine=engine, catalogue=catalogue, providers=REGISTRY, secret_key="", clock=VirtualClock())
        engine.dispose()

    @pytest.fixture(scope="module")
    def ended(workers: Runtime) -> Ended:
        receiver = receiver_of(workers)
        answers = {
            webhook.name: post(receiver, webhook, number, workers.clock()) for number, webhook in enumerate(WEBHOOKS)
        }
        Pipeline(runtime=workers).process()
        stored = {row["id"]: row for row in read_events(workers)}
        return {name: (status, stored[event_id]) for name, (status, event_id) in answers.items()}

    @pytest.mark.parametrize("webhook", [pytest.param(webhook, id=webhook.name) for webhook in WEBHOOKS])
    def test_a_recorded_webhook_is_taken_and_ends_as_the_index_expects(webhook: Recorded, ended: Ended) -> None:
        status, event = ended[webhook.name]

        assert status == 200
        assert event["code"] != "unexpected_error"
        fitting = next(states for beginning, states in FITTING.items() if webhook.expect.startswith(beginning))
        assert event["state"] in fitting, event["detail"]

    def test_recorded_payments_are_granted_once_somebody_says_whose_they_are(ended: Ended, workers: Runtime) -> None:
        paid = [event for _, event in ended.values() if event["state"] == EventState.UNATTRIBUTED]

        for event in paid:
            attach(workers, event)
        Pipeline(runtime=workers).process()

        ids = {event["id"] for event in paid}
        after = [row for row in read_events(workers) if row["id"] in ids]
        assert {row["state"] for row in after} == {EventState.DONE}
        assert {row["event_type"] for row in after} >= {
            "order_created",
            "checkout.session.completed",
            "subscription_payment_success",
        }
        with snapshot(workers.engine) as connection:
            granted = list(connection.execute(select(entries.c.event_id)).scalars())
        assert set(granted) <= ids
        assert len(granted) >= len({row["event_type"] for row in after})

else:

    def test_without_the_recorded_webhooks_there_is_nothing_to_post() -> None:
        """The folder is absent; the payloads written for this repository are held to their facts all the same."""
        assert not (recorded_folder() / "index.json").exists()


def with_recorded_prices(catalogue: Catalogue) -> Catalogue:
    """Every price of a recorded subscription sells a plan whose credits come at once and stay: few show a period."""
    found: dict[str, set[str]] = {provider: set() for provider in REGISTRY}
    for webhook in WEBHOOKS:
        provider, payload = REGISTRY[webhook.provider], parse(webhook.body)
        for fact in provider.interpret(payload) if provider.reads(webhook.event_type) else ():
            if isinstance(fact, SubscriptionSeen):
                found[webhook.provider] |= set(fact.product_ids)
    pro = catalogue.plan("pro")
    stay = tuple(replace(part, every=Every.PERIOD) for part in pro.credits if part.expires == NEVER)
    product_ids = {name: tuple(sorted(ids)) for name, ids in found.items()}
    plan = replace(pro, product_ids=product_ids, credits=stay)
    return replace(catalogue, plans={**catalogue.plans, "pro": plan})


def receiver_of(workers: Runtime) -> FlaskClient:
    """A receiver over the same database, whose one secret is that of both modes."""
    secrets = tuple(WebhookSecret(tenant=tenant, value=SECRET) for tenant in Tenant)
    settings = load_settings({"CREDITGATE_CONFIG": str(CONFIG_FILE)}, CONFIG_FILE.parent)
    app = app_on(settings, workers.engine, clock=workers.clock, webhook_secrets=dict.fromkeys(REGISTRY, secrets))
    return app.test_client()


def post(receiver: FlaskClient, webhook: Recorded, number: int, now_ms: int) -> tuple[int, int]:
    """Sign and deliver one; answers status and event. Several were recorded with the same placeholder for their id."""
    payload = json.loads(webhook.body)
    if "id" in payload:
        payload["id"] = f"evt_recorded_{number}"
    signed = REGISTRY[webhook.provider].sign(json.dumps(payload).encode(), SECRET, now_ms // 1000)
    answer = receiver.post(f"/webhooks/{webhook.provider}", data=signed.body, headers=dict(signed.headers))
    return answer.status_code, (answer.get_json() or {}).get("event", 0)


def attach(workers: Runtime, event: RowMapping) -> None:
    tenant = Tenant(event["tenant"])
    what: dict[str, Any] = {}
    if event["code"] == "credits_unknown":
        what = {"credit_type": "image_generation", "amount": 10}
    with transaction(workers.engine) as connection:
        service.attach(connection, tenant, event["id"], "user_1", OPERATOR, **what, now_ms=workers.clock())


def read_events(workers: Runtime) -> list[RowMapping]:
    with snapshot(workers.engine) as connection:
        return list(connection.execute(select(events).order_by(events.c.id)).mappings())
