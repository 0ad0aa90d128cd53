"""The API of an installation: made from its settings, once per process."""

from dataclasses import replace
from typing import Final

from sqlalchemy import Engine

from credits.api.dispatch import Api
from credits.api.keyring import KeyRing
from credits.api.limits import open_limits
from credits.checkout.connect import Sellers
from credits.clock import Clock
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant
from credits.engine import Credits
from credits.reservations.connect import open_gate
from credits.reservations.gate import GuardedGate

LEDGER_WAIT_S: Final = 2.0
"""How long a commit over HTTP waits for the ledger before it answers `is_pending`."""


def open_api(settings: Settings, engine: Engine, *, clock: Clock) -> Api:
    """
    The API for `settings`: the library for each tenant, on the same connections.

    It is impatient: whoever asks over HTTP hears within 2.5 s that Redis or the database is away.

    Raises ConfigError if credits.toml is wrong.
    """
    catalogue, patient = load_catalogue(settings.config_path), open_gate(settings, engine, clock=clock)
    gate = replace(patient, gate=GuardedGate(patient.gate.client, code=patient.gate.code), ledger_wait_s=LEDGER_WAIT_S)
    return Api(
        keys=KeyRing(engine, clock),
        limits=open_limits(settings.rate_limit, _counting_redis(settings)),
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
                notify_networks=settings.notify_networks,
            )
            for tenant in Tenant
        },
        buy_url=settings.buy_url,
    )


def _counting_redis(settings: Settings) -> str:
    """Requests are counted beside the queue, which has memory to spare; in the gate's Redis if the broker is none."""
    return settings.broker_url if settings.broker_url.startswith(("redis", "valkey")) else settings.redis_url
