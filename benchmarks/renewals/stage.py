"""What a measurement runs on: PostgreSQL, a broker, two workers beside two whose task is empty, and subscribers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from benchmarks.servers import connect_to, new_databases, start_redis
from credits.config.settings import Tenant
from credits.db import transaction
from credits.inbox import store
from credits.inbox.model import EventState, NewEvent
from credits.inbox.provider import Simulation
from credits.ops.migrate import migrate
from credits.payload import parse
from credits.plans.calendar import add_months, instant, to_ms
from credits.simulation.account import ProviderAccount
from tests.support.installation import Installation
from tests.support.valkey import ValkeyServer
from webhooks.providers import REGISTRY

WORKERS: Final = 2
PRICE: Final = "price_pro_monthly"
GRANTS_PER_PERIOD: Final = 2
"""The plan hands out two credit types."""

_READ: Final = {"customer.subscription.created", "customer.subscription.updated", "invoice.paid"}
_ROWS: Final = 500


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One installation and one whose tasks are empty, over one PostgreSQL server and one broker."""

    engine: Engine
    broker: ValkeyServer
    ours: Installation
    yardstick: Installation


@dataclass(frozen=True, kw_only=True)
class Subscribers:
    """Subscriptions that began a month ago, and renew now."""

    begun: Sequence[Simulation]
    renewed: Sequence[Simulation]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the servers; workers start when the measurement asks for them. Everything is gone at the end."""
    with ExitStack() as cleanup:
        broker = start_redis(folder, cleanup)
        [url] = new_databases("postgresql", folder, cleanup, "renewals")
        migrate(url)
        ours = cleanup.enter_context(Installation(folder / "ours", database_url=url, broker_url=broker.url))
        yardstick = cleanup.enter_context(Installation(folder / "yardstick", database_url=url, broker_url=broker.url))
        engine = connect_to(url, cleanup, statement_s=0)
        yield Stage(engine=engine, broker=broker, ours=ours, yardstick=yardstick)


def subscribers(count: int, group: str) -> Subscribers:
    """`count` accounts of their own, each with a subscription whose second period begins now."""
    started_at_ms = to_ms(add_months(instant(int(time.time()) * 1000, UTC), -1))
    begun: list[Simulation] = []
    renewed: list[Simulation] = []
    for number in range(count):
        name = f"{group}-{number}"
        payer = ProviderAccount(provider="stripe", account=name)
        subscription = payer.subscribe(name, PRICE, price_minor=2000, at_ms=started_at_ms)
        payer.renew(subscription)
        for events, happened in ((begun, payer.happened[0]), (renewed, payer.happened[1])):
            events += [event for event in happened.events if event.event_type in _READ]
    return Subscribers(begun=begun, renewed=renewed)


def put_into_inbox(engine: Engine, events: Sequence[Simulation]) -> list[int]:
    """Store the events as the receiver does, without its requests; answers their numbers."""
    provider, numbers = REGISTRY["stripe"], []
    for at in range(0, len(events), _ROWS):
        with transaction(engine) as connection:
            for event in events[at : at + _ROWS]:
                body = provider.simulate(event)
                delivery = provider.envelope(parse(body), body)
                row = NewEvent(
                    tenant=Tenant.SANDBOX,
                    provider="stripe",
                    provider_account="",
                    endpoint=Tenant.SANDBOX,
                    event_id=delivery.event_id,
                    event_type=delivery.event_type,
                    body=body,
                    state=EventState.RECEIVED,
                    occurred_at_ms=delivery.occurred_at_ms,
                    received_at_ms=int(time.time() * 1000),
                )
                receipt = store.insert_event(connection, row)
                assert receipt is not None, delivery.event_id
                numbers.append(receipt.id)
    return numbers
