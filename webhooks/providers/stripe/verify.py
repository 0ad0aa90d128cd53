"""The signature of a Stripe webhook: `Stripe-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">[,v1=…]`."""

from collections.abc import Sequence
from typing import Final

from credits.config.settings import Tenant, WebhookSecret
from credits.inbox.provider import SignedRequest, SignedWebhook
from webhooks.signatures import check_age, header, hex_hmac_sha256, parse_stamped, signing_tenants

HEADER: Final = "stripe-signature"


def verified_tenants(request: SignedRequest, secrets: Sequence[WebhookSecret], now_s: float) -> frozenset[Tenant]:
    """
    The tenants whose secret signed the raw body within 300 s of `now_s`, before or after.

    Stripe's own library is not asked: it raises TypeError for a signature that is not ASCII, decodes the body before
    it compares, and lets a timestamp from the future pass.

    Raises:
        SignatureError: whatever is wrong with the header, the signature or its age; nothing else is ever raised.
    """
    stamped = parse_stamped(header(request.headers, HEADER))
    tenants = signing_tenants(_signed_message(stamped.stamp, request.body), stamped.signatures, secrets)
    # After the signature: only somebody who knows a secret learns that the clocks differ.
    check_age(stamped.at_s, now_s)
    return tenants


def signed(body: bytes, secret: bytes, at_s: int) -> SignedWebhook:
    """`body` with the headers that make it a webhook which Stripe signed at `at_s`."""
    signature = hex_hmac_sha256(_signed_message(b"%d" % at_s, body), secret).decode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": f"t={at_s},v1={signature}",
    }
    return SignedWebhook(headers=headers, body=body)


def _signed_message(stamp: bytes, body: bytes) -> bytes:
    return stamp + b"." + body
