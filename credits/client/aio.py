"""`AsyncCreditsClient`: the library over HTTP, for asyncio."""

from collections.abc import Mapping, Sequence
from types import TracebackType

import httpx

from credits.client import calls
from credits.client.calls import Row
from credits.client.holds import AsyncHold, Reserving
from credits.client.selling import AsyncSelling
from credits.client.settings import (
    DEFAULT_PATIENCE_S,
    DEFAULT_TIMEOUT_S,
    MAX_CONNECTIONS,
    PASS_TTL_S,
    ClientSettings,
    client_settings,
)
from credits.client.transport import AsyncSender
from credits.ids import given_or_new
from credits.ledger.model import Balance, Posted
from credits.reservations.answers import Committed
from credits.reservations.hold import chosen, chosen_items, chosen_step
from credits.reservations.model import Durability, Overage
from credits.reservations.records import HoldRecord


class AsyncCreditsClient(AsyncSelling):
    """
    As `CreditsClient`, with `await`. Make one per process and share it between tasks; close it with `aclose`.

    A call that is cancelled may have arrived: a reservation made that way is left to its deadline.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        patience_s: float = DEFAULT_PATIENCE_S,
        max_connections: int = MAX_CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As for `CreditsClient`. Raises ConfigError if url or key is missing or cannot be one."""
        self._settings = client_settings(
            url, api_key, timeout_s=timeout_s, patience_s=patience_s, max_connections=max_connections
        )
        self._sender = AsyncSender(self._settings, transport=transport)

    @property
    def settings(self) -> ClientSettings:
        """Where it asks, and how patiently."""
        return self._settings

    async def aclose(self) -> None:
        """Close the connections. A later call opens others."""
        await self._sender.aclose()

    def reserve(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        reservation_id: str | None = None,
        ttl_s: float = 60,
        member: str | None = None,
        **amounts: int,
    ) -> Reserving:
        """
        Hold credits for one job: `async with client.reserve("user_1", image_generation=1) as hold`.

        Or `hold = await client.reserve(…)`, which nobody extends. Safe to repeat with the same `reservation_id`.
        Raises as `CreditsClient.reserve`, where it is awaited or entered.
        """
        name, wanted = given_or_new(reservation_id), chosen_items(items, amounts) or {}
        call = calls.reserve(account, wanted, reservation_id=name, ttl_s=ttl_s, member=member)

        async def make() -> AsyncHold:
            return AsyncHold(self, await self._sender.carry_out(call), ttl_s=ttl_s)

        return Reserving(make)

    async def commit(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None = None,
        *,
        step: str | None = None,
        final: bool = True,
        overage: Overage | str = Overage.DENY,
        durability: Durability | str = Durability.LEDGER,
        **amounts: int,
    ) -> Committed:
        """Commit a hold by its name, from whatever process: as `hold.commit`, with its errors."""
        return await self.commit_hold(
            account,
            reservation_id,
            chosen_items(items, amounts),
            step=chosen_step(step, final=final),
            final=final,
            overage=chosen(Overage, overage, "overage"),
            durability=chosen(Durability, durability, "durability"),
            if_lost=None,
            member=None,
        )

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
    ) -> Committed:
        """As `commit`, with everything said: what an `AsyncHold` asks for."""
        call = calls.commit(
            account,
            reservation_id,
            items,
            step=step,
            final=final,
            overage=overage,
            durability=durability,
            if_lost=if_lost,
            member=member,
        )
        return await self._sender.carry_out(call)

    async def release(self, account: str, reservation_id: str) -> bool:
        """Give back a hold by its name, from whatever process; True if it is released. Safe to repeat."""
        return await self._sender.carry_out(calls.release(account, reservation_id))

    async def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int:
        """Move a hold's deadline to `ttl_s` from now, never nearer; answers it in ms. Raises HoldEndedError."""
        return await self._sender.carry_out(calls.extend(account, reservation_id, ttl_s=ttl_s))

    async def spend(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        key: str,
        durability: Durability | str = Durability.LEDGER,
        member: str | None = None,
        **amounts: int,
    ) -> Committed:
        """Take credits in one step, for work that is done or costs a known amount. Once per key."""
        wanted, level = chosen_items(items, amounts) or {}, chosen(Durability, durability, "durability")
        return await self._sender.carry_out(calls.spend(account, wanted, key=key, durability=level, member=member))

    async def add(
        self,
        account: str,
        credit_type: str,
        amount: int,
        *,
        key: str,
        reason: str = "",
        expires_at_ms: int | None = None,
    ) -> Posted:
        """Put `amount` credits in, once per key. They never lapse unless `expires_at_ms` is given."""
        call = calls.add(account, credit_type, amount, key=key, reason=reason, expires_at_ms=expires_at_ms)
        return await self._sender.carry_out(call)

    async def deduct(self, account: str, credit_type: str, amount: int, *, key: str, reason: str = "") -> Posted:
        """Take credits out by hand, in burn order, and answer the ledger's entry. Once per key, for ever."""
        return await self._sender.carry_out(calls.deduct(account, credit_type, amount, key=key, reason=reason))

    async def can_deduct(self, account: str, credit_type: str, amount: int) -> bool:
        """Whether so much could be taken right now. It holds nothing: a moment later the answer may be another one."""
        return await self._sender.carry_out(calls.can_deduct(account, credit_type, amount))

    async def balances(self, account: str, *, at_ms: int | None = None) -> dict[str, Balance]:
        """Balances per credit type, now or as of `at_ms`; empty for an account that never had credits."""
        return await self._sender.carry_out(calls.balances(account, at_ms=at_ms))

    async def entries(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[Row]:
        """The account's ledger, newest first, each entry as the API's JSON has it."""
        call = calls.page(account, "entries", credit_type=credit_type, before_id=before_id, limit=limit)
        return await self._sender.carry_out(call)

    async def grants(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[Row]:
        """The account's lots, newest first, with what remains of each, as the API's JSON has them."""
        call = calls.page(account, "grants", credit_type=credit_type, before_id=before_id, limit=limit)
        return await self._sender.carry_out(call)

    async def holds(self, account: str, *, limit: int = 100) -> list[HoldRecord]:
        """An account's open holds, the soonest due first."""
        return await self._sender.carry_out(calls.holds(account, limit=limit))

    async def find_hold(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id. One that ended is found while the server keeps its receipt."""
        return await self._sender.carry_out(calls.find(account, reservation_id))

    async def portal_link(
        self,
        account: str,
        *,
        ttl_s: int = PASS_TTL_S,
        return_url: str | None = None,
        locale: str | None = None,
        email: str | None = None,
    ) -> tuple[str, int]:
        """A URL that opens the hosted page of `account`, and until when (milliseconds) it does."""
        call = calls.portal_link(account, ttl_s=ttl_s, return_url=return_url, locale=locale, email=email)
        return await self._sender.carry_out(call)

    async def embed_token(
        self,
        account: str,
        *,
        origins: Sequence[str],
        ttl_s: int = PASS_TTL_S,
        locale: str | None = None,
        email: str | None = None,
    ) -> tuple[str, int]:
        """A token for the web components on pages of `origins`, and until when (milliseconds) it is good."""
        call = calls.embed_token(account, origins=origins, ttl_s=ttl_s, locale=locale, email=email)
        return await self._sender.carry_out(call)

    async def __aenter__(self) -> "AsyncCreditsClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncCreditsClient of {self._settings.url}>"
