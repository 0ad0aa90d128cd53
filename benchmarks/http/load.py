"""The load: keep-alive connections, each of which reserves and commits, again and again, or at a rate."""

import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

ACCOUNTS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a round came to."""

    pairs: int
    refused: tuple[str, ...]
    duration_s: float
    latencies_ms: tuple[float, ...]
    """Of each request."""

    @property
    def pairs_per_s(self) -> float:
        return self.pairs / self.duration_s

    def percentile_ms(self, share: float) -> float:
        """The latency that `share` of the requests stayed below."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the load goes, and what it asks for."""

    port: int
    key: str
    durability: str


def send(
    target: Target, *, connections: int, seconds: float, round_name: str, pairs_per_s: float | None = None
) -> Load:
    """
    Reserve and commit for `seconds`, as fast as it is answered or at a rate of pairs.

    At a rate, the latency of a reservation counts from when it was due: a server that stalls is not spared the queue.
    """
    numbers = itertools.count()
    began_s = time.perf_counter()

    def run(_: int) -> tuple[int, list[str], list[float]]:
        pairs, refused, latencies = 0, [], []
        with socket.create_connection(("127.0.0.1", target.port), timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                number = next(numbers)
                due_s = time.perf_counter() if pairs_per_s is None else began_s + number / pairs_per_s
                if max(due_s, time.perf_counter()) - began_s >= seconds:
                    return pairs, refused, latencies
                if due_s > time.perf_counter():
                    time.sleep(due_s - time.perf_counter())
                statuses, bodies = [], []
                for request in _pair(target, f"{round_name}-{number}", f"user_{number % ACCOUNTS}"):
                    connection.sendall(request)
                    status, body = _read_answer(connection)
                    statuses.append(status)
                    bodies.append(body.decode())
                    latencies.append((time.perf_counter() - due_s) * 1000)
                    due_s = time.perf_counter()
                if statuses == [201, 200]:
                    pairs += 1
                else:
                    refused += bodies

    with ThreadPoolExecutor(connections) as threads:
        parts = list(threads.map(run, range(connections)))
    return Load(
        pairs=sum(pairs for pairs, _, _ in parts),
        refused=tuple(body for _, refused, _ in parts for body in refused),
        duration_s=time.perf_counter() - began_s,
        latencies_ms=tuple(latency for _, _, latencies in parts for latency in latencies),
    )


def _pair(target: Target, name: str, account: str) -> tuple[bytes, bytes]:
    reservations = f"/v1/accounts/{account}/reservations"
    return (
        _post(target, reservations, f'{{"reservation_id":"{name}","items":{{"image_generation":1}},"ttl_s":60}}'),
        _post(target, f"{reservations}/{name}/commit", f'{{"durability":"{target.durability}"}}'),
    )


def _post(target: Target, path: str, body: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _read_answer(connection: socket.socket) -> tuple[int, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += _received(connection)
    return int(head.split(b" ", 2)[1]), body


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of an answer")
    return data
