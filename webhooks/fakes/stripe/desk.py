"""What the fake Stripe knows and tells: objects in its store, events to the receiver. One place writes both."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from credits.checkout.marks import ACCOUNT
from credits.config.settings import Tenant
from credits.inbox.provider import Simulation
from credits.pricing.money import written
from credits.units import Money
from webhooks.fakes.delivery import Deliverer
from webhooks.fakes.store import FakeStore
from webhooks.providers.stripe.simulate import SIMULATORS

PROVIDER: Final = "stripe"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What belongs to a checkout session and is in no object of Stripe's."""

    token: str
    """Names everything that comes of the session: `cs_test_<token>`, `pi_<token>`, `ch_<token>`."""
    title: str
    marks: Mapping[str, str]
    intent_marks: Mapping[str, str] = field(default_factory=dict)
    subscription_marks: Mapping[str, str] = field(default_factory=dict)
    price: str | None = None
    """The price that is subscribed to."""
    period: int = 0
    refunds: int = 0
    is_disputed: bool = False
    saves_card: bool = False
    """Whether the card that pays is kept for later."""

    def as_json(self) -> Object:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The fake Stripe at work."""

    store: FakeStore
    deliverer: Deliverer
    now_ms: Callable[[], int]

    def find(self, kind: str, object_id: str) -> Object | None:
        return self.store.get(PROVIDER, kind, object_id)

    def keep(self, item: Object) -> None:
        """Store an object by what it says of itself."""
        self.store.put(PROVIDER, item["object"], item["id"], item, created_s=item.get("created") or self.now_s)

    def notes(self, session_id: str) -> Notes:
        found = self.store.get(PROVIDER, "notes", session_id)
        if found is None:
            raise LookupError(f"session {session_id} has no notes, and they are stored with it")
        return Notes(**found)

    def keep_notes(self, session_id: str, notes: Notes) -> None:
        self.store.put(PROVIDER, "notes", session_id, notes.as_json(), created_s=self.now_s)

    @property
    def now_s(self) -> int:
        return self.now_ms() // 1000

    def made(self, event_type: str, session: Object, notes: Notes, **changes: Any) -> Object:
        """The object of a simulated event about what came of a session."""
        return self.event(event_type, session, notes, **changes)["data"]["object"]  # type: ignore[no-any-return]

    def event(self, event_type: str, session: Object, notes: Notes, **changes: Any) -> Object:
        """A simulated event, parsed."""
        simulation = Simulation(
            event_type=event_type,
            payment=notes.token,
            account=notes.marks.get(ACCOUNT),
            product_id=notes.price,
            amount=None if notes.price else 1,
            credit_type=None,
            subscription=notes.token,
            period=notes.period,
            paid_minor=session["amount_total"] or 0,
            currency=session["currency"].upper(),
            tenant=Tenant.SANDBOX,
            at_ms=self.now_ms(),
            started_at_ms=session["created"] * 1000,
            delivery=secrets.token_hex(8),
        )
        body: Object = json.loads(SIMULATORS[event_type](replace(simulation, **changes)))
        return body

    def tell(self, session: Object, notes: Notes, *events: tuple[str, Object]) -> None:
        """Keep the objects, make an event of each, keep those, and deliver them in this order."""
        bodies = []
        for event_type, about in events:
            self.keep(about)
            event = self.event(event_type, session, notes)
            event["data"]["object"] = about
            self.keep(event)
            bodies.append(json.dumps(event, indent=2).encode())
        self.deliverer.send(PROVIDER, bodies)


def shown(session: Object, amount_minor: int) -> str:
    """A sum in the session's currency, for people."""
    return written(Money(amount_minor=amount_minor, currency=session["currency"].upper()), "en_US")
