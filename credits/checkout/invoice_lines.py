"""Fetch from Stripe the lines of an invoice that its webhook leaves out: it carries the first ten or so."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from credits.config.settings import ProviderAccess, Tenant
from credits.errors import MalformedPayloadError, ProviderUnavailableError
from credits.payload import parse

if TYPE_CHECKING:
    from stripe import StripeClient

_TIMEOUT_S: Final = 3
_RETRIES: Final = 1
_PAGE: Final = 100
# With a last page that hangs, still less than a worker's lease of the event. What takes longer is tried again.
_PATIENCE_S: Final = 3

Payload = Mapping[str, Any]


def invoice_completer(access: Mapping[tuple[Tenant, str], ProviderAccess]) -> Callable[[Tenant, Payload], Any]:
    """What completes an `invoice.paid` with the access of the event's tenant; None for a tenant without."""

    def complete(tenant: Tenant, payload: Payload) -> Payload | None:
        own = access.get((tenant, "stripe"))
        return None if own is None else with_all_lines(own, payload)

    return complete


def with_all_lines(access: ProviderAccess, payload: Payload) -> Payload:
    """
    The event with every line of its invoice, in the shape of the event's own API version. Safe to repeat.

    Costs a request per hundred lines. Raises ProviderUnavailableError if Stripe does not answer within seconds, and
    ProviderRefusedError if it knows no such invoice, or not this key.
    """
    # Loaded on first use: Stripe's library is large, and most invoices are whole.
    import stripe

    from credits.checkout.stripe_client import refusal, stripe_client

    client = stripe_client(access, timeout_s=_TIMEOUT_S, retries=_RETRIES)
    try:
        lines = _lines(client, payload)
    except stripe.StripeError as error:
        raise refusal(error, access.api_key) from None
    data = payload["data"]
    invoice = data["object"]
    whole = {**invoice["lines"], "data": lines, "has_more": False}
    return {**payload, "data": {**data, "object": {**invoice, "lines": whole}}}


def _lines(client: "StripeClient", payload: Payload) -> list[Any]:
    invoice_id = payload["data"]["object"]["id"]
    said = {"stripe_version": payload.get("api_version"), "stripe_account": payload.get("account")}
    options = {name: value for name, value in said.items() if isinstance(value, str) and value}
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
