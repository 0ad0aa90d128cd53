"""Commands that start things: `dev` for one developer's folder; `serve`, `worker`, `beat`, `migrate` for production."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, load_settings, read_environment
from credits.errors import ConfigError
from credits.ops.commands import beat_argv, receiver_argv, worker_argv
from credits.ops.commands import supervised as under_supervisor
from credits.redis_client import warnings_of

Supervised = Annotated[
    bool,
    typer.Option("--supervised", help="Restart it when it exits, and when it shows no sign of life for 30 s."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(dev)
    app.command()(serve)
    app.command()(worker)
    app.command()(beat)
    app.command()(migrate)


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the receiver listens on 127.0.0.1.")] = 8000,
    reset: Annotated[bool, typer.Option("--reset", help="Delete this folder's data, keys and secrets before.")] = False,
    stop_with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
) -> None:
    """Start everything in this folder: Redis, receiver, worker, beat, on a database of its own. Ctrl-C stops it."""
    # Imported here, because every other command would pay for it, too.
    from credits.ops.dev.folder import reset as reset_folder
    from credits.ops.dev.start import start

    folder = Path.cwd()
    if reset:
        if not yes:
            typer.confirm(f"Delete the data of credits dev in {folder}?", abort=True)
        reset_folder(folder)
    raise typer.Exit(start(folder, port=port, environ=os.environ, stop_with_parent=stop_with_parent))


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 2,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of each process.")] = 8,
    patience_s: Annotated[int, typer.Option(min=1, help="How long open requests may take when it stops.")] = 30,
) -> None:
    """Run the receiver and the API under gunicorn."""
    settings = _settings()
    refuse_without_secrets(settings)
    load_catalogue(settings.config_path)
    warn_about_redis(settings)
    _become(receiver_argv(host=host, port=port, processes=workers, threads=threads, patience_s=patience_s))


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Processes that work at the same time.")] = 2,
    queues: Annotated[str, typer.Option(help="Only these queues, separated by commas.")] = "",
    supervised: Supervised = False,
) -> None:
    """Run a Celery worker."""
    # The workers' processes read it for themselves; what is wrong in it is said here, once.
    settings = _settings()
    load_catalogue(settings.config_path)
    warn_about_redis(settings)
    names = [name.strip() for name in queues.split(",") if name.strip()]
    _run("worker", worker_argv(concurrency=concurrency, queues=names), supervised=supervised)


def beat(supervised: Supervised = False) -> None:
    """Run Celery beat, the clock of the sweeps. Any number may run."""
    _run("beat", beat_argv(), supervised=supervised)


def migrate() -> None:
    """Bring the database's tables up to date. Safe to repeat, and in several processes at once."""
    from credits.ops.migrate import migrate as migrate_database

    migrate_database(_settings().database_url)
    typer.echo("The database is up to date.")


def refuse_without_secrets(settings: Settings) -> None:
    """
    Refuse to run a live receiver that could verify nothing.

    Raises ConfigError that names the variables to set.
    """
    is_live = settings.tenant is Tenant.LIVE
    has_live_secret = any(
        secret.tenant is Tenant.LIVE for secrets in settings.webhook_secrets.values() for secret in secrets
    )
    if is_live and not has_live_secret:
        reason = (
            "no provider has a signing secret, so that every webhook would be turned away. Set this variable (or the "
            "same for another provider, such as LEMONSQUEEZY_WEBHOOK_SECRETS) to the secret of the endpoint at the "
            "provider, or CREDITGATE_TENANT=sandbox to try things out"
        )
        raise ConfigError({"STRIPE_WEBHOOK_SECRETS": reason})


def warn_about_redis(settings: Settings) -> None:
    """
    Say on standard error what this Redis may lose. One that does not answer is no reason not to start.

    Raises ConfigError for a Redis that evicts keys.
    """
    for warning in warnings_of(settings.redis_url):
        typer.echo(f"warning: {warning}", err=True)


def _run(name: str, argv: Sequence[str], *, supervised: bool) -> NoReturn:
    # What is wrong with the environment is said here, in a sentence, and not by Celery in a traceback.
    _settings()
    if supervised:
        # Nothing in it outlives the run. A folder of its own, since a machine may run any number of workers.
        run_folder = tempfile.mkdtemp(prefix=f"creditgate-{name}-")
        argv = under_supervisor(argv, name=name, run_folder=run_folder)
    _become(argv)


def _become(argv: Sequence[str]) -> NoReturn:
    # The signals of whoever started this then reach the program itself, with no process between.
    os.execv(argv[0], list(argv))  # noqa: S606


def _settings() -> Settings:
    return load_settings(read_environment(os.environ, Path.cwd()), Path.cwd())
