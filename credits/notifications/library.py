"""The part of the library that tells others: where notifications go, and how each delivery went."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from credits import audit_log
from credits.audit_log import Act
from credits.clock import Clock
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import DeliveryNotFoundError, InvalidInputError
from credits.ids import checked_id, checked_text
from credits.notifications import destinations, managing, store
from credits.notifications.addresses import Network
from credits.notifications.managing import Made
from credits.notifications.model import DeliveryState, Destination
from credits.notifications.shown import attempts_json, delivery_json, destination_json

MAX_REASON_LENGTH = 500


class Notifying:
    """Destinations of one tenant, and their deliveries. Every change stands in the audit log."""

    engine: Engine
    tenant: Tenant
    notify_networks: tuple[Network, ...]
    _secret_key: str
    _clock: Clock

    def destinations(self) -> list[dict[str, Any]]:
        """Every destination, the oldest first."""
        with snapshot(self.engine) as connection:
            return [destination_json(one) for one in destinations.list_destinations(connection, self.tenant)]

    def destination(self, name: str) -> dict[str, Any]:
        """One destination. Raises DestinationNotFoundError."""
        with snapshot(self.engine) as connection:
            return destination_json(managing.destination(connection, self.tenant, name))

    def create_destination(
        self, url: str, *, kinds: Collection[str] = (), key: str | None = None, reason: str = "", actor: str = "app"
    ) -> dict[str, Any]:
        """
        Tell `url` (https://… or mailto:…) of these kinds of notifications, of all if none is named; with its secret.

        With a `key` once for ever. Raises InvalidInputError that names the field, DestinationRefusedError,
        IdempotencyConflictError, ConfigError without a key to derive secrets from.
        """
        name = None if key is None else checked_id(key, "key")

        def create(connection: Connection) -> Made:
            return managing.create_destination(
                connection,
                self.tenant,
                url=url,
                kinds=kinds,
                allowed=self.notify_networks,
                secret_key=self._secret_key,
                now_ms=self._clock(),
                key=name,
            )

        return self._with_secret(create, "create", reason, actor)

    def rotate_destination_secret(
        self, name: str, *, version: int | None = None, reason: str = "", actor: str = "app"
    ) -> dict[str, Any]:
        """
        Give a destination its next secret; for a day both sign. `version`, if given, is the number of the one wanted.

        With a version it is safe to repeat. Raises DestinationNotFoundError, SecretVersionError.
        """

        def rotate(connection: Connection) -> Made:
            return managing.rotate_secret(
                connection, self.tenant, name, secret_key=self._secret_key, now_ms=self._clock(), version=version
            )

        return self._with_secret(rotate, "rotate", reason, actor)

    def enable_destination(self, name: str, *, reason: str = "", actor: str = "app") -> dict[str, Any]:
        """Tell it again of what happens from now on. Raises DestinationNotFoundError."""
        return self._changed("enable", reason, actor, lambda one: managing.enable_destination(one, self.tenant, name))

    def disable_destination(self, name: str, *, reason: str = "disabled by hand", actor: str = "app") -> dict[str, Any]:
        """Tell it nothing more until it is enabled; what is on its way ends. Raises DestinationNotFoundError."""
        now_ms, why = self._clock(), reason or "disabled by hand"
        return self._changed(
            "disable",
            reason,
            actor,
            lambda one: managing.disable_destination(one, self.tenant, name, reason=why, now_ms=now_ms),
        )

    def delete_destination(self, name: str, *, reason: str = "", actor: str = "app") -> None:
        """Remove it; what it was sent stays in the log for a month. Raises DestinationNotFoundError."""
        with transaction(self.engine) as connection:
            managing.delete_destination(connection, self.tenant, name, now_ms=self._clock())
            self._record(connection, "destination.delete", name, reason, actor)

    def ping_destination(self, name: str, *, key: str | None = None) -> int:
        """Send it a test, with a `key` once; answers the delivery's id. Raises DestinationNotFoundError."""
        with transaction(self.engine) as connection:
            return managing.ping(connection, self.tenant, name, now_ms=self._clock(), key=key)

    def deliveries(
        self,
        *,
        state: DeliveryState | None = None,
        destination: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """What was sent where, newest first; `before_id` is the last one of the page before."""
        with snapshot(self.engine) as connection:
            rows = store.list_deliveries(
                connection, self.tenant, state=state, destination=destination, before_id=before_id, limit=limit
            )
        return [delivery_json(row) for row in rows]

    def delivery(self, delivery_id: int) -> dict[str, Any]:
        """One delivery with every attempt. Raises DeliveryNotFoundError."""
        with snapshot(self.engine) as connection:
            row = store.find_delivery(connection, self.tenant, delivery_id)
            attempts = store.attempts_of(connection, self.tenant, delivery_id)
        if row is None:
            raise DeliveryNotFoundError(delivery_id)
        return {**delivery_json(row), "log": attempts_json(attempts)}

    def retry_delivery(self, delivery_id: int, *, reason: str = "", actor: str = "app") -> dict[str, Any]:
        """
        Send it again within seconds, whatever became of it, under the same `webhook-id`.

        Raises DeliveryNotFoundError, InvalidInputError if its destination hears nothing any more.
        """
        with transaction(self.engine) as connection:
            row = store.find_delivery(connection, self.tenant, delivery_id)
            if row is None:
                raise DeliveryNotFoundError(delivery_id)
            found = destinations.find_destination(connection, self.tenant, row["destination_name"])
            if found is None or found.disabled_reason is not None:
                raise InvalidInputError(
                    "delivery", f"{row['destination_name']} is disabled or deleted; enable it first"
                )
            managing.retry_deliveries(connection, self.tenant, ids=(delivery_id,), now_ms=self._clock())
            self._record(connection, "delivery.retry", str(delivery_id), reason, actor)
        return self.delivery(delivery_id)

    def retry_deliveries(self, destination: str, *, reason: str = "", actor: str = "app") -> int:
        """Send up to 1,000 dead deliveries of it again; answers how many. Raises DestinationNotFoundError."""
        with transaction(self.engine) as connection:
            managing.destination(connection, self.tenant, destination)
            count = managing.retry_deliveries(
                connection, self.tenant, state=DeliveryState.DEAD, name=destination, now_ms=self._clock()
            )
            self._record(connection, "delivery.retry", destination, reason, actor, {"count": count})
        return count

    def _with_secret(self, change: Callable[[Connection], Made], verb: str, reason: str, actor: str) -> dict[str, Any]:
        with transaction(self.engine) as connection:
            made = change(connection)
            if not made.replayed:
                self._record(connection, f"destination.{verb}", made.destination.name, reason, actor)
        return {**destination_json(made.destination), "secret": made.secret, "replayed": made.replayed}

    def _changed(
        self, verb: str, reason: str, actor: str, change: Callable[[Connection], Destination]
    ) -> dict[str, Any]:
        with transaction(self.engine) as connection:
            changed = change(connection)
            self._record(connection, f"destination.{verb}", changed.name, reason, actor)
        return destination_json(changed)

    def _record(
        self,
        connection: Connection,
        action: str,
        subject: str,
        reason: str,
        actor: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        why = checked_text(reason, "reason", max_length=MAX_REASON_LENGTH)
        audit_log.record(
            connection,
            self.tenant,
            Act(actor=actor, reason=why),
            action=action,
            subject=subject,
            detail=detail or {},
            now_ms=self._clock(),
        )
