"""SQL of backfills. Every function runs in the caller's transaction; none commits."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from credits.backfill.tables import backfill_cursors
from credits.config.settings import Tenant
from credits.db import insert_new


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a provider was looked through, and the pass that is under way."""

    looked_until_ms: int = 0
    pass_began_ms: int | None = None
    pass_since_ms: int | None = None
    kind: str | None = None
    token: str | None = None


def read_cursor(connection: Connection, tenant: Tenant, provider: str) -> Cursor:
    """The cursor; a fresh one for a provider that was never looked through."""
    table = backfill_cursors.c
    row = connection.execute(
        select(backfill_cursors).where(table.tenant == tenant, table.provider == provider)
    ).one_or_none()
    if row is None:
        return Cursor()
    return Cursor(**{name: row._mapping[name] for name in Cursor.__dataclass_fields__})


def keep_cursor(connection: Connection, tenant: Tenant, provider: str, cursor: Cursor) -> None:
    """Write how far we are."""
    values = {name: getattr(cursor, name) for name in Cursor.__dataclass_fields__}
    row = {"tenant": tenant, "provider": provider, **values}
    if insert_new(connection, backfill_cursors, row, unique=("tenant", "provider"), returning=("provider",)) is None:
        table = backfill_cursors.c
        connection.execute(
            update(backfill_cursors).where(table.tenant == tenant, table.provider == provider).values(**values)
        )
