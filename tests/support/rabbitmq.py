"""A RabbitMQ server of the test run's own, where one is installed; the project needs none."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import free_port, signal_group, start
from tests.support.server import Server

# Before the one on PATH: Debian's there is a wrapper that changes the user.
_PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server", "/usr/sbin/rabbitmq-server")


def find_rabbitmq() -> str | None:
    """The program that starts a server; None if RabbitMQ is not installed."""
    return next((found for found in map(shutil.which, _PROGRAMS) if found is not None), None)


class RabbitServer(Server):
    """One server on free ports of 127.0.0.1, with all of its files in `folder`."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__("RabbitMQ", folder / "rabbitmq.log")
        self._folder = folder
        self._program = program
        self.port = free_port()
        self.epmd_port = free_port()
        self._distribution_port = free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def _launched(self) -> subprocess.Popen[bytes]:
        plugins = self._folder / "enabled_plugins"
        plugins.write_text("[].")
        settings = self._folder / "rabbitmq.conf"
        settings.write_text(f"listeners.tcp.default = 127.0.0.1:{self.port}\nvm_memory_high_watermark.absolute = 1GB\n")
        env = {
            "PATH": os.environ["PATH"],
            # Erlang keeps the cookie of a node there.
            "HOME": str(self._folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": f"creditgate-{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_BASE": str(self._folder),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(settings),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": str(self._folder / "rabbitmq.pid"),
        }
        return start([self._program], log=self._log, env=env, cwd=self._folder, death_signal=signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL every process of the server."""
        if self._process is not None:
            signal_group(self._process, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False


@contextmanager
def rabbit_server(folder: Path, program: str) -> Iterator[RabbitServer]:
    """A running server. Erlang's port mapper runs beside it for as long, so that none is left behind."""
    folder.mkdir()
    server = RabbitServer(folder, program)
    options = ("-port", str(server.epmd_port), "-address", "127.0.0.1")
    mapper = start([shutil.which("epmd") or "epmd", *options], log=folder / "epmd.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()
        mapper.kill()
        mapper.wait()
