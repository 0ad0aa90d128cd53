"""Subscriptions at Stripe told event by event, with invoices of any lines, over inbox, ledger, gate and sweeps."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from credits.clock import from_iso
from credits.config.catalogue import Plan, PlanCredits
from credits.plans import drips
from credits.reservations.sweeps import sweep_gate
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline

DAY_MS = 86_400_000
TYPE = "image_generation"


def plan(key: str, *credits_: PlanCredits, **said: Any) -> Plan:
    """A plan that is sold at every provider by its own name."""
    products = {"stripe": (f"price_{key}",), "lemonsqueezy": (key,), "fake": (key,)}
    return Plan(key=key, name=key, product_ids=products, credits=credits_, **said)


def images(amount: int, **said: Any) -> PlanCredits:
    return PlanCredits(credit_type=TYPE, amount=amount, **said)


@dataclass(kw_only=True)
class Life:
    """One subscription of user_1 at Stripe. Instants are ISO 8601, money in cents."""

    pipeline: Pipeline
    clock: VirtualClock
    name: str = "s1"
    shape: str = "2025-03-31.basil"
    _told: list[Callable[[], Any]] = field(default_factory=list)

    @classmethod
    def of(cls, pipeline: Pipeline, *plans: Plan, **said: Any) -> "Life":
        """Over a catalogue that sells these plans."""
        assert isinstance(pipeline.runtime.clock, VirtualClock)
        catalogue = replace(pipeline.runtime.catalogue, plans={one.key: one for one in plans})
        return cls(pipeline=pipeline.with_catalogue(catalogue), clock=pipeline.runtime.clock, **said)

    def seen(self, plan_key: str, at: str, start: str, end: str, *, kind: str = "updated", **fields: Any) -> Any:
        """A sight of the subscription."""

        def edit(payload: dict[str, Any]) -> None:
            subscription = payload["data"]["object"]
            period = {"current_period_start": _s(start), "current_period_end": _s(end)}
            if "current_period_start" in subscription:
                subscription.update(period)
            item = subscription["items"]["data"][0]
            item.update({"quantity": fields.pop("quantity", 1), **period})
            subscription.update(fields)

        said = {"product_id": f"price_{plan_key}", "at_ms": from_iso(at), "delivery": f"{self.name} {kind} {at}"}
        return self._receive(f"customer.subscription.{kind}", edit, **said)

    def invoice(self, name: str, at: str, *lines: dict[str, Any], **fields: Any) -> Any:
        """A settled invoice with these lines."""

        def edit(payload: dict[str, Any]) -> None:
            invoice = payload["data"]["object"]
            asked = sum(one["amount"] for one in lines)
            own = {"id": f"in_{name}", "subtotal": asked, "total": asked, "amount_due": max(0, asked)}
            invoice.update({**own, "status_transitions": {"paid_at": _s(at)}, **fields})
            invoice["lines"]["data"] = [self._line(index, one) for index, one in enumerate(lines)]

        return self._receive("invoice.paid", edit, at_ms=from_iso(at), delivery=f"{name} {at}")

    def refund(self, name: str, minor: int) -> None:
        """All the money of an invoice goes back."""

        def edit(payload: dict[str, Any]) -> None:
            payload["data"]["object"].update(invoice=f"in_{name}", amount=minor, amount_refunded=minor)

        said = {"provider": "stripe", "api_version": "2020-08-27", "product_id": "price_pro", "at_ms": self.clock()}
        self.pipeline.receive("charge.refunded", edit=edit, delivery=f"refund {name}", **said)
        self.sweep()

    def advance(self, to: str) -> None:
        """Move the clock, and let every sweep run."""
        self.clock.set_ms(from_iso(to))
        self.sweep()

    def sweep(self) -> None:
        runtime, gate = self.pipeline.runtime, self.pipeline.gate
        assert gate is not None
        for _ in range(3):
            drips.sweep(runtime.engine, runtime.catalogue, self.clock, until_ms=self.clock() + 1)
            sweep_gate(gate)

    def available(self, credit_type: str = TYPE) -> int:
        found = self.pipeline.credits.balances("user_1").get(credit_type)
        return 0 if found is None else found.available

    def entries(self, credit_type: str = TYPE) -> list[tuple[str, int]]:
        """(kind, amount) of user_1's entries, the oldest first."""
        rows = self.pipeline.credits.entries("user_1", credit_type=credit_type)
        return [(row["kind"], row["amount"]) for row in reversed(rows)]

    def keys(self) -> list[str]:
        return [row["key"] for row in reversed(self.pipeline.credits.grants("user_1"))]

    def spend(self, amount: int, key: str = "job") -> None:
        self.pipeline.credits.deduct("user_1", TYPE, amount, key=key)

    def _receive(self, event_type: str, edit: Callable[[dict[str, Any]], None], **said: Any) -> Any:
        self.clock.set_ms(max(self.clock(), said["at_ms"]))
        event = self.pipeline.receive(
            event_type,
            provider="stripe",
            edit=edit,
            credit_type=None,
            amount=None,
            subscription=self.name,
            api_version=self.shape,
            **said,
        )
        self.sweep()
        return event

    def _line(self, index: int, said: dict[str, Any]) -> dict[str, Any]:
        subscription = {
            "subscription": f"sub_{self.name}",
            "subscription_item": f"si_{self.name}",
            "proration": said["proration"],
        }
        kind = "subscription_item_details"
        return {
            "id": f"il_{index}",
            "amount": said["amount"],
            "currency": "usd",
            "metadata": {},
            "period": {"start": _s(said["start"]), "end": _s(said["end"])},
            "quantity": said["quantity"],
            "parent": {"type": kind, kind: subscription},
            "pricing": {"type": "price_details", "price_details": {"price": f"price_{said['plan']}", "product": "p"}},
        }


def line(plan_key: str, amount: int, start: str, end: str, *, proration: bool = False, quantity: int = 1) -> Any:
    """A line of an invoice."""
    said = {"plan": plan_key, "amount": amount, "start": start, "end": end}
    return {**said, "proration": proration, "quantity": quantity}


def _s(at: str) -> int:
    return from_iso(at) // 1000
