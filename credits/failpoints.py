"""Failpoints: named places where a test makes this process die, to prove that nothing is lost there."""

import os
import signal
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "CREDITGATE_FAILPOINTS"


def _read(text: str) -> Mapping[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


_ACTIVE: Final = _read(os.environ.get(VARIABLE, ""))


def is_any_active() -> bool:
    """Whether this process may be meant to die anywhere; for places where even a name would cost too much."""
    return bool(_ACTIVE)


def failpoint(name: str) -> None:
    """
    Do what CREDITGATE_FAILPOINTS says for `name`; nothing, at no cost, where it says nothing.

    `allocation.before_commit=kill` kills the process on the spot, as the kernel would; `…=kill-once:<file>` does it
    unless `<file>` exists, and makes it first, so that the restarted process lives; `…=stop` stops it until somebody
    lets it go on.
    """
    if not _ACTIVE or name not in _ACTIVE:
        return
    action, _, flag = _ACTIVE[name].partition(":")
    if action == "kill-once":
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    os.kill(os.getpid(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)
