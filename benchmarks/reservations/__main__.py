"""`python -m benchmarks.reservations`: measure all contenders, print tables and aims, keep the figures as JSON."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.reservations.alone import alone
from benchmarks.reservations.contenders import NOT_HERE, REPOSITORY
from benchmarks.reservations.measure import check, paced_reserve, tables
from benchmarks.reservations.report import aims_of, memory_of, scale_of, table_of, touches_of
from benchmarks.reservations.scale import memory, scale
from benchmarks.reservations.stage import stage
from benchmarks.reservations.touches import first_touches

RESULTS: Final = REPOSITORY / "benchmarks" / "results"

Arguments = argparse.Namespace


def main() -> int:
    """Measure the parts that are asked for, and print them beside what is aimed at."""
    arguments = _parser().parse_args()
    figures: dict[str, Any] = {}
    for part in arguments.part or ["tables"]:
        with tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder:
            figures[part] = PARTS[part](Path(folder), arguments)
    path = arguments.json or RESULTS / f"reservations-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2))
    print(f"figures: {path}")
    return 0


def _tables(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """Every contender, by 1, 4 and 8 processes; reserve at half load; batches and settlement."""
    processes = (1, 8) if arguments.short else (1, 4, 8)
    rounds, seconds = (1, 0.3) if arguments.short else (arguments.rounds, arguments.seconds)
    with stage(folder) as running:
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
    return {
        "tables": [asdict(setting) | {"rows": _rows(table)} for setting, table in measured.items()],
        "alone": ours,
        "reserve_at_half_load": asdict(paced),
    }


def _alone(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """reserve_many, settlement by one worker, and reserve at half load, of Creditgate alone."""
    rounds = 1 if arguments.short else arguments.rounds
    with stage(folder, only=("creditgate",)) as running:
        ours, paced = alone(running, rounds=rounds), paced_reserve(running, rounds=rounds, seconds=2.0)
        check(running)
    print(aims_of({}, ours, paced), end="\n\n")
    return {"alone": ours, "reserve_at_half_load": asdict(paced)}


def _scale(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """A million accounts, 2,000 open holds, 10,000 finished ones, 2,000 lots: what a pair costs then."""
    found = scale(
        folder,
        accounts=100_000 if arguments.short else 1_000_000,
        rounds=3 if arguments.short else 7,
        pairs=100 if arguments.short else 400,
    )
    print(scale_of(found), end="\n\n")
    return {name: asdict(cost) for name, cost in found.items()}


def _memory(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """Bytes of Redis for an idle account and for a hold."""
    found = memory(folder, count=2_000 if arguments.short else 10_000)
    print(memory_of(found), end="\n\n")
    return found


def _touches(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """Accounts that are asked for, 200 a second, by a Redis that has lost everything."""
    found = first_touches(folder, accounts=1_000 if arguments.short else 10_000)
    print(touches_of(found), end="\n\n")
    return asdict(found)


PARTS: Final[dict[str, Callable[[Path, Arguments], dict[str, Any]]]] = {
    "tables": _tables,
    "alone": _alone,
    "scale": _scale,
    "memory": _memory,
    "touches": _touches,
}


def _rows(table: dict) -> dict:
    return {label: asdict(row) for label, row in table.items()}


def _parser() -> argparse.ArgumentParser:
    parts = "; ".join(f"{name}: {part.__doc__}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reservations", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help=f"tables if not said; repeatable. {parts}")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a round (0.4)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, in turn; medians are shown (5)")
    parser.add_argument("--short", action="store_true", help="one short round of each, with 1 and 8 processes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
