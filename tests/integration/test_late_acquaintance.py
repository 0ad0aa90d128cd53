"""Subscriptions that are older than this installation: their first period was never seen."""

from credits.clock import from_iso
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline

_DAY_MS = 86_400_000


def test_a_renewal_of_a_lemonsqueezy_subscription_first_seen_later_is_granted_until_the_next_renewal(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    clock.advance_ms(70 * _DAY_MS)
    said = {"provider": "lemonsqueezy", "account": "user_1", "product_id": "111111", "subscription": "s1", "period": 2}

    payment = pipeline.deliver("subscription_payment_success", **said)
    pipeline.process()
    before = pipeline.event(payment)["state"]
    pipeline.receive("subscription_updated", **said)

    assert before == "waiting"
    assert pipeline.event(payment)["state"] == "done"
    lapses = {row["expires_at_ms"] for row in pipeline.credits.grants("user_1")} - {None}
    assert lapses == {from_iso("2026-04-15T12:00:00Z")}
