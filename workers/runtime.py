"""The workers' runtime: made once per process, on first use, after the pool has forked."""

import functools
import os
from pathlib import Path

from sqlalchemy import Engine

from credits.allocation.model import Runtime
from credits.backfill.schedule import searches_of
from credits.backfill.service import Search
from credits.checkout.connect import Sellers
from credits.checkout.model import Shop
from credits.checkout.stripe_invoices import invoice_completers
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, load_settings, read_environment
from credits.db import open_engine
from credits.notifications.addresses import networks
from credits.notifications.sending import Sending
from credits.notifications.service import NotifyRuntime
from credits.notifications.watch import WatchRuntime
from credits.reservations.connect import open_gate
from credits.reservations.courier import Courier
from credits.reservations.steps import GateRuntime
from credits.reservations.sweeps import Unloading
from credits.topup.service import TopupRuntime
from webhooks.providers import REGISTRY


@functools.cache
def runtime() -> Runtime:
    """This process's runtime, from its environment."""
    return runtime_of(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()))


@functools.cache
def gate_runtime() -> GateRuntime:
    """This process's connection to the gate."""
    settings = load_settings(read_environment(os.environ, Path.cwd()), Path.cwd())
    return open_gate(settings, runtime().engine)


@functools.cache
def courier() -> Courier:
    """Brings to the gate what this process has granted."""
    return Courier.over(gate_runtime())


@functools.cache
def notify_runtime() -> NotifyRuntime:
    """What this process delivers notifications with."""
    return notify_runtime_of(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()), runtime().engine)


@functools.cache
def watch_runtime() -> WatchRuntime:
    """What this process watches balances with."""
    return WatchRuntime(engine=runtime().engine, catalogue=runtime().catalogue, clock=system_clock_ms)


@functools.cache
def topup_runtime() -> TopupRuntime:
    """What this process charges saved cards with."""
    return topup_runtime_of(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()), runtime())


@functools.cache
def searches() -> tuple[Search, ...]:
    """What this process looks through by itself; nothing where that is switched off."""
    return searches_of(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()), runtime())


@functools.cache
def unloading() -> Unloading:
    """How far this process has searched for idle accounts."""
    return Unloading(idle_s=load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()).idle_unload_s)


def notify_runtime_of(settings: Settings, engine: Engine) -> NotifyRuntime:
    """A runtime of notifications over `settings`."""
    sender = Sending(
        allowed=networks(settings.notify_networks), smtp_url=settings.smtp_url, mail_from=settings.mail_from
    )
    return NotifyRuntime(engine=engine, secret_key=settings.secret_key, sender=sender, clock=system_clock_ms)


def topup_runtime_of(settings: Settings, here: Runtime) -> TopupRuntime:
    """A runtime of automatic top-ups over `settings`, for each tenant that has a provider to sell at."""
    shops = tuple(
        Shop(
            engine=here.engine,
            catalogue=here.catalogue,
            tenant=tenant,
            clock=here.clock,
            base_url=settings.base_url,
            secret_key=settings.secret_key,
            sellers=sellers,
        )
        for tenant in Tenant
        if (sellers := Sellers(settings, tenant))
    )
    return TopupRuntime(shops=shops, clock=here.clock)


def runtime_of(settings: Settings) -> Runtime:
    """A runtime over `settings`."""
    return Runtime(
        engine=open_engine(settings.database_url, pool_size=2),
        catalogue=load_catalogue(settings.config_path),
        providers=REGISTRY,
        secret_key=settings.secret_key,
        clock=system_clock_ms,
        completers=invoice_completers(settings.access),
    )
