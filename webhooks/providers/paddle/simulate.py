"""Make Paddle events: whole bodies, in which every id follows from a name in the simulation."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from credits.checkout.marks import QUOTE, REFERENCE
from credits.ids import digest
from credits.inbox.provider import SettledBy, SimulatedLine, Simulation
from webhooks.simulated_periods import period_start_ms

_UNDONE: Final = ("rejected", "reversed")
_PLAN_PRICE: Final = "pri_simulated_plan"
_PACK_PRICE: Final = "pri_simulated_pack"


def _transaction(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _event(simulation, _transaction_data(simulation, status))


def _subscription(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _event(simulation, _subscription_data(simulation, _status(simulation, status)))


def _status(simulation: Simulation, status: str) -> str:
    return simulation.status or ("trialing" if simulation.is_on_trial and status == "active" else status)


def _adjustment(status: str) -> Callable[[Simulation], bytes]:
    return lambda simulation: _event(simulation, _adjustment_data(simulation, status))


SIMULATORS: Final[Mapping[str, Callable[[Simulation], bytes]]] = {
    "transaction.created": _transaction("draft"),
    "transaction.payment_failed": _transaction("past_due"),
    "transaction.paid": _transaction("paid"),
    "transaction.completed": _transaction("completed"),
    "transaction.canceled": _transaction("canceled"),
    "subscription.created": _subscription("active"),
    "subscription.activated": _subscription("active"),
    "subscription.updated": _subscription("active"),
    "subscription.past_due": _subscription("past_due"),
    "subscription.paused": _subscription("paused"),
    "subscription.resumed": _subscription("active"),
    "subscription.trialing": _subscription("trialing"),
    "subscription.canceled": _subscription("canceled"),
    "adjustment.created": _adjustment("pending_approval"),
    "adjustment.updated": _adjustment("approved"),
}


def _transaction_data(simulation: Simulation, status: str) -> dict[str, Any]:
    is_plan = _is_plan(simulation)
    lines = simulation.lines or (_whole(simulation),)
    asked_minor = sum(line.amount_minor for line in lines)
    is_free = simulation.settled_by is SettledBy.COUPON
    total_minor = 0 if is_free else asked_minor
    grand_minor = 0 if simulation.settled_by is SettledBy.BALANCE else max(0, total_minor)
    billed_at = _instant(lines[0].start_ms if is_plan else simulation.at_ms)
    period = {"starts_at": _instant(lines[0].start_ms), "ends_at": _instant(lines[0].end_ms)}
    return {
        "id": _transaction_id(simulation),
        "status": status,
        "customer_id": _id("ctm", "customer", simulation.account or simulation.payment),
        "custom_data": _custom_data(simulation),
        "currency_code": simulation.currency,
        "origin": _origin(simulation) if is_plan else "web",
        "subscription_id": _subscription_id(simulation) if is_plan else None,
        "collection_mode": "automatic",
        "billing_period": period if is_plan else None,
        "items": [_item(simulation, line, is_plan=is_plan) for line in lines],
        "details": {
            "totals": {
                **_totals(asked_minor, is_free=is_free),
                "credit": str(max(0, total_minor) - grand_minor),
                "credit_to_balance": "0",
                "balance": "0",
                "grand_total": str(grand_minor),
                "currency_code": simulation.currency,
            },
            "line_items": [_line_item(simulation, index, line, is_plan=is_plan) for index, line in enumerate(lines)],
        },
        "payments": _payments(simulation, grand_minor) if status in {"paid", "completed"} else [],
        "created_at": billed_at,
        "updated_at": _instant(simulation.at_ms),
        "billed_at": billed_at,
    }


def _whole(simulation: Simulation) -> SimulatedLine:
    """A purchase, or a whole billing period."""
    product_id = simulation.product_id or (_PLAN_PRICE if _is_plan(simulation) else _PACK_PRICE)
    starts_ms, ends_ms = (period_start_ms(simulation, simulation.period + later) for later in (0, 1))
    return SimulatedLine(
        product_id=product_id,
        amount_minor=simulation.asked_minor,
        start_ms=starts_ms,
        end_ms=ends_ms,
        quantity=simulation.quantity,
    )


def _item(simulation: Simulation, line: SimulatedLine, *, is_plan: bool) -> dict[str, Any]:
    return {
        "price": {
            "id": line.product_id,
            "name": "Monthly" if is_plan else "Credits",
            "type": "standard",
            "tax_mode": "account_setting",
            "unit_price": {
                "amount": str(abs(line.amount_minor) // line.quantity),
                "currency_code": simulation.currency,
            },
            "billing_cycle": {"interval": "month", "frequency": 1} if is_plan else None,
            "trial_period": {"interval": "month", "frequency": 1} if is_plan and simulation.is_on_trial else None,
            "custom_data": None,
        },
        "quantity": -line.quantity if line.amount_minor < 0 else line.quantity,
        "proration": _proration(line) if is_plan else None,
    }


def _line_item(simulation: Simulation, index: int, line: SimulatedLine, *, is_plan: bool) -> dict[str, Any]:
    return {
        "id": _id("txnitm", _transaction_id(simulation), str(index)),
        "price_id": line.product_id,
        "quantity": -line.quantity if line.amount_minor < 0 else line.quantity,
        "proration": _proration(line) if is_plan else None,
        "tax_rate": "0",
        "totals": _totals(line.amount_minor, is_free=simulation.settled_by is SettledBy.COUPON),
        "unit_totals": _totals(abs(line.amount_minor) // line.quantity),
    }


def _proration(line: SimulatedLine) -> dict[str, Any]:
    return {
        "rate": "0.5" if line.is_proration else "1",
        "billing_period": {"starts_at": _instant(line.start_ms), "ends_at": _instant(line.end_ms)},
    }


def _totals(amount_minor: int, *, is_free: bool = False) -> dict[str, str]:
    """`is_free`: a discount takes off all of it."""
    off_minor = amount_minor if is_free else 0
    total = str(amount_minor - off_minor)
    return {"subtotal": str(amount_minor), "discount": str(off_minor), "tax": "0", "total": total}


def _payments(simulation: Simulation, total_minor: int) -> Sequence[dict[str, Any]]:
    if total_minor <= 0:
        return []
    captured = {"status": "captured", "captured_at": _instant(simulation.at_ms), "error_code": None}
    return [{"payment_attempt_id": _id("att", _transaction_id(simulation)), "amount": str(total_minor), **captured}]


def _origin(simulation: Simulation) -> str:
    if simulation.invoice is not None:
        return "subscription_update"
    return "web" if simulation.period == 0 else "subscription_recurring"


def _subscription_data(simulation: Simulation, status: str) -> dict[str, Any]:
    starts_ms, ends_ms = (period_start_ms(simulation, simulation.period + later) for later in (0, 1))
    period = {"starts_at": _instant(starts_ms), "ends_at": _instant(ends_ms)}
    is_over = status == "canceled"
    change = {"action": "cancel", "effective_at": _instant(ends_ms), "resume_at": None}
    return {
        "id": _subscription_id(simulation),
        "status": status,
        "customer_id": _id("ctm", "customer", simulation.account or simulation.payment),
        "custom_data": _custom_data(simulation),
        "currency_code": simulation.currency,
        "collection_mode": "automatic",
        "billing_cycle": {"interval": "month", "frequency": 1},
        "current_billing_period": None if is_over else period,
        "next_billed_at": None if is_over else _instant(ends_ms),
        "scheduled_change": change if simulation.cancels_at_period_end else None,
        "items": [
            {
                "status": "trialing" if status == "trialing" else "active",
                "quantity": simulation.quantity,
                "recurring": True,
                "price": {
                    "id": simulation.product_id or _PLAN_PRICE,
                    "unit_price": {
                        "amount": str(simulation.paid_minor // simulation.quantity),
                        "currency_code": simulation.currency,
                    },
                    "billing_cycle": {"interval": "month", "frequency": 1},
                },
                "trial_dates": period if status == "trialing" else None,
            }
        ],
        "started_at": _instant(simulation.started_at_ms),
        "paused_at": _instant(simulation.at_ms) if status == "paused" else None,
        "canceled_at": _instant(simulation.at_ms) if is_over else None,
        "created_at": _instant(simulation.started_at_ms),
        "updated_at": _instant(simulation.at_ms),
    }


def _adjustment_data(simulation: Simulation, status: str) -> dict[str, Any]:
    """
    A refund, unless the simulation's status names another action, such as `chargeback`.

    A word more, or alone, says how it ended: `rejected`, `chargeback reversed`.
    """
    left_minor = simulation.paid_minor - simulation.refunded_before_minor
    amount_minor = left_minor if simulation.refunded_minor is None else simulation.refunded_minor
    words = (simulation.status or "").split()
    undone = next((word for word in words if word in _UNDONE), None)
    action = next((word for word in words if word not in _UNDONE), "refund")
    return {
        "id": _id("adj", _transaction_id(simulation), simulation.refund or "", action),
        "action": action,
        "status": undone or (status if action == "refund" else "approved"),
        "transaction_id": _transaction_id(simulation),
        "subscription_id": _subscription_id(simulation) if _is_plan(simulation) else None,
        "customer_id": _id("ctm", "customer", simulation.account or simulation.payment),
        "reason": "simulated",
        "currency_code": simulation.currency,
        "items": [
            {
                "id": _id("adjitm", _transaction_id(simulation), simulation.refund or ""),
                "item_id": _id("txnitm", _transaction_id(simulation), "0"),
                "type": "partial" if amount_minor < simulation.paid_minor else "full",
                "amount": str(amount_minor),
                "totals": {"subtotal": str(amount_minor), "tax": "0", "total": str(amount_minor)},
            }
        ],
        "totals": {
            "subtotal": str(amount_minor),
            "tax": "0",
            "total": str(amount_minor),
            "currency_code": simulation.currency,
        },
        "created_at": _instant(simulation.at_ms),
        "updated_at": _instant(simulation.at_ms),
    }


def _custom_data(simulation: Simulation) -> dict[str, str] | None:
    said = {REFERENCE: simulation.client_reference, QUOTE: simulation.quote_id}
    return {name: value for name, value in said.items() if value is not None} or None


def _event(simulation: Simulation, data: Mapping[str, Any]) -> bytes:
    event = {
        "event_id": _id("evt", simulation.event_type, simulation.delivery),
        "event_type": simulation.event_type,
        "occurred_at": _instant(simulation.at_ms),
        "notification_id": _id("ntf", simulation.event_type, simulation.delivery),
        "data": data,
    }
    return json.dumps(event).encode()


def _is_plan(simulation: Simulation) -> bool:
    """A transaction bills a subscription unless it is said what credits it buys."""
    return simulation.credit_type is None and simulation.quote_id is None and not simulation.amount


def _transaction_id(simulation: Simulation) -> str:
    """A subscription has one transaction a period and one a change, whatever the simulated payment is called."""
    if not _is_plan(simulation):
        return _id("txn", simulation.payment)
    which = simulation.period if simulation.invoice is None else simulation.invoice
    return _id("txn", _subscription_id(simulation), str(which))


def _subscription_id(simulation: Simulation) -> str:
    return _id("sub", simulation.subscription or simulation.payment)


def _id(prefix: str, *names: str) -> str:
    """Paddle's ids: a word for the kind, and 26 letters and digits."""
    return f"{prefix}_01{digest(prefix, *names)[:24]}"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
