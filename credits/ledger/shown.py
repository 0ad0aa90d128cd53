"""How entries and grants look as JSON, the same on every face."""

from typing import Any

from sqlalchemy import RowMapping

from credits.clock import iso

_ENTRY_FIELDS = (
    "id",
    "credit_type",
    "seq",
    "kind",
    "amount",
    "balance_after",
    "debt_after",
    "key",
    "reservation_id",
    "member",
    "actor",
    "reason",
    "event_id",
)
_GRANT_FIELDS = (
    "id",
    "credit_type",
    "amount",
    "remaining",
    "frozen",
    "source",
    "source_ref",
    "plan",
    "priority",
    "paid_minor",
    "currency",
    "key",
)


def entry_json(row: RowMapping) -> dict[str, Any]:
    """An entry as every face shows it."""
    return {name: row[name] for name in _ENTRY_FIELDS} | {"at": iso(row["at_ms"])}


def grant_json(row: RowMapping) -> dict[str, Any]:
    """A grant as every face shows it."""
    return {name: row[name] for name in _GRANT_FIELDS} | {
        "expires_at": iso(row["expires_at_ms"]),
        "created_at": iso(row["created_at_ms"]),
    }
