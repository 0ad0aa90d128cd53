"""The signature of Lemon Squeezy: `X-Signature`, the hex HMAC-SHA256 of the body. There is no timestamp in it."""

from collections.abc import Sequence
from typing import Final

from credits.config.settings import Tenant, WebhookSecret
from credits.inbox.provider import SignedRequest, SignedWebhook
from webhooks.signatures import header, hex_hmac_sha256, signing_tenants

HEADER: Final = "X-Signature"


def verified_tenants(request: SignedRequest, secrets: Sequence[WebhookSecret], _now_s: float) -> frozenset[Tenant]:
    """
    The tenants whose secret signed `request`, however long ago; its event id stops a replay. Raises SignatureError.
    """
    signature = header(request.headers, HEADER.lower())
    return signing_tenants(request.body, (signature,), secrets)


def signed(body: bytes, secret: bytes, _at_s: int) -> SignedWebhook:
    """`body` with the headers that make it a webhook."""
    signature = hex_hmac_sha256(body, secret).decode()
    return SignedWebhook(headers={"Content-Type": "application/json", HEADER: signature}, body=body)
