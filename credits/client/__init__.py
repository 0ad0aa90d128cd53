"""Clients of the HTTP API, with the shape of the library: `CreditsClient` and, for asyncio, `AsyncCreditsClient`."""

from credits.client.aio import AsyncCreditsClient
from credits.client.holds import AsyncHold
from credits.client.sync import CreditsClient

__all__ = ["AsyncCreditsClient", "AsyncHold", "CreditsClient"]
