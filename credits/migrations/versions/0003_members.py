"""
Members: limits, what each has used, and the account's time zone.

Names of keys, constraints and indexes follow the naming convention in credits.db.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_IS_MEMBERS = sa.text("member IS NOT NULL")


def upgrade() -> None:
    """Add members' tables, and to entries when the gate spent."""
    op.add_column("accounts", sa.Column("mv", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("accounts", sa.Column("time_zone", sa.String(64), nullable=False, server_default="UTC"))
    op.add_column("entries", sa.Column("spent_at_ms", sa.BigInteger()))
    op.create_index(
        "ix_entries_member",
        "entries",
        ["account_id", "member", "spent_at_ms"],
        sqlite_where=_IS_MEMBERS,
        postgresql_where=_IS_MEMBERS,
    )
    op.create_table(
        "member_limits",
        *_member(sa.Column("per", sa.String(8), primary_key=True)),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("raised_to", sa.BigInteger()),
        sa.Column("raised_until_ms", sa.BigInteger()),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount >= 0", name="amount_not_negative"),
        sa.CheckConstraint("(raised_to IS NULL) = (raised_until_ms IS NULL)", name="raised_until"),
    )
    op.create_table("member_usage", *_member(), sa.Column("used", sa.BigInteger(), nullable=False))
    op.create_table(
        "member_changes",
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("mv", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("tenant", sa.String(8), nullable=False),
        sa.Column("member", sa.String(200)),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop limits and usage. Entries keep whose they were."""
    op.drop_table("member_changes")
    op.drop_table("member_usage")
    op.drop_table("member_limits")
    op.drop_index("ix_entries_member", "entries")
    op.drop_column("entries", "spent_at_ms")
    op.drop_column("accounts", "time_zone")
    op.drop_column("accounts", "mv")


def _member(*more: sa.Column[str]) -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("account_id", _ROW_ID, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("member", sa.String(200), primary_key=True),
        sa.Column("credit_type", sa.String(64), primary_key=True),
        *more,
        sa.Column("tenant", sa.String(8), nullable=False),
    )
