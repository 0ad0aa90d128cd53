"""The services of `credits dev` and how each is told to be alive."""

from pathlib import Path
from typing import Final

from credits.ops.commands import FAKES, beat_argv, receiver_argv, supervised, worker_argv
from credits.ops.dev.folder import REDIS_FOLDER, RUN_FOLDER
from credits.ops.dev.runner import Service

PATIENCE_S: Final = 4
"""How long a service may take to stop. Short: a developer waits for it, and killing a worker loses nothing."""

_CONCURRENCY: Final = 2
_THREADS: Final = 8


def all_services(folder: Path, *, port: int, fakes_port: int | None, redis_server: Path | None) -> list[Service]:
    """Redis (unless the user has brought one), receiver, worker, beat, and the fake providers where one is used."""
    receiver = receiver_argv(host="127.0.0.1", port=port, processes=1, threads=_THREADS, patience_s=PATIENCE_S - 1)
    services = [
        _service(folder, "receiver", receiver, "--judge", "http", "--url", f"http://127.0.0.1:{port}/healthz"),
        _service(folder, "worker", worker_argv(concurrency=_CONCURRENCY), "--after-broker"),
        _service(folder, "beat", beat_argv(log_level="WARNING"), "--after-broker"),
    ]
    if fakes_port is not None:
        fakes = receiver_argv(
            host="127.0.0.1", port=fakes_port, processes=1, threads=_THREADS, patience_s=PATIENCE_S - 1, program=FAKES
        )
        services.append(
            _service(folder, "fakes", fakes, "--judge", "http", "--url", f"http://127.0.0.1:{fakes_port}/healthz")
        )
    if redis_server is None:
        return services
    redis_argv = [str(redis_server), str(folder / REDIS_FOLDER / "redis.conf")]
    return [_service(folder, "redis", redis_argv, "--judge", "redis", stops_last=True), *services]


def _service(folder: Path, name: str, argv: list[str], *options: str, stops_last: bool = False) -> Service:
    run_folder = folder / RUN_FOLDER
    options = ("--lifeline", "--patience-s", str(PATIENCE_S), *options)
    return Service(
        name=name,
        supervisor_argv=supervised(argv, name=name, run_folder=str(run_folder), options=options),
        record=run_folder / f"{name}.pid",
        stops_last=stops_last,
    )
