"""The asynchronous client, called from a test that is not: the same rules hold for both."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from credits.client import AsyncCreditsClient, AsyncHold


class InLoop:
    """
    An AsyncCreditsClient whose calls are run to their end, one by one, in an event loop of its own.

    The loop stands still between calls, so nothing is extended there.
    """

    def __init__(self, client: AsyncCreditsClient) -> None:
        self._client = client
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._run(self._client.aclose())
        self._runner.close()

    def reserve(self, *args: Any, **kwargs: Any) -> "HoldInLoop":
        async def reserve() -> AsyncHold:
            return await self._client.reserve(*args, **kwargs)

        return HoldInLoop(self._run, self._run(reserve()))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._run(getattr(self._client, name)(*args, **kwargs))

        return call


class HoldInLoop:
    """An AsyncHold of such a client."""

    def __init__(self, run: Any, hold: AsyncHold) -> None:
        self._run = run
        self.hold = hold

    def __enter__(self) -> "HoldInLoop":
        self._run(self.hold.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self.hold.__aexit__(kind, error, trace))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.hold, name)
        if not asyncio.iscoroutinefunction(found):
            return found
        return lambda *args, **kwargs: self._run(found(*args, **kwargs))
