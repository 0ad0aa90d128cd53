"""Webhooks that others recorded between 2016 and 2026: none is refused, and each states what it should."""

from pathlib import Path

import pytest

from credits.facts import (
    CustomerLinked,
    DisputeSeen,
    Fact,
    NothingToDo,
    PaymentNamed,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundsCounted,
    RefundSeen,
    SubscriptionSeen,
)
from credits.payload import parse
from tests.support.recorded import Recorded, recorded_folder, recorded_webhooks
from webhooks.providers import REGISTRY

Kinds = set[type[Fact]]

NOTHING: Kinds = {NothingToDo}
STATE: Kinds = {SubscriptionSeen, CustomerLinked}

EXPECTED: dict[str, Kinds] = {
    "ADD purchased credits": {PurchasePaid},
    "if order belongs to a subscription variant": {PurchasePaid},
    "PENDING": {PurchasePending},
    "VOID pending purchase": {PurchaseVoided},
    "ALLOCATE plan credits": {PlanPaid},
    "RENEW": {PlanPaid},
    "(twin of invoice.paid": NOTHING,
    "no subscription: grant only if": NOTHING,
    "NO GRANT": NOTHING,
    "LINK+UPSERT": STATE,
    "UPSERT": STATE,
    "END plan": {SubscriptionSeen},
    "CLAWBACK": {RefundSeen, RefundsCounted, DisputeSeen},
    "REVERSE clawback": {RefundSeen},
    "RESTORE": {DisputeSeen},
    "update refund state": {RefundSeen},
    # Before an invoice is paid, a credit note takes nothing back.
    "if it refunds/credits a granted invoice": {RefundSeen, NothingToDo},
    # Mostly nobody had paid an invoice that is voided.
    "if credits had been granted on this invoice": {RefundSeen, NothingToDo},
    # Of disputes, an inquiry moves nothing.
    "if status not warning_*": {DisputeSeen, NothingToDo},
    "inquiry/other close": {DisputeSeen, NothingToDo},
    "state only": {DisputeSeen, NothingToDo},
    # The recordings name no payment.
    "IGNORE for grants (invoice.paid covers)": {PaymentNamed, NothingToDo},
    "unlink": NOTHING,
    "FLAG account": NOTHING,
    "IGNORE": NOTHING,
    "GRANT: origin": {PlanPaid, PurchasePaid},
    "if action refund/chargeback and status approved": {RefundSeen, DisputeSeen},
    "pending approval": NOTHING,
}
"""What the index expects, by how it begins, and the kinds of fact that fit. Nothing fits a type that is not read."""

EXPECTED_OF_DATA: dict[str, Kinds] = {
    "charge.refunded": {RefundsCounted},
    "checkout.session.completed": {CustomerLinked},
    "customer.subscription.created": STATE,
    "customer.subscription.updated": STATE,
    "customer.subscription.deleted": {SubscriptionSeen},
}
"""By event type, for files whose expectation is "see type". Every other one of them moves nothing."""

WEBHOOKS = [pytest.param(webhook, id=webhook.name) for webhook in recorded_webhooks()]

if WEBHOOKS:

    @pytest.mark.parametrize("webhook", WEBHOOKS)
    def test_a_recorded_webhook_states_what_the_index_expects_of_it(webhook: Recorded) -> None:
        provider = REGISTRY[webhook.provider]
        payload = parse(webhook.body)

        event_type = provider.envelope(payload, webhook.body).event_type
        facts = provider.interpret(payload) if provider.reads(event_type) else (NothingToDo(reason="not read"),)

        assert event_type == webhook.event_type
        assert facts
        assert {type(fact) for fact in facts} <= fitting(webhook)

else:

    def test_without_the_recorded_webhooks_those_of_this_repository_stand_in() -> None:
        """The folder is absent: the payloads beside this file cover every row by themselves."""
        own = [path for path in Path(__file__).parent.glob("*/*.json") if not path.name.endswith(".expected.json")]

        assert not (recorded_folder() / "index.json").exists()
        assert {path.parent.name for path in own} >= {"lemonsqueezy", "stripe"}
        for path in own:
            assert REGISTRY[path.parent.name].interpret(parse(path.read_bytes()))


def fitting(webhook: Recorded) -> Kinds:
    """The kinds of fact that fit what the index expects; fails for an expectation that the table does not have."""
    if webhook.expect == "see type":
        return EXPECTED_OF_DATA.get(webhook.event_type, NOTHING)
    return next(kinds for beginning, kinds in EXPECTED.items() if webhook.expect.startswith(beginning))
