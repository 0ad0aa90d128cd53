"""A hold in the hands of a coroutine: as `Hold`, with `await` before what asks the server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

from credits.errors import CreditsError, DependencyError, HoldEndedError
from credits.log import get_logger
from credits.reservations.answers import Committed, Held
from credits.reservations.heartbeat import BEATS_PER_TTL, RETRIES_PER_TTL
from credits.reservations.hold import HoldSeen, chosen, chosen_items, chosen_step
from credits.reservations.model import Durability, HoldState, Overage
from credits.reservations.records import HoldRecord

log = get_logger(__name__)


class AsyncHoldCalls(Protocol):
    """What an `AsyncHold` needs of the server."""

    async def commit_hold(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None,
        *,
        step: str,
        final: bool,
        overage: Overage,
        durability: Durability,
        if_lost: Mapping[str, int] | None,
        member: str | None,
    ) -> Committed: ...

    async def release(self, account: str, reservation_id: str) -> bool: ...

    async def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int: ...

    async def find_hold(self, account: str, reservation_id: str) -> HoldRecord | None: ...


class AsyncHold(HoldSeen):
    """
    Credits set aside for one job.

    `async with` extends it while the block runs, by a task of the same event loop, and releases it when the block ends
    without a final commit. A block that keeps the loop from turning keeps its hold from being extended.
    """

    def __init__(self, calls: AsyncHoldCalls, held: Held, *, ttl_s: float) -> None:
        super().__init__(held, ttl_s=ttl_s)
        self._calls = calls
        self._beating: asyncio.Task[None] | None = None

    async def commit(
        self,
        items: Mapping[str, int] | None = None,
        *,
        step: str | None = None,
        final: bool = True,
        overage: Overage | str = Overage.DENY,
        durability: Durability | str = Durability.LEDGER,
        **amounts: int,
    ) -> Committed:
        """Pay for what was used; the same as `Hold.commit`, with the same errors."""
        used, name = chosen_items(items, amounts), chosen_step(step, final=final)
        try:
            committed = await self._calls.commit_hold(
                self.account,
                self.reservation_id,
                used,
                step=name,
                final=final,
                overage=chosen(Overage, overage, "overage"),
                durability=chosen(Durability, durability, "durability"),
                if_lost=self._left(await self._found()) if used is None else None,
                member=self.member,
            )
        except DependencyError:
            self._is_in_doubt = True
            raise
        self._has_committed(name, used, final=final, answer=committed)
        return committed

    async def release(self) -> bool:
        """Give back what is still held; True if it is released now. Safe to repeat."""
        released = await self._calls.release(self.account, self.reservation_id)
        if not self.is_over:
            self._end(HoldState.RELEASED)
        return released

    async def extend(self, ttl_s: float) -> int:
        """Move the deadline to `ttl_s` from now, never nearer; answers it in ms. Raises HoldEndedError."""
        try:
            self._expires_at_ms = await self._calls.extend(self.account, self.reservation_id, ttl_s=ttl_s)
        except HoldEndedError:
            self._lost()
            raise
        return self._expires_at_ms

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator["AsyncHold"]:
        """Extend it while the block runs, and leave it as it is when the block ends: for who decides by themselves."""
        self._start_beating()
        try:
            yield self
        finally:
            self._stop_beating()

    async def __aenter__(self) -> "AsyncHold":
        self._start_beating()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_beating()
        if self.is_over or self._is_in_doubt:
            return
        # A block that was cancelled gives its credits back all the same.
        await asyncio.shield(_in_the_background(self._give_back()))

    async def _give_back(self) -> None:
        try:
            await self.release()
        except CreditsError as failed:
            # The deadline frees it; what the block did or raised is more important than this.
            log.warning("hold.not_released", account=self.account, reservation=self.reservation_id, code=failed.code)

    async def _found(self) -> HoldRecord | None:
        # Nobody else can have committed parts of a hold that this process made.
        return await self._calls.find_hold(self.account, self.reservation_id) if self.replayed else None

    def _end(self, state: HoldState) -> None:
        super()._end(state)
        self._stop_beating()

    def _start_beating(self) -> None:
        if not self.is_over:
            self._beating = _in_the_background(self._beat())

    def _stop_beating(self) -> None:
        # The beat itself finds out that the hold is over; it ends by itself then.
        if self._beating is not None and self._beating is not asyncio.current_task():
            self._beating.cancel()
        self._beating = None

    async def _beat(self) -> None:
        pause_s = self._ttl_s / BEATS_PER_TTL
        while not self.is_over:
            await asyncio.sleep(pause_s)
            try:
                await self.extend(self._ttl_s)
                pause_s = self._ttl_s / BEATS_PER_TTL
            except HoldEndedError:
                return
            except CreditsError as error:
                log.warning("hold.not_extended", hold=self.reservation_id, code=error.code)
                pause_s = self._ttl_s / RETRIES_PER_TTL
            # A job must not lose its hold to a surprise in here; the next beat may do better.
            except Exception as error:
                log.warning("hold.not_extended", hold=self.reservation_id, exc_info=error)
                pause_s = self._ttl_s / RETRIES_PER_TTL


class Reserving:
    """A reservation that is not made yet: `await` it for the hold, or enter it with `async with`."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, AsyncHold]]) -> None:
        self._make = make
        self._hold: AsyncHold | None = None

    def __await__(self) -> Generator[Any, Any, AsyncHold]:
        return self._make().__await__()

    async def __aenter__(self) -> AsyncHold:
        self._hold = await self._make()
        return await self._hold.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hold is not None:
            await self._hold.__aexit__(kind, error, trace)


_running: set[asyncio.Task[None]] = set()
"""An event loop forgets tasks that nobody else remembers."""


def _in_the_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
