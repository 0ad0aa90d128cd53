"""Debits that SQL orders and the gate carries out: each is a row, written with its cause, and once by its op."""

from collections.abc import Collection, Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    UniqueConstraint,
    or_,
    select,
)

from credits.config.settings import Tenant
from credits.db import RowId, id_column, insert_new, metadata, tenant_column
from credits.ledger.model import DebitKind

commands = Table(
    "commands",
    metadata,
    id_column(),
    tenant_column(),
    Column("account_id", RowId, ForeignKey("accounts.id"), nullable=False),
    # expire, clawback, reset, freeze
    Column("kind", String(16), nullable=False),
    Column("credit_type", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    # The grants to take from; empty: any, in burn order.
    Column("grant_ids", JSON, nullable=False),
    Column("allow_debt", Integer, nullable=False),
    Column("op", String(128), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    # open, done
    Column("state", String(8), nullable=False),
    Column("taken", BigInteger),
    # The line of the gate's journal that carried it out; empty for one that found nothing to take.
    Column("journal_id", String(64)),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("done_at_ms", BigInteger),
    UniqueConstraint("tenant", "op"),
    Index(None, "state", "id"),
    Index(None, "account_id"),
)


def order_command(
    connection: Connection,
    tenant: Tenant,
    account_id: int,
    *,
    kind: DebitKind,
    credit_type: str,
    amount: int,
    grant_ids: Sequence[int],
    allow_debt: bool,
    op: str,
    fingerprint: str,
    actor: str,
    reason: str,
    now_ms: int,
) -> bool:
    """Order a debit of the gate; True if this call wrote the order, False if it was there."""
    row = insert_new(
        connection,
        commands,
        {
            "tenant": tenant,
            "account_id": account_id,
            "kind": kind,
            "credit_type": credit_type,
            "amount": amount,
            "grant_ids": list(grant_ids),
            "allow_debt": int(allow_debt),
            "op": op,
            "fingerprint": fingerprint,
            "actor": actor,
            "reason": reason,
            "state": "open",
            "created_at_ms": now_ms,
        },
        unique=("tenant", "op"),
        returning=("id",),
    )
    return row is not None


def states_of(connection: Connection, account_id: int, op: str) -> list[str]:
    """The states of an account's order of this op, and of those whose ops begin with it and a colon."""
    named = or_(commands.c.op == op, commands.c.op.startswith(f"{op}:", autoescape=True))
    return list(
        connection.execute(select(commands.c.state).where(commands.c.account_id == account_id, named)).scalars()
    )


def resets_done(connection: Connection, account_ids: Collection[int], *, ending: str) -> list[RowMapping]:
    """Orders of single lots' rests that took something, for the reason that their ops end with; the last one last."""
    for_reason = or_(commands.c.op.endswith(f":{ending}"), commands.c.op.contains(f":{ending}:"))
    query = select(commands).where(
        commands.c.account_id.in_(account_ids), commands.c.kind == DebitKind.RESET, commands.c.taken > 0, for_reason
    )
    return list(connection.execute(query.order_by(commands.c.id)).mappings())
