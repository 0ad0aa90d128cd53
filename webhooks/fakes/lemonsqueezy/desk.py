"""What the fake Lemon Squeezy knows and tells: JSON:API resources in its store, webhooks to the receiver."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from credits.clock import iso
from credits.config.settings import Tenant
from credits.ids import digest
from credits.inbox.provider import Simulation
from credits.pricing.money import written
from credits.units import Money
from webhooks.fakes.delivery import Deliverer
from webhooks.fakes.store import FakeStore
from webhooks.fakes.till import Extras
from webhooks.providers.lemonsqueezy.simulate import SIMULATORS

PROVIDER: Final = "lemonsqueezy"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The fake Lemon Squeezy at work."""

    store: FakeStore
    deliverer: Deliverer
    now_ms: Callable[[], int]
    credits_variant: str
    """The variant that is sold at a price of the shop's own; every other one is a plan's."""

    def find(self, kind: str, resource_id: str) -> Resource | None:
        return self.store.get(PROVIDER, kind, resource_id)

    def keep(self, resource: Resource) -> None:
        """Store a resource by what it says of itself."""
        self.store.put(PROVIDER, resource["type"], resource["id"], resource, created_s=self.now_ms() // 1000)

    def notes(self, kind: str, resource_id: str) -> Resource:
        """What belongs to an order and is in no resource: its token, its custom data, its checkout."""
        found = self.store.get(PROVIDER, f"notes of {kind}", resource_id)
        if found is None:
            raise LookupError(f"{kind} {resource_id} has no notes, and they are stored with it")
        return found

    def keep_notes(self, kind: str, resource_id: str, notes: Mapping[str, Any]) -> None:
        self.store.put(PROVIDER, f"notes of {kind}", resource_id, notes, created_s=self.now_ms() // 1000)

    def webhook(self, event_type: str, notes: Mapping[str, Any], *, paid_minor: int, currency: str) -> Resource:
        """A simulated webhook about what `notes` name, parsed."""
        simulation = Simulation(
            event_type=event_type,
            payment=notes["token"],
            account=notes["custom"].get("creditgate_account"),
            product_id=notes["variant"],
            subscription=notes["token"],
            period=notes.get("period", 0),
            paid_minor=paid_minor,
            currency=currency,
            tenant=Tenant.SANDBOX,
            at_ms=self.now_ms(),
            started_at_ms=notes["at_ms"],
            delivery=secrets.token_hex(8),
        )
        body: Resource = json.loads(SIMULATORS[event_type](simulation))
        # What the checkout was made with, to the letter: nothing else is handed on.
        body["meta"].pop("custom_data", None)
        if notes["custom"]:
            body["meta"]["custom_data"] = dict(notes["custom"])
        if notes.get("email"):
            # A customer is an address.
            customer_id = 10**13 + int(digest(notes["email"]), 16) % (9 * 10**13)
            body["data"]["attributes"] |= {"user_email": notes["email"], "customer_id": customer_id}
        return body

    def tell(self, *webhooks: Resource) -> None:
        """Keep what the webhooks show, and deliver them in this order."""
        for webhook in webhooks:
            self.keep(webhook["data"])
        self.deliverer.send(PROVIDER, [json.dumps(webhook).encode() for webhook in webhooks])

    def new_checkout(self, attributes: Mapping[str, Any], *, variant: str, page_url: str) -> Resource:
        """A stored checkout; `page_url` is the address of its page, with `{id}` in it."""
        checkout_id = secrets.token_hex(16)
        custom = (attributes.get("checkout_data") or {}).get("custom") or {}
        resource = {
            "type": "checkouts",
            "id": checkout_id,
            "attributes": {
                "store_id": attributes["store_id"],
                "variant_id": int(variant),
                "custom_price": attributes.get("custom_price"),
                "product_options": attributes.get("product_options") or {},
                "checkout_data": {
                    "custom": {name: str(value) for name, value in custom.items()},
                    "email": (attributes.get("checkout_data") or {}).get("email") or "",
                },
                "expires_at": attributes.get("expires_at"),
                "created_at": iso(self.now_ms()),
                "test_mode": True,
                "url": page_url.replace("{id}", checkout_id),
            },
        }
        self.keep(resource)
        return resource


def priced(attributes: Resource, price_minor: int, extras: Extras) -> None:
    """Write a price with its promotion and tax into an order or an invoice, as Lemon Squeezy spells it."""
    sums = {
        "subtotal": price_minor,
        "discount_total": extras.discount_minor(price_minor),
        "tax": extras.tax_minor(price_minor),
        "total": extras.total_minor(price_minor),
    }
    attributes.update(sums)
    attributes.update({f"{name}_usd": amount for name, amount in sums.items()})
    attributes.update({f"{name}_formatted": f"{amount} {attributes['currency']}" for name, amount in sums.items()})


def shown(amount_minor: int, currency: str) -> str:
    """A sum, for people."""
    return written(Money(amount_minor=amount_minor, currency=currency), "en_US")
