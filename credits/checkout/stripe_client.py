"""Stripe's own library over one tenant's access, and its errors in our words."""

import requests
import stripe

from credits.checkout.cleaning import cleaned
from credits.config.settings import ProviderAccess
from credits.errors import ProviderKeyRefusedError, ProviderRefusedError, ProviderUnavailableError


def stripe_client(access: ProviderAccess, *, timeout_s: float, retries: int) -> stripe.StripeClient:
    """A client of Stripe, or of its fake. Each request is given `timeout_s`, and tried again up to `retries` times."""
    return stripe.StripeClient(
        access.api_key,
        base_addresses={"api": access.api_base} if access.api_base else {},
        http_client=stripe.RequestsClient(timeout=timeout_s, session=_session(access)),
        max_network_retries=retries,
    )


def refusal(error: stripe.StripeError, api_key: str) -> Exception:
    """Stripe's error as one of ours, without our key in it."""
    message = cleaned(error.user_message or error, api_key)
    status = error.http_status or 0
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return ProviderKeyRefusedError("stripe", message)
    # 409: the first call with the same key is still at it.
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or status in {0, 409} or status >= 500:
        return ProviderUnavailableError("stripe", message)
    return ProviderRefusedError("stripe", message)


def _session(access: ProviderAccess) -> requests.Session | None:
    """None: one for each thread, as Stripe's library makes them. To the fakes on this machine no proxy leads."""
    if access.api_base is None:
        return None
    session = requests.Session()
    session.trust_env = False
    return session
