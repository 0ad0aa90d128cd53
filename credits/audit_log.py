"""The audit log: who did what by hand, when and why. Rows are inserted, never changed (a trigger refuses it)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Connection, Index, String, Table

from credits.config.settings import Tenant
from credits.db import id_column, metadata, tenant_column

audit_log = Table(
    "audit_log",
    metadata,
    id_column(),
    tenant_column(),
    Column("actor", String(200), nullable=False),
    # Verb and subject: `event.retry` on `event:17`, `ledger.grant` on `account:user_1`.
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index(None, "tenant", "subject"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody does something by hand, and says why."""

    actor: str
    reason: str


def record(
    connection: Connection,
    tenant: Tenant,
    act: Act,
    *,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    now_ms: int,
) -> None:
    """Add a line to the log, in the transaction of what it tells about."""
    connection.execute(
        audit_log.insert().values(
            tenant=tenant,
            actor=act.actor,
            action=action,
            subject=subject,
            reason=act.reason,
            detail=dict(detail),
            at_ms=now_ms,
        )
    )
