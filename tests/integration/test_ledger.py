"""The ledger: entries that add up, keys that answer once, lots that burn in order, bounds that hold."""

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import (
    BalanceLimitError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    UnknownCreditTypeError,
    UnknownPlanError,
)
from credits.ledger.locks import lock_accounts
from credits.ledger.store import ensure_account
from credits.ledger.tables import entries, entry_lots, grants
from credits.plans.store import link_customer
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline

TYPE = "image_generation"
DAY_MS = 86_400_000
HIGHEST = 2**53 - 1


@pytest.fixture(autouse=True)
def _sound_afterwards(pipeline: Pipeline) -> Any:
    yield
    assert_ledger_is_sound(pipeline.runtime.engine)


def test_entries_are_numbered_without_a_gap_and_carry_the_balance_after_them(pipeline: Pipeline) -> None:
    library = pipeline.credits

    library.add("user_1", TYPE, 100, key="a")
    library.deduct("user_1", TYPE, 30, key="b")
    library.add("user_1", "tokens", 7, key="c")
    library.add("user_1", TYPE, 5, key="d")

    shown = [(row["credit_type"], row["seq"], row["amount"], row["balance_after"]) for row in library.entries("user_1")]
    assert shown == [(TYPE, 3, 5, 75), ("tokens", 1, 7, 7), (TYPE, 2, -30, 70), (TYPE, 1, 100, 100)]


def test_entries_are_never_changed_or_deleted(pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="a")

    for change in (entries.update().values(amount=1), entries.delete()):
        with pytest.raises(DBAPIError, match="never changed"), transaction(pipeline.runtime.engine) as connection:
            connection.execute(change)


def test_the_same_key_with_the_same_content_answers_as_the_first_time(pipeline: Pipeline) -> None:
    library = pipeline.credits

    first = [library.add("user_1", TYPE, 100, key="a"), library.deduct("user_1", TYPE, 100, key="b")]
    again = [library.add("user_1", TYPE, 100, key="a"), library.deduct("user_1", TYPE, 100, key="b")]

    assert [one.replayed for one in first + again] == [False, False, True, True]
    assert [(one.seq, one.amount, one.balance_after) for one in first] == [
        (one.seq, one.amount, one.balance_after) for one in again
    ]
    assert pipeline.balance("user_1") == 0


def test_the_same_account_in_another_normal_form_is_the_same_content(pipeline: Pipeline) -> None:
    library = pipeline.credits
    library.add("Zo\u00eb", TYPE, 100, key="a")
    library.deduct("Zo\u00eb", TYPE, 40, key="b")

    added = library.add("Zoe\u0308", TYPE, 100, key="a")
    deducted = library.deduct("Zoe\u0308", TYPE, 40, key="b")

    assert added.replayed
    assert deducted.replayed


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({"amount": 101}, "grant of 101 image_generation for user_1"),
        ({"account": "user_2"}, "grant of 100 image_generation for user_2"),
        ({"credit_type": "tokens"}, "grant of 100 tokens for user_1"),
        ({"expires_at_ms": NOON_MS + DAY_MS}, "grant of 100 image_generation for user_1 with another expiry"),
    ],
    ids=["amount", "account", "type", "expiry"],
)
def test_the_same_key_with_other_content_is_a_conflict_and_changes_nothing(
    pipeline: Pipeline, change: dict[str, Any], now: str
) -> None:
    said: dict[str, Any] = {"account": "user_1", "credit_type": TYPE, "amount": 100}
    pipeline.credits.add(**said, key="a")

    with pytest.raises(IdempotencyConflictError, match=f"100 image_generation for user_1; now it came with {now}$"):
        pipeline.credits.add(**{**said, **change}, key="a")

    assert len(pipeline.posted()) == 1


@pytest.mark.parametrize("account", ["user_1", "user_2", "never_heard_of"])
def test_a_deduction_under_a_key_used_for_something_else_is_a_conflict(pipeline: Pipeline, account: str) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, 100, key="a")
    library.add("user_2", TYPE, 100, key="b")

    with pytest.raises(IdempotencyConflictError):
        library.deduct(account, TYPE, 100, key="a")

    assert len(pipeline.posted()) == 2


def test_one_key_may_be_used_once_by_each_tenant(pipeline: Pipeline) -> None:
    live = Pipeline(runtime=pipeline.runtime, tenant=Tenant.LIVE)

    pipeline.credits.add("user_1", TYPE, 1, key="a")
    live.credits.add("user_1", TYPE, 20, key="a")

    assert (pipeline.balance("user_1"), live.balance("user_1")) == (1, 20)


def test_a_key_of_the_apps_own_cannot_collide_with_a_payments(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid")
    (_, payment_key, _, _) = next(iter(pipeline.posted()))

    posted = pipeline.credits.add("user_1", TYPE, 5, key=payment_key)

    assert not posted.replayed
    assert pipeline.balance("user_1") == 105


def test_a_refused_deduction_takes_nothing_and_its_key_may_be_used_after_a_top_up(pipeline: Pipeline) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, 10, key="a")

    with pytest.raises(InsufficientCreditsError, match="11 needed, 10 available"):
        library.deduct("user_1", TYPE, 11, key="b")
    library.add("user_1", TYPE, 1, key="c")
    library.deduct("user_1", TYPE, 11, key="b")

    assert pipeline.balance("user_1") == 0


def test_an_account_nobody_knows_has_nothing_to_deduct(pipeline: Pipeline) -> None:
    with pytest.raises(InsufficientCreditsError, match="1 needed, 0 available"):
        pipeline.credits.deduct("nobody", TYPE, 1, key="a")

    assert pipeline.credits.balances("nobody") == {}


def test_debt_is_repaid_first_by_the_next_grant(pipeline: Pipeline) -> None:
    pipeline.owe("user_1", TYPE, 30)

    posted = pipeline.credits.add("user_1", TYPE, 100, key="a")

    balance = pipeline.credits.balances("user_1")[TYPE]
    assert posted.balance_after == 70
    assert (balance.balance, balance.available, balance.debt) == (70, 70, 0)
    assert [row["remaining"] for row in pipeline.credits.grants("user_1")] == [70]


def test_a_grant_smaller_than_the_debt_repays_a_part_and_nothing_can_be_spent(pipeline: Pipeline) -> None:
    pipeline.owe("user_1", TYPE, 30)

    pipeline.credits.add("user_1", TYPE, 10, key="a")

    balance = pipeline.credits.balances("user_1")[TYPE]
    assert (balance.balance, balance.available, balance.debt) == (-20, 0, 20)
    with pytest.raises(InsufficientCreditsError):
        pipeline.credits.deduct("user_1", TYPE, 1, key="b")


def test_expired_credits_cannot_be_spent_though_no_sweep_ran(pipeline: Pipeline, clock: VirtualClock) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, 100, key="a", expires_at_ms=clock() + 1000)
    library.add("user_1", TYPE, 5, key="b")

    clock.advance_ms(999)
    last_moment = library.balances("user_1")[TYPE].available
    clock.advance_ms(1)
    at_expiry = library.balances("user_1")[TYPE]

    assert last_moment == 105
    assert (at_expiry.balance, at_expiry.available) == (105, 5)
    with pytest.raises(InsufficientCreditsError, match="6 needed, 5 available"):
        library.deduct("user_1", TYPE, 6, key="c")


def test_credits_that_would_lapse_at_once_are_refused_and_those_granted_before_are_answered_again(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    library, over_at_ms = pipeline.credits, clock() + 1000
    first = library.add("user_1", TYPE, 100, key="a", expires_at_ms=over_at_ms)
    clock.advance_ms(1000)

    again = library.add("user_1", TYPE, 100, key="a", expires_at_ms=over_at_ms)
    with pytest.raises(InvalidInputError, match=r"expires_at: must lie ahead, got .*; leave it out"):
        library.add("user_1", TYPE, 100, key="b", expires_at_ms=over_at_ms)

    assert (first.replayed, again.replayed, again.seq) == (False, True, first.seq)
    assert [row["key"] for row in library.entries("user_1")] == ["manual:a"]


def test_a_conflict_names_the_key_as_its_caller_did(pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="g9")

    with pytest.raises(IdempotencyConflictError, match=r"^key 'g9' was used before") as conflict:
        pipeline.credits.add("user_1", TYPE, 101, key="g9")

    assert conflict.value.key == "g9"


def test_frozen_credits_cannot_be_spent(pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="a")
    with transaction(pipeline.runtime.engine) as connection:
        connection.execute(grants.update().values(frozen=60))

    with pytest.raises(InsufficientCreditsError, match="41 needed, 40 available"):
        pipeline.credits.deduct("user_1", TYPE, 41, key="b")

    assert pipeline.credits.balances("user_1")[TYPE].available == 40


def test_credits_burn_by_priority_then_expiry_then_free_before_paid_then_age(pipeline: Pipeline) -> None:
    pipeline.receive("purchase.paid", amount=8)
    pipeline.receive("plan.paid", product_id="pro", delivery="plan", credit_type=None, amount=None)
    library = pipeline.credits
    library.add("user_1", TYPE, 1, key="never")
    library.add("user_1", TYPE, 2, key="late", expires_at_ms=NOON_MS + 2 * DAY_MS)
    library.add("user_1", TYPE, 4, key="soon", expires_at_ms=NOON_MS + DAY_MS)

    for number, amount in enumerate((4, 2, 1, 1000, 8)):
        library.deduct("user_1", TYPE, amount, key=f"spend-{number}")

    assert emptied(pipeline) == ["manual:soon", "manual:late", "manual:never", "plan", "purchase"]


def test_a_balance_of_the_past_is_what_it_was_then(pipeline: Pipeline, clock: VirtualClock) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, 100, key="a", expires_at_ms=NOON_MS + 10 * DAY_MS)
    clock.advance_ms(DAY_MS)
    library.deduct("user_1", TYPE, 40, key="b")
    clock.advance_ms(30 * DAY_MS)

    before = library.balances("user_1", at_ms=NOON_MS - 1)
    then = library.balances("user_1", at_ms=NOON_MS)[TYPE]
    later = library.balances("user_1", at_ms=NOON_MS + DAY_MS)[TYPE]

    assert before == {}
    assert (then.balance, then.available) == (100, 100)
    assert (later.balance, later.available) == (60, 60)
    assert library.balances("user_1")[TYPE].available == 0


def test_a_balance_reaches_its_bound_and_never_passes_it(pipeline: Pipeline) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, HIGHEST, key="a")

    with pytest.raises(BalanceLimitError):
        library.add("user_1", TYPE, 1, key="b")

    assert pipeline.balance("user_1") == HIGHEST
    assert len(pipeline.posted()) == 1


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": HIGHEST + 1}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"account": ""}, "account"),
        ({"account": "a\x00b"}, "account"),
        ({"account": "a\ud800"}, "account"),
        ({"account": "a\n"}, "account"),
        ({"key": ""}, "key"),
        ({"key": "k" * 201}, "key"),
        ({"reason": "r" * 501}, "reason"),
        ({"reason": "\x00"}, "reason"),
        ({"actor": "a" * 201}, "actor"),
        ({"expires_at_ms": 10**15}, "expires_at"),
        ({"expires_at_ms": -1}, "expires_at"),
    ],
)
def test_input_outside_its_bounds_is_refused_by_name(pipeline: Pipeline, said: dict[str, Any], field: str) -> None:
    order: dict[str, Any] = {"account": "user_1", "credit_type": TYPE, "amount": 1, "key": "a"}

    with pytest.raises(InvalidInputError) as refused:
        pipeline.credits.add(**{**order, **said})

    assert refused.value.field == field
    assert pipeline.posted() == set()


def test_a_credit_type_or_plan_that_is_not_declared_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownCreditTypeError, match="image_generation, tokens"):
        pipeline.credits.add("user_1", "gold", 1, key="a")
    with pytest.raises(UnknownPlanError, match="pro"):
        pipeline.credits.allocate_plan("user_1", "gold", payment_id="p")


def test_a_plan_is_allocated_once_per_payment(pipeline: Pipeline, clock: VirtualClock) -> None:
    pipeline.credits.allocate_plan("user_1", "pro", payment_id="p" * 200)
    clock.advance_ms(60_000)
    again = pipeline.credits.allocate_plan("user_1", "pro", payment_id="p" * 200)

    assert all(one.replayed for one in again)
    assert (pipeline.balance("user_1"), pipeline.balance("user_1", "tokens")) == (1000, 50_000)


@pytest.mark.parametrize("change", [{"plan": "team"}, {"account": "user_2"}, {"period_ends_at_ms": NOON_MS + 1}])
def test_a_payment_that_allocated_one_plan_is_a_conflict_with_anything_else(
    pipeline: Pipeline, change: dict[str, Any]
) -> None:
    pipeline.credits.allocate_plan("user_1", "pro", payment_id="p")

    with pytest.raises(IdempotencyConflictError):
        pipeline.credits.allocate_plan(**{"account": "user_1", "plan": "pro", "payment_id": "p", **change})

    assert len(pipeline.posted()) == 2


@pytest.mark.parametrize("limit", [0, -1, 1_000_000])
def test_a_page_has_a_limit(pipeline: Pipeline, limit: int) -> None:
    for read in (pipeline.credits.entries, pipeline.credits.grants):
        with pytest.raises(InvalidInputError, match="limit"):
            read("user_1", limit=limit)


def test_pages_go_on_where_the_last_one_ended(pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.credits.add("user_1", TYPE, 1, key=str(number))

    first = pipeline.credits.entries("user_1", limit=3)
    second = pipeline.credits.entries("user_1", limit=3, before_id=first[-1]["id"])

    assert [row["seq"] for row in first + second] == [5, 4, 3, 2, 1]


# SQLite has one writer at a time.
@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_two_writers_that_each_link_a_customer_to_one_account_do_not_wait_for_each_other(pipeline: Pipeline) -> None:
    """A payment links its customer, then locks its account: were the lock exclusive, two of them would deadlock."""
    engine, tenant = pipeline.runtime.engine, pipeline.tenant
    with transaction(engine) as connection:
        account_id = ensure_account(connection, tenant, "user_1", 0)

    with transaction(engine) as one, transaction(engine) as other:
        link_customer(one, tenant, "fake", "customer-1", account_id, 0)
        link_customer(other, tenant, "fake", "customer-2", account_id, 0)
        one.execute(text("SET LOCAL lock_timeout = '500ms'"))
        locked = lock_accounts(one, [account_id])

    assert locked == {account_id: 0}


def emptied(pipeline: Pipeline) -> list[str]:
    """The lots of user_1 in the order in which deductions took all that was in them."""
    query = (
        select(grants.c.key, grants.c.source)
        .join(entry_lots, entry_lots.c.grant_id == grants.c.id)
        .where(entry_lots.c.amount == -grants.c.amount)
        .order_by(entry_lots.c.entry_id)
    )
    with snapshot(pipeline.runtime.engine) as connection:
        return [row.key if row.source == "manual" else row.source for row in connection.execute(query)]
