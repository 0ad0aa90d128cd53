"""Use cases of notifications: note what happened, address it, deliver it."""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine

from credits.clock import Clock
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.ids import new_id
from credits.log import get_logger
from credits.notifications import destinations, store
from credits.notifications.managing import silence
from credits.notifications.model import Delivery, Kind
from credits.notifications.rules import body_of, secrets_of, signed_headers, verdict
from credits.notifications.sending import Sender

KEPT_MS: Final = 30 * 86_400_000
"""How long the delivery log reaches back."""

_AUDIENCE_MS: Final = 5_000
_ADDRESSED_AT_ONCE: Final = 200
_DELIVERED_AT_ONCE: Final = 20
_FORGOTTEN_AT_ONCE: Final = 500

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRuntime:
    """Everything that delivering needs from outside."""

    engine: Engine
    secret_key: str
    sender: Sender
    clock: Clock


class Audience:
    """Whether a tenant has any destination at all: asked of SQL every few seconds, not for every payment."""

    def __init__(self) -> None:
        self._known: dict[Tenant, tuple[int, bool]] = {}

    def is_there(self, connection: Connection, tenant: Tenant, *, now_ms: int) -> bool:
        """Whether somebody may want to be told. The first destination of all hears from a few seconds after it on."""
        asked_at_ms, answer = self._known.get(tenant, (0, False))
        if abs(now_ms - asked_at_ms) >= _AUDIENCE_MS:
            answer = destinations.count_destinations(connection, tenant) > 0
            self._known[tenant] = (now_ms, answer)
        return answer


def notify(
    connection: Connection,
    tenant: Tenant,
    kind: Kind,
    *,
    key: str,
    account: str | None,
    data: dict[str, Any],
    now_ms: int,
) -> bool:
    """
    Note that something happened, in the transaction in which it does. True if this call noted it.

    `key` names what happened: it is told once, however often it is noticed. `data` has ids and amounts, nothing
    personal.
    """
    name = f"{kind.value}:{key}"[:255]
    noted = store.insert_notification(connection, tenant, kind, key=name, account=account, data=data, now_ms=now_ms)
    return noted is not None


def sweep(runtime: NotifyRuntime, *, until_ms: int) -> int:
    """
    Address what happened and deliver what is due, until nothing is or the clock passes `until_ms`.

    Answers how many attempts it made.

    Safe to run in any number of processes, and to be killed: an attempt without a result is made again when its lease
    ends. So a destination may hear of one thing twice, under the same `webhook-id`.
    """
    attempts = 0
    while True:
        now_ms = runtime.clock()
        addressed = _address(runtime, now_ms)
        with snapshot(runtime.engine) as connection:
            due = store.due_ids(connection, now_ms=now_ms, limit=_DELIVERED_AT_ONCE)
        attempts += deliver(runtime, due) if due else 0
        if (not due and not addressed) or runtime.clock() >= until_ms:
            break
    with transaction(runtime.engine) as connection:
        store.forget_old(connection, before_ms=runtime.clock() - KEPT_MS, limit=_FORGOTTEN_AT_ONCE)
    return attempts


def deliver(runtime: NotifyRuntime, ids: Collection[int]) -> int:
    """Make one attempt at each of these deliveries that is due and that nobody else has in hand; answers how many."""
    with transaction(runtime.engine) as connection:
        claimed = store.claim(connection, ids, now_ms=runtime.clock(), lease_token=new_id())
    if claimed:
        asyncio.run(_deliver_all(runtime, claimed))
    return len(claimed)


async def _deliver_all(runtime: NotifyRuntime, claimed: list[Delivery]) -> None:
    await asyncio.gather(*(_deliver_one(runtime, delivery) for delivery in claimed))


async def _deliver_one(runtime: NotifyRuntime, delivery: Delivery) -> None:
    body, now_ms = body_of(delivery.notification), runtime.clock()
    secrets = secrets_of(delivery.destination, runtime.secret_key, now_ms=now_ms) if runtime.secret_key else ()
    headers = signed_headers(delivery.notification.name, body, secrets, now_ms=now_ms)
    answered = await runtime.sender.send(delivery.destination, delivery.notification, body, headers)
    # Spread, not secrecy: any generator does.
    jitter = random.random()  # noqa: S311
    decided = verdict(answered, attempts=delivery.attempts, now_ms=runtime.clock(), jitter=jitter)
    with transaction(runtime.engine) as connection:
        is_ours = store.finish(connection, delivery, answered, decided, now_ms=runtime.clock())
        if is_ours and decided.disables is not None:
            silence(connection, delivery.destination, decided.disables, now_ms=runtime.clock())
    log.info(
        "notification.attempted",
        notification=delivery.notification.name,
        kind=delivery.notification.kind.value,
        destination=delivery.destination.name,
        attempt=delivery.attempts,
        state=decided.state.value,
        status=answered.status,
        duration_ms=answered.duration_ms,
    )


def _address(runtime: NotifyRuntime, now_ms: int) -> int:
    with transaction(runtime.engine) as connection:
        waiting = store.unaddressed(connection, limit=_ADDRESSED_AT_ONCE)
        everybody = destinations.list_destinations(connection) if waiting else []
        for one in waiting:
            to = [d.id for d in everybody if d.tenant == one["tenant"] and d.wants(Kind(one["kind"]))]
            store.address(connection, Tenant(one["tenant"]), one["id"], to, now_ms=now_ms)
    return len(waiting)
