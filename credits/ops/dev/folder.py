"""The data folder: one run at a time, what a killed run left behind, and how to start afresh."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from credits.config.settings import DATA_FOLDER
from credits.ops.dev.errors import CannotStartError
from credits.ops.supervise.group import end_group

RUN_FOLDER: Final = DATA_FOLDER / "run"
"""Records of the running services; means nothing once they are stopped."""

REDIS_FOLDER: Final = DATA_FOLDER / "redis"

_LOCK_FILE: Final = DATA_FOLDER / "lock"
_RUNNING_FILE: Final = DATA_FOLDER / "running.json"

# Services of a killed run notice it at once and need a moment to stop.
_LEFTOVERS_WITHIN_S: Final = 8.0


@contextmanager
def only_run(folder: Path, *, url: str) -> Iterator[None]:
    """
    Hold the folder for one run, described by `url` to whoever tries a second.

    Raises CannotStartError that names the process and the URL of the run that holds it.
    """
    _make_private(folder / DATA_FOLDER)
    lock = FileLock(folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CannotStartError(_who_runs(folder)) from None
    running = folder / _RUNNING_FILE
    try:
        _end_leftovers(folder)
        running.write_text(json.dumps({"pid": os.getpid(), "url": url}))
        yield
    finally:
        running.unlink(missing_ok=True)
        lock.release()


def reset(folder: Path) -> None:
    """
    Delete the data folder: database, Redis, secrets. Safe to repeat.

    Raises CannotStartError while a run holds the folder.
    """
    if not (folder / DATA_FOLDER).exists():
        return
    with only_run(folder, url=""):
        shutil.rmtree(folder / DATA_FOLDER)


def _end_leftovers(folder: Path) -> None:
    """Wait for the services of a killed run to stop by themselves; end those that do not."""
    records = sorted((folder / RUN_FOLDER).glob("*.pid"))
    deadline = time.monotonic() + _LEFTOVERS_WITHIN_S
    for record in records:
        end_group(record, patience_s=max(0.0, deadline - time.monotonic()))
    _make_private(folder / RUN_FOLDER)


def _who_runs(folder: Path) -> str:
    try:
        running = json.loads((folder / _RUNNING_FILE).read_text())
        described = f"process {running['pid']}, {running['url']}"
    except (OSError, ValueError, KeyError, TypeError):
        described = "it is just starting or stopping"
    return (
        f"credits dev already runs in this folder ({described}). Use that one, stop it with Ctrl-C first, or start "
        "another one in another folder with another --port"
    )


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
