"""`python -m benchmarks.http`: run the measurements and print them as tables."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import func, select

from benchmarks.http.load import Load, Target, send
from benchmarks.http.stage import Stage, stage
from credits.db import snapshot
from credits.ledger.tables import entries
from tests.support.ledger import assert_ledger_is_sound
from tests.support.processes import wait_until

SERVERS: Final = ("gunicorn", "granian")
DATABASES: Final = ("sqlite", "postgresql")
CONNECTIONS: Final = (1, 8, 32)
DURABILITIES: Final = ("redis", "ledger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Medians over the rounds, for one number of connections."""

    durability: str
    connections: int
    pairs_per_s: float
    empty_pairs_per_s: float
    p50_ms: float
    p99_ms: float
    half_load_p99_ms: float

    @property
    def ratio(self) -> float:
        return self.pairs_per_s / self.empty_pairs_per_s


def main() -> int:
    """Measure each server; print the tables; with --json, write the figures to a file."""
    arguments = _parser().parse_args()
    rounds, seconds = (1, 2.0) if arguments.short else (arguments.rounds, arguments.seconds)
    figures = {}
    for server in arguments.server or SERVERS:
        for database in arguments.database or DATABASES:
            with (
                tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder,
                stage(
                    server, database, Path(folder), processes=arguments.processes, is_settling=arguments.settling
                ) as running,
            ):
                rows = measure(running, rounds=rounds, seconds=seconds)
            figures[f"{server} {database}"] = [asdict(row) for row in rows]
            print(_table(server, database, rows), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0


def measure(running: Stage, *, rounds: int, seconds: float) -> list[Row]:
    """Every number of connections at both levels of durability; then check that each commit was booked once."""
    rows, committed = [], 0
    for durability in DURABILITIES:
        for connections in CONNECTIONS:
            ours, empty, half = [], [], []
            for number in range(rounds):
                name = f"{durability}-{connections}-{number}"
                empty.append(_round(running.empty_port, running, durability, connections, seconds, name))
                ours.append(_round(running.our_port, running, durability, connections, seconds, name))
                pace = ours[-1].pairs_per_s / 2
                half.append(_round(running.our_port, running, durability, connections, seconds, f"{name}-half", pace))
            committed += sum(load.pairs for load in (*ours, *half))
            rows.append(_row(durability, connections, ours, empty, half))
    wait_until(lambda: _booked(running) >= committed, timeout_s=120, what=f"{committed} commits are booked")
    assert _booked(running) == committed, (_booked(running), committed)
    assert_ledger_is_sound(running.engine)
    return rows


def _round(
    port: int,
    running: Stage,
    durability: str,
    connections: int,
    seconds: float,
    name: str,
    pace: float | None = None,
) -> Load:
    target = Target(port=port, key=running.key, durability=durability)
    load = send(target, connections=connections, seconds=seconds, round_name=name, pairs_per_s=pace)
    assert not load.refused, f"{len(load.refused)} answers of pairs that were refused, such as {load.refused[:2]}"
    return load


def _row(durability: str, connections: int, ours: list[Load], empty: list[Load], half: list[Load]) -> Row:
    return Row(
        durability=durability,
        connections=connections,
        pairs_per_s=median(load.pairs_per_s for load in ours),
        empty_pairs_per_s=median(load.pairs_per_s for load in empty),
        p50_ms=median(load.percentile_ms(0.5) for load in ours),
        p99_ms=median(load.percentile_ms(0.99) for load in ours),
        half_load_p99_ms=median(load.percentile_ms(0.99) for load in half),
    )


def _booked(running: Stage) -> int:
    with snapshot(running.engine) as connection:
        query = select(func.count()).select_from(entries).where(entries.c.kind == "spend")
        return connection.execute(query).scalar_one()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round (5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turn; medians are shown (3)")
    parser.add_argument("--processes", type=int, default=2, help="of the server, with 8 threads each (2)")
    parser.add_argument("--settling", action="store_true", help="with beat: what is committed is booked meanwhile")
    parser.add_argument("--short", action="store_true", help="one round of two seconds, to see that it works")
    parser.add_argument("--server", action="append", choices=SERVERS, help="only this one; may be repeated")
    parser.add_argument("--database", action="append", choices=DATABASES, help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def _table(server: str, database: str, rows: list[Row]) -> str:
    head = f"{'durability':12}{'connections':>12}{'pairs/s':>10}{'empty':>10}{'ratio':>8}"
    lines = [f"{server}, {database}", f"  {head}{'p50 ms':>9}{'p99 ms':>9}{'p99 at half load':>18}"]
    for row in rows:
        figures = f"{row.pairs_per_s:10.0f}{row.empty_pairs_per_s:10.0f}{row.ratio:8.2f}{row.p50_ms:9.1f}"
        lines.append(f"  {row.durability:12}{row.connections:12}{figures}{row.p99_ms:9.1f}{row.half_load_p99_ms:18.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
