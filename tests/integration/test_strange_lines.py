"""Lines of the journal that do not fit the ledger: of another database's gate, or of one from before a restore."""

import pytest
from sqlalchemy import Engine, select

from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.engine import Credits
from credits.ledger.model import DebitKind
from credits.ledger.store import find_account
from credits.ledger.tables import entries, grants
from credits.reservations import store
from credits.reservations.booking import SUSPENSE, book
from credits.reservations.journal import Debit
from credits.reservations.keys import shard_of
from tests.support.ledger import assert_ledger_is_sound, balances_by_account
from tests.support.library import OTHER, TYPE, Shop


@pytest.fixture
def three_lots(shop: Shop) -> Credits:
    """Of two accounts, and of two types of one of them."""
    credits_ = shop.process()
    credits_.add("ada", TYPE, 100, key="ada's")
    credits_.add("ada", OTHER, 100, key="ada's others")
    credits_.add("ben", TYPE, 100, key="ben's")
    credits_.close_gate()
    return credits_


@pytest.mark.usefixtures("three_lots")
def test_a_line_takes_only_from_lots_of_its_account_and_type(engine: Engine) -> None:
    own, *others = _lots(engine)

    for number, lot in enumerate([*others, others[-1] + 1]):
        _book(engine, "ada", f"line {number}", lots={own: 2, lot: 3})

    assert _lots(engine) == {own: 100 - 3 * 2, others[0]: 100, others[1]: 100}
    assert balances_by_account(engine) == {("ada", TYPE): 100 - 3 * 5, ("ada", OTHER): 100, ("ben", TYPE): 100}
    assert_ledger_is_sound(engine)


@pytest.mark.usefixtures("three_lots")
def test_what_a_line_took_of_lots_of_others_is_suspense_that_is_owed(engine: Engine) -> None:
    _, _, bens = _lots(engine)

    _book(engine, "ada", "a line", lots={bens: 3})

    query = select(entries.c.kind, entries.c.amount, entries.c.balance_after, entries.c.debt_after)
    with snapshot(engine) as connection:
        last = connection.execute(query.order_by(entries.c.id.desc()).limit(1)).one()
    assert tuple(last) == (SUSPENSE, -3, 97, 3)


def _lots(engine: Engine) -> dict[int, int]:
    """What is left by lot, in the order in which they were granted."""
    with snapshot(engine) as connection:
        rows = connection.execute(select(grants.c.id, grants.c.remaining).order_by(grants.c.id))
        return {row.id: row.remaining for row in rows}


def _book(engine: Engine, account: str, op: str, *, lots: dict[int, int]) -> None:
    with transaction(engine) as connection:
        account_id = find_account(connection, Tenant.SANDBOX, account)
        assert account_id is not None
        shard = shard_of(account_id)
        debit = Debit(
            journal_id=f"1-{op}",
            stream_id=op,
            account_id=account_id,
            op=op,
            kind=DebitKind.SPEND,
            fingerprint="ab",
            reservation_id=op,
            actor="gate",
            reason="",
            credit_type=TYPE,
            amount=sum(lots.values()),
            debt=0,
            lots=tuple(lots.items()),
        )
        book(connection, {shard: store.read_epoch(connection, shard)}, [debit], now_ms=1_800_000_000_000)
