"""What all simulated Stripe events share: the API version's shape, the ids, the calendar and the envelope."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from credits.config.settings import Tenant
from credits.errors import InvalidInputError
from credits.ids import digest
from credits.inbox.provider import Simulation
from webhooks.simulated_periods import period_start_ms

StripeObject = dict[str, Any]

DEFAULT_VERSION: Final = "2025-03-31.basil"

_VERSION: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?", re.ASCII)
_FIRST_ACACIA: Final = "2022-11-15"
_FIRST_BASIL: Final = "2025-03-31"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


class Shape(StrEnum):
    """The three shapes in which these objects have come, each named after its best known version."""

    OLD = "2020-08-27"
    ACACIA = "2025-02-24.acacia"
    BASIL = "2025-03-31.basil"


def shape_of(simulation: Simulation) -> Shape:
    """The shape that the simulated endpoint's API version gives; raises InvalidInputError for what is no version."""
    version = _version(simulation)
    if not _VERSION.fullmatch(version):
        raise InvalidInputError("api_version", f"must look like 2020-08-27 or {DEFAULT_VERSION}, got {version!r}")
    date = version[:10]
    if date >= _FIRST_BASIL:
        return Shape.BASIL
    return Shape.ACACIA if date >= _FIRST_ACACIA else Shape.OLD


@dataclass(frozen=True, slots=True)
class Names:
    """The ids of the objects that one simulation is about. The same simulation gives the same ids."""

    simulation: Simulation

    @property
    def session(self) -> str:
        mode = "live" if self.simulation.tenant is Tenant.LIVE else "test"
        return f"cs_{mode}_{self._payment}"

    @property
    def payment_intent(self) -> str:
        return f"pi_{self._payment}"

    @property
    def charge(self) -> str:
        return f"ch_{self._payment}"

    @property
    def refund(self) -> str:
        return f"re_{_plain(self.simulation.refund or self.simulation.payment)}"

    @property
    def dispute(self) -> str:
        return f"dp_{self._payment}"

    @property
    def credit_note(self) -> str:
        return f"cn_{self._payment}"

    @property
    def customer(self) -> str:
        """The account's customer; for a payment without an account, a customer nobody knows."""
        return f"cus_{digest('customer', self.simulation.account or self.simulation.payment)[:14]}"

    @property
    def subscription(self) -> str:
        return f"sub_{self._subscription}"

    @property
    def item(self) -> str:
        return f"si_{self._subscription}"

    @property
    def invoice(self) -> str:
        named = self.simulation.invoice
        return self.invoice_of(self.simulation.period) if named is None else f"in_{_plain(named)}"

    def invoice_of(self, period: int) -> str:
        return f"in_{self._subscription}_{period}"

    @property
    def line(self) -> str:
        return f"il_{self._subscription}_{self.simulation.period}"

    @property
    def price(self) -> str:
        return self.simulation.product_id or "price_simulated"

    @property
    def product(self) -> str:
        return f"prod_{digest('product', self.price)[:14]}"

    @property
    def event(self) -> str:
        # Two types of event never share an id, even where the caller names the delivery of both alike.
        return f"evt_{_plain(self.simulation.delivery)}_{digest('type', self.simulation.event_type)[:8]}"

    @property
    def _payment(self) -> str:
        return _plain(self.simulation.payment)

    @property
    def _subscription(self) -> str:
        return _plain((self.simulation.subscription or self.simulation.payment).removeprefix("sub_"))


def event(simulation: Simulation, about: Mapping[str, Any], *, previous: Mapping[str, Any] | None = None) -> bytes:
    """The body of a simulated event about the object `about`, laid out as Stripe does."""
    data: StripeObject = {"object": about}
    if previous is not None:
        data["previous_attributes"] = previous
    names = Names(simulation)
    return _body(
        {
            "id": names.event,
            "object": "event",
            "api_version": _version(simulation),
            "created": at_s(simulation),
            "data": data,
            "livemode": is_live(simulation),
            "pending_webhooks": 1,
            "request": {"id": f"req_{digest('request', names.event)[:14]}", "idempotency_key": None},
            "type": simulation.event_type,
        }
    )


def thin_event(simulation: Simulation) -> bytes:
    """The body of a simulated event of Stripe's second generation: it names an object and carries none."""
    names = Names(simulation)
    created = datetime.fromtimestamp(at_s(simulation), tz=UTC)
    return _body(
        {
            "id": names.event,
            "object": "v2.core.event",
            "context": None,
            "created": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "livemode": is_live(simulation),
            "reason": None,
            "related_object": {
                "id": f"mtr_{digest('meter', simulation.payment)[:14]}",
                "type": "billing.meter",
                "url": f"/v1/billing/meters/mtr_{digest('meter', simulation.payment)[:14]}",
            },
            "type": simulation.event_type,
        }
    )


def at_s(simulation: Simulation) -> int:
    """The simulated present in seconds."""
    return simulation.at_ms // 1000


def is_live(simulation: Simulation) -> bool:
    return simulation.tenant is Tenant.LIVE


def listed(url: str, *objects: Mapping[str, Any]) -> StripeObject:
    """A list of objects inside another object."""
    return {"object": "list", "data": list(objects), "has_more": False, "total_count": len(objects), "url": url}


def period_start_s(simulation: Simulation, period: int) -> int:
    """When the billing period of that number begins, in seconds."""
    return period_start_ms(simulation, period) // 1000


def _version(simulation: Simulation) -> str:
    return simulation.api_version or DEFAULT_VERSION


def _body(content: StripeObject) -> bytes:
    return json.dumps(content, indent=2).encode()


def _plain(name: str) -> str:
    """`name` as part of an id: itself if it may stand there, a digest otherwise."""
    return name if _PLAIN_NAME.fullmatch(name) else digest("name", name)[:24]
