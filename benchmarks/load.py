"""A load generator: keep-alive connections that send prepared requests, as fast as they are answered or at a rate."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a round of requests came to."""

    accepted: int
    refused: int
    duration_s: float
    latencies_ms: tuple[float, ...]

    @property
    def per_s(self) -> float:
        return self.accepted / self.duration_s

    def percentile_ms(self, share: float) -> float:
        """The latency that `share` of the requests stayed below."""
        return percentile_ms(self.latencies_ms, share)


def send(
    port: int, requests: Sequence[bytes], *, connections: int, seconds: float | None = None, rate: float | None = None
) -> Load:
    """
    Send `requests` once each over `connections`, for `seconds` at most; at `rate` a second if one is given.

    At a rate, a latency counts from the moment its request was due: a server that stalls is not spared the queue.
    """
    queue = _Queue(requests)
    began_s = time.perf_counter()
    until_s = began_s + seconds if seconds is not None else float("inf")

    def run(_: int) -> list[tuple[bool, float]]:
        answers = []
        with connect(port) as connection:
            for number, request in queue:
                due_s = began_s + number / rate if rate is not None else time.perf_counter()
                if max(due_s, time.perf_counter()) >= until_s:
                    break
                if rate is not None:
                    time.sleep(max(0.0, due_s - time.perf_counter()))
                status, _ = ask(connection, request)
                answers.append((status == 200, (time.perf_counter() - due_s) * 1000))
        return answers

    with ThreadPoolExecutor(connections) as threads:
        answers = [answer for part in threads.map(run, range(connections)) for answer in part]
    duration_s = time.perf_counter() - began_s
    accepted = sum(is_ok for is_ok, _ in answers)
    latencies = tuple(latency for _, latency in answers)
    return Load(accepted=accepted, refused=len(answers) - accepted, duration_s=duration_s, latencies_ms=latencies)


def connect(port: int) -> socket.socket:
    """A connection to a server of this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send a request; answers status and body."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += _received(connection)
    return int(head.split(b" ", 2)[1]), body


def percentile_ms(latencies_ms: Sequence[float], share: float) -> float:
    """The latency that `share` of the requests stayed below."""
    ordered = sorted(latencies_ms)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Queue:
    """Hands each request to one thread."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = iter(enumerate(requests))
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self

    def __next__(self) -> tuple[int, bytes]:
        with self._lock:
            return next(self._requests)


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of an answer")
    return data
