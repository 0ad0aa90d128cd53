"""
One program and all its children as a group that can be found, and ended, by anyone who knows its record file.

Every process of the group inherits an open, locked descriptor of the record. So the lock is held exactly as long as
one of them lives, whoever started them and whatever became of it; and because a process group's number is not given
out again while it has members, killing the recorded group can never hit a stranger.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def start_group(argv: Sequence[str], record: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """
    Start `argv` as the leader of a new process group, written down in `record`.

    Raises BlockingIOError if a process of the previous group of this record is still alive.
    """
    descriptor = os.open(record, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(
            argv, env=dict(env), stdin=subprocess.DEVNULL, process_group=0, pass_fds=(descriptor,)
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(process.pid).encode(), 0)
    finally:
        os.close(descriptor)
    return process


def is_alive(record: Path) -> bool:
    """Whether any process of the group lives."""
    try:
        descriptor = os.open(record, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def end_group(record: Path, *, patience_s: float) -> bool:
    """
    End every process of the group: ask (SIGTERM), and after `patience_s` kill. Return whether there was one.

    Safe to repeat, and safe when the group is long gone.
    """
    if not is_alive(record):
        return False
    if patience_s > 0:
        _signal_group(record, signal.SIGTERM)
        if _wait_until_gone(record, patience_s):
            return True
    _signal_group(record, signal.SIGKILL)
    _wait_until_gone(record, 2.0)
    return True


def _signal_group(record: Path, number: signal.Signals) -> None:
    text = record.read_text()
    # A supervisor killed between the start and the writing leaves the record empty; its program then has no name.
    if not text.isdigit() or int(text) <= 1:
        return
    try:
        os.killpg(int(text), number)
    except ProcessLookupError:
        return


def _wait_until_gone(record: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not is_alive(record):
            return True
        time.sleep(0.05)
    return not is_alive(record)
