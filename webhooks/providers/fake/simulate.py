"""Make fake events: the same simulation gives the same bytes, and every id follows from a name in it."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from credits.clock import iso
from credits.config.settings import Tenant
from credits.ids import digest
from credits.inbox.provider import Simulation
from webhooks.metadata import write_metadata
from webhooks.simulated_periods import period_start_ms


def _purchase(simulation: Simulation) -> bytes:
    return _event(
        simulation,
        {
            "payment": _id("pay", simulation.payment),
            "product": simulation.product_id,
            "asked_minor": simulation.paid_minor,
            "paid_minor": simulation.paid_minor,
            "currency": simulation.currency,
        },
    )


def _subscription(simulation: Simulation) -> bytes:
    return _event(simulation, {"status": "active", **_subscription_period(simulation)})


def _plan_payment(simulation: Simulation) -> bytes:
    invoice = {
        "invoice": _id("inv", f"{simulation.subscription or simulation.payment}:{simulation.period}"),
        "paid_minor": simulation.paid_minor,
        "currency": simulation.currency,
    }
    return _event(simulation, {**invoice, **_subscription_period(simulation)})


def _reversal(simulation: Simulation) -> bytes:
    """A refund or dispute of the whole purchase, or of the plan's invoice where a subscription's product is named."""
    about: dict[str, Any] = {
        "payment": _id("pay", simulation.payment),
        "refund": _id("re", simulation.payment),
        "dispute": _id("dp", simulation.payment),
        "paid_minor": simulation.paid_minor,
        "currency": simulation.currency,
    }
    if simulation.product_id is not None:
        about["invoice"] = _id("inv", f"{simulation.subscription or simulation.payment}:{simulation.period}")
    return _event(simulation, about)


def _customer(simulation: Simulation) -> bytes:
    return _event(simulation, {})


SIMULATORS: Final[Mapping[str, Callable[[Simulation], bytes]]] = {
    "purchase.paid": _purchase,
    "purchase.pending": _purchase,
    "purchase.voided": _purchase,
    "subscription.seen": _subscription,
    "customer.linked": _customer,
    "plan.paid": _plan_payment,
    "refund.created": _reversal,
    "refund.failed": _reversal,
    "dispute.opened": _reversal,
    "dispute.lost": _reversal,
    "dispute.won": _reversal,
}


def _event(simulation: Simulation, data: Mapping[str, Any]) -> bytes:
    event = {
        "id": _id("evt", f"{simulation.event_type}:{simulation.delivery}"),
        "type": simulation.event_type,
        "livemode": simulation.tenant is Tenant.LIVE,
        "created": simulation.at_ms // 1000,
        "data": {
            **data,
            "customer": _id("cus", simulation.account or simulation.payment),
            "client_reference": simulation.client_reference,
            "metadata": write_metadata(simulation),
        },
    }
    return json.dumps(event).encode()


def _subscription_period(simulation: Simulation) -> dict[str, Any]:
    return {
        "subscription": _id("sub", simulation.subscription or simulation.payment),
        "product": simulation.product_id,
        "quantity": 1,
        "period_start": iso(period_start_ms(simulation, simulation.period)),
        "period_end": iso(period_start_ms(simulation, simulation.period + 1)),
    }


def _id(kind: str, name: str) -> str:
    return f"{kind}_{digest(kind, name)[:24]}"
