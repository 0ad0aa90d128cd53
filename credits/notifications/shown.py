"""Destinations and deliveries as JSON, in the one shape that every face shows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping

from credits.clock import iso
from credits.notifications.model import Destination


def destination_json(one: Destination) -> dict[str, Any]:
    """A destination, without its secret."""
    return {
        "destination": one.name,
        "url": one.url,
        "kinds": sorted(one.kinds),
        "disabled_reason": one.disabled_reason,
        "secret_version": one.secret_version,
        "previous_secret_until": iso(one.previous_until_ms),
    }


def delivery_json(row: RowMapping) -> dict[str, Any]:
    """A delivery: what is told to whom, and how far that has come."""
    return {
        "id": row["id"],
        "notification": row["notification_name"],
        "kind": row["kind"],
        "account": row["account"],
        "destination": row["destination_name"],
        "state": row["state"],
        "attempts": row["attempts"],
        "status": row["last_status"],
        "detail": row["last_detail"],
        "at": iso(row["at_ms"]),
        "due_at": iso(row["due_at_ms"]),
    }


def attempts_json(rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """What each attempt of a delivery came to."""
    columns = ("status", "duration_ms", "detail")
    return [{"at": iso(row["at_ms"]), **{name: row[name] for name in columns}} for row in rows]
