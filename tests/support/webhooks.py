"""Signed webhooks as the tests need them: simulated, signed, and as the receiver would see them."""

from collections.abc import Mapping
from typing import Any

from credits.config.settings import Tenant, WebhookSecret
from credits.inbox.provider import Provider, SignedRequest, SignedWebhook, Simulation

NOW_S = 1_790_000_000
SECRET = WebhookSecret(tenant=Tenant.SANDBOX, value=b"whsec_the_right_one")
OTHER_SECRET = WebhookSecret(tenant=Tenant.LIVE, value=b"whsec_another_one")


def simulation(event_type: str, **changes: Any) -> Simulation:
    """A simulation in which everything is said that a purchase or a subscription can say."""
    said: dict[str, Any] = {
        "payment": "payment-1",
        "account": "user_1",
        "credit_type": "image_generation",
        "amount": 100,
        "product_id": None,
        "subscription": "subscription-1",
        "at_ms": NOW_S * 1000,
        "started_at_ms": NOW_S * 1000,
        "delivery": "delivery-1",
    }
    return Simulation(event_type=event_type, **{**said, **changes})


def signed_request(provider: Provider, body: bytes, *, at_s: int = NOW_S) -> SignedRequest:
    """`body` signed with SECRET, as the receiver hands it to the verifier."""
    return received(provider.sign(body, SECRET.value, at_s))


def received(webhook: SignedWebhook) -> SignedRequest:
    """`webhook` after its way over the wire: names in lower case, values as bytes."""
    return SignedRequest(headers=wire_headers(webhook.headers), body=webhook.body)


def wire_headers(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name.lower(): value.encode() for name, value in headers.items()}
