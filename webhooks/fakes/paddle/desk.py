"""What the fake Paddle knows and tells: entities in its store, events to the receiver."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from credits.checkout.marks import REFERENCE
from credits.config.settings import Tenant
from credits.inbox.provider import Simulation
from credits.pricing.money import written
from credits.units import Money
from webhooks.fakes.delivery import Deliverer
from webhooks.fakes.store import FakeStore
from webhooks.providers.paddle.simulate import SIMULATORS

PROVIDER: Final = "paddle"
KINDS: Final = {"txn": "transactions", "adj": "adjustments", "sub": "subscriptions"}
"""The list that an entity is in, by how its id begins."""

PRICE_OF_A_PLAN: Final = 2000

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What belongs to a transaction and is not in it."""

    token: str
    """Names it, and its subscription."""
    title: str
    custom: Mapping[str, Any]
    """The custom data that it was made with."""
    price: str | None
    """The price that is subscribed to; None where credits are bought."""
    price_minor: int
    currency: str
    at_ms: int
    period: int = 0
    refunds: int = 0
    refunded_minor: int = 0
    is_charged_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The fake Paddle at work."""

    store: FakeStore
    deliverer: Deliverer
    now_ms: Callable[[], int]

    def find(self, kind: str, entity_id: str) -> Entity | None:
        return self.store.get(PROVIDER, kind, entity_id)

    def keep(self, entity: Entity) -> None:
        """Store an entity in the list that its id names."""
        kind = KINDS[entity["id"].partition("_")[0]]
        self.store.put(PROVIDER, kind, entity["id"], entity, created_s=self.now_ms() // 1000)

    def notes(self, transaction_id: str) -> Notes:
        found = self.store.get(PROVIDER, "notes", transaction_id)
        if found is None:
            raise LookupError(f"transaction {transaction_id} has no notes, and they are stored with it")
        return Notes(**found)

    def keep_notes(self, transaction_id: str, notes: Notes) -> None:
        self.store.put(PROVIDER, "notes", transaction_id, asdict(notes), created_s=self.now_ms() // 1000)

    def event(self, event_type: str, notes: Notes, **said: Any) -> Entity:
        """A simulated event about what `notes` name, parsed; its data carry the custom data of the transaction."""
        is_plan = notes.price is not None
        simulation = Simulation(
            event_type=event_type,
            payment=notes.token,
            # One customer for each account, as far as we can tell them apart.
            account=notes.custom.get(REFERENCE) or notes.token,
            amount=None if is_plan else 1,
            product_id=notes.price or f"pri_{notes.token}",
            subscription=notes.token,
            period=notes.period,
            currency=notes.currency,
            tenant=Tenant.SANDBOX,
            at_ms=self.now_ms(),
            started_at_ms=notes.at_ms,
            delivery=secrets.token_hex(8),
            **{"paid_minor": notes.price_minor, **said},
        )
        made: Entity = json.loads(SIMULATORS[event_type](simulation))
        if "custom_data" in made["data"]:
            made["data"]["custom_data"] = dict(notes.custom) or None
        return made

    def tell(self, *events: Entity) -> None:
        """Keep what the events show, and the events themselves, and deliver them in this order."""
        for event in events:
            self.keep(event["data"])
            listed = {name: value for name, value in event.items() if name != "notification_id"}
            self.store.put(PROVIDER, "events", event["event_id"], listed, created_s=self.now_ms() // 1000)
        self.deliverer.send(PROVIDER, [json.dumps(event).encode() for event in events])

    def new_transaction(self, notes: Notes, *, page_url: str) -> Entity:
        """A stored transaction that waits for its payer; `page_url` is the address of its page without the query."""
        transaction: Entity = self.event("transaction.canceled", notes)["data"]
        transaction |= {"status": "draft", "origin": "api", "billed_at": None, "customer_id": None}
        transaction |= {"subscription_id": None}
        transaction["checkout"] = {"url": f"{page_url}?_ptxn={transaction['id']}"}
        for item in transaction["items"]:
            item["price"] |= {"name": notes.title, "type": "standard" if notes.price else "custom"}
        self.keep(transaction)
        self.keep_notes(transaction["id"], notes)
        return transaction

    def once_more(self, transaction_id: str, **changes: Any) -> Notes:
        """The transaction's notes with `changes`, kept."""
        notes = replace(self.notes(transaction_id), **changes)
        self.keep_notes(transaction_id, notes)
        return notes


def shown(amount_minor: int, currency: str) -> str:
    """A sum, for people."""
    return written(Money(amount_minor=amount_minor, currency=currency), "en_US")
