"""Events share a transaction if it is known beforehand whose they are, and lock accounts in one order."""

import pytest

from credits.allocation.sharing import named_accounts, sharing
from credits.config.settings import Tenant
from credits.facts import CustomerLinked, Fact, NothingToDo, Payer, PaymentNamed, PurchasePaid, SubscriptionSeen
from credits.inbox.model import ClaimedEvent


def _event(number: int, attached_account: str | None = None) -> ClaimedEvent:
    return ClaimedEvent(
        id=number,
        tenant=Tenant.SANDBOX,
        provider="fake",
        event_id=f"event-{number}",
        event_type="purchase.paid",
        body=b"{}",
        attempts=1,
        crashes=0,
        lease_token="lease",
        code=None,
        attached_account=attached_account,
        attached_credit_type=None,
        attached_amount=None,
    )


def _paid(account: str | None) -> PurchasePaid:
    return PurchasePaid(key=f"fake:pay:{account}", payer=Payer(account=account), occurred_at_ms=0)


def test_accounts_are_locked_in_the_order_of_their_names_whatever_the_order_of_the_events() -> None:
    prepared: list[tuple[ClaimedEvent, list[Fact]]] = [
        (_event(1), [_paid("b")]),
        (_event(2), [_paid("a")]),
        (_event(3), [NothingToDo(reason="a test")]),
        (_event(4), [_paid("a")]),
    ]

    shared = sharing(prepared)

    assert [event.id for event, _ in shared] == [3, 2, 4, 1]


@pytest.mark.parametrize("facts", [[_paid(None)], [_paid("a"), _paid("b")], [_paid("a"), "named"]], ids=str)
def test_an_event_whose_account_is_not_known_or_not_one_is_processed_alone(facts: list[Fact]) -> None:
    named = PaymentNamed(names=("fake:pay:a", "fake:order:a"))

    shared = sharing([(_event(1), [named if fact == "named" else fact for fact in facts])])

    assert shared == []


def test_what_payments_may_wait_for_comes_before_them() -> None:
    payer = Payer(account="a", customer_id="c", subscription_id="s")
    prepared: list[tuple[ClaimedEvent, list[Fact]]] = [
        (_event(1), [_paid("a")]),
        (_event(2), [SubscriptionSeen(subscription_id="s", payer=payer, stamp_ms=0)]),
        (_event(3), [CustomerLinked(payer=payer)]),
        (_event(4), [CustomerLinked(payer=Payer(customer_id="c"))]),
    ]

    assert [event.id for event, _ in sharing(prepared)] == [2, 3, 1]
    assert named_accounts(prepared) == {(Tenant.SANDBOX, "a")}


def test_an_operators_word_counts_as_knowing_the_account() -> None:
    shared = sharing([(_event(1, attached_account="a"), [_paid(None)])])

    assert [event.id for event, _ in shared] == [1]
