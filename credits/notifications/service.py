"""Use cases of notifications: note what happened, address it, deliver it; and the destinations themselves."""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping

from credits.clock import Clock
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import ConfigError, DestinationNotFoundError, InvalidInputError
from credits.ids import new_id
from credits.log import get_logger
from credits.notifications import destinations, store
from credits.notifications.addresses import Network, checked_url
from credits.notifications.model import SUBSCRIBABLE, Delivery, DeliveryState, Destination, Kind
from credits.notifications.rules import ROTATION_MS, body_of, secret_of, secrets_of, signed_headers, verdict
from credits.notifications.sending import Sender

MAX_DESTINATIONS: Final = 50
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
            _disable(connection, delivery.destination, decided.disables, now_ms=runtime.clock())
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


# ── Destinations ─────────────────────────────────────────────────────────────────────────────────────────


def create_destination(
    connection: Connection,
    tenant: Tenant,
    *,
    url: str,
    kinds: Collection[str],
    allowed: Collection[Network],
    secret_key: str,
    now_ms: int,
) -> tuple[Destination, str]:
    """
    Add a destination for these kinds of notifications (none: for all); answers it with its signing secret.

    Raises InvalidInputError for an unknown kind or too many destinations, DestinationRefusedError for the URL,
    ConfigError if there is no key to derive secrets from.
    """
    if not secret_key:
        raise ConfigError({"CREDITGATE_SECRET_KEY": "must be set: the signing secrets of destinations come from it"})
    wanted = frozenset(checked_kind(kind) for kind in kinds)
    checked = checked_url(url, tuple(allowed))
    if destinations.count_destinations(connection, tenant) >= MAX_DESTINATIONS:
        raise InvalidInputError(
            "url", f"there are {MAX_DESTINATIONS} destinations already, which is the most; delete one"
        )
    made = destinations.insert_destination(connection, tenant, url=checked, kinds=wanted, now_ms=now_ms)
    return made, secret_of(made.name, made.secret_version, secret_key)


def destination(connection: Connection, tenant: Tenant, name: str) -> Destination:
    """The destination called `name`. Raises DestinationNotFoundError."""
    found = destinations.find_destination(connection, tenant, name)
    if found is None:
        raise DestinationNotFoundError(name)
    return found


def rotate_secret(connection: Connection, tenant: Tenant, name: str, *, secret_key: str, now_ms: int) -> str:
    """Give a destination a new secret and answer it; the one before signs beside it for a day."""
    found = destination(connection, tenant, name)
    version = found.secret_version + 1
    destinations.change_destination(
        connection, found.id, secret_version=version, previous_until_ms=now_ms + ROTATION_MS
    )
    return secret_of(found.name, version, secret_key)


def enable_destination(connection: Connection, tenant: Tenant, name: str) -> Destination:
    """Tell a destination again; what happened in between is not told to it."""
    found = destination(connection, tenant, name)
    destinations.change_destination(connection, found.id, disabled_reason=None)
    return found


def disable_destination(connection: Connection, tenant: Tenant, name: str, *, reason: str, now_ms: int) -> int:
    """Tell a destination nothing more until it is enabled; answers how many deliveries on their way ended."""
    return _disable(connection, destination(connection, tenant, name), reason, now_ms=now_ms)


def delete_destination(connection: Connection, tenant: Tenant, name: str, *, now_ms: int) -> int:
    """Remove a destination; its delivery log stays for a while. Answers how many deliveries on their way ended."""
    found = destination(connection, tenant, name)
    destinations.change_destination(connection, found.id, deleted_at_ms=now_ms)
    return destinations.drop_pending(connection, found.id, detail="the destination was deleted", now_ms=now_ms)


def ping(connection: Connection, tenant: Tenant, name: str, *, now_ms: int) -> int:
    """Send a test notification to one destination alone; answers the id of its delivery."""
    found = destination(connection, tenant, name)
    key = f"{Kind.PING.value}:{new_id()}"
    noted = store.insert_notification(
        connection, tenant, Kind.PING, key=key, account=None, data={"destination": name}, now_ms=now_ms
    )
    assert noted is not None, "its key was made up a moment ago"  # noqa: S101
    store.address(connection, tenant, noted, [found.id], now_ms=now_ms)
    return int(store.list_deliveries(connection, tenant, destination=name, limit=1)[0]["id"])


def retry_deliveries(
    connection: Connection,
    tenant: Tenant,
    *,
    ids: Collection[int] = (),
    state: DeliveryState | None = None,
    name: str | None = None,
    now_ms: int,
) -> int:
    """Try deliveries again: these, or up to 1,000 of a state and destination. Answers how many are due now."""
    if not ids:
        rows: list[RowMapping] = store.list_deliveries(connection, tenant, state=state, destination=name, limit=1_000)
        ids = [row["id"] for row in rows]
    return store.retry(connection, tenant, ids, now_ms=now_ms)


def checked_kind(text: str) -> Kind:
    """The kind that `text` names. Raises InvalidInputError that lists them."""
    known = sorted(kind.value for kind in SUBSCRIBABLE)
    if text not in known:
        raise InvalidInputError("kinds", f"must be among {', '.join(known)}, got {text[:40]!r}")
    return Kind(text)


def _disable(connection: Connection, found: Destination, reason: str, *, now_ms: int) -> int:
    destinations.change_destination(connection, found.id, disabled_reason=reason[:500])
    return destinations.drop_pending(connection, found.id, detail="the destination is disabled", now_ms=now_ms)
