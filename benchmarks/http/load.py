"""The load: keep-alive connections, each of which reserves and commits, again and again, or at a rate."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from benchmarks.load import ask, connect, percentile_ms

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
        return percentile_ms(self.latencies_ms, share)


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
        with connect(target.port) as connection:
            while True:
                number = next(numbers)
                due_s = time.perf_counter() if pairs_per_s is None else began_s + number / pairs_per_s
                if max(due_s, time.perf_counter()) - began_s >= seconds:
                    return pairs, refused, latencies
                if pairs_per_s is not None:
                    time.sleep(max(0.0, due_s - time.perf_counter()))
                statuses, bodies = [], []
                for request in _pair(target, f"{round_name}-{number}", f"user_{number % ACCOUNTS}"):
                    status, body = ask(connection, request)
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
