"""`python -m benchmarks.clients`: run the measurements and print them as two tables."""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.clients.measure import (
    Pairs,
    Stage,
    bare_pairs,
    bare_together,
    stage,
    threaded_pairs,
    together,
    wrapped_tasks,
)


def main() -> int:
    """Measure in turn, round after round; print medians; with --json, write the figures to a file."""
    arguments = _parser().parse_args()
    rounds, pairs = (1, 100) if arguments.short else (arguments.rounds, arguments.pairs)
    with tempfile.TemporaryDirectory(prefix="creditgate-benchmark-") as folder, stage(Path(folder)) as running:
        found = [_round(running, pairs) for _ in range(rounds)]
        tasks = [wrapped_tasks(running, count=pairs) for _ in range(rounds)]
    calls = {name: _median([each[name] for each in found]) for name in found[0]}
    added = {name: statistics.median(each[name].cpu_ms for each in tasks) for name in tasks[0]}
    print(_table(calls))
    print(_task_table(added))
    if arguments.json is not None:
        figures = {"pairs": {name: asdict(each) for name, each in calls.items()}, "task_cpu_ms": added}
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0


def _round(running: Stage, pairs: int) -> dict[str, Pairs]:
    return {
        "bare httpx, one after the other": bare_pairs(running, count=pairs),
        "CreditsClient, one after the other": threaded_pairs(running, count=pairs, threads=1),
        "CreditsClient, 8 threads": threaded_pairs(running, count=pairs, threads=8),
        "CreditsClient, 100 threads": threaded_pairs(running, count=5 * pairs, threads=100),
        "bare httpx, asyncio, 100 at once": asyncio.run(bare_together(running, count=5 * pairs, at_once=100)),
        "AsyncCreditsClient, 100 at once": asyncio.run(together(running, count=5 * pairs, at_once=100)),
    }


def _median(rounds: list[Pairs]) -> Pairs:
    return Pairs(
        per_s=statistics.median(one.per_s for one in rounds),
        p50_ms=statistics.median(one.p50_ms for one in rounds),
        p99_ms=statistics.median(one.p99_ms for one in rounds),
        cpu_ms=statistics.median(one.cpu_ms for one in rounds),
    )


def _table(calls: dict[str, Pairs]) -> str:
    lines = [f"{'reserve + commit over HTTP':38}{'pairs/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'client CPU ms':>15}"]
    for name, one in calls.items():
        lines.append(f"{name:38}{one.per_s:10.0f}{one.p50_ms:10.2f}{one.p99_ms:10.2f}{one.cpu_ms:15.2f}")
    return "\n".join(lines)


def _task_table(added: dict[str, float]) -> str:
    bare = added["no decorator"]
    lines = ["", f"{'one Celery task':38}{'CPU ms':>10}{'added ms':>10}"]
    for name, cpu_ms in added.items():
        lines.append(f"{name:38}{cpu_ms:10.3f}{cpu_ms - bare:10.3f}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="reserve + commit pairs a round (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turn; medians are shown (3)")
    parser.add_argument("--short", action="store_true", help="one round of 100, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
