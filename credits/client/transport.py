"""Sends calls and waits between tries: once with threads in mind, once for asyncio. The deciding is in `attempts`."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Final, TypeVar

import httpx

from credits.client.attempts import MAX_ANSWER_BYTES, Answer, Attempts, Done
from credits.client.calls import Call
from credits.client.connections import LIMITS, Connections, Lines, answer_of, headers_of, request_of
from credits.client.settings import ClientSettings

T = TypeVar("T")

_VERSION: Final = metadata.version("creditgate")

# A name that is not found is a ConnectError, too: it may be found a moment later.
_MISSED: Final = (httpx.TransportError, httpx.StreamError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AsyncPool:
    """Lines of one event loop, and turns to use them."""

    lines: Lines[httpx.AsyncClient]
    turns: asyncio.Semaphore


class Sender:
    """Carries calls out, one after the other or from many threads."""

    def __init__(self, settings: ClientSettings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        # Reading the certificates takes 20 ms, and lines are made often.
        self._verify = httpx.create_ssl_context()
        self._connections = Connections(lambda: Lines(self._make), home=os.getpid, now_s=time.monotonic)
        self._turns = threading.BoundedSemaphore(settings.max_connections)
        self._process = os.getpid()

    def carry_out(self, call: Call[T]) -> T:
        """The answer to `call`, after as many tries as its patience allows. Raises CreditsError."""
        attempts = _attempts(call, self._settings)
        while True:
            timeout_s = attempts.next_timeout_s
            try:
                outcome = attempts.hear(self._try(call, timeout_s))
            except _MISSED as missed:
                outcome = attempts.miss(missed)
            if isinstance(outcome, Done):
                return outcome.value
            time.sleep(outcome.pause_s)

    def close(self) -> None:
        """Close the connections. A later call opens others."""
        for lines in self._connections.take_all():
            self._end(lines.take_all())
        if self._transport is not None:
            self._transport.close()

    def _try(self, call: Call[T], timeout_s: float) -> Answer:
        began_s, turns = time.monotonic(), self._turns_of_process()
        if not turns.acquire(timeout=timeout_s):
            raise httpx.PoolTimeout("all connections were busy")
        try:
            return self._try_now(call, max(0.05, timeout_s - (time.monotonic() - began_s)))
        finally:
            turns.release()

    def _turns_of_process(self) -> threading.BoundedSemaphore:
        if self._process != os.getpid():
            # Those who had a turn did not come along when the process forked.
            self._turns, self._process = threading.BoundedSemaphore(self._settings.max_connections), os.getpid()
        return self._turns

    def _try_now(self, call: Call[T], timeout_s: float) -> Answer:
        lease, has_failed = self._connections.lease(), True
        try:
            line = lease.pool.take()
            try:
                answer = _asked(call, line, timeout_s)
                has_failed = False
            finally:
                if has_failed:
                    self._end([line])
                else:
                    lease.pool.put_back(line)
            return answer
        finally:
            for retired in self._connections.give_back(lease, has_failed=has_failed):
                self._end(retired.take_all())

    def _make(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._settings.url,
            headers=headers_of(self._settings, _VERSION),
            limits=LIMITS,
            verify=self._verify,
            transport=self._transport,
        )

    def _end(self, lines: Iterable[httpx.Client]) -> None:
        # Behind a transport that was given there is but one, for all lines: others may be under way on it.
        if self._transport is None:
            for line in lines:
                line.close()


class AsyncSender:
    """As `Sender`, for tasks of an event loop. It may be used in one loop after another."""

    def __init__(self, settings: ClientSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        # Reading the certificates takes 20 ms, and lines are made often.
        self._verify = httpx.create_ssl_context()
        self._connections = Connections(self._make_pool, home=_loop, now_s=time.monotonic)

    async def carry_out(self, call: Call[T]) -> T:
        """The answer to `call`, after as many tries as its patience allows. Raises CreditsError."""
        attempts = _attempts(call, self._settings)
        while True:
            timeout_s = attempts.next_timeout_s
            try:
                outcome = attempts.hear(await self._try(call, timeout_s))
            except (*_MISSED, TimeoutError) as missed:
                outcome = attempts.miss(missed)
            if isinstance(outcome, Done):
                return outcome.value
            await asyncio.sleep(outcome.pause_s)

    async def aclose(self) -> None:
        """Close the connections. A later call opens others."""
        for pool in self._connections.take_all():
            await self._end(pool.lines.take_all())
        if self._transport is not None:
            await self._transport.aclose()

    async def _try(self, call: Call[T], timeout_s: float) -> Answer:
        lease, has_failed = self._connections.lease(), False
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline_s):
                await lease.pool.turns.acquire()
            try:
                # Whoever is cancelled says nothing about the server; whoever waits in vain does.
                async with asyncio.timeout_at(deadline_s):
                    return await self._try_on(lease.pool.lines, call, timeout_s)
            except (*_MISSED, TimeoutError):
                has_failed = True
                raise
            finally:
                lease.pool.turns.release()
        finally:
            for retired in self._connections.give_back(lease, has_failed=has_failed):
                await self._end(retired.lines.take_all())

    async def _try_on(self, lines: Lines[httpx.AsyncClient], call: Call[T], timeout_s: float) -> Answer:
        line, is_answered = lines.take(), False
        try:
            answer = await _asked_async(call, line, timeout_s)
            is_answered = True
        finally:
            # Interrupted between question and answer, it would have to be trusted to know.
            if is_answered:
                lines.put_back(line)
            else:
                await self._end([line])
        return answer

    def _make_pool(self) -> _AsyncPool:
        return _AsyncPool(lines=Lines(self._make), turns=asyncio.Semaphore(self._settings.max_connections))

    def _make(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._settings.url,
            headers=headers_of(self._settings, _VERSION),
            limits=LIMITS,
            verify=self._verify,
            transport=self._transport,
        )

    async def _end(self, lines: Iterable[httpx.AsyncClient]) -> None:
        if self._transport is None:
            for line in lines:
                await line.aclose()


def _attempts(call: Call[T], settings: ClientSettings) -> Attempts[T]:
    return Attempts(
        call,
        timeout_s=settings.timeout_s,
        patience_s=settings.patience_s,
        now_s=time.monotonic,
        chance=random.random,
    )


def _asked(call: Call[T], line: httpx.Client, timeout_s: float) -> Answer:
    deadline_s = time.monotonic() + timeout_s
    response = line.send(request_of(call, line, timeout_s=timeout_s), stream=True)
    try:
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            _check(body, response, deadline_s)
    finally:
        response.close()
    return answer_of(response, bytes(body))


async def _asked_async(call: Call[T], line: httpx.AsyncClient, timeout_s: float) -> Answer:
    deadline_s = time.monotonic() + timeout_s
    response = await line.send(request_of(call, line, timeout_s=timeout_s), stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            _check(body, response, deadline_s)
    finally:
        await response.aclose()
    return answer_of(response, bytes(body))


def _check(body: bytearray, response: httpx.Response, deadline_s: float) -> None:
    """Stop reading what comes too slowly or never ends: a timeout of httpx is for one read, not for the answer."""
    if len(body) > MAX_ANSWER_BYTES:
        raise httpx.RemoteProtocolError(f"the answer has more than {MAX_ANSWER_BYTES} bytes", request=response.request)
    if time.monotonic() > deadline_s:
        raise httpx.ReadTimeout("the answer did not end in time", request=response.request)


def _loop() -> Hashable:
    return os.getpid(), id(asyncio.get_running_loop())
