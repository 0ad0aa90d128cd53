"""Make Lemon Squeezy webhooks: whole JSON:API bodies, in which every id follows from a name in the simulation."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from credits.config.settings import Tenant
from credits.ids import digest
from credits.inbox.provider import SettledBy, Simulation
from webhooks.metadata import write_metadata
from webhooks.simulated_periods import period_start_ms

_API: Final = "https://api.lemonsqueezy.com/v1"
_STORE_ID: Final = 1
_CREDIT_PACK_VARIANT: Final = 900_001
_PLAN_VARIANT: Final = 111_111


def _order(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _webhook(
        simulation, "orders", _order_id(simulation), _order_attributes(simulation, status)
    )


def _subscription(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _webhook(
        simulation, "subscriptions", _subscription_id(simulation), _subscription_attributes(simulation, status)
    )


def _invoice(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _webhook(
        simulation,
        "subscription-invoices",
        _invoice_id(simulation),
        _invoice_attributes(simulation, status),
    )


SIMULATORS: Final[Mapping[str, Callable[[Simulation], bytes]]] = {
    "order_created": _order("paid"),
    "order_refunded": _order("refunded"),
    "subscription_created": _subscription("active"),
    "subscription_updated": _subscription("active"),
    "subscription_cancelled": _subscription("cancelled"),
    "subscription_resumed": _subscription("active"),
    "subscription_expired": _subscription("expired"),
    "subscription_paused": _subscription("paused"),
    "subscription_unpaused": _subscription("active"),
    "subscription_plan_changed": _subscription("active"),
    "subscription_payment_success": _invoice("paid"),
    "subscription_payment_recovered": _invoice("paid"),
    "subscription_payment_failed": _invoice("pending"),
    "subscription_payment_refunded": _invoice("refunded"),
}


def _order_attributes(simulation: Simulation, status: str) -> dict[str, Any]:
    order_id = int(_order_id(simulation))
    # An order is made once: another event of it, however late, shows the same time.
    made_at = _instant(simulation.started_at_ms)
    return {
        "store_id": _STORE_ID,
        "customer_id": _customer_id(simulation),
        "identifier": _uuid("order", simulation.payment),
        "order_number": order_id % 100_000,
        **_buyer(simulation),
        "tax_name": "",
        "tax_rate": "0.00",
        "setup_fee": 0,
        **_prices(simulation, status),
        "first_order_item": {
            "id": order_id + 1,
            "order_id": order_id,
            "product_id": 700_001,
            "variant_id": _variant_id(simulation, _CREDIT_PACK_VARIANT),
            "price_id": 800_001,
            "product_name": "Credits",
            "variant_name": "Default",
            "quantity": 1,
            "price": simulation.paid_minor,
            "created_at": made_at,
            "updated_at": made_at,
            "test_mode": _test_mode(simulation),
        },
        "urls": {"receipt": f"https://app.lemonsqueezy.com/my-orders/{_uuid('order', simulation.payment)}"},
        "created_at": made_at,
        "updated_at": _instant(simulation.at_ms),
        "test_mode": _test_mode(simulation),
    }


def _subscription_attributes(simulation: Simulation, status: str) -> dict[str, Any]:
    started_at = _instant(simulation.started_at_ms)
    period_end = _instant(period_start_ms(simulation, simulation.period + 1))
    status = simulation.status or ("on_trial" if simulation.is_on_trial and status == "active" else status)
    over = status in {"cancelled", "expired"}
    subscription_id = int(_subscription_id(simulation))
    return {
        "store_id": _STORE_ID,
        "customer_id": _customer_id(simulation),
        "order_id": int(_order_id(simulation)),
        "order_item_id": int(_order_id(simulation)) + 1,
        "product_id": 700_002,
        "variant_id": _variant_id(simulation, _PLAN_VARIANT),
        "product_name": "Plan",
        "variant_name": "Monthly",
        **_buyer(simulation),
        "status": status,
        "status_formatted": status.capitalize(),
        "card_brand": "visa",
        "card_last_four": "4242",
        "pause": {"mode": "void", "resumes_at": None} if status == "paused" else None,
        "cancelled": over,
        "trial_ends_at": _instant(period_start_ms(simulation, 1)) if simulation.begins_with_trial else None,
        "billing_anchor": datetime.fromtimestamp(simulation.started_at_ms / 1000, tz=UTC).day,
        "first_subscription_item": {
            "id": subscription_id + 1,
            "subscription_id": subscription_id,
            "price_id": 800_002,
            "quantity": simulation.quantity,
            "is_usage_based": False,
            "created_at": started_at,
            "updated_at": started_at,
        },
        "urls": {"customer_portal": "https://my-store.lemonsqueezy.com/billing?expires=0&signature=simulated"},
        "renews_at": period_end,
        "ends_at": (_instant(simulation.at_ms) if status == "expired" else period_end) if over else None,
        "created_at": started_at,
        "updated_at": _instant(simulation.at_ms),
        "test_mode": _test_mode(simulation),
    }


def _invoice_attributes(simulation: Simulation, status: str) -> dict[str, Any]:
    return {
        "store_id": _STORE_ID,
        "subscription_id": int(_subscription_id(simulation)),
        "customer_id": _customer_id(simulation),
        **_buyer(simulation),
        "billing_reason": _billing_reason(simulation),
        "card_brand": "visa",
        "card_last_four": "4242",
        **_prices(simulation, status),
        "urls": {"invoice_url": "https://app.lemonsqueezy.com/my-orders/simulated/subscription-invoice"},
        "created_at": _instant(_invoiced_at_ms(simulation)),
        "updated_at": _instant(simulation.at_ms),
        "test_mode": _test_mode(simulation),
    }


def _billing_reason(simulation: Simulation) -> str:
    if simulation.invoice is not None:
        return "updated"
    return "initial" if simulation.period == 0 else "renewal"


def _invoiced_at_ms(simulation: Simulation) -> int:
    """A change is billed at once, a period when it begins."""
    if simulation.lines:
        return min(line.start_ms for line in simulation.lines)
    return period_start_ms(simulation, simulation.period)


def _prices(simulation: Simulation, status: str) -> dict[str, Any]:
    """Minor units, and the same in US dollars: simulated money is worth as many of those."""
    refunded_minor = 0
    if status == "refunded":
        left = simulation.paid_minor - simulation.refunded_before_minor
        this = left if simulation.refunded_minor is None else simulation.refunded_minor
        refunded_minor = simulation.refunded_before_minor + this
    if 0 < refunded_minor < simulation.paid_minor:
        status = "partial_refund"
    asked, is_free = simulation.asked_minor, simulation.settled_by is SettledBy.COUPON
    amounts = {
        "subtotal": asked,
        "discount_total": asked if is_free else 0,
        "tax": 0,
        "total": 0 if is_free else asked,
        "refunded_amount": refunded_minor,
    }
    return {
        "currency": simulation.currency,
        "currency_rate": "1.00000000",
        "status": status,
        "status_formatted": status.capitalize(),
        "refunded": status == "refunded",
        "refunded_at": _instant(simulation.at_ms) if refunded_minor else None,
        "tax_inclusive": False,
        **amounts,
        **{f"{name}_usd": amount for name, amount in amounts.items()},
        **{f"{name}_formatted": f"{amount} {simulation.currency}" for name, amount in amounts.items()},
    }


def _buyer(simulation: Simulation) -> dict[str, str]:
    return {"user_name": "Simulated Buyer", "user_email": f"buyer-{_customer_id(simulation)}@example.com"}


def _webhook(simulation: Simulation, kind: str, resource_id: str, attributes: Mapping[str, Any]) -> bytes:
    meta: dict[str, Any] = {
        "test_mode": _test_mode(simulation),
        "event_name": simulation.event_type,
        "webhook_id": _uuid("webhook", f"{simulation.event_type}:{simulation.delivery}"),
    }
    custom_data = write_metadata(simulation)
    if custom_data:
        meta["custom_data"] = custom_data
    address = f"{_API}/{kind}/{resource_id}"
    relationships = {
        name: {"links": {"related": f"{address}/{name}", "self": f"{address}/relationships/{name}"}}
        for name in ("store", "customer")
    }
    data = {
        "type": kind,
        "id": resource_id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": address},
    }
    return json.dumps({"meta": meta, "data": data}).encode()


def _order_id(simulation: Simulation) -> str:
    return _number("order", simulation.payment)


def _subscription_id(simulation: Simulation) -> str:
    return _number("subscription", simulation.subscription or simulation.payment)


def _invoice_id(simulation: Simulation) -> str:
    """A subscription has one invoice a period and one a change, whatever the simulated payment is called."""
    which = simulation.period if simulation.invoice is None else simulation.invoice
    return _number("subscription-invoice", f"{_subscription_id(simulation)}:{which}")


def _customer_id(simulation: Simulation) -> int:
    return int(_number("customer", simulation.account or simulation.payment))


def _variant_id(simulation: Simulation, otherwise: int) -> int | str:
    """A number, as at Lemon Squeezy, unless the simulation asks for a name that is none."""
    product_id = simulation.product_id
    if product_id is None:
        return otherwise
    return int(product_id) if product_id.isascii() and product_id.isdigit() else product_id


def _test_mode(simulation: Simulation) -> bool:
    return simulation.tenant is Tenant.SANDBOX


def _number(kind: str, name: str) -> str:
    """Lemon Squeezy numbers its objects; 14 digits leave room for millions of simulated ones without a collision."""
    return str(10**13 + int(digest(kind, name), 16) % (9 * 10**13))


def _uuid(kind: str, name: str) -> str:
    return str(UUID(hex=digest(kind, name)[:32], version=4))


def _instant(at_ms: int) -> str:
    """Lemon Squeezy shows whole seconds, written with six zeros behind them."""
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
