"""What Paddle has: its list of events, and the objects themselves, with our custom data on them."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from credits.backfill.http import Asker
from credits.backfill.model import DAY_MS, MADE_BY, FoundEvent, FoundPage, state_id
from credits.checkout.paddle import APIS, HEADERS, next_query
from credits.clock import from_iso, iso
from credits.config.settings import ProviderAccess, Tenant

READ_TYPES: Final = (
    *(f"transaction.{what}" for what in ("paid", "completed", "canceled")),
    *(f"subscription.{what}" for what in ("created", "activated", "canceled", "imported", "past_due", "paused")),
    *(f"subscription.{what}" for what in ("resumed", "trialing", "updated")),
    *(f"adjustment.{what}" for what in ("created", "updated")),
)
"""The events that are asked for: those that move credits."""

_REFUNDED_AFTER_MS: Final = 60 * DAY_MS
"""Adjustments are listed by the time of making alone, and Paddle decides later: so far back we look for changes."""

Object = Mapping[str, Any]


def _of_transaction(transaction: Object) -> str | None:
    types = {name: f"transaction.{name}" for name in ("paid", "completed", "canceled")}
    return types.get(str(transaction.get("status")))


def _of_subscription(subscription: Object) -> str | None:
    return "subscription.canceled" if subscription.get("status") == "canceled" else "subscription.updated"


_TYPES: Final[Mapping[str, Callable[[Object], str | None]]] = {
    "subscriptions": _of_subscription,
    "transactions": _of_transaction,
    "adjustments": lambda _: "adjustment.updated",
}
"""By list: which event an object in its present state is; None: it moves no credits."""

_PAGE_SIZES: Final = {"transactions": 30}
_PAGE_SIZE: Final = 200


class PaddleListing:
    """A credits.backfill.model.Listing; what it promises stands there."""

    kinds: Final = ("events", *_TYPES)

    def __init__(self, access: ProviderAccess, tenant: Tenant) -> None:
        self._asker = Asker("paddle", access.api_base or APIS[tenant], access, HEADERS)

    def page(self, kind: str, *, since_ms: int, token: str | None, now_ms: int) -> FoundPage:  # noqa: ARG002
        params = {"order_by": "id[DESC]", "per_page": str(_PAGE_SIZES.get(kind, _PAGE_SIZE))}
        if kind == "events":
            params["event_type"] = ",".join(READ_TYPES)
        if kind == "transactions":
            params |= {"updated_at[GTE]": str(iso(since_ms)), "status": "paid,completed,canceled"}
        if token is not None:
            params["after"] = token
        answer = self._asker.get(f"/{kind}", params)
        items = answer["data"]
        found = [event for item in items if _changed_ms(item) >= since_ms for event in _events(kind, item)]
        return FoundPage(events=found, next_token=None if _is_past(kind, items, since_ms) else _after(answer))


def _events(kind: str, item: Object) -> list[FoundEvent]:
    if kind == "events":
        # As it was sent, or should have been: the id is the webhook's own, so the inbox knows it.
        return [FoundEvent(event_id=item["event_id"], body={**item, "creditgate": MADE_BY})]
    event_type = _TYPES[kind](item)
    if event_type is None:
        return []
    state = [item.get("status"), item.get("action"), item.get("updated_at") if kind == "subscriptions" else None]
    event_id = state_id(event_type, item["id"], *state)
    body = {"event_id": event_id, "event_type": event_type, "occurred_at": iso(_changed_ms(item)), "data": item}
    return [FoundEvent(event_id=event_id, body={**body, "creditgate": MADE_BY})]


def _is_past(kind: str, items: list[Object], since_ms: int) -> bool:
    """Whether nothing on later pages can be of interest: lists begin with the newest."""
    if kind == "events":
        return all(_changed_ms(item) < since_ms for item in items)
    if kind == "adjustments":
        return all(from_iso(item["created_at"]) < since_ms - _REFUNDED_AFTER_MS for item in items)
    # Transactions are asked for by their last change; a subscription lives long, so its list is read to the end.
    return False


def _changed_ms(item: Object) -> int:
    """When it happened, or was changed last. An adjustment that never was says so by the year 1."""
    times = (item.get(name) for name in ("occurred_at", "created_at", "updated_at"))
    return max(from_iso(at) for at in times if at is not None)


def _after(answer: Mapping[str, Any]) -> str | None:
    query = next_query(answer)
    return None if query is None else parse_qs(query).get("after", [None])[0]
