"""A server program that tests start: on a free port, with a log that says why it did not."""

import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from tests.support.processes import free_port, wait_until


class Server(ABC):
    """One process on a port of 127.0.0.1. It keeps its port, however often it is started."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.port = 0
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server (on the same port as before, if it ran before) and wait until it answers."""
        # Another process may take a free port before the server does: then it exits, and the next one is tried.
        for _ in range(1 if self.port else 5):
            self.port = self.port or free_port()
            self._process = self._launched()
            # Its exit counts first: what answers there then is somebody else's.
            wait_until(lambda: self._exited() or self._answers(), what=f"{self.name} answers ({self._log})")
            if not self._exited():
                return
            self.port = 0
        raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()}")

    @abstractmethod
    def _launched(self) -> subprocess.Popen[bytes]:
        """The program, started on `port`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves by now."""

    def _exited(self) -> bool:
        return self._process is None or self._process.poll() is not None
