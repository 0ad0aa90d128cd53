"""The supervisor's loop: start, listen for signs of life, end, start again, until told to stop."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from credits.ops.supervise.group import end_group, start_group
from credits.ops.supervise.probes import Probe
from credits.ops.supervise.rules import Ending, GiveUp, History, Restart, is_silent, next_step

EXIT_GAVE_UP: Final = 3
"""The supervisor's own exit status when the program could not be started at all."""

_TICK_S: Final = 0.2
_PROBE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to keep alive, and how to tell that it is."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    record: Path
    """Where its process group is written down (see group.py)."""
    probe: Probe
    silence_s: float
    """Silent for longer than this, it is killed and started again."""
    may_be_silent: Callable[[], bool]
    """Whether silence is not the program's fault right now: its broker is away."""
    may_start: Callable[[], bool]
    """Whether what it needs is there; until then it is not started."""
    patience_s: float
    """How long it may take to stop when asked."""


def ready_line(name: str) -> str:
    """What the supervisor says when its program first shows life. The runner of `credits dev` waits for it."""
    return f"{name} is ready"


def supervise(program: Program, stops: SimpleQueue[str], say: Callable[[str], None]) -> int:
    """
    Keep `program` alive until something is put into `stops`. Return the exit status: 0, or EXIT_GAVE_UP.

    Whichever way this ends, no process of the program's group is left.
    """
    history = History()
    try:
        if not program.may_start():
            say(f"{program.name} waits for its broker to answer")
        while not program.may_start():
            if _told_to_stop(stops, _TICK_S):
                return 0
        while True:
            end_group(program.record, patience_s=0)
            run = _Run(program, say)
            ending = run.watch(stops)
            if ending is None:
                return 0
            history = history.after(ending, showed_life=run.showed_life)
            step = next_step(history)
            match step:
                case Restart(delay_s=delay_s):
                    say(f"{program.name} {ending.detail}; starting it again in {delay_s:g} s")
                    if _told_to_stop(stops, delay_s):
                        return 0
                case GiveUp(tries=tries):
                    say(f"{program.name} {ending.detail}; it never came up in {tries} tries, giving up")
                    return EXIT_GAVE_UP
    finally:
        end_group(program.record, patience_s=0)


class _Run:
    """One run of the program, from its start to its end."""

    def __init__(self, program: Program, say: Callable[[str], None]) -> None:
        self._program = program
        self._say = say
        self._process = start_group(program.argv, program.record, program.env)
        self._started_s = time.monotonic()
        self._last_sign_s = self._started_s
        self._probed_s = self._started_s
        self.showed_life = False

    def watch(self, stops: SimpleQueue[str]) -> Ending | None:
        """Wait for the end. None: it was told to stop, and did."""
        while not _told_to_stop(stops, _TICK_S):
            status = self._process.poll()
            if status is not None:
                return self._ending(_describe_exit(status))
            now_s = time.monotonic()
            if now_s - self._probed_s >= _PROBE_EVERY_S or not self.showed_life:
                self._probe()
            now_s = time.monotonic()
            if is_silent(now_s=now_s, last_sign_s=self._last_sign_s, limit_s=self._program.silence_s):
                # It had its chance to answer; something that hangs does not shut down in order either.
                end_group(self._program.record, patience_s=0)
                self._process.wait()
                return self._ending(f"showed no sign of life for {self._program.silence_s:g} s")
        self._stop()
        return None

    def _probe(self) -> None:
        if self._program.probe.shows_life():
            if not self.showed_life:
                self._say(ready_line(self._program.name))
            self.showed_life = True
            self._last_sign_s = time.monotonic()
        elif self._program.may_be_silent():
            self._last_sign_s = time.monotonic()
        self._probed_s = time.monotonic()

    def _stop(self) -> None:
        # To the leader alone: gunicorn's and Celery's masters wind up their own children.
        self._process.terminate()
        try:
            self._process.wait(self._program.patience_s)
        except subprocess.TimeoutExpired:
            self._say(f"{self._program.name} did not stop within {self._program.patience_s:g} s; killing it")
        end_group(self._program.record, patience_s=0)
        self._process.wait()

    def _ending(self, detail: str) -> Ending:
        return Ending(ran_s=time.monotonic() - self._started_s, detail=detail)


def _told_to_stop(stops: SimpleQueue[str], within_s: float) -> bool:
    try:
        stops.get(timeout=within_s)
    except Empty:
        return False
    return True


def _describe_exit(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"
