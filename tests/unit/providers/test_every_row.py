"""Every row of what providers send, and every trap in it, has tests that say so: here is which."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

STRIPE_ROWS = {
    "checkout.session.completed | mode payment, paid": "a_paid_session_is_a_purchase",
    "checkout.session.completed | no_payment_required (a 100 % promotion)": (
        "a_promotion_of_100_percent_is_granted_as_the_configuration_says"
    ),
    "checkout.session.completed | unpaid, or a status that is new to us": (
        "a_delayed_payment_grants_when_the_money_is_there_and_not_before"
    ),
    "checkout.session.completed | mode subscription": "a_subscriptions_session_only_links_the_customer",
    "checkout.session.completed | mode setup, or one that is new to us": "a_session_of_another_mode_is_nothing",
    "checkout.session.async_payment_succeeded": (
        "a_payment_that_arrives_late_is_the_same_purchase_whatever_the_session_says"
    ),
    "checkout.session.async_payment_failed, .expired": "a_payment_that_failed_or_a_session_that_expired_is_void",
    "payment_intent.succeeded | our metadata with creditgate_kind = topup, no invoice": (
        "a_top_up_of_ours_is_a_purchase"
    ),
    "payment_intent.succeeded | anything else": "a_payment_of_a_session_or_of_somebody_else_is_nothing",
    "invoice.paid | lines of a subscription for a period, total above 0": (
        "each_period_is_granted_once_and_lapses_at_its_own_end"
    ),
    "invoice.paid | such lines over 0": "a_trial_earns_its_own_credits_which_lapse_with_it",
    "invoice.paid | total 0 after a coupon; paid from the balance; paid out of band": (
        "an_invoice_that_charged_no_card_follows_its_policy"
    ),
    "invoice.paid | proration lines": "an_upgrade_adds_the_difference_for_the_rest_of_the_period",
    "invoice.paid | lines.has_more: more lines than the event carries": (
        "the_lines_that_an_event_leaves_out_are_fetched_and_granted_once"
    ),
    "invoice.paid | no line of a subscription's period": (
        "the_invoice_of_a_purchase_is_nothing_because_its_session_counts"
    ),
    "invoice.payment_succeeded, invoice.payment_failed": "the_twin_and_the_failure_of_a_payment_are_nothing",
    "customer.subscription.created, .updated, .deleted": ("a_late_word_about_a_subscription_does_not_undo_a_later_one"),
    "customer.subscription.created, .updated, .deleted | pause_collection set": (
        "a_pause_by_stripe_is_one_in_either_of_its_forms"
    ),
    "customer.subscription.paused, .resumed": "drips_while_paused_or_unpaid_follow_the_policy",
    "refund.*, charge.refund.updated | any but failed, canceled": (
        "a_refund_told_by_its_own_events_and_by_its_charge_is_taken_once"
    ),
    "refund.*, charge.refund.updated | failed, canceled": (
        "a_failed_refund_gives_back_though_the_charge_still_counts_it"
    ),
    "charge.refunded": "a_refunded_charge_says_what_its_refunds_add_up_to",
    "credit_note.created | after the payment": "a_credit_note_over_refunds_is_those_refunds_and_the_rest_by_itself",
    "invoice.voided | amount_paid above 0": (
        "a_voided_invoice_takes_back_what_was_paid_on_it_and_mostly_that_is_nothing"
    ),
    "invoice_payment.paid": "since_basil_a_payment_of_an_invoice_ties_the_two_together",
    "charge.dispute.created, .updated, .closed | lost; won, charge_refunded, prevented; any other": (
        "created_and_funds_withdrawn_are_one_dispute_and_a_lost_one_is_taken_once"
    ),
    "charge.dispute.created, .updated, .closed | status warning_…: an inquiry": "an_inquiry_is_nothing",
    "charge.dispute.funds_withdrawn, .funds_reinstated": "a_dispute_won_after_it_was_lost_restores_once_what_it_took",
    "customer.deleted, radar.*, invoice.upcoming, thin events and all others": (
        "events_that_move_no_credits_are_not_read"
    ),
}

LEMON_SQUEEZY_ROWS = {
    "order_created | paid, refunded, partial_refund": "the_status_of_an_order_decides",
    "order_created | pending, or a status that is new to us": "the_status_of_an_order_decides",
    "order_created | failed, fraudulent": "the_status_of_an_order_decides",
    "order_refunded": "a_refunded_order_of_lemon_squeezy_goes_back_whole_and_once",
    "subscription_created, _updated, _cancelled, _resumed, _expired": ("a_subscription_shows_where_it_is_in_its_life"),
    "subscription_created, _updated, _cancelled, _resumed, _expired | on_trial": (
        "a_trial_of_each_provider_earns_its_credits_once_and_the_first_payment_the_plans"
    ),
    "subscription_paused, subscription_unpaused": "a_pause_of_each_provider_follows_the_policy",
    "subscription_plan_changed, or another variant": (
        "a_lemonsqueezy_renewal_earns_the_plan_it_was_changed_to_however_late_the_change_is_told"
    ),
    "subscription_payment_success, subscription_payment_recovered | initial, renewal": (
        "the_twin_events_of_a_payment_grant_once"
    ),
    "subscription_payment_success, subscription_payment_recovered | updated": (
        "an_upgrade_at_each_provider_adds_the_difference_for_the_rest_of_the_period"
    ),
    "subscription_payment_success, subscription_payment_recovered | a total of 0": (
        "a_coupon_of_each_provider_follows_the_policy"
    ),
    "subscription_payment_success, subscription_payment_recovered | a status that is not paid": (
        "an_invoice_that_is_not_paid_moves_nothing"
    ),
    "subscription_payment_failed": "a_failed_payment_earns_nothing_until_it_is_made_up_for",
    "subscription_payment_refunded": "a_refunded_invoice_of_lemon_squeezy_takes_its_plans_credits_back",
    "license_key_* and all others": "licences_and_affiliates_are_not_read",
}

PADDLE_ROWS = {
    "transaction.completed, a price that recurs": "each_renewal_is_granted_once_by_its_own_transaction",
    "the same, of no price that recurs": "a_quote_is_granted_as_it_was_quoted_and_only_for_its_price",
    "the same, over nothing, origin subscription_payment_method_change": (
        "a_change_of_card_bills_nothing_and_earns_nothing"
    ),
    "the same, over nothing, while the subscription is on trial": (
        "a_trial_of_each_provider_earns_its_credits_once_and_the_first_payment_the_plans"
    ),
    "transaction.paid": "a_transaction_that_paddle_still_looks_at_is_pending_and_grants_nothing",
    "transaction.canceled": "a_transaction_called_off_at_paddle_voids_its_quotes_purchase",
    "subscription.*": "a_pause_of_each_provider_follows_the_policy",
    "adjustment.*, refund or credit, approved": (
        "an_approved_refund_takes_its_share_back_once_and_a_waiting_one_nothing"
    ),
    "the same, waiting for approval": "an_approved_refund_takes_its_share_back_once_and_a_waiting_one_nothing",
    "adjustment.*, chargeback": (
        "several_partial_chargebacks_count_once_each_net_of_refunds_and_what_is_reversed_comes_back"
    ),
    "chargeback_reverse, credit_reverse, or the status reversed": ("a_credit_that_is_reversed_gives_back_what_it_took"),
    "chargeback_warning": "a_warning_of_a_chargeback_is_an_inquiry_and_moves_nothing",
}

ROWS = {"stripe": STRIPE_ROWS, "lemonsqueezy": LEMON_SQUEEZY_ROWS, "paddle": PADDLE_ROWS}
"""By provider: each row of the table *What each event does* in its document."""

TRAPS = {
    "a price and its quote are compared by amount and currency": (
        "a_payment_that_differs_from_its_quote_is_quarantined_with_both_figures"
    ),
    "a purchase's invoice is the same money": "the_invoice_of_a_purchase_is_nothing_because_its_session_counts",
    "a checkout may come after its invoice": "the_first_period_is_granted_once_in_every_order_of_its_events",
    "lines decide, and not billing_reason": "a_paid_period_earns_whatever_the_billing_reason",
    "tiers split an item over lines": "the_tiers_of_one_price_are_one_line",
    "a full month on every switch is farmed": "upgrade_burn_downgrade_repeat_gains_nothing",
    "negative lines never grant": "a_negative_line_never_earns",
    "another interval is a full period": (
        "a_new_interval_is_granted_in_full_and_takes_back_what_was_unused_of_the_old_one"
    ),
    "a downgrade without proration waits for the renewal": (
        "a_change_without_proration_waits_for_the_renewal_at_each_provider"
    ),
    "the first payment after a trial is a renewal": (
        "a_trial_of_each_provider_earns_its_credits_once_and_the_first_payment_the_plans"
    ),
    "amount_paid of 0 is not free": "an_invoice_that_charged_no_card_follows_its_policy",
    "a failed payment forgets nobody's subscription": (
        "a_payment_that_failed_leaves_its_subscription_unpaid_until_it_recovers"
    ),
    "a cancelled plan leaves bought credits": (
        "the_end_of_a_subscription_follows_its_policy_and_leaves_bought_credits"
    ),
    "a second partial refund counts": "a_partial_refund_takes_its_share_and_a_second_one_the_next",
    "after a full refund a dispute finds nothing": "after_a_full_refund_a_dispute_finds_nothing_to_take",
    "invoices and subscriptions in three shapes": "every_shape_of_an_event_states_the_same",
    "thin events carry no data": "a_thin_event_has_an_envelope_and_is_not_read",
    "event times have a resolution of one second": (
        "of_events_in_one_second_the_end_counts_most_and_the_beginning_least"
    ),
    "a signature that is not ASCII": "headers_of_any_kind_do_no_harm",
    "Lemon Squeezy sends an order for a subscription too": "an_order_for_a_plan_grants_nothing_by_itself",
    "Lemon Squeezy's invoices name no variant": "a_lemonsqueezy_payment_waits_for_the_subscription_that_names_its_plan",
    "Lemon Squeezy's custom data may be missing": "an_order_without_custom_data_of_ours_is_a_purchase_of_its_customer",
    "Lemon Squeezy's success and recovery are one payment": "the_twin_events_of_a_payment_grant_once",
    "Lemon Squeezy's cancelled is grace": "an_expired_subscription_has_ended_and_a_cancelled_one_runs_on",
    "Lemon Squeezy's test mode": "one_word_of_a_test_puts_an_event_into_the_sandbox",
    "Lemon Squeezy never tells again": "lemon_squeezys_renewals_and_refunds_of_a_downtime_are_credited_once",
    "Paddle signs with several secrets while one rotates": "signatures_by_several_secrets_name_every_tenant",
    "what Stripe forgot to tell": "objects_alone_are_enough_where_stripe_has_forgotten_the_events",
    "money without cents, and with three decimals": "money_of_any_number_of_decimals_goes_back_in_proportion",
    "several subscriptions of one account": "several_subscriptions_of_one_account_are_apart",
}
"""What stands beside those rows, as the providers' documents and the field know it."""


@pytest.fixture(scope="module")
def tests() -> frozenset[str]:
    sources = (path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))
    return frozenset(name for source in sources for name in re.findall(r"^def test_(\w+)\(", source, re.MULTILINE))


def rows_of(provider: str) -> list[str]:
    """The rows of a document's table of events: the events, and with what."""
    document = (REPOSITORY / "docs" / "providers" / f"{provider}.md").read_text(encoding="utf-8")
    table = document.split("## What each event does", 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0]
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in table.splitlines()
        if "---" not in line
    ]
    head, named, rows = lines[0], "", []
    for cells in lines[1:]:
        named = cells[0] or named
        given = cells[1] if head[1] == "with" else ""
        rows.append(" | ".join(part.replace("`", "") for part in (named, given) if part))
    return rows


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_every_row_of_a_providers_document_has_a_test_that_is_named_here(provider: str) -> None:
    assert sorted(ROWS[provider]) == sorted(re.sub(r" \(\[.*", "", row) for row in rows_of(provider))


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_every_test_that_proves_a_row_is_there(provider: str, tests: frozenset[str]) -> None:
    assert {row: name for row, name in ROWS[provider].items() if name not in tests} == {}


def test_every_test_that_proves_a_trap_is_there(tests: frozenset[str]) -> None:
    assert {trap: name for trap, name in TRAPS.items() if name not in tests} == {}
