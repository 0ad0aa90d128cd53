"""Simulated subscriptions: one item, billed by the calendar month, in three shapes."""

from typing import Final

from credits.checkout.marks import ACCOUNT
from credits.inbox.provider import Simulation
from webhooks.providers.stripe.simulate.common import (
    Names,
    Shape,
    StripeObject,
    at_s,
    event,
    is_live,
    listed,
    period_start_s,
    shape_of,
)

_EVERY_SUBSCRIPTION: Final[StripeObject] = {
    "application_fee_percent": None,
    "billing_thresholds": None,
    "cancel_at": None,
    "cancel_at_period_end": False,
    "canceled_at": None,
    "collection_method": "charge_automatically",
    "days_until_due": None,
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "ended_at": None,
    "next_pending_invoice_item_invoice": None,
    "pause_collection": None,
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "pending_update": None,
    "schedule": None,
    "transfer_data": None,
    "trial_end": None,
    "trial_start": None,
}
"""What is alike in every simulated subscription, before its event changes it."""


def subscription_created(simulation: Simulation) -> bytes:
    return event(simulation, _subscription(simulation, status=_status(simulation)))


def subscription_updated(simulation: Simulation) -> bytes:
    """The first period's payment arrived, or another period began."""
    previous = {"status": "incomplete"} if simulation.period == 0 else _before_renewal(simulation)
    return event(simulation, _subscription(simulation, status=_status(simulation)), previous=previous)


def subscription_paused(simulation: Simulation) -> bytes:
    return event(simulation, _subscription(simulation, status="paused"))


def subscription_resumed(simulation: Simulation) -> bytes:
    return event(simulation, _subscription(simulation, status=_status(simulation)))


def subscription_deleted(simulation: Simulation) -> bytes:
    ended = {"canceled_at": at_s(simulation), "ended_at": at_s(simulation)}
    return event(simulation, _subscription(simulation, status="canceled") | ended)


def trial_will_end(simulation: Simulation) -> bytes:
    trial = {"trial_start": _start_s(simulation), "trial_end": _end_s(simulation)}
    return event(simulation, _subscription(simulation, status="trialing") | trial)


def _status(simulation: Simulation) -> str:
    return simulation.status or ("trialing" if simulation.is_on_trial else "active")


def subscription_metadata(simulation: Simulation) -> dict[str, str]:
    """What a checkout of ours writes on a subscription: whose it is. Its plan comes from its price."""
    return {} if simulation.account is None else {ACCOUNT: simulation.account}


def plan(simulation: Simulation) -> StripeObject:
    """The price in its oldest form."""
    names = Names(simulation)
    return {
        "id": names.price,
        "object": "plan",
        "active": True,
        "amount": simulation.paid_minor // simulation.quantity,
        "billing_scheme": "per_unit",
        "created": simulation.started_at_ms // 1000,
        "currency": simulation.currency.lower(),
        "interval": "month",
        "interval_count": 1,
        "livemode": is_live(simulation),
        "metadata": {},
        "nickname": None,
        "product": names.product,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def price(simulation: Simulation) -> StripeObject:
    names = Names(simulation)
    return {
        "id": names.price,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": simulation.started_at_ms // 1000,
        "currency": simulation.currency.lower(),
        "livemode": is_live(simulation),
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": names.product,
        "recurring": {"interval": "month", "interval_count": 1, "trial_period_days": None, "usage_type": "licensed"},
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": simulation.paid_minor // simulation.quantity,
        "unit_amount_decimal": str(simulation.paid_minor // simulation.quantity),
    }


def _subscription(simulation: Simulation, *, status: str) -> StripeObject:
    names, shape = Names(simulation), shape_of(simulation)
    started_at_s = simulation.started_at_ms // 1000
    items = listed(f"/v1/subscription_items?subscription={names.subscription}", _item(simulation, simulation.period))
    content: StripeObject = {
        "id": names.subscription,
        "object": "subscription",
        **_EVERY_SUBSCRIPTION,
        "cancel_at_period_end": simulation.cancels_at_period_end,
        "billing_cycle_anchor": started_at_s,
        "created": started_at_s,
        "currency": simulation.currency.lower(),
        "customer": names.customer,
        "items": items,
        "latest_invoice": names.invoice,
        "livemode": is_live(simulation),
        "metadata": subscription_metadata(simulation),
        "start_date": started_at_s,
        "status": status,
        **_trial(simulation),
    }
    if shape is Shape.BASIL:
        return content | {"billing_mode": {"type": "classic"}, "discounts": [], "trial_settings": None}
    return content | {
        "current_period_start": _start_s(simulation),
        "current_period_end": _end_s(simulation),
        "discount": None,
        "plan": plan(simulation),
        "quantity": simulation.quantity,
    }


def _trial(simulation: Simulation) -> StripeObject:
    """Its trial, which stays written on a subscription for good."""
    if not simulation.begins_with_trial:
        return {}
    return {"trial_start": period_start_s(simulation, 0), "trial_end": period_start_s(simulation, 1)}


def _item(simulation: Simulation, period: int) -> StripeObject:
    names = Names(simulation)
    content: StripeObject = {
        "id": names.item,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": simulation.started_at_ms // 1000,
        "metadata": {},
        "plan": plan(simulation),
        "price": price(simulation),
        "quantity": simulation.quantity,
        "subscription": names.subscription,
        "tax_rates": [],
    }
    if shape_of(simulation) is Shape.BASIL:
        content["current_period_start"] = period_start_s(simulation, period)
        content["current_period_end"] = period_start_s(simulation, period + 1)
    return content


def _before_renewal(simulation: Simulation) -> StripeObject:
    """The period before. Since basil it stands in the items, so a renewal lists them as changed."""
    names, last = Names(simulation), simulation.period - 1
    if shape_of(simulation) is Shape.BASIL:
        return {"items": {"data": [_item(simulation, last)]}, "latest_invoice": names.invoice_of(last)}
    return {
        "current_period_start": period_start_s(simulation, last),
        "current_period_end": _start_s(simulation),
        "latest_invoice": names.invoice_of(last),
    }


def _start_s(simulation: Simulation) -> int:
    return period_start_s(simulation, simulation.period)


def _end_s(simulation: Simulation) -> int:
    return period_start_s(simulation, simulation.period + 1)
