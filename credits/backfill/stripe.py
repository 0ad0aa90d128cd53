"""What Stripe has: its list of events, and the objects themselves, for some events are never made."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from credits.backfill.http import Asker
from credits.backfill.model import DAY_MS, MADE_BY, FoundEvent, FoundPage, state_id
from credits.checkout.marks import KIND, TOPUP
from credits.config.settings import ProviderAccess

_API: Final = "https://api.stripe.com"
_PAGE_SIZE: Final = "100"

Object = Mapping[str, Any]


def _of_session(session: Object) -> str | None:
    # Sessions had no status of their own before 2021.
    status = session.get("status") or ("complete" if session.get("payment_status") == "paid" else "open")
    return {"complete": "checkout.session.completed", "expired": "checkout.session.expired"}.get(status)


def _of_intent(intent: Object) -> str | None:
    is_ours = (intent.get("metadata") or {}).get(KIND) == TOPUP
    return "payment_intent.succeeded" if is_ours and intent.get("status") == "succeeded" else None


def _of_invoice(invoice: Object) -> str | None:
    return "invoice.paid" if invoice.get("status") == "paid" else None


def _of_subscription(subscription: Object) -> str | None:
    is_over = subscription.get("status") == "canceled"
    return "customer.subscription.deleted" if is_over else "customer.subscription.updated"


_TYPES: Final[Mapping[str, Callable[[Object], str | None]]] = {
    "checkout/sessions": _of_session,
    "subscriptions": _of_subscription,
    "invoices": _of_invoice,
    "payment_intents": _of_intent,
    "refunds": lambda _: "refund.updated",
    "disputes": lambda _: "charge.dispute.updated",
}
"""By path: which event an object in its present state is; None: it moves no credits."""

_MADE_BEFORE_MS: Final = {
    "checkout/sessions": 14 * DAY_MS,
    "payment_intents": 14 * DAY_MS,
    "invoices": 40 * DAY_MS,
    "refunds": 30 * DAY_MS,
    "disputes": 90 * DAY_MS,
    "subscriptions": 30 * DAY_MS,
}
"""Lists are by the time of making: so much earlier may have been made what was paid or decided since."""


class StripeListing:
    """A credits.backfill.model.Listing; what it promises stands there."""

    kinds: Final = ("events", *_TYPES)

    def __init__(self, access: ProviderAccess) -> None:
        self._asker = Asker("stripe", access.api_base or _API, access, {})

    def page(self, kind: str, *, since_ms: int, token: str | None, now_ms: int) -> FoundPage:
        made_ms = max(0, since_ms - _MADE_BEFORE_MS.get(kind, 0))
        params = {"limit": _PAGE_SIZE, "created[gte]": str(made_ms // 1000)}
        if kind == "subscriptions":
            params["status"] = "all"
        if token is not None:
            params["starting_after"] = token
        answer = self._asker.get(f"/v1/{kind}", params)
        items = answer["data"]
        found = [event for item in items if (event := _event(kind, item, now_ms)) is not None]
        return FoundPage(events=found, next_token=items[-1]["id"] if items and answer.get("has_more") else None)


def _event(kind: str, item: Object, now_ms: int) -> FoundEvent | None:
    if kind == "events":
        # As it was sent, or should have been: the id is the webhook's own, so the inbox knows it.
        return FoundEvent(event_id=item["id"], body={**item, "creditgate": MADE_BY})
    event_type = _TYPES[kind](item)
    if event_type is None:
        return None
    state = (item.get("status"), item.get("payment_status"), item.get("amount"), item.get("cancel_at_period_end"))
    event_id = state_id(event_type, item["id"], *state)
    # A subscription is as we see it now; all else happened when its object was made.
    at_s = now_ms // 1000 if kind == "subscriptions" else item.get("created", now_ms // 1000)
    body: dict[str, Any] = {"id": event_id, "object": "event", "type": event_type, "created": at_s}
    if isinstance(item.get("livemode"), bool):
        body["livemode"] = item["livemode"]
    return FoundEvent(event_id=event_id, body={**body, "data": {"object": item}, "creditgate": MADE_BY})
