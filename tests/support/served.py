"""The web application on a port of its own, in a thread of the test; and a proxy in front of it that does harm."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

_PATIENCE_S: Final = 90.0


class _Quiet(WSGIRequestHandler):
    # As gunicorn does, so that connections are used again.
    protocol_version = "HTTP/1.1"

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve `app` over HTTP while the block runs; answers its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Harm(StrEnum):
    """What the proxy does to one request."""

    NONE = "none"
    CLOSE = "close"
    """It hangs up before the server hears anything."""
    DROP = "drop"
    """The server does it, and nobody hears the answer."""
    HALVE = "halve"
    """The server does it, and the answer breaks off in the middle."""
    DELAY = "delay"
    """The server does it, and the answer is late."""
    HANG = "hang"
    """The server never hears of it, and the connection stays open."""


@dataclass
class FaultyProxy:
    """A TCP proxy that reads requests one by one and does to each what `decide` says. Use it as a context manager."""

    target: tuple[str, int]
    decide: Callable[[int], Harm] = lambda _: Harm.NONE
    delay_s: float = 0.5
    host: str = "127.0.0.1"
    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    """The first line of each request."""

    def __enter__(self) -> "FaultyProxy":
        self._is_open = True
        self._listener = socket.create_server((self.host, self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        # A thread that waits in accept() would go on taking connections after close() alone.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def _accept(self) -> None:
        while self._is_open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(_PATIENCE_S)
        with client, suppress(OSError), client.makefile("rb") as requests:
            while (request := _message(requests)) is not None:
                self.seen.append(request.partition(b"\r\n")[0])
                if not self._pass_on(request, client, self.decide(len(self.seen) - 1)):
                    return

    def _pass_on(self, request: bytes, client: socket.socket, harm: Harm) -> bool:
        """Whether the connection is to be used for another request."""
        if harm is Harm.CLOSE:
            return False
        if harm is Harm.HANG:
            while self._is_open:
                time.sleep(0.05)
            return False
        with socket.create_connection(self.target, timeout=_PATIENCE_S) as server, server.makefile("rb") as answers:
            server.sendall(request)
            answer = _message(answers) or b""
        if harm is Harm.DROP:
            return False
        if harm is Harm.DELAY:
            time.sleep(self.delay_s)
        client.sendall(answer[: len(answer) // 2] if harm is Harm.HALVE else answer)
        return harm is not Harm.HALVE


def _message(stream: "socket.SocketIO | object") -> bytes | None:
    """One HTTP message with a Content-Length, or without a body; None at the end of the stream."""
    head, length = bytearray(), 0
    while line := stream.readline():  # type: ignore[union-attr]
        head += line
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if line in {b"\r\n", b"\n"}:
            return bytes(head) + bytes(stream.read(length))  # type: ignore[union-attr]
    return None
