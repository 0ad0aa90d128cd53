"""Read fake events: one small pure function per event type, from raw JSON to facts."""

from collections.abc import Callable, Mapping
from typing import Final

from credits.config.settings import Tenant
from credits.errors import MalformedPayloadError
from credits.facts import (
    CustomerLinked,
    DisputeSeen,
    DisputeStatus,
    Fact,
    Payer,
    PlanLine,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundSeen,
    RefundStatus,
    SubscriptionSeen,
)
from credits.inbox.provider import Delivery, Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.metadata import read_metadata


def read_envelope(payload: Payload, _body: bytes) -> Delivery:
    """Id, type and mode of an event. Its id is its own, so the body is not looked at."""
    event = Node(payload)
    live = event.flag("livemode")
    return Delivery(
        event_id=event.required_text("id"),
        event_type=event.required_text("type"),
        tenant=None if live is None else Tenant.LIVE if live else Tenant.SANDBOX,
        occurred_at_ms=_created_ms(payload),
    )


def _purchase_paid(payload: Payload) -> tuple[Fact, ...]:
    data = _data(payload)
    metadata = read_metadata(data.values.get("metadata"))
    return (
        PurchasePaid(
            key=_purchase_key(data),
            payer=_payer(data),
            credit_type=metadata.credit_type,
            amount=metadata.amount,
            quote_id=metadata.quote_id,
            product_id=data.text("product"),
            asked=_money(data, "asked_minor"),
            paid=_money(data, "paid_minor"),
            occurred_at_ms=_created_ms(payload),
        ),
    )


def _purchase_pending(payload: Payload) -> tuple[Fact, ...]:
    return (PurchasePending(key=_purchase_key(_data(payload)), reason="the money is on its way"),)


def _purchase_voided(payload: Payload) -> tuple[Fact, ...]:
    return (PurchaseVoided(key=_purchase_key(_data(payload)), reason="the money never came"),)


def _subscription_seen(payload: Payload) -> tuple[Fact, ...]:
    data = _data(payload)
    product_id, status = data.text("product"), data.text("status")
    return (
        SubscriptionSeen(
            subscription_id=data.required_text("subscription"),
            payer=_payer(data),
            product_ids=() if product_id is None else (product_id,),
            status=status,
            quantity=data.integer("quantity"),
            period_start_ms=data.instant_ms("period_start"),
            period_end_ms=data.instant_ms("period_end"),
            trial_end_ms=data.instant_ms("trial_end"),
            trial_key=f"fake:sub:{data.required_text('subscription')}:trial" if status == "trialing" else None,
            is_paused=status == "paused",
            is_unpaid=status == "past_due",
            ended=status == "ended",
            stamp_ms=_created_ms(payload),
        ),
    )


def _customer_linked(payload: Payload) -> tuple[Fact, ...]:
    data = _data(payload)
    data.required_text("customer")
    return (CustomerLinked(payer=_payer(data)),)


def _plan_paid(payload: Payload) -> tuple[Fact, ...]:
    data = _data(payload)
    key = f"fake:inv:{data.required_text('invoice')}"
    total = _required_money(data, "paid_minor")
    line = PlanLine(
        key=key,
        product_id=data.text("product"),
        period_start_ms=data.instant_ms("period_start"),
        period_end_ms=data.instant_ms("period_end"),
        quantity=data.integer("quantity"),
        amount=total,
    )
    return (PlanPaid(key=key, payer=_payer(data), lines=(line,), total=total, occurred_at_ms=_created_ms(payload)),)


def _refund_made(payload: Payload) -> tuple[Fact, ...]:
    return (_refund(payload, RefundStatus.SUCCEEDED),)


def _refund_failed(payload: Payload) -> tuple[Fact, ...]:
    return (_refund(payload, RefundStatus.FAILED),)


def _refund(payload: Payload, status: RefundStatus) -> RefundSeen:
    data = _data(payload)
    return RefundSeen(
        ref=f"fake:refund:{data.text('refund') or data.required_text('payment')}",
        names=_paid_names(data),
        amount=_money(data, "refunded_minor") or _required_money(data, "paid_minor"),
        status=status,
    )


def _dispute_opened(payload: Payload) -> tuple[Fact, ...]:
    return (_dispute(payload, DisputeStatus.OPEN),)


def _dispute_lost(payload: Payload) -> tuple[Fact, ...]:
    return (_dispute(payload, DisputeStatus.LOST),)


def _dispute_won(payload: Payload) -> tuple[Fact, ...]:
    return (_dispute(payload, DisputeStatus.WON),)


def _dispute(payload: Payload, status: DisputeStatus) -> DisputeSeen:
    data = _data(payload)
    return DisputeSeen(
        ref=f"fake:dp:{data.text('dispute') or data.required_text('payment')}",
        names=_paid_names(data),
        amount=_money(data, "disputed_minor") or _required_money(data, "paid_minor"),
        status=status,
    )


def _paid_names(data: Node) -> tuple[str, ...]:
    """What was paid for: a purchase, or a plan's invoice."""
    invoice = data.text("invoice")
    return (_purchase_key(data),) if invoice is None else (f"fake:inv:{invoice}",)


READERS: Final[Mapping[str, Callable[[Payload], tuple[Fact, ...]]]] = {
    "purchase.paid": _purchase_paid,
    "purchase.pending": _purchase_pending,
    "purchase.voided": _purchase_voided,
    "subscription.seen": _subscription_seen,
    "customer.linked": _customer_linked,
    "plan.paid": _plan_paid,
    "refund.created": _refund_made,
    "refund.failed": _refund_failed,
    "dispute.opened": _dispute_opened,
    "dispute.lost": _dispute_lost,
    "dispute.won": _dispute_won,
}


def _data(payload: Payload) -> Node:
    return Node(payload).child("data")


def _created_ms(payload: Payload) -> int:
    return Node(payload).required_integer("created") * 1000


def _purchase_key(data: Node) -> str:
    return f"fake:pay:{data.required_text('payment')}"


def _payer(data: Node) -> Payer:
    return Payer(
        account=read_metadata(data.values.get("metadata")).account,
        client_reference=data.text("client_reference"),
        customer_id=data.text("customer"),
        subscription_id=data.text("subscription"),
    )


def _money(data: Node, name: str) -> Money | None:
    return data.money(name, data.required_text("currency")) if data.has(name) else None


def _required_money(data: Node, name: str) -> Money:
    money = _money(data, name)
    if money is None:
        raise MalformedPayloadError(f"data.{name} is missing; it must be a whole number of minor units")
    return money
