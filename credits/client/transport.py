"""Sends calls and waits between tries: once with threads in mind, once for asyncio. The deciding is in `attempts`."""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Hashable
from importlib import metadata
from typing import Final, TypeVar

import httpx

from credits.client.attempts import MAX_ANSWER_BYTES, Answer, Attempts, Done
from credits.client.calls import Call
from credits.client.connections import Connections, answer_of, headers_of, limits_of, request_of
from credits.client.settings import ClientSettings

T = TypeVar("T")

_VERSION: Final = metadata.version("creditgate")

# A name that is not found is a ConnectError, too: it may be found a moment later.
_MISSED: Final = (httpx.TransportError, httpx.StreamError)


class Sender:
    """Carries calls out, one after the other or from many threads."""

    def __init__(self, settings: ClientSettings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._verify = _verification(settings.url)
        self._connections = Connections(self._make, home=os.getpid, now_s=time.monotonic)

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
        pool = self._connections.take()
        if pool is not None:
            pool.close()

    def _try(self, call: Call[T], timeout_s: float) -> Answer:
        lease, has_failed = self._connections.lease(), True
        deadline_s = time.monotonic() + timeout_s
        try:
            request = request_of(call, lease.pool, timeout_s=timeout_s)
            response = lease.pool.send(request, stream=True)
            try:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    _check(body, response, deadline_s)
            finally:
                response.close()
            has_failed = False
            return answer_of(response, bytes(body))
        except httpx.PoolTimeout:
            # All connections are busy, and none is broken.
            has_failed = False
            raise
        finally:
            retired = self._connections.give_back(lease, has_failed=has_failed)
            if retired is not None:
                retired.close()

    def _make(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._settings.url,
            headers=headers_of(self._settings, _VERSION),
            limits=limits_of(self._settings),
            verify=self._verify,
            transport=self._transport,
        )


class AsyncSender:
    """As `Sender`, for tasks of an event loop. It may be used in one loop after another."""

    def __init__(self, settings: ClientSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._verify = _verification(settings.url)
        self._connections = Connections(self._make, home=_loop, now_s=time.monotonic)

    async def carry_out(self, call: Call[T]) -> T:
        """The answer to `call`, after as many tries as its patience allows. Raises CreditsError."""
        attempts = _attempts(call, self._settings)
        while True:
            timeout_s = attempts.next_timeout_s
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._try(call, timeout_s)
                outcome = attempts.hear(answer)
            except (*_MISSED, TimeoutError) as missed:
                outcome = attempts.miss(missed)
            if isinstance(outcome, Done):
                return outcome.value
            await asyncio.sleep(outcome.pause_s)

    async def aclose(self) -> None:
        """Close the connections. A later call opens others."""
        pool = self._connections.take()
        if pool is not None:
            await pool.aclose()

    async def _try(self, call: Call[T], timeout_s: float) -> Answer:
        lease, has_failed = self._connections.lease(), True
        deadline_s = time.monotonic() + timeout_s
        try:
            request = request_of(call, lease.pool, timeout_s=timeout_s)
            response = await lease.pool.send(request, stream=True)
            try:
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    _check(body, response, deadline_s)
            finally:
                await response.aclose()
            has_failed = False
            return answer_of(response, bytes(body))
        except (httpx.PoolTimeout, asyncio.CancelledError):
            # Busy connections are not broken ones; and whoever was cancelled says nothing about the server.
            has_failed = False
            raise
        finally:
            retired = self._connections.give_back(lease, has_failed=has_failed)
            if retired is not None:
                await retired.aclose()

    def _make(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._settings.url,
            headers=headers_of(self._settings, _VERSION),
            limits=limits_of(self._settings),
            verify=self._verify,
            transport=self._transport,
        )


def _attempts(call: Call[T], settings: ClientSettings) -> Attempts[T]:
    return Attempts(
        call,
        timeout_s=settings.timeout_s,
        patience_s=settings.patience_s,
        now_s=time.monotonic,
        chance=random.random,
    )


def _check(body: bytearray, response: httpx.Response, deadline_s: float) -> None:
    """Stop reading what comes too slowly or never ends: a timeout of httpx is for one read, not for the answer."""
    if len(body) > MAX_ANSWER_BYTES:
        raise httpx.RemoteProtocolError(f"the answer has more than {MAX_ANSWER_BYTES} bytes", request=response.request)
    if time.monotonic() > deadline_s:
        raise httpx.ReadTimeout("the answer did not end in time", request=response.request)


def _verification(url: str) -> ssl.SSLContext | bool:
    # Reading the certificates takes 20 ms; connections are renewed often.
    return httpx.create_ssl_context() if url.startswith("https") else True


def _loop() -> Hashable:
    return os.getpid(), id(asyncio.get_running_loop())
