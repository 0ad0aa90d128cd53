"""Periodic jobs run once per slot, however many schedulers tick."""

from sqlalchemy import BigInteger, Column, Connection, String, Table, delete

from credits.db import insert_new, metadata, tenant_column

job_runs = Table(
    "job_runs",
    metadata,
    tenant_column(primary_key=True),
    Column("name", String(64), primary_key=True),
    # Number of the period since 1970: at_ms // period_ms.
    Column("slot", BigInteger, primary_key=True),
    Column("started_at_ms", BigInteger, nullable=False),
)


def take_slot(connection: Connection, name: str, *, period_ms: int, now_ms: int) -> bool:
    """True for exactly one caller per job and period; the slots of a day ago and before are forgotten."""
    slot = now_ms // period_ms
    row = insert_new(
        connection,
        job_runs,
        {"tenant": "all", "name": name, "slot": slot, "started_at_ms": now_ms},
        unique=("tenant", "name", "slot"),
        returning=("slot",),
    )
    if row is None:
        return False
    connection.execute(delete(job_runs).where(job_runs.c.name == name, job_runs.c.started_at_ms < now_ms - 86_400_000))
    return True
