"""The command lines of the three programs: gunicorn for the receiver, Celery for the worker and for beat."""

import sys
from collections.abc import Sequence
from typing import Final

from credits.api.errors import MAX_HEADER_BYTES, MAX_HEADERS, MAX_REQUEST_LINE_BYTES

RECEIVER: Final = "webhooks.wsgi:app"
FAKES: Final = "webhooks.fakes.wsgi:app"
CELERY: Final = "workers.app:app"


def receiver_argv(
    *, host: str, port: int, processes: int, threads: int, patience_s: int, program: str = RECEIVER
) -> list[str]:
    """gunicorn with threads: requests wait for the database, and a thread that waits costs next to nothing."""
    return [
        *_module("gunicorn"),
        program,
        "--bind",
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "--worker-class",
        "credits.api.server_worker.ProblemWorker",
        "--workers",
        str(processes),
        "--threads",
        str(threads),
        "--graceful-timeout",
        str(patience_s),
        "--limit-request-line",
        str(MAX_REQUEST_LINE_BYTES),
        "--limit-request-field_size",
        str(MAX_HEADER_BYTES),
        "--limit-request-fields",
        str(MAX_HEADERS),
        "--logger-class",
        "credits.ops.server_log.ServerLog",
        # Its control socket lies in the home folder, where two installations would meet.
        "--no-control-socket",
    ]


def worker_argv(*, concurrency: int, queues: Sequence[str] = (), log_level: str = "INFO") -> list[str]:
    """A Celery worker that talks to its broker only: no chat with other workers, at start or later."""
    argv = [
        *_module("celery"),
        "--quiet",
        "--app",
        CELERY,
        "worker",
        "--concurrency",
        str(concurrency),
        "--loglevel",
        log_level,
    ]
    argv += ["--without-gossip", "--without-mingle"]
    return [*argv, "--queues", ",".join(queues)] if queues else argv


def beat_argv(*, log_level: str = "INFO") -> list[str]:
    """Celery's clock. Any number may run: each job is done once per slot, whoever asks for it."""
    argv = [*_module("celery"), "--quiet", "--app", CELERY, "beat", "--loglevel", log_level]
    return [*argv, "--scheduler", "workers.heartbeat:BeatScheduler"]


def supervised(argv: Sequence[str], *, name: str, run_folder: str, options: Sequence[str] = ()) -> list[str]:
    """`argv` under the supervisor, which keeps its records in `run_folder`."""
    supervisor = [*_module("credits.ops.supervise"), "--name", name, "--run-folder", run_folder]
    return [*supervisor, *options, "--", *argv]


def _module(name: str) -> list[str]:
    # The same interpreter, not whatever a PATH may find first.
    return [sys.executable, "-m", name]
