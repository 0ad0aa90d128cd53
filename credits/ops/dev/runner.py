"""
Runs the services of `credits dev` side by side, shows what they print, and stops them in order.

Each service has a supervisor of its own (credits.ops.supervise), whose standard input is a lifeline: a pipe that only
this process holds. When this process ends, however it ends, the kernel closes the pipe and every supervisor stops its
service. Nothing is forked without exec, so no copy of the lifeline or of the folder's lock survives in a child.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final

from credits.ops.dev.output import Lines, Terminal
from credits.ops.supervise.group import end_group
from credits.ops.supervise.loop import ready_line

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_TICK_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service, as the command line of its supervisor."""

    name: str
    supervisor_argv: Sequence[str]
    record: Path
    """Where the supervisor writes down the service's process group."""
    stops_last: bool = False
    """The others need it until they have stopped."""


class Runner:
    """Runs `services` until a signal comes or one of them cannot be started."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        env: Mapping[str, str],
        terminal: Terminal,
        on_ready: Callable[[], None],
        patience_s: float,
        stop_with_parent: bool = False,
    ) -> None:
        self._services = {service.name: service for service in services}
        self._env = env
        self._terminal = terminal
        self._on_ready = on_ready
        self._patience_s = patience_s
        # Another parent than at the start means that the first one is gone.
        self._parent = os.getppid() if stop_with_parent else None
        self._selector = selectors.DefaultSelector()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._not_ready = set(self._services)
        self._stop_requests = 0

    def run(self) -> int:
        """
        Start everything, stay until told to stop, stop everything. Return the exit status: 0 unless a service failed.

        No process of any service is left when this returns.
        """
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        status = 0
        try:
            for name in self._services:
                self._start(name)
            while not self._is_over() and status == 0:
                self._relay(_TICK_S)
                status = self._replace_lost_supervisors()
        finally:
            self._stop_all()
            self._selector.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        return status

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _is_over(self) -> bool:
        is_orphan = self._parent is not None and os.getppid() != self._parent
        return self._stop_requests > 0 or self._terminal.is_gone or is_orphan

    def _start(self, name: str) -> None:
        process = subprocess.Popen(
            self._services[name].supervisor_argv,
            env=dict(self._env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal then reaches this process alone, which stops the services in order.
            start_new_session=True,
        )
        printed = _pipe(process.stdout)
        os.set_blocking(printed.fileno(), False)
        self._selector.register(printed, selectors.EVENT_READ, (name, Lines()))
        self._running[name] = process

    def _relay(self, within_s: float) -> None:
        """Show what the services have printed, waiting for it up to `within_s`."""
        for key, _ in self._selector.select(within_s):
            name, lines = key.data
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
            for line in lines.feed(data):
                self._show(name, line)

    def _show(self, name: str, line: str) -> None:
        self._terminal.show(name, line)
        if line == ready_line(name) and name in self._not_ready:
            self._not_ready.remove(name)
            if not self._not_ready:
                self._on_ready()

    def _replace_lost_supervisors(self) -> int:
        for name, process in list(self._running.items()):
            status = process.poll()
            if status is None:
                continue
            self._relay(0)
            self._forget(name)
            if status >= 0:
                self._terminal.write(f"{name} cannot be started; its last lines above say why. Stopping.\n")
                return 1
            self._terminal.write(f"the supervisor of {name} was killed; starting both again\n")
            self._start(name)
        return 0

    def _forget(self, name: str) -> None:
        """Clear up after a supervisor that has ended: if it was killed, its service is still there."""
        process = self._running.pop(name)
        end_group(self._services[name].record, patience_s=0)
        _pipe(process.stdin).close()
        printed = _pipe(process.stdout)
        if printed.fileno() in self._selector.get_map():
            self._selector.unregister(printed)
        printed.close()

    def _stop_all(self) -> None:
        for is_last in (False, True):
            names = [name for name in self._running if self._services[name].stops_last is is_last]
            for name in names:
                self._running[name].terminate()
            self._wait_for(names)
            for name in names:
                process = self._running[name]
                if process.poll() is None:
                    process.kill()
                    process.wait()
                self._forget(name)

    def _wait_for(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + self._patience_s
        # The first signal asks; a second one, while the services wind up, insists.
        insisted = self._stop_requests + 1
        while any(self._running[name].poll() is None for name in names):
            if time.monotonic() > deadline or self._stop_requests >= insisted:
                return
            self._relay(_TICK_S / 4)
        self._relay(0)


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Our end of a pipe of a process that was started with one. Raises ValueError if it was not."""
    if end is None:
        raise ValueError("the process was started without this pipe")
    return end
