"""The API of an installation: made from its settings, once per process."""

from sqlalchemy import Engine

from credits.api.dispatch import Api
from credits.api.keyring import KeyRing
from credits.checkout.connect import Sellers
from credits.clock import Clock
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant
from credits.engine import Credits
from credits.reservations.connect import open_gate


def open_api(settings: Settings, engine: Engine, *, clock: Clock) -> Api:
    """
    The API for `settings`: the library for each tenant, on the same connections.

    Raises ConfigError if credits.toml is wrong.
    """
    catalogue, gate = load_catalogue(settings.config_path), open_gate(settings, engine, clock=clock)
    return Api(
        keys=KeyRing(engine, clock),
        credits_of={
            tenant: Credits(
                engine=engine,
                catalogue=catalogue,
                tenant=tenant,
                secret_key=settings.secret_key,
                clock=clock,
                gate=gate,
                max_exposure=settings.max_exposure,
                sellers=Sellers(settings, tenant),
                base_url=settings.base_url,
            )
            for tenant in Tenant
        },
        buy_url=settings.buy_url,
    )
