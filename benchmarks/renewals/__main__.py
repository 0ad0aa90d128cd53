"""`python -m benchmarks.renewals`: run the measurements and print them."""

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.renewals.measure import Growth, Rush, measure_growth, measure_rush
from benchmarks.renewals.stage import WORKERS, stage
from credits.log import set_up_logging

AIM_S: Final = 180
SIZES: Final = (10_000, 100_000, 1_000_000)


def main() -> int:
    """Measure on PostgreSQL; print the figures; with --json, write them to a file."""
    arguments = _parser().parse_args()
    set_up_logging("console", level=logging.WARNING)
    subscriptions, sizes, rounds = arguments.subscriptions, list(SIZES), 5
    if arguments.short:
        subscriptions, sizes, rounds = min(subscriptions, 500), [10_000, 100_000], 2
    figures: dict[str, object] = {}
    parts = arguments.part or ["rush", "growth"]
    if "rush" in parts:
        with tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder, stage(Path(folder)) as running:
            rush = measure_rush(running, subscriptions)
        print(_rush(rush), flush=True)
        figures["rush"] = asdict(rush)
    if "growth" in parts:
        with tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder, stage(Path(folder)) as running:
            growth = measure_growth(running, sizes, rounds=rounds, subscriptions=200)
        print(_growth(growth), flush=True)
        figures["growth"] = asdict(growth)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.renewals", description=__doc__)
    parser.add_argument("--subscriptions", type=int, default=10_000, help="how many renew in the same minute (10000)")
    parser.add_argument("--part", action="append", choices=("rush", "growth"), help="only this one; may be repeated")
    parser.add_argument("--short", action="store_true", help="500 subscriptions and a small ledger: does it work?")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def _rush(rush: Rush) -> str:
    for_all_s = rush.seconds * 10_000 / rush.subscriptions
    return "\n".join(
        (
            f"{rush.subscriptions} subscriptions renewed at once, each credited once, by {WORKERS} worker processes",
            f"  until the last has its credits     {rush.seconds:10.1f} s   (aim: 10,000 in {AIM_S} s; "
            f"at this pace {for_all_s:.0f} s)",
            f"  events / s                         {rush.events_per_s:10.1f}",
            f"  empty tasks / s                    {rush.empty_tasks_per_s:10.1f}   "
            f"ratio {rush.events_per_s / rush.empty_tasks_per_s:.2f}",
        )
    )


def _growth(growth: Growth) -> str:
    first = next(iter(growth.ms_per_event.values()))
    rows = [f"  {size:>9,} entries {ms:10.2f} ms   {ms / first:.2f}" for size, ms in growth.ms_per_event.items()]
    return "\n".join(("one process, for one event of a renewal, as the ledger grows (ratio to the first)", *rows))


if __name__ == "__main__":
    sys.exit(main())
