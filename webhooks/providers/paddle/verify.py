"""The signature of Paddle: `Paddle-Signature: ts=<unix seconds>;h1=<hex HMAC-SHA256 of "ts:body">[;h1=…]`."""

from collections.abc import Sequence
from typing import Final

from credits.config.settings import Tenant, WebhookSecret
from credits.inbox.provider import SignedRequest, SignedWebhook
from webhooks.signatures import Stamping, check_age, header, hex_hmac_sha256, parse_stamped, signing_tenants

HEADER: Final = "Paddle-Signature"
_STAMPING: Final = Stamping(between=b";", stamp=b"ts", scheme=b"h1")


def verified_tenants(request: SignedRequest, secrets: Sequence[WebhookSecret], now_s: float) -> frozenset[Tenant]:
    """
    The tenants whose secret signed the raw body within 300 s of `now_s`, before or after. Raises SignatureError.

    Paddle's own libraries forgive 5 s of age, which a clock may be off by; the event's id stops a replay anyhow.
    """
    stamped = parse_stamped(header(request.headers, HEADER.lower()), _STAMPING)
    tenants = signing_tenants(_signed_message(stamped.stamp, request.body), stamped.signatures, secrets)
    check_age(stamped.at_s, now_s)
    return tenants


def signed(body: bytes, secret: bytes, at_s: int) -> SignedWebhook:
    """`body` with the headers that make it a notification which Paddle signed at `at_s`."""
    signature = hex_hmac_sha256(_signed_message(b"%d" % at_s, body), secret).decode()
    headers = {"Content-Type": "application/json", HEADER: f"ts={at_s};h1={signature}"}
    return SignedWebhook(headers=headers, body=body)


def _signed_message(stamp: bytes, body: bytes) -> bytes:
    return stamp + b":" + body
