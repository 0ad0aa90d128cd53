"""What booking leaves beside entries and lots: balances that begin with a debt, and what lapsed and is carried on."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert

from credits.config.settings import Tenant
from credits.ledger.model import DebitKind
from credits.ledger.tables import balances
from credits.plans import carries


def open_balances(connection: Connection, new: Iterable[tuple[Tenant, int, str]]) -> None:
    """Balances of nothing for (tenant, account, type): a debt may be the first thing that is booked of a type."""
    rows = [
        {"tenant": tenant, "account_id": account_id, "credit_type": name, "balance": 0, "debt": 0, "seq": 0}
        for tenant, account_id, name in new
    ]
    if rows:
        connection.execute(insert(balances), rows)


def note_lapsed(
    connection: Connection,
    entries: Sequence[dict[str, Any]],
    lots: Sequence[Sequence[tuple[int, int]]],
    *,
    now_ms: int,
) -> None:
    """Keep what is carried on of the lots that these entries say have lapsed."""
    lapsed = [
        (entry["key"], grant_id, part)
        for entry, parts in zip(entries, lots, strict=True)
        if entry["kind"] == DebitKind.EXPIRE
        for grant_id, part in parts
    ]
    carries.note_lapsed(connection, lapsed, now_ms=now_ms)
