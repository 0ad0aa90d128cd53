"""Make the listing of a provider, with the API key of a tenant's mode."""

from collections.abc import Callable, Mapping
from typing import Final

from credits.backfill.lemonsqueezy import LemonSqueezyListing
from credits.backfill.model import Listing
from credits.backfill.paddle import PaddleListing
from credits.backfill.stripe import StripeListing
from credits.config.access import access_variable
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.errors import InvalidInputError, UnknownProviderError

_MAKERS: Final[Mapping[str, Callable[[ProviderAccess, Tenant], Listing]]] = {
    "lemonsqueezy": lambda access, _: LemonSqueezyListing(access),
    "paddle": PaddleListing,
    "stripe": lambda access, _: StripeListing(access),
}

LISTED: Final = tuple(_MAKERS)
"""Every provider that can be looked through."""


def open_listing(settings: Settings, tenant: Tenant, provider: str) -> Listing:
    """Raises UnknownProviderError for one that cannot be listed, InvalidInputError where its API key is missing."""
    if provider not in _MAKERS:
        raise UnknownProviderError(provider, ", ".join(sorted(_MAKERS)))
    access = settings.access.get((tenant, provider))
    if access is None:
        variable = access_variable(provider, tenant, "API_KEY")
        raise InvalidInputError("provider", f"{provider} can only be listed with an API key: set {variable}")
    return _MAKERS[provider](access, tenant)
