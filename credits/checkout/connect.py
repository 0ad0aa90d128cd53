"""Make the sellers that the settings have access to."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from credits.checkout.model import PaymentProvider
from credits.config.settings import ProviderAccess, Settings, Tenant


def _stripe(access: ProviderAccess, _tenant: Tenant) -> PaymentProvider:
    # Loaded on first use: Stripe's library is large, and most programs never sell.
    from credits.checkout.stripe import StripeSeller

    return StripeSeller(access)


def _lemonsqueezy(access: ProviderAccess, tenant: Tenant) -> PaymentProvider:
    from credits.checkout.lemonsqueezy import LemonSqueezySeller

    return LemonSqueezySeller(access, tenant)


def _paddle(access: ProviderAccess, tenant: Tenant) -> PaymentProvider:
    from credits.checkout.paddle import PaddleSeller

    return PaddleSeller(access, tenant)


_MAKERS: Final[Mapping[str, Callable[[ProviderAccess, Tenant], PaymentProvider]]] = {
    "stripe": _stripe,
    "lemonsqueezy": _lemonsqueezy,
    "paddle": _paddle,
}


class Sellers(Mapping[str, PaymentProvider]):
    """One tenant's sellers by provider name, each made when it is first asked for."""

    def __init__(self, settings: Settings, tenant: Tenant) -> None:
        self._tenant = tenant
        self._access = {name: settings.access[tenant, name] for name in _MAKERS if (tenant, name) in settings.access}
        self._made: dict[str, PaymentProvider] = {}

    def __getitem__(self, name: str) -> PaymentProvider:
        if name not in self._made:
            self._made[name] = _MAKERS[name](self._access[name], self._tenant)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._access)

    def __len__(self) -> int:
        return len(self._access)
