"""What Lemon Squeezy has: orders, subscriptions and their invoices. It keeps no events."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from credits.backfill.http import Asker
from credits.backfill.model import DAY_MS, MADE_BY, FoundEvent, FoundPage, state_id
from credits.clock import from_iso
from credits.config.settings import ProviderAccess
from credits.errors import ProviderRefusedError

_API: Final = "https://api.lemonsqueezy.com"
_PAGE_SIZE: Final = 100

_REFUNDED_AFTER_MS: Final = 60 * DAY_MS
"""Lists are by the time of making, and a refund changes an old object: so far back we look for changes."""

_SETTLING_IN_MS: Final = 5 * 60_000
"""A new subscription is written to a few times by its own first payment."""

Attributes = Mapping[str, Any]


def _of_order(attributes: Attributes) -> Iterable[str]:
    yield "order_created"
    if attributes.get("refunded_amount") or attributes.get("refunded"):
        yield "order_refunded"


def _of_subscription(attributes: Attributes) -> Iterable[str]:
    # As it was made: its first invoice is for the plan that it shows, and need not wait for a better word.
    made_ms, changed_ms = (from_iso(attributes[name]) for name in ("created_at", "updated_at"))
    yield "subscription_created" if changed_ms - made_ms <= _SETTLING_IN_MS else "subscription_updated"


def _of_invoice(attributes: Attributes) -> Iterable[str]:
    if attributes.get("status") in {"paid", "refunded", "partial_refund"}:
        yield "subscription_payment_success"
    if attributes.get("refunded_amount") or attributes.get("refunded"):
        yield "subscription_payment_refunded"


_TYPES: Final[Mapping[str, Callable[[Attributes], Iterable[str]]]] = {
    "orders": _of_order,
    "subscriptions": _of_subscription,
    "subscription-invoices": _of_invoice,
}


class LemonSqueezyListing:
    """A credits.backfill.model.Listing; what it promises stands there."""

    kinds: Final = tuple(_TYPES)

    def __init__(self, access: ProviderAccess) -> None:
        self._store_id, self._variant_id = access.store_id, access.variant_id
        self._renewals: dict[str, str | None] = {}
        self._asker = Asker("lemonsqueezy", access.api_base or _API, access, {"Accept": "application/vnd.api+json"})

    def page(self, kind: str, *, since_ms: int, token: str | None, now_ms: int) -> FoundPage:  # noqa: ARG002
        number = int(token or "1")
        params = {"page[size]": str(_PAGE_SIZE), "page[number]": str(number), "filter[store_id]": self._store_id}
        answer = self._asker.get(f"/v1/{kind}", params)
        items = answer["data"]
        found = [event for item in items if _changed_ms(item) >= since_ms for event in self._events(kind, item)]
        last = int(((answer.get("meta") or {}).get("page") or {}).get("lastPage") or number)
        # A subscription lives long, so its list is read to the end.
        is_past = kind != "subscriptions" and all(_made_ms(item) < since_ms - _REFUNDED_AFTER_MS for item in items)
        return FoundPage(events=found, next_token=str(number + 1) if number < last and not is_past else None)

    def _events(self, kind: str, item: Mapping[str, Any]) -> Iterable[FoundEvent]:
        attributes = item["attributes"]
        state = [attributes.get(name) for name in ("status", "refunded_amount", "variant_id", "renews_at", "ends_at")]
        # What is beside the object in a webhook, our custom data, no listing tells: its quote has to be found.
        said: dict[str, Any] = dict(MADE_BY)
        if kind == "orders":
            said["sold_by_us"] = self._is_ours(attributes)
        if kind == "subscriptions":
            said["renews_every"] = self._renewal_of(str(attributes.get("variant_id")))
        for event_type in _TYPES[kind](attributes):
            meta = {"event_name": event_type, "test_mode": attributes.get("test_mode")}
            yield FoundEvent(
                event_id=state_id(event_type, item["id"], *state),
                body={"meta": meta, "data": item, "creditgate": said},
            )

    def _renewal_of(self, variant_id: str) -> str | None:
        """How long the variant's periods are, as `1 month`, asked for once; None if its prices do not say."""
        if variant_id not in self._renewals:
            try:
                prices = self._asker.get("/v1/prices", {"filter[variant_id]": variant_id})["data"]
            except ProviderRefusedError:
                # The subscription itself mostly shows it.
                prices = []
            found = {_renewal(price.get("attributes") or {}) for price in prices} - {None}
            self._renewals[variant_id] = found.pop() if len(found) == 1 else None
        return self._renewals[variant_id]

    def _is_ours(self, attributes: Attributes) -> bool:
        """Whether an order is of the variant that our checkouts sell credits by, in our store."""
        variant_id = (attributes.get("first_order_item") or {}).get("variant_id")
        return str(variant_id) == self._variant_id and str(attributes.get("store_id")) == self._store_id


def _renewal(price: Attributes) -> str | None:
    unit, count = price.get("renewal_interval_unit"), price.get("renewal_interval_quantity")
    return f"{count} {unit}" if unit in {"day", "week", "month", "year"} and isinstance(count, int) else None


def _made_ms(item: Mapping[str, Any]) -> int:
    return from_iso(item["attributes"]["created_at"])


def _changed_ms(item: Mapping[str, Any]) -> int:
    return from_iso(item["attributes"].get("updated_at") or item["attributes"]["created_at"])
