"""The workers' runtime: made once per process, on first use, after the pool has forked."""

import functools
import os
from pathlib import Path

from credits.allocation.model import Runtime
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Settings, load_settings, read_environment
from credits.db import open_engine
from webhooks.providers import REGISTRY


@functools.cache
def runtime() -> Runtime:
    """This process's runtime, from its environment."""
    return runtime_of(load_settings(read_environment(os.environ, Path.cwd()), Path.cwd()))


def runtime_of(settings: Settings) -> Runtime:
    """A runtime over `settings`."""
    return Runtime(
        engine=open_engine(settings.database_url, pool_size=2),
        catalogue=load_catalogue(settings.config_path),
        providers=REGISTRY,
        secret_key=settings.secret_key,
        clock=system_clock_ms,
    )
