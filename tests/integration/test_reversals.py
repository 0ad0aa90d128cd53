"""Refunds and disputes: what they take, freeze and give back, through the gate, on both databases."""

import pytest

from credits.config.shortfall import Shortfall
from credits.db import snapshot, transaction
from credits.errors import AccountBlockedError, EventActionError
from credits.reservations.commands import run_command
from credits.reservations.steps import run
from credits.reservations.store import open_commands
from credits.reversals import blocks
from credits.reversals.preview import preview_refund
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import OPERATOR, Pipeline
from tests.support.reversals import Till, till


@pytest.fixture
def bank(pipeline: Pipeline) -> Till:
    """A till whose clawbacks leave debts."""
    return till(pipeline)


def test_a_partial_refund_takes_its_share_and_a_second_one_the_next(bank: Till) -> None:
    bank.paid(amount=100, minor=1000)

    bank.refunded(300, name="r1")
    first = bank.figures()
    bank.refunded(700, name="r2")

    assert first == {"balance": 70, "available": 70}
    assert bank.figures() == {}
    assert bank.history() == [("grant", 100), ("clawback", -30), ("clawback", -70)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_what_was_spent_before_the_refund_is_owed_and_the_next_grant_repays_it(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=40, key="s")

    bank.refunded(1000)
    owed = bank.figures()
    bank.paid("p2", amount=100)

    assert owed == {"balance": -40, "debt": 40}
    assert bank.figures() == {"balance": 60, "available": 60}
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_a_refund_that_fails_gives_its_credits_back(bank: Till) -> None:
    bank.paid()
    bank.refunded(500)

    bank.refunded(500, failed=True)

    assert bank.figures() == {"balance": 100, "available": 100}
    assert bank.history() == [("grant", 100), ("clawback", -50), ("restore", 50)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_an_open_dispute_freezes_what_is_unspent_and_a_won_one_sets_it_free(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=40, key="s")

    bank.disputed("opened")
    disputed = bank.figures()
    bank.disputed("won")

    assert disputed == {"balance": 60}
    assert bank.figures() == {"balance": 60, "available": 60}
    assert bank.frozen() == 0
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_a_lost_dispute_takes_what_was_frozen_and_owes_what_was_spent(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=40, key="s")
    bank.disputed("opened")

    bank.disputed("lost")

    assert bank.figures() == {"balance": -40, "debt": 40}
    assert bank.history() == [("grant", 100), ("spend", -40), ("clawback", -60), ("clawback", -40)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_a_refund_before_its_payment_waits_and_takes_its_share_when_that_comes(bank: Till) -> None:
    early = bank.refunded(500)
    assert (early["state"], early["code"]) == ("waiting", "payment_unknown")

    bank.paid()

    assert bank.pipeline.event(early["id"])["state"] == "done"
    assert bank.figures() == {"balance": 50, "available": 50}
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_after_a_full_refund_a_dispute_finds_nothing_to_take(bank: Till) -> None:
    bank.paid()
    bank.refunded(1000)

    bank.disputed("opened")
    bank.disputed("lost")

    assert bank.history() == [("grant", 100), ("clawback", -100)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_a_won_dispute_after_a_partial_refund_restores_only_its_own_part(bank: Till) -> None:
    bank.paid()
    bank.refunded(300)
    bank.disputed("opened")
    bank.disputed("lost")

    bank.disputed("won")

    assert bank.figures() == {"balance": 70, "available": 70}
    assert bank.history() == [("grant", 100), ("clawback", -30), ("clawback", -70), ("restore", 70)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_held_credits_stay_with_their_job_and_are_taken_when_it_ends(bank: Till) -> None:
    bank.paid()
    hold = bank.pipeline.credits.reserve("user_1", image_generation=100, ttl_s=60)

    bank.refunded(1000)
    held = bank.figures()
    hold.release()
    bank.look_again()

    assert held == {"balance": 100, "held": 100}
    assert bank.figures() == {}
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_held_credits_that_are_spent_after_the_refund_are_owed(bank: Till) -> None:
    bank.paid()
    hold = bank.pipeline.credits.reserve("user_1", image_generation=100, ttl_s=60)
    bank.refunded(1000)

    hold.commit(image_generation=70)
    bank.look_again()

    assert bank.figures() == {"balance": -70, "debt": 70}
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_clamp_forgives_what_had_been_spent_but_not_what_is_spent_afterwards(pipeline: Pipeline) -> None:
    clamped = till(pipeline, shortfall=Shortfall.CLAMP)
    clamped.paid()
    clamped.pipeline.credits.spend("user_1", image_generation=40, key="s")
    hold = clamped.pipeline.credits.reserve("user_1", image_generation=50, ttl_s=60)

    clamped.refunded(1000)
    hold.commit()
    clamped.look_again()

    assert clamped.figures() == {"balance": -50, "debt": 50}
    assert_ledger_is_sound(clamped.pipeline.runtime.engine)


def test_credits_that_lapsed_unused_are_not_taken_a_second_time(bank: Till) -> None:
    """Spent credits expire again (fountain #1126): what is gone is gone once."""
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=40, key="s")
    bank.lapse()

    bank.refunded(1000)

    assert bank.history() == [("grant", 100), ("spend", -40), ("expire", -60), ("clawback", -40)]
    assert_ledger_is_sound(bank.pipeline.runtime.engine)


def test_a_blocked_account_reserves_nothing_until_it_has_repaid(pipeline: Pipeline) -> None:
    blocking = till(pipeline, shortfall=Shortfall.BLOCK)
    blocking.paid()
    blocking.pipeline.credits.add("user_1", "tokens", 50, key="t")
    blocking.pipeline.credits.spend("user_1", image_generation=40, key="s")
    blocking.refunded(1000)

    with pytest.raises(AccountBlockedError) as refused:
        blocking.pipeline.credits.reserve("user_1", tokens=1)
    with pytest.raises(AccountBlockedError):
        blocking.pipeline.credits.spend("user_1", tokens=1, key="t2")
    blocking.paid("p2", amount=40)

    assert (refused.value.credit_type, refused.value.debt) == ("image_generation", 40)
    assert "fake:refund:r" in refused.value.reason
    blocking.pipeline.credits.reserve("user_1", tokens=1)
    assert_ledger_is_sound(blocking.pipeline.runtime.engine)


def test_an_operator_lifts_a_block_and_the_debt_stays(pipeline: Pipeline) -> None:
    blocking = till(pipeline, shortfall=Shortfall.BLOCK)
    blocking.paid()
    blocking.pipeline.credits.add("user_1", "tokens", 50, key="t")
    blocking.pipeline.credits.spend("user_1", image_generation=100, key="s")
    blocking.refunded(1000)

    with transaction(pipeline.runtime.engine) as connection:
        lifted = blocks.unblock(connection, pipeline.tenant, "user_1", OPERATOR, now_ms=pipeline.runtime.clock())

    assert (lifted.credit_type, lifted.debt) == ("image_generation", 100)
    blocking.pipeline.credits.reserve("user_1", tokens=1)
    assert blocking.figures() == {"balance": -100, "debt": 100}
    with transaction(pipeline.runtime.engine) as connection, pytest.raises(EventActionError):
        blocks.unblock(connection, pipeline.tenant, "user_1", OPERATOR, now_ms=pipeline.runtime.clock())


@pytest.mark.parametrize("policy", list(Shortfall))
@pytest.mark.parametrize("spent", [0, 60, 100])
@pytest.mark.parametrize("refunded_minor", [250, 1000])
def test_a_preview_foretells_each_entry_of_a_refund_under_each_policy(
    pipeline: Pipeline, policy: Shortfall, spent: int, refunded_minor: int
) -> None:
    bank = till(pipeline, shortfall=policy)
    bank.paid()
    if spent:
        bank.pipeline.credits.spend("user_1", image_generation=spent, key="s")
        bank.settle()
    before, name = bank.history(), bank.payment_name()

    with snapshot(bank.pipeline.runtime.engine) as connection:
        of = {"account": "user_1", "payment": name, "refunded_minor": refunded_minor}
        preview = preview_refund(connection, bank.pipeline.tenant, bank.pipeline.runtime.catalogue, **of)
    bank.refunded(refunded_minor)

    foretold = preview.balances["image_generation"][1]
    assert [(entry.kind, entry.amount) for entry in preview.entries] == bank.history()[len(before) :]
    assert {name: value for name, value in foretold.items() if value} == {
        name: value for name, value in bank.figures().items() if name in foretold
    }


def test_a_preview_says_what_a_refund_then_does_and_changes_nothing(bank: Till) -> None:
    bank.paid()
    bank.pipeline.credits.spend("user_1", image_generation=40, key="s")
    bank.refunded(200)
    engine, name = bank.pipeline.runtime.engine, bank.payment_name()
    before = bank.history()

    with snapshot(engine) as connection:
        catalogue, tenant = bank.pipeline.runtime.catalogue, bank.pipeline.tenant
        preview = preview_refund(connection, tenant, catalogue, account="user_1", payment=name, refunded_minor=800)
    unchanged = bank.history()
    bank.refunded(800, name="r2")

    assert unchanged == before
    assert [(entry.kind, entry.amount) for entry in preview.entries] == bank.history()[len(before) :]
    assert preview.balances["image_generation"] == ({"balance": 40, "debt": 0}, {"balance": -40, "debt": 40})
    assert bank.figures() == {"balance": -40, "debt": 40}


def test_an_order_that_finds_itself_carried_out_by_another_line_gives_that_back(bank: Till) -> None:
    """Two workers read one open order; between their calls a Redis lost what it knew of the first."""
    bank.paid()
    bank.pipeline.deliver("dispute.opened", delivery="d", payment="p")
    bank.pipeline.process()
    gate = bank.pipeline.gate
    assert gate is not None
    with snapshot(gate.engine) as connection:
        (order,) = open_commands(connection, limit=2)
    run(gate, run_command(gate, dict(order)))
    gate.gate.client.flushall()

    run(gate, run_command(gate, dict(order)))
    bank.settle()

    assert bank.frozen() == 100
    assert bank.figures() == {"balance": 100}
    assert_ledger_is_sound(gate.engine)
