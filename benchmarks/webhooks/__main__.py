"""`python -m benchmarks.webhooks`: run the measurements and print them as a table."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.webhooks.measure import Figures, measure
from benchmarks.webhooks.stage import stage

DATABASES: Final = ("sqlite", "postgresql")


def main() -> int:
    """Measure on each database; print the table; with --json, write the figures to a file."""
    arguments = _parser().parse_args()
    rounds, seconds = (2, 2.0) if arguments.short else (arguments.rounds, arguments.seconds)
    figures = {}
    for database in arguments.database or DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder,
            stage(database, Path(folder)) as running,
        ):
            figures[database] = measure(running, rounds=rounds, seconds=seconds)
        print(_table(database, figures[database]), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({name: asdict(each) for name, each in figures.items()}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round (5)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, in turn; medians are shown (5)")
    parser.add_argument("--short", action="store_true", help="two rounds of two seconds, to see that it works")
    parser.add_argument("--database", action="append", choices=DATABASES, help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def _table(database: str, figures: Figures) -> str:
    ours, bare = figures.receiver, figures.bare_route
    return "\n".join(
        (
            f"{database}: {figures.payments} payments, each credited once",
            f"  {'':34}{'Creditgate':>12}{'yardstick':>12}{'ratio':>8}",
            _line("webhooks accepted / s", ours.per_s, bare.per_s, "bare insert"),
            _line("  p50, flat out (ms)", ours.p50_ms, bare.p50_ms),
            _line("  p99, flat out (ms)", ours.p99_ms, bare.p99_ms),
            _line("  p99 at 200 / s (ms)", ours.paced_p99_ms, bare.paced_p99_ms),
            _line("events / s from post to ledger", figures.events_per_s, figures.empty_tasks_per_s, "empty task"),
        )
    )


def _line(name: str, ours: float, yardstick: float, note: str = "") -> str:
    return f"  {name:34}{ours:12.1f}{yardstick:12.1f}{ours / yardstick:8.2f}  {note}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
