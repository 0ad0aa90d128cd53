"""What happens to Redis: restarts, wipes, stale copies, deleted keys, clocks that jump, two masters at once."""

import time
from collections import Counter
from typing import Final

from credits.reservations.torture.checks import Checker
from credits.reservations.torture.model import LOSING, Fault, Promises
from credits.reservations.torture.world import World

# A rollback needs a copy to go back to: every other time one is taken.
_HAPPENING: Final = (
    Fault.RESTART,
    Fault.WIPE,
    *(Fault.ROLLBACK,) * 2,
    *(Fault.KEY_DELETED,) * 2,
    Fault.CLOCK_JUMP,
    Fault.SPLIT,
)
_DAYS_MS: Final = (26 * 3_600_000, 90 * 3_600_000)
_JUMPS_MS: Final = (-120_000, -5_000, 5_000, 50_000, 3_600_000)


class Saboteur:
    """Does harm to Redis, and remembers which acknowledged commits that may have cost."""

    def __init__(self, world: World, checker: Checker, promises: Promises, done: Counter[str]) -> None:
        self._world, self._checker, self._promises, self._done = world, checker, promises, done
        self._kinds = [fault for fault in _HAPPENING if fault in world.setup.faults]
        self._copy: list[tuple[bytes, bytes]] | None = None

    def strike(self) -> None:
        """Do one thing; every identity is checked right after it."""
        if self._kinds:
            self._strike(self._world.rng.choice(self._kinds))

    def make_peace(self) -> None:
        """End what does not end by itself."""
        if self._world.is_split:
            self._strike(Fault.SPLIT)

    def _strike(self, fault: Fault) -> None:
        world, before = self._world, self._journalled()
        match fault:
            case Fault.RESTART:
                world.restart()
            case Fault.WIPE:
                world.wipe()
            case Fault.ROLLBACK:
                if self._copy is None or world.rng.random() < 0.4:
                    # A backup is taken now, to be brought back later.
                    self._copy = world.copy()
                    return
                world.roll_back(self._copy)
                self._checker.suspense_is_allowed = True
            case Fault.KEY_DELETED:
                if not self._delete_key():
                    return
            case Fault.CLOCK_JUMP:
                self._jump()
            case Fault.SPLIT:
                self._split()
            case _:
                raise ValueError(f"{fault} happens to a step, not to Redis")
        if fault is not Fault.CLOCK_JUMP:
            self._checker.deadlines.forget()
        self._done[fault.value] += 1
        self._checker.check_everything()
        if fault in LOSING:
            self._promises.losable |= before - self._journalled()

    def _journalled(self) -> set[str]:
        views = [self._checker.views[master] for master in self._world.masters]
        return {line.op for view in views for shard in self._world.shards for line in view.shards[shard].lines}

    def _delete_key(self) -> bool:
        keys = sorted(self._world.wire.execute_command("KEYS", "cg:*"))
        if not keys:
            return False
        self._world.wire.execute_command("DEL", self._world.rng.choice(keys))
        # A new stream numbers its lines by the server's real clock, which the simulator outruns: within one epoch, two
        # lines would have one name.
        time.sleep(0.002)
        return True

    def _split(self) -> None:
        """A cut begins, its replica up to date or behind; or it ends."""
        if self._world.is_split:
            self._world.heal()
            return
        is_behind = self._copy is not None and self._world.rng.random() < 0.3
        self._world.split(self._copy if is_behind and self._copy is not None else self._world.copy())
        self._checker.suspense_is_allowed = True

    def _jump(self) -> None:
        """Time leaps for everybody (a long pause), or one clock goes wrong."""
        world, jump_ms = self._world, self._world.rng.choice(_JUMPS_MS)
        if world.members and world.rng.random() < 0.3:
            # Over a day's end or two, beyond what the gate knows of the calendar.
            world.pass_time(world.rng.choice(_DAYS_MS))
        elif world.rng.random() < 0.5:
            world.pass_time(abs(jump_ms))
        elif world.is_virtual:
            world.rng.choice(world.callers).clock_offset_ms = -abs(world.rng.choice((0, 500, 20_000)))
        else:
            # It comes back: a server whose clock stays wrong by an hour is another matter.
            world.jump_server_clock(jump_ms if world.server_offset_ms == 0 else -world.server_offset_ms)
