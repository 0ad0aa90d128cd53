"""Use cases of those who say where notifications go: destinations, their secrets, and what is sent again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping

from credits.config.settings import Tenant
from credits.errors import (
    ConfigError,
    DestinationNotFoundError,
    IdempotencyConflictError,
    InvalidInputError,
    SecretVersionError,
)
from credits.ids import digest, new_id
from credits.notifications import destinations, store
from credits.notifications.addresses import Network, checked_url
from credits.notifications.model import SUBSCRIBABLE, DeliveryState, Destination, Kind
from credits.notifications.rules import ROTATION_MS, secret_of

MAX_DESTINATIONS: Final = 50
MAX_RETRIED_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A destination with its signing secret."""

    destination: Destination
    secret: str
    replayed: bool
    """Whether it was there before under the same key."""


def create_destination(
    connection: Connection,
    tenant: Tenant,
    *,
    url: str,
    kinds: Collection[str],
    allowed: Collection[Network],
    secret_key: str,
    now_ms: int,
    key: str | None = None,
) -> Made:
    """
    Add a destination for these kinds of notifications (none: for all). With a `key`, once for ever.

    Raises InvalidInputError for an unknown kind or too many destinations, DestinationRefusedError for the URL,
    IdempotencyConflictError, ConfigError if there is no key to derive secrets from.
    """
    _check_key(secret_key)
    wanted = frozenset(checked_kind(kind) for kind in kinds)
    checked = checked_url(url, tuple(allowed))
    name = f"dst_{new_id() if key is None else digest(tenant, key)[:32]}"
    made = destinations.insert_destination(connection, tenant, name=name, url=checked, kinds=wanted, now_ms=now_ms)
    if made is None:
        # One that was deleted since is not made again by a repetition that comes late.
        made = destination(connection, tenant, name)
        if (made.url, made.kinds) != (checked, wanted):
            raise IdempotencyConflictError(key or name, made.url, checked)
        return Made(destination=made, secret=secret_of(name, made.secret_version, secret_key), replayed=True)
    if destinations.count_destinations(connection, tenant) > MAX_DESTINATIONS:
        raise InvalidInputError(
            "url", f"there are {MAX_DESTINATIONS} destinations already, which is the most; delete one"
        )
    return Made(destination=made, secret=secret_of(name, made.secret_version, secret_key), replayed=False)


def destination(connection: Connection, tenant: Tenant, name: str) -> Destination:
    """The destination called `name`. Raises DestinationNotFoundError."""
    found = destinations.find_destination(connection, tenant, name)
    if found is None:
        raise DestinationNotFoundError(name)
    return found


def rotate_secret(
    connection: Connection, tenant: Tenant, name: str, *, secret_key: str, now_ms: int, version: int | None = None
) -> Made:
    """
    Give a destination its next secret; the one before signs beside it for a day.

    With `version`, the number of the secret that is wanted: the next one is made, the present one is answered again.
    So a repetition rotates nothing twice. Raises SecretVersionError for any other number, DestinationNotFoundError,
    ConfigError if there is no key to derive secrets from.
    """
    _check_key(secret_key)
    found = destination(connection, tenant, name)
    present = found.secret_version
    if version == present:
        return Made(destination=found, secret=secret_of(name, present, secret_key), replayed=True)
    if version not in {None, present + 1}:
        raise SecretVersionError(name, present, version)
    changed = destinations.change_destination(
        connection, found.id, secret_version=present + 1, previous_until_ms=now_ms + ROTATION_MS
    )
    return Made(destination=changed, secret=secret_of(name, present + 1, secret_key), replayed=False)


def enable_destination(connection: Connection, tenant: Tenant, name: str) -> Destination:
    """Tell a destination again; what happened in between is not told to it."""
    found = destination(connection, tenant, name)
    return destinations.change_destination(connection, found.id, disabled_reason=None)


def disable_destination(connection: Connection, tenant: Tenant, name: str, *, reason: str, now_ms: int) -> Destination:
    """Tell a destination nothing more until it is enabled; what is on its way to it ends."""
    return silence(connection, destination(connection, tenant, name), reason, now_ms=now_ms)


def silence(connection: Connection, found: Destination, reason: str, *, now_ms: int) -> Destination:
    """Disable a destination that has been found."""
    destinations.drop_pending(connection, found.id, detail="the destination is disabled", now_ms=now_ms)
    return destinations.change_destination(connection, found.id, disabled_reason=reason[:500])


def delete_destination(connection: Connection, tenant: Tenant, name: str, *, now_ms: int) -> int:
    """Remove a destination; its delivery log stays for a while. Answers how many deliveries on their way ended."""
    found = destination(connection, tenant, name)
    destinations.change_destination(connection, found.id, deleted_at_ms=now_ms)
    return destinations.drop_pending(connection, found.id, detail="the destination was deleted", now_ms=now_ms)


def ping(connection: Connection, tenant: Tenant, name: str, *, now_ms: int, key: str | None = None) -> int:
    """Send a test notification to one destination alone, with a `key` once; answers the id of its delivery."""
    found = destination(connection, tenant, name)
    noted = store.insert_notification(
        connection,
        tenant,
        Kind.PING,
        key=f"{Kind.PING.value}:{new_id() if key is None else digest(name, key)}",
        account=None,
        data={"destination": name},
        now_ms=now_ms,
    )
    if noted is not None:
        store.address(connection, tenant, noted, [found.id], now_ms=now_ms)
        return int(store.list_deliveries(connection, tenant, destination=name, limit=1)[0]["id"])
    return store.ping_named(connection, tenant, f"{Kind.PING.value}:{digest(name, key)}")


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
        rows: list[RowMapping] = store.list_deliveries(
            connection, tenant, state=state, destination=name, limit=MAX_RETRIED_AT_ONCE
        )
        ids = [row["id"] for row in rows]
    return store.retry(connection, tenant, ids, now_ms=now_ms)


def checked_kind(text: str) -> Kind:
    """The kind that `text` names. Raises InvalidInputError that lists them."""
    known = sorted(kind.value for kind in SUBSCRIBABLE)
    if text not in known:
        raise InvalidInputError("kinds", f"must be among {', '.join(known)}, got {text[:40]!r}")
    return Kind(text)


def _check_key(secret_key: str) -> None:
    if not secret_key:
        raise ConfigError({"CREDITGATE_SECRET_KEY": "must be set: the signing secrets of destinations come from it"})
