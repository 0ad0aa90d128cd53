"""Fetch from Stripe what the webhook of an invoice leaves out: its later lines, and whether it was paid elsewhere."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from credits.config.settings import ProviderAccess, Tenant
from credits.errors import MalformedPayloadError, ProviderUnavailableError
from credits.inbox.provider import Gap, Payload
from credits.payload import parse

if TYPE_CHECKING:
    from stripe import StripeClient

_TIMEOUT_S: Final = 3
_RETRIES: Final = 1
_PAGE: Final = 100
# With a last page that hangs, still less than a worker's lease of the event. What takes longer is tried again.
_PATIENCE_S: Final = 3

_PAST_STRIPE: Final = "amount_paid_off_stripe"
"""What was paid of an invoice past Stripe. Its API tells since 2026-05-27.dahlia, if it is asked to; events do not."""


def invoice_completers(
    access: Mapping[tuple[Tenant, str], ProviderAccess],
) -> dict[tuple[Tenant, str], Callable[[Payload, Collection[Gap]], Payload]]:
    """What completes an `invoice.paid` of Stripe, for each tenant that has an API key of it."""
    return {(tenant, name): partial(completed, own) for (tenant, name), own in access.items() if name == "stripe"}


def completed(access: ProviderAccess, payload: Payload, gaps: Collection[Gap]) -> Payload:
    """
    The event with `gaps` filled: its invoice's other lines, and what was paid past Stripe. Safe to repeat.

    Costs a request per hundred lines, and one for what was paid. Raises ProviderUnavailableError if Stripe does not
    answer within seconds, and ProviderRefusedError if it knows no such invoice, or not this key.
    """
    # Loaded on first use: Stripe's library is large, and most invoices are whole.
    import stripe

    from credits.checkout.stripe_client import refusal, stripe_client

    # Both together have the time that one has.
    client = stripe_client(access, timeout_s=_TIMEOUT_S, retries=_RETRIES if len(gaps) == 1 else 0)
    data = payload["data"]
    invoice = dict(data["object"])
    try:
        if Gap.OUT_OF_BAND in gaps:
            invoice[_PAST_STRIPE] = _paid_past_stripe(client, payload)
        if Gap.LINES in gaps:
            invoice["lines"] = {**invoice["lines"], "data": _lines(client, payload), "has_more": False}
    except stripe.StripeError as error:
        raise refusal(error, access.api_key) from None
    return {**payload, "data": {**data, "object": invoice}}


def _paid_past_stripe(client: "StripeClient", payload: Payload) -> int:
    invoice_id = payload["data"]["object"]["id"]
    # In our library's API version, not the event's: older ones do not know the field.
    answer: Any = client.raw_request(
        "get", f"/v1/invoices/{invoice_id}", expand=[_PAST_STRIPE], **_options(payload, "stripe_account")
    )
    amount_minor = parse(answer.body.encode()).get(_PAST_STRIPE)
    if type(amount_minor) is not int:
        raise MalformedPayloadError(f"Stripe's answer about {invoice_id} has no {_PAST_STRIPE}")
    return amount_minor


def _lines(client: "StripeClient", payload: Payload) -> list[Any]:
    invoice_id = payload["data"]["object"]["id"]
    options = _options(payload, "stripe_version", "stripe_account")
    until_s = time.monotonic() + _PATIENCE_S
    lines: list[Any] = []
    after: dict[str, str] = {}
    while True:
        # The raw answer: Stripe's classes would be of the library's API version.
        answer: Any = client.raw_request("get", f"/v1/invoices/{invoice_id}/lines", limit=_PAGE, **after, **options)
        page = parse(answer.body.encode())
        if not isinstance(page.get("data"), list):
            raise MalformedPayloadError(f"Stripe's list of the lines of {invoice_id} has no data")
        lines += page["data"]
        if not page.get("has_more"):
            return lines
        if not page["data"]:
            raise MalformedPayloadError(f"Stripe's list of the lines of {invoice_id} has an empty page before its last")
        if time.monotonic() > until_s:
            message = f"invoice {invoice_id} has more lines than could be fetched in {_PATIENCE_S} s"
            raise ProviderUnavailableError("stripe", message)
        after = {"starting_after": page["data"][-1]["id"]}


def _options(payload: Payload, *names: str) -> dict[str, str]:
    """Those of `names` that the event says: whose invoice it is, and in which shape it came."""
    said = {"stripe_version": payload.get("api_version"), "stripe_account": payload.get("account")}
    return {name: value for name in names if isinstance(value := said[name], str) and value}
