"""Starts all of Creditgate in one folder: prepares what is missing, then hands over to the runner."""

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from credits.api.keys import Scope, authenticate, create_key
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, load_settings, read_environment
from credits.db import open_engine, snapshot, transaction
from credits.errors import AuthenticationError
from credits.ops.dev import redis_server as embedded
from credits.ops.dev.banner import banner
from credits.ops.dev.environment import (
    API_KEY,
    REDIS_URL,
    complete,
    fakes_used,
    given_environment,
    is_given,
    port_of_fakes,
    read_dev_env,
    without_written,
    write_dev_env,
)
from credits.ops.dev.errors import CannotStartError
from credits.ops.dev.folder import REDIS_FOLDER, only_run
from credits.ops.dev.output import Terminal
from credits.ops.dev.runner import Runner
from credits.ops.dev.services import PATIENCE_S, all_services
from credits.ops.migrate import migrate
from credits.ops.supervise.probes import HEARTBEAT_VARIABLE, server_answers
from credits.redis_client import warnings_of

DEFAULT_PORT: Final = 8000

EXAMPLE_CONFIG: Final = Path(__file__).with_name("example.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folder that is ready to be started."""

    settings: Settings
    redis_server: Path | None
    """The program of the embedded Redis; None if the user has brought a Redis."""
    api_key: str
    fakes_port: int | None
    """Where the fake providers are; None if the user has brought keys of real ones, or works on live."""


def start(folder: Path, *, port: int, environ: Mapping[str, str], stop_with_parent: bool = False) -> int:
    """
    Run everything in `folder` until a signal comes. Return the exit status.

    Keys, secrets and data of an earlier start are kept and used again.

    Raises:
        CannotStartError: the folder is in use, the port is taken, or there is no Redis to be had.
        ConfigError: the environment, `.env` or credits.toml is wrong.
    """
    url, environ = f"http://127.0.0.1:{port}", without_written(environ, folder)
    with only_run(folder, url=url):
        if not embedded.is_free(port):
            raise CannotStartError(f"port {port} of 127.0.0.1 is taken by another program; choose one with --port")
        prepared = prepare(folder, port=port, environ=environ)
        services = all_services(folder, port=port, fakes_port=prepared.fakes_port, redis_server=prepared.redis_server)
        terminal = Terminal(tuple(service.name for service in services), environ)
        runner = Runner(
            services,
            # Each supervisor names the heartbeat file of its own program.
            env={**environ, "PYTHONUNBUFFERED": "1", HEARTBEAT_VARIABLE: ""},
            terminal=terminal,
            on_ready=lambda: terminal.write(_banner(folder, prepared, url)),
            # The supervisors need a moment more than their services.
            patience_s=PATIENCE_S + 2,
            stop_with_parent=stop_with_parent,
        )
        return runner.run()


def prepare(folder: Path, *, port: int, environ: Mapping[str, str]) -> Prepared:
    """Make what is missing: dev.env, credits.toml, the Redis configuration, the tables, an API key. Safe to repeat."""
    known, given = read_dev_env(folder), given_environment(environ, folder)
    redis_server = None if is_given(given, REDIS_URL) else embedded.find_server()
    redis_url = _embedded_redis(folder, known.get(REDIS_URL)) if redis_server else ""
    fakes_port = _fakes_port(known, port) if fakes_used(given) else None
    values = complete(
        known,
        given=given,
        folder=folder,
        port=port,
        fakes_port=fakes_port,
        redis_url=redis_url,
        new_secret=_new_secret,
    )
    write_dev_env(folder, values)
    settings = load_settings(read_environment(environ, folder), folder)
    if redis_server is None and not server_answers(settings.redis_url):
        where = urlsplit(settings.redis_url)
        raise CannotStartError(
            f"the Redis that REDIS_URL or CREDITGATE_REDIS_URL names ({where.hostname}:{where.port or 6379}) does not "
            "answer. Start it, or unset the variable to use the embedded one"
        )
    if redis_server is None:
        # The embedded one is configured here; what somebody else's may do to holds has to be asked.
        for warning in warnings_of(settings.redis_url):
            print(f"warning: {warning}", file=sys.stderr)
    if not settings.config_path.exists():
        settings.config_path.write_text(EXAMPLE_CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    # What is wrong in it is said once, in sentences, and not by every program in a traceback.
    load_catalogue(settings.config_path)
    migrate(settings.database_url)
    api_key = _api_key(settings, values.get(API_KEY))
    if values.get(API_KEY) != api_key:
        write_dev_env(folder, {**values, API_KEY: api_key})
    return Prepared(settings=settings, redis_server=redis_server, api_key=api_key, fakes_port=fakes_port)


def _fakes_port(known: Mapping[str, str], port: int) -> int:
    """The one of the last start, so that a checkout page that is open still works; or the first free one after ours."""
    kept = port_of_fakes(known)
    if kept is not None and kept != port and embedded.is_free(kept):
        return kept
    near = (number for number in range(port + 1, min(port + 10, 65_536)) if embedded.is_free(number))
    return next(near, None) or embedded.any_free_port()


def _embedded_redis(folder: Path, known_url: str | None) -> str:
    """Write the server's configuration and return its URL: port and password of the last start, if they will do."""
    kept = embedded.port_of(known_url)
    if known_url is not None and kept is not None and not embedded.is_free(kept):
        embedded.stop_leftover(known_url)
    port = embedded.choose_port(kept, is_free=embedded.is_free, any_free=embedded.any_free_port)
    password = (urlsplit(known_url).password if known_url else None) or _new_secret()
    redis_folder = folder / REDIS_FOLDER
    redis_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = redis_folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(embedded.server_config(folder=redis_folder, port=port, password=password), encoding="utf-8")
    return embedded.local_url(port, password)


def _api_key(settings: Settings, known: str | None) -> str:
    engine = open_engine(settings.database_url, pool_size=1)
    try:
        if known is not None and _is_valid(engine, known, settings.tenant):
            return known
        with transaction(engine) as connection:
            return create_key(
                connection, tenant=settings.tenant, name="credits dev", scopes=tuple(Scope), now_ms=system_clock_ms()
            )
    finally:
        engine.dispose()


def _is_valid(engine: Engine, key: str, tenant: Tenant) -> bool:
    """Whether this database knows `key`: the folder's database may be another one than at the last start."""
    try:
        with snapshot(engine) as connection:
            return authenticate(connection, key, now_ms=system_clock_ms()).tenant is tenant
    except AuthenticationError:
        return False


def _banner(folder: Path, prepared: Prepared, url: str) -> str:
    redis = urlsplit(prepared.settings.redis_url)
    whose = "embedded" if prepared.redis_server else "yours"
    return banner(
        folder=folder,
        base_url=url,
        api_key=prepared.api_key,
        fakes=prepared.fakes_port,
        database=make_url(prepared.settings.database_url).render_as_string(hide_password=True),
        redis=f"{redis.hostname}:{redis.port or 6379} ({whose})",
        command=_command_name(folder),
    )


def _command_name(folder: Path) -> str:
    """`credits`, or where it lies if it was installed into the folder's own environment."""
    program = Path(sys.prefix) / "bin" / "credits"
    if program.is_relative_to(folder.absolute()):
        return os.fspath(program.relative_to(folder.absolute()))
    return "credits"


def _new_secret() -> str:
    return secrets.token_hex(24)
