"""Settling everything that lies in the journals of one server: many shards in a transaction, round after round."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from credits.db import is_unavailable
from credits.ids import new_id
from credits.log import get_logger
from credits.reservations.settlement import BATCH, LEASE_MS, Settlement, settle_shards
from credits.reservations.steps import GateRuntime, run

_LINES: Final = 200
"""Of a transaction, about: it holds the rows of its accounts, and a core, for a few hundredths of a second."""

_BEHIND: Final = 10_000
"""With more lines than this it hurries: longer transactions, and no pause between them."""

_LINES_BEHIND: Final = 2_000
_LONGEST_PAUSE_S: Final = 0.05
_ROUNDS: Final = 200
_IDLE_ROUNDS: Final = 3

log = get_logger(__name__)


def settle_all(runtime: GateRuntime, lengths: Mapping[int, int]) -> int:
    """
    Book every line of the journals of these shards, which have so many lines; answers how many lines are done with.

    A shard that somebody else leads is left to that one for as long as a lease lasts, and then settled all the same.
    """
    leader = new_id()
    total, led = _settle(runtime, lengths, leader=leader)
    if led:
        time.sleep(LEASE_MS / 1000)
        total += _settle(runtime, {shard: lengths[shard] for shard in led}, leader="")[0]
    return total


def _settle(runtime: GateRuntime, lengths: Mapping[int, int], *, leader: str) -> tuple[int, set[int]]:
    """Answers how many lines are done with, and the shards that were left to others."""
    total, led, left = 0, set[int](), dict(lengths)
    idle_rounds: Counter[int] = Counter()
    pace = _Pace()
    for _ in range(_ROUNDS):
        again: dict[int, int] = {}
        is_behind = sum(left.values()) > _BEHIND
        for group in _groups(left, _LINES_BEHIND if is_behind else _LINES):
            if not is_behind:
                pace.pause()
            found = _settle_group(runtime, group, leader=leader)
            total += found.done
            led |= found.led_after.keys()
            for shard in found.unfinished:
                # A round in which it learned of another epoch, or began one, has settled nothing, and the next may.
                idle_rounds[shard] = 0 if found.done else idle_rounds[shard] + 1
                if idle_rounds[shard] < _IDLE_ROUNDS:
                    again[shard] = max(1, left[shard] - BATCH)
        left = again
        if not left:
            break
    return total, led


def _settle_group(runtime: GateRuntime, group: Sequence[int], *, leader: str) -> Settlement:
    try:
        return run(runtime, settle_shards(runtime, group, leader=leader))
    # One shard's fault must not keep the lines of the others from being booked.
    except Exception as error:
        if len(group) == 1 or is_unavailable(error):
            raise
        log.warning("gate.settled_alone", shards=list(group), error=type(error).__name__, message=str(error)[:200])
        alone = [_settle_group(runtime, [shard], leader="") for shard in group]
        return Settlement(
            done=sum(one.done for one in alone), unfinished=frozenset().union(*(one.unfinished for one in alone))
        )


@dataclass(slots=True)
class _Pace:
    """Leaves the machine to others for as long as the last step took: whoever waits for an answer comes in between."""

    _since_s: float | None = None

    def pause(self) -> None:
        """Before each step; before the first there is nothing to wait for."""
        if self._since_s is not None:
            time.sleep(min(_LONGEST_PAUSE_S, time.monotonic() - self._since_s))
        self._since_s = time.monotonic()


def _groups(lengths: Mapping[int, int], most_lines: int) -> Iterator[list[int]]:
    """The shards in groups that fill a transaction, in order: every settler locks them so."""
    group: list[int] = []
    lines = 0
    for shard in sorted(lengths):
        count = min(lengths[shard], BATCH)
        if group and lines + count > most_lines:
            yield group
            group, lines = [], 0
        group.append(shard)
        lines += count
    if group:
        yield group
