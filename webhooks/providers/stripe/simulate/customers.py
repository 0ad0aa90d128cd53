"""Simulated customers. Their events move no credits; they arrive at every endpoint that asks for everything."""

from credits.inbox.provider import Simulation
from webhooks.providers.stripe.simulate.common import Names, StripeObject, event, is_live


def customer_created(simulation: Simulation) -> bytes:
    return event(simulation, _customer(simulation))


def customer_deleted(simulation: Simulation) -> bytes:
    return event(simulation, _customer(simulation))


def _customer(simulation: Simulation) -> StripeObject:
    return {
        "id": Names(simulation).customer,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": simulation.started_at_ms // 1000,
        "currency": simulation.currency.lower(),
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "livemode": is_live(simulation),
        "metadata": {},
        "name": None,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
    }
