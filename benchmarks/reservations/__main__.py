"""`python -m benchmarks.reservations`: measure all contenders, print tables and aims, keep the figures as JSON."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.reservations.alone import alone
from benchmarks.reservations.contenders import NOT_HERE, REPOSITORY
from benchmarks.reservations.measure import check, paced_reserve, tables
from benchmarks.reservations.report import aims_of, table_of
from benchmarks.reservations.stage import stage

RESULTS: Final = REPOSITORY / "benchmarks" / "results"


def main() -> int:
    """Measure, print, check that every contender's books agree with what it was made to spend."""
    arguments = _parser().parse_args()
    processes = (1, 8) if arguments.short else (1, 4, 8)
    rounds, seconds = (1, 0.3) if arguments.short else (arguments.rounds, arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder, stage(Path(folder)) as running:
        measured = tables(running, processes=processes, rounds=rounds, seconds=seconds)
        ours = alone(running, rounds=rounds)
        paced = paced_reserve(running, rounds=rounds, seconds=max(1.0, seconds))
        check(running)
        for setting, table in measured.items():
            print(table_of(setting, table), end="\n\n")
        print(aims_of(measured, ours, paced), end="\n\n")
        for name, reason in {**NOT_HERE, **running.missing}.items():
            print(f"not measured: {name}: {reason}")
        print(f"nothing was overspent; these books add up: {', '.join(sorted(running.clients))}")
    figures = {
        "tables": [asdict(setting) | {"rows": _rows(table)} for setting, table in measured.items()],
        "alone": ours,
        "reserve_at_half_load": asdict(paced),
    }
    path = arguments.json or RESULTS / f"reservations-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2))
    print(f"figures: {path}")
    return 0


def _rows(table: dict) -> dict:
    return {label: asdict(row) for label, row in table.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reservations", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a round (0.4)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, in turn; medians are shown (5)")
    parser.add_argument("--short", action="store_true", help="one short round of each, with 1 and 8 processes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
