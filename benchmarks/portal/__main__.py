"""`python -m benchmarks.portal`: run the measurements and print them as tables."""

import argparse
import json
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.load import Load, send
from benchmarks.portal.stage import ACCOUNTS, SPENDS, Stage, stage

DATABASES: Final = ("sqlite", "postgresql")
PATHS: Final = ("/portal/", "/portal/history")
PER_S: Final = 50.0
CONNECTIONS: Final = 16

MAX_P99_MS: Final = 50.0
MAX_FIRST_VIEW_BYTES: Final = 60_000

_LOADED: Final = re.compile(r'(?:href|src)="(/portal/(?:static/[^"]+|colours\.css|logo))"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Medians over the rounds, for one page."""

    path: str
    p50_ms: float
    p99_ms: float
    empty_p50_ms: float
    empty_p99_ms: float
    pages_per_s: float
    empty_pages_per_s: float


def main() -> int:
    """Measure on each database; print the tables; with --json, write the figures to a file."""
    arguments = _parser().parse_args()
    rounds, seconds = (1, 4.0) if arguments.short else (arguments.rounds, arguments.seconds)
    figures, is_met = {}, True
    for database in arguments.database or DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder,
            stage(database, Path(folder), processes=arguments.processes) as running,
        ):
            weights = weigh(running)
            rows = [measure(running, path, rounds=rounds, seconds=seconds) for path in PATHS]
        figures[database] = {"pages": [asdict(row) for row in rows], "first_view_bytes": weights}
        is_met &= sum(weights.values()) < MAX_FIRST_VIEW_BYTES and rows[0].p99_ms < MAX_P99_MS
        print(_table(database, rows, weights), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0 if is_met else 1


def measure(running: Stage, path: str, *, rounds: int, seconds: float) -> Row:
    """Ours and the empty route in turn: at fifty a second, then as fast as they are answered."""
    paced: dict[int, list[Load]] = {running.our_port: [], running.empty_port: []}
    full: dict[int, list[Load]] = {running.our_port: [], running.empty_port: []}
    # Every process has read its templates and its language before anything counts.
    _round(running, running.our_port, path, seconds=2.0, rate=PER_S)
    for _ in range(rounds):
        for port in (running.empty_port, running.our_port):
            paced[port].append(_round(running, port, path, seconds=seconds, rate=PER_S))
            full[port].append(_round(running, port, path, seconds=seconds / 2, rate=None))
    ours, empty = paced[running.our_port], paced[running.empty_port]
    return Row(
        path=path,
        p50_ms=median(load.percentile_ms(0.5) for load in ours),
        p99_ms=median(load.percentile_ms(0.99) for load in ours),
        empty_p50_ms=median(load.percentile_ms(0.5) for load in empty),
        empty_p99_ms=median(load.percentile_ms(0.99) for load in empty),
        pages_per_s=median(load.per_s for load in full[running.our_port]),
        empty_pages_per_s=median(load.per_s for load in full[running.empty_port]),
    )


def weigh(running: Stage) -> dict[str, int]:
    """The bytes of the first page and of everything that it loads, heads included, as they go over the wire."""
    weights = {}
    page = _fetch(running, "/portal/")
    weights["/portal/"] = len(page)
    for path in sorted(set(_LOADED.findall(page.decode()))):
        weights[path] = len(_fetch(running, path))
    assert len(weights) >= 4, weights
    return weights


def _round(running: Stage, port: int, path: str, *, seconds: float, rate: float | None) -> Load:
    count = int(seconds * (rate or 5_000))
    requests = [_request(path, running.cookies[number % ACCOUNTS]) for number in range(count)]
    load = send(port, requests, connections=CONNECTIONS, seconds=seconds, rate=rate)
    assert not load.refused, f"{load.refused} pages were refused"
    return load


def _request(path: str, cookie: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()


def _fetch(running: Stage, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", running.our_port, timeout=20)
    connection.request("GET", path, headers={"Cookie": running.cookies[0], "Accept-Encoding": "identity"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, f"{path}: {answer.status}"
    return str(answer.headers).encode() + body


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portal", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a round (20)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turn; medians are shown (3)")
    parser.add_argument("--processes", type=int, default=2, help="of the server, with 8 threads each (2)")
    parser.add_argument("--short", action="store_true", help="one round of four seconds, to see that it works")
    parser.add_argument("--database", action="append", choices=DATABASES, help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def _table(database: str, rows: list[Row], weights: dict[str, int]) -> str:
    lines = [
        f"{database}: {ACCOUNTS} accounts with {SPENDS} jobs each; {PER_S:.0f} pages a second, then as many as can be",
        f"  {'page':18}{'p50 ms':>8}{'p99 ms':>8}{'empty p50':>11}{'empty p99':>11}{'pages/s':>9}{'empty/s':>9}",
    ]
    for row in rows:
        paced = f"{row.p50_ms:8.1f}{row.p99_ms:8.1f}{row.empty_p50_ms:11.1f}{row.empty_p99_ms:11.1f}"
        lines.append(f"  {row.path:18}{paced}{row.pages_per_s:9.0f}{row.empty_pages_per_s:9.0f}")
    parts = ", ".join(f"{path.rpartition('/')[2] or 'page'} {size}" for path, size in weights.items())
    lines.append(
        f"  first view: {sum(weights.values())} bytes in {len(weights)} requests ({parts}); aim: {MAX_FIRST_VIEW_BYTES}"
    )
    lines.append(f"  aim of the first page's p99 at {PER_S:.0f} a second: under {MAX_P99_MS:.0f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
