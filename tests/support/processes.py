"""Child processes that cannot outlive the test run, and patience with what they do."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 90.0
"""How long is waited for what comes within a second or two, as a rule: a machine may have other things to do."""

# Below what a system gives to connections that go out: a server that is down for a moment would lose its port to one.
_PORTS: Final = range(15_000, 32_000)
_marks: deque[socket.socket] = deque(maxlen=64)

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def start(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    lifeline: bool = False,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """
    Start a program in a session of its own, its output appended to `log`.

    On Linux the kernel sends it `death_signal` when this process ends, however it ends. With `lifeline` its standard
    input is a pipe that ends with this process.
    """

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))

    with log.open("ab") as output:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            # Control-C in the terminal reaches pytest alone, which then stops its servers in order.
            start_new_session=True,
            user=user,
            group=_primary_group(user),
            extra_groups=[] if user is not None else None,
            # Needed after the change of user, which clears it; the child calls nothing but prctl.
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process and all that it started; nothing happens if they are gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def wait_until(holds: Callable[[], bool], *, what: str, timeout_s: float = PATIENCE_S) -> None:
    """
    Return as soon as `holds()` is true; raise AssertionError that names `what` after `timeout_s`.

    It is asked once more after that time: a process that stood still meanwhile has missed nothing.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        is_last_time = time.monotonic() > deadline_s
        if holds():
            return
        if is_last_time:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that no other test process is given for a while."""
    # Not by the random numbers that Hypothesis makes the same everywhere.
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_PORTS)
        if _is_ours(port) and _is_free(port):
            return port


def _is_ours(port: int) -> bool:
    """Whether we are the first test process to take it. It is given back when this process ends, however it ends."""
    if sys.platform != "linux":
        return True
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0creditgate-tests-port-{port}")
    except OSError:
        mark.close()
        return False
    _marks.append(mark)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _primary_group(user: str | None) -> int | None:
    if user is None:
        return None
    import pwd  # not there on every system, and needed for root only

    return pwd.getpwnam(user).pw_gid
