"""The providers we speak. A new one is a folder beside these and a line in REGISTRY."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from credits.errors import UnknownProviderError
from credits.inbox.provider import Provider
from webhooks.providers import fake, lemonsqueezy, paddle, stripe

REGISTRY: Final[Mapping[str, Provider]] = MappingProxyType(
    {
        "fake": fake.PROVIDER,
        "lemonsqueezy": lemonsqueezy.PROVIDER,
        "paddle": paddle.PROVIDER,
        "stripe": stripe.PROVIDER,
    }
)
"""By name, as in `/webhooks/<name>`. One without a secret answers 503, so the fake one is off unless asked for."""


def provider(name: str) -> Provider:
    """The provider of that name; raises UnknownProviderError that lists those there are."""
    if name not in REGISTRY:
        raise UnknownProviderError(name, ", ".join(sorted(REGISTRY)))
    return REGISTRY[name]
