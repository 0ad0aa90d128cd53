"""The signature of a fake webhook: `fake-signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`."""

from collections.abc import Sequence
from typing import Final

from credits.config.settings import Tenant, WebhookSecret
from credits.inbox.provider import SignedRequest, SignedWebhook
from webhooks.signatures import check_age, header, hex_hmac_sha256, parse_stamped, signing_tenants

HEADER: Final = "fake-signature"


def verified_tenants(request: SignedRequest, secrets: Sequence[WebhookSecret], now_s: float) -> frozenset[Tenant]:
    """The tenants whose secret signed `request` within 300 s of `now_s`. Raises SignatureError."""
    stamped = parse_stamped(header(request.headers, HEADER))
    tenants = signing_tenants(_message(stamped.stamp, request.body), stamped.signatures, secrets)
    # After the signature: only somebody who knows a secret learns that the clocks differ.
    check_age(stamped.at_s, now_s)
    return tenants


def signed(body: bytes, secret: bytes, at_s: int) -> SignedWebhook:
    """`body` with the headers that make it a webhook signed at `at_s`."""
    signature = hex_hmac_sha256(_message(b"%d" % at_s, body), secret).decode()
    headers = {"Content-Type": "application/json", HEADER: f"t={at_s},v1={signature}"}
    return SignedWebhook(headers=headers, body=body)


def _message(stamp: bytes, body: bytes) -> bytes:
    return stamp + b"." + body
