"""Deductions by hand: through the gate, once per key, with who and why in the ledger."""

from typing import Any

import pytest
from sqlalchemy import insert

from credits.config.settings import Tenant
from credits.db import transaction
from credits.errors import IdempotencyConflictError, InsufficientCreditsError, InvalidInputError
from credits.ids import digest
from credits.ledger.tables import balances, entries, entry_lots, grants
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import OTHER, TYPE, Shop, figures


def test_a_deduction_answers_its_entry_and_says_who_and_why(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")

    posted = library.deduct("user_1", TYPE, 30, key="job|7;=", reason="rendered | by hand;\n=", actor="operator:ada")

    (row, _) = library.entries("user_1")
    assert (posted.seq, posted.amount, posted.balance_after, posted.replayed) == (2, -30, 70, False)
    assert (row["kind"], row["actor"], row["reason"]) == ("deduct", "operator:ada", "rendered | by hand;\n=")
    assert row["reservation_id"] == "job|7;="
    assert_ledger_is_sound(shop.engine)


def test_credits_that_are_held_are_not_deducted(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.reserve("user_1", image_generation=80)

    with pytest.raises(InsufficientCreditsError, match="21 needed, 20 available"):
        library.deduct("user_1", TYPE, 21, key="b")

    assert figures(library, "user_1") == (100, 80, 0, 20, 0)


@pytest.mark.parametrize("change", [{"account": "user_2"}, {"credit_type": OTHER}, {"amount": 31}])
def test_a_key_deducts_once_whatever_it_comes_with_the_second_time(shop: Shop, change: dict[str, object]) -> None:
    library = shop.process()
    for account in ("user_1", "user_2"):
        library.add(account, TYPE, 100, key=f"{account}-1")
        library.add(account, OTHER, 100, key=f"{account}-2")
    said: dict[str, Any] = {"account": "user_1", "credit_type": TYPE, "amount": 30}
    library.deduct(**said, key="k")

    with pytest.raises(IdempotencyConflictError, match="deduct of 30 image_generation for user_1"):
        library.deduct(**{**said, **change}, key="k")

    assert figures(library, "user_1") == (70, 0, 0, 70, 0)


def test_the_key_of_a_grant_is_a_conflict(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")

    with pytest.raises(IdempotencyConflictError, match="grant of 100"):
        library.deduct("user_1", TYPE, 100, key="a")


def test_a_deduction_made_before_there_was_a_gate_is_not_made_again(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    _deduct_as_it_used_to_be(shop, 30, key="old")

    again = library.deduct("user_1", TYPE, 30, key="old")

    assert (again.replayed, again.seq, again.amount, again.balance_after) == (True, 2, -30, 70)
    with pytest.raises(IdempotencyConflictError):
        library.deduct("user_1", TYPE, 31, key="old")


def test_an_actor_with_control_characters_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidInputError, match="actor"):
        shop.process().deduct("user_1", TYPE, 1, key="k", actor="ada\x1froot")


def _deduct_as_it_used_to_be(shop: Shop, amount: int, *, key: str) -> None:
    with transaction(shop.engine) as connection:
        (account_id,) = connection.execute(balances.select().with_only_columns(balances.c.account_id)).one()
        (grant_id,) = connection.execute(grants.select().with_only_columns(grants.c.id)).one()
        entry_id = connection.execute(
            insert(entries)
            .values(
                tenant=Tenant.SANDBOX,
                account_id=account_id,
                credit_type=TYPE,
                seq=2,
                kind="deduct",
                amount=-amount,
                balance_after=100 - amount,
                debt_after=0,
                key=f"manual:{key}",
                fingerprint=digest("deduct", "user_1", TYPE, amount),
                actor="app",
                reason="",
                meta={},
                at_ms=0,
            )
            .returning(entries.c.id)
        ).scalar_one()
        connection.execute(
            insert(entry_lots).values(entry_id=entry_id, grant_id=grant_id, tenant=Tenant.SANDBOX, amount=-amount)
        )
        connection.execute(grants.update().values(remaining=100 - amount))
        connection.execute(balances.update().values(balance=100 - amount, seq=2))
