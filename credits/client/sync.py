"""`CreditsClient`: the library over HTTP, for services that have neither the database nor Redis at hand."""

from collections.abc import Mapping, Sequence
from types import TracebackType

import httpx

from credits.client import calls
from credits.client.calls import Row
from credits.client.selling import Selling
from credits.client.settings import (
    DEFAULT_PATIENCE_S,
    DEFAULT_TIMEOUT_S,
    MAX_CONNECTIONS,
    PASS_TTL_S,
    ClientSettings,
    client_settings,
)
from credits.client.transport import Sender
from credits.ids import given_or_new
from credits.ledger.model import Balance, Posted
from credits.reservations.answers import Committed
from credits.reservations.hold import Hold, chosen, chosen_items, chosen_step
from credits.reservations.model import Durability, Overage
from credits.reservations.records import HoldRecord


class CreditsClient(Selling):
    """
    One tenant's credits, over HTTP. Safe to share between threads and to carry over a fork; make one per process.

    Every call has a name that makes it safe to repeat, and is repeated by itself when the server is away, busy or
    silent: within `patience_s` in all, `timeout_s` for one try. The errors are those of `credits.errors`, as the
    library raises them; a server that does not answer is a GateUnavailableError, after which nothing is known and the
    call may be repeated under the same name.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        patience_s: float = DEFAULT_PATIENCE_S,
        max_connections: int = MAX_CONNECTIONS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        `url` and `api_key` default to CREDITGATE_URL and CREDITGATE_API_KEY. Connects on first use.

        Raises ConfigError if either is missing or cannot be one. `transport` is httpx's: a proxy, or an app in tests.
        It keeps its connections itself, until the client is closed.
        """
        self._settings = client_settings(
            url, api_key, timeout_s=timeout_s, patience_s=patience_s, max_connections=max_connections
        )
        self._sender = Sender(self._settings, transport=transport)
        self._gate = _GateOverHttp(self._sender)

    @property
    def settings(self) -> ClientSettings:
        """Where it asks, and how patiently."""
        return self._settings

    def close(self) -> None:
        """Close the connections. A later call opens others."""
        self._sender.close()

    def reserve(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        reservation_id: str | None = None,
        ttl_s: float = 60,
        member: str | None = None,
        **amounts: int,
    ) -> Hold:
        """
        Hold credits for one job: `reserve("user_1", image_generation=1)`, several types at once all or none.

        Use it as a context manager: it is extended while the block runs, and what is not committed goes back when the
        block ends. Safe to repeat with the same `reservation_id`, from any process: the same hold again. Without one,
        each call is another reservation.

        Raises:
            InsufficientCreditsError: one type at least is short; nothing is held.
            IdempotencyConflictError: the id was used before for other items.
            InvalidInputError: an amount, id, type or ttl_s is outside its bounds.
            GateUnavailableError: no answer; nothing is known to be held. Repeat it with the same id.
        """
        # Made up before the first try, so that every further one asks for the same hold.
        name, wanted = given_or_new(reservation_id), chosen_items(items, amounts) or {}
        call = calls.reserve(account, wanted, reservation_id=name, ttl_s=ttl_s, member=member)
        return Hold(self._gate, self._sender.carry_out(call), ttl_s=ttl_s)

    def commit(
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
        return self._gate.commit(
            account,
            reservation_id,
            chosen_items(items, amounts),
            step=chosen_step(step, final=final),
            final=final,
            overage=chosen(Overage, overage, "overage"),
            durability=chosen(Durability, durability, "durability"),
        )

    def release(self, account: str, reservation_id: str) -> bool:
        """Give back a hold by its name, from whatever process; True if it is released. Safe to repeat."""
        return self._gate.release(account, reservation_id)

    def spend(
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
        return self._sender.carry_out(calls.spend(account, wanted, key=key, durability=level, member=member))

    def add(
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
        return self._sender.carry_out(call)

    def deduct(self, account: str, credit_type: str, amount: int, *, key: str, reason: str = "") -> Posted:
        """
        Take credits out by hand, in burn order, and answer the ledger's entry. Once per key, for ever.

        Raises as the library: InsufficientCreditsError, IdempotencyConflictError, LedgerPendingError.
        """
        return self._sender.carry_out(calls.deduct(account, credit_type, amount, key=key, reason=reason))

    def can_deduct(self, account: str, credit_type: str, amount: int) -> bool:
        """Whether so much could be taken right now. It holds nothing: a moment later the answer may be another one."""
        return self._sender.carry_out(calls.can_deduct(account, credit_type, amount))

    def balances(self, account: str, *, at_ms: int | None = None) -> dict[str, Balance]:
        """Balances per credit type, now or as of `at_ms`; empty for an account that never had credits."""
        return self._sender.carry_out(calls.balances(account, at_ms=at_ms))

    def entries(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[Row]:
        """The account's ledger, newest first, each entry as the API's JSON has it."""
        call = calls.page(account, "entries", credit_type=credit_type, before_id=before_id, limit=limit)
        return self._sender.carry_out(call)

    def grants(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[Row]:
        """The account's lots, newest first, with what remains of each, as the API's JSON has them."""
        call = calls.page(account, "grants", credit_type=credit_type, before_id=before_id, limit=limit)
        return self._sender.carry_out(call)

    def holds(self, account: str, *, limit: int = 100) -> list[HoldRecord]:
        """An account's open holds, the soonest due first."""
        return self._sender.carry_out(calls.holds(account, limit=limit))

    def find_hold(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id. One that ended is found while the server keeps its receipt."""
        return self._gate.find(account, reservation_id)

    def portal_link(
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
        return self._sender.carry_out(call)

    def embed_token(
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
        return self._sender.carry_out(call)

    def __enter__(self) -> "CreditsClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<CreditsClient of {self._settings.url}>"


class _GateOverHttp:
    """The gate as a hold asks it, from afar."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def commit(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None = None,
        *,
        step: str = "final",
        final: bool = True,
        overage: Overage = Overage.DENY,
        durability: Durability = Durability.LEDGER,
        if_lost: Mapping[str, int] | None = None,
        member: str | None = None,
    ) -> Committed:
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
        return self._sender.carry_out(call)

    def release(self, account: str, reservation_id: str) -> bool:
        return self._sender.carry_out(calls.release(account, reservation_id))

    def extend(self, account: str, reservation_id: str, *, ttl_s: float) -> int:
        return self._sender.carry_out(calls.extend(account, reservation_id, ttl_s=ttl_s))

    def find(self, account: str, reservation_id: str) -> HoldRecord | None:
        return self._sender.carry_out(calls.find(account, reservation_id))
