"""Payments that come in one message share a transaction, and none of them pays for what is wrong with another."""

from sqlalchemy import Engine, event, func, select

from credits.allocation.service import process_events
from credits.db import snapshot
from credits.inbox.model import EventState
from credits.inbox.tables import events
from tests.support.ledger import assert_ledger_is_sound, balances_by_account
from tests.support.pipeline import Pipeline

AMOUNT = 100


def test_payments_of_one_message_are_credited_by_one_commit(pipeline: Pipeline, engine: Engine) -> None:
    ids = [_pay(pipeline, f"user_{number}") for number in (3, 1, 2, 1)]
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)

    process_events(pipeline.runtime, ids)

    # One for the claim, one for all that the events led to.
    assert len(commits) == 2
    assert balances_by_account(engine) == {
        ("user_1", "image_generation"): 2 * AMOUNT,
        ("user_2", "image_generation"): AMOUNT,
        ("user_3", "image_generation"): AMOUNT,
    }
    assert _states(engine) == {EventState.DONE: 4}
    assert_ledger_is_sound(engine)


def test_a_payment_that_cannot_be_credited_takes_no_other_with_it(pipeline: Pipeline, engine: Engine) -> None:
    good = [_pay(pipeline, f"user_{number}") for number in (1, 2)]
    bad = pipeline.deliver("purchase.paid", account="user_3", payment="bad", delivery="bad", credit_type="no_such_type")

    process_events(pipeline.runtime, [*good, bad])

    assert balances_by_account(engine) == {(f"user_{n}", "image_generation"): AMOUNT for n in (1, 2)}
    assert _states(engine) == {EventState.DONE: 2, EventState.FAILED: 1}
    assert_ledger_is_sound(engine)


def test_one_payment_told_twice_in_one_message_is_credited_once(pipeline: Pipeline, engine: Engine) -> None:
    ids = [
        pipeline.deliver("purchase.paid", account="user_1", payment="same", delivery=f"delivery-{number}")
        for number in (1, 2)
    ]

    process_events(pipeline.runtime, ids)

    assert balances_by_account(engine) == {("user_1", "image_generation"): AMOUNT}
    assert _states(engine) == {EventState.DONE: 2}
    assert_ledger_is_sound(engine)


def test_a_subscription_and_its_payment_share_a_commit_whichever_comes_first(
    pipeline: Pipeline, engine: Engine
) -> None:
    said = {"account": "user_1", "product_id": "pro", "credit_type": None, "amount": None}
    ids = [
        pipeline.deliver(event_type, delivery=event_type, payment="first", **said)
        for event_type in ("plan.paid", "subscription.seen", "customer.linked")
    ]
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)

    process_events(pipeline.runtime, ids)

    assert len(commits) == 2
    assert _states(engine) == {EventState.DONE: 3}
    assert set(balances_by_account(engine)) == {("user_1", "image_generation"), ("user_1", "tokens")}
    assert_ledger_is_sound(engine)


def _pay(pipeline: Pipeline, account: str) -> int:
    number = _count(pipeline.runtime.engine)
    return pipeline.deliver("purchase.paid", account=account, payment=f"payment-{number}", delivery=f"event-{number}")


def _count(engine: Engine) -> int:
    with snapshot(engine) as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def _states(engine: Engine) -> dict[str, int]:
    with snapshot(engine) as connection:
        rows = connection.execute(select(events.c.state, func.count().label("number")).group_by(events.c.state))
        return {row.state: row.number for row in rows}
