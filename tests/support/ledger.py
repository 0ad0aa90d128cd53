"""What must hold in every ledger at every moment, checked over all of it."""

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from credits.db import snapshot
from credits.ledger.tables import accounts, balances, entries, entry_lots, grants, outbox

_MOVES_OF_OTHERS: Final = (
    select(entry_lots)
    .join(entries, entries.c.id == entry_lots.c.entry_id)
    .join(grants, grants.c.id == entry_lots.c.grant_id)
    .where((grants.c.account_id != entries.c.account_id) | (grants.c.credit_type != entries.c.credit_type))
)


def assert_ledger_is_sound(engine: Engine) -> None:
    """Entries without a gap, sums that agree, lots within their bounds, one number per credit."""
    with snapshot(engine) as connection:
        _assert_entries_add_up(connection)
        _assert_lots_agree(connection)
        _assert_credits_are_numbered(connection)


def balance_of(engine: Engine, account: str, credit_type: str = "image_generation") -> int:
    """The account's balance; 0 if it has none."""
    query = (
        select(balances.c.balance)
        .join(accounts, accounts.c.id == balances.c.account_id)
        .where(accounts.c.external_id == account, balances.c.credit_type == credit_type)
    )
    with snapshot(engine) as connection:
        return connection.execute(query).scalar_one_or_none() or 0


def balances_by_account(engine: Engine) -> dict[tuple[str, str], int]:
    """Every balance by (account, credit type)."""
    query = select(accounts.c.external_id, balances.c.credit_type, balances.c.balance).join(
        balances, accounts.c.id == balances.c.account_id
    )
    with snapshot(engine) as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def _assert_entries_add_up(connection: Connection) -> None:
    stored = {
        (row.account_id, row.credit_type): (row.balance, row.debt, row.seq)
        for row in connection.execute(select(balances))
    }
    by_balance = defaultdict(list)
    for row in connection.execute(select(entries).order_by(entries.c.seq)):
        by_balance[row.account_id, row.credit_type].append(row)
    assert by_balance.keys() == stored.keys()
    for key, rows in by_balance.items():
        running = 0
        for number, row in enumerate(rows, start=1):
            running += row.amount
            assert (row.seq, row.balance_after) == (number, running), f"entry {row.id} of {key}"
        assert stored[key] == (running, rows[-1].debt_after, len(rows)), key


def _assert_lots_agree(connection: Connection) -> None:
    for move in connection.execute(_MOVES_OF_OTHERS):
        raise AssertionError(f"entry {move.entry_id} moved credits of lot {move.grant_id} of another balance")
    sums = select(entry_lots.c.grant_id, func.sum(entry_lots.c.amount)).group_by(entry_lots.c.grant_id)
    left = {row[0]: int(row[1]) for row in connection.execute(sums)}
    remaining: dict[tuple[int, str], int] = defaultdict(int)
    for lot in connection.execute(select(grants)):
        assert 0 <= lot.frozen <= lot.remaining <= lot.amount, f"lot {lot.id}"
        assert left[lot.id] == lot.remaining, f"lot {lot.id}"
        remaining[lot.account_id, lot.credit_type] += lot.remaining
    for row in connection.execute(select(balances)):
        lots = remaining[row.account_id, row.credit_type]
        said = f"account {row.account_id}: balance {row.balance}, lots {lots}, debt {row.debt} of {row.credit_type}"
        assert row.balance == lots - row.debt, said


def _assert_credits_are_numbered(connection: Connection) -> None:
    numbers = defaultdict(list)
    for row in connection.execute(select(outbox).order_by(outbox.c.sv)):
        numbers[row.account_id].append(row.sv)
    for account in connection.execute(select(accounts)):
        # Those that wait for the gate: the last ones, without a gap.
        waiting = numbers[account.id]
        assert waiting == list(range(account.sv - len(waiting) + 1, account.sv + 1)), f"account {account.id}"
