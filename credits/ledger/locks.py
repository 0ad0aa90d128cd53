"""Locks of accounts: always in the order of their ids, so that no two writers wait for each other in a circle."""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, select

from credits.config.settings import Tenant
from credits.ledger.tables import accounts

# NO KEY, as in lock_account: rows that point at an account may still be inserted.
_LOCK_ACCOUNTS: Final = (
    select(accounts.c.id, accounts.c.sv)
    .where(accounts.c.id.in_(bindparam("account_ids", expanding=True)))
    .order_by(accounts.c.id)
    .with_for_update(key_share=True)
)
_LOCK_NAMED: Final = (
    select(accounts.c.id)
    .where(
        accounts.c.tenant.in_(bindparam("tenants", expanding=True)),
        accounts.c.external_id.in_(bindparam("external_ids", expanding=True)),
    )
    .order_by(accounts.c.id)
    .with_for_update(key_share=True)
)


def lock_accounts(connection: Connection, account_ids: Iterable[int]) -> dict[int, int]:
    """
    Lock account rows until the transaction ends; answers the number of each one's last credit.

    Always in the order of their ids, so that two writers of the same accounts never wait for each other in a circle.
    (SQLite has one writer at a time and needs no row locks.)
    """
    rows = connection.execute(_LOCK_ACCOUNTS, {"account_ids": sorted(account_ids)})
    return {row.id: row.sv for row in rows}


def lock_named(connection: Connection, names: Collection[tuple[Tenant, str]]) -> None:
    """
    Lock those of these accounts that exist, as `lock_accounts` does; one of the same name in another tenant may go
    with them.
    """
    if names and connection.dialect.name != "sqlite":
        tenants, external_ids = ({pair[at] for pair in names} for at in (0, 1))
        connection.execute(_LOCK_NAMED, {"tenants": sorted(tenants), "external_ids": sorted(external_ids)})
