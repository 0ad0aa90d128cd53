"""Drives the gate's scripts on a real server: verbs with their arguments by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from credits.reservations.keys import AccountKeys, account_keys, shard_keys, shard_of
from credits.reservations.model import Overage, lot_name, sort_key
from credits.reservations.scripts import Library, Verb, library
from tests.support.clock import VirtualClock
from tests.support.cluster import servers_of
from tests.support.gate_keys import Seen, read_keys

RECEIPT_MS = 900_000
TTL_MS = 60_000
A_TYPE = "image_generation"
HOUR_MS = 3_600_000

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LotSpec:
    """A lot to load or to apply."""

    grant_id: int
    amount: int
    credit_type: str = A_TYPE
    priority: int = 100
    expires_at_ms: int | None = None
    is_paid: bool = True

    @property
    def name(self) -> str:
        return lot_name(self.grant_id)

    @property
    def sort_key(self) -> str:
        return sort_key(
            priority=self.priority,
            expires_at_ms=self.expires_at_ms,
            is_paid=self.is_paid,
            grant_id=self.grant_id,
        )


@dataclass(kw_only=True)
class GateDriver:
    """
    One shard's gate, as a caller who makes no mistakes sees it; `call` is for those who do.

    With `is_virtual` (the default) the scripts take the time from `clock`; without it from the server, and `clock` is
    only what the caller says.
    """

    client: redis.Redis
    clock: VirtualClock = field(default_factory=VirtualClock)
    code: Library = field(default_factory=library)
    is_virtual: bool = True
    epoch: int = 0
    account_id: int = 1
    receipt_ms: int = RECEIPT_MS
    is_loading: bool = True
    """Whether it loads the library: that empties what a library of this name had in its volatile memory."""
    _tokens: int = 0

    def __post_init__(self) -> None:
        if self.is_loading:
            self.client.function_load(self.code.code, replace=True)

    @property
    def keys(self) -> AccountKeys:
        return account_keys(self.account_id)

    def call(self, verb: Verb, *args: object, keys: Sequence[str] | None = None) -> Words:
        """Run a verb on the account's seven keys, with ARGV as they are."""
        k = self.keys
        names = keys if keys is not None else (k.shard, k.account, k.lots, k.holds, k.due, k.journal, k.token)
        answer: Any = self.client.execute_command(  # type: ignore[no-untyped-call]
            "FCALL", self.code.function(verb), len(names), *names, *map(str, args)
        )
        return tuple(answer)

    def arm(self, epoch: int | None = None) -> Words:
        """Begin the next epoch, or the one given."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        return self.call(Verb.ARM, self.epoch, int(self.is_virtual), keys=(self.keys.shard, self.keys.journal))

    def begin_load(self, token: str = "t0") -> Words:  # noqa: S107
        return self.call(Verb.BEGIN_LOAD, self.epoch, self.account_id, token, self.clock())

    def finish_load(
        self,
        lots: Iterable[LotSpec] = (),
        *,
        debts: Mapping[str, int] | None = None,
        sv: int = 0,
        token: str = "t0",  # noqa: S107
    ) -> Words:
        owed = debts or {}
        args: list[object] = [self.epoch, self.account_id, token, self.clock(), self.receipt_ms, sv, len(owed)]
        for credit_type, debt in owed.items():
            args += [credit_type, debt]
        for lot in lots:
            args += [lot.credit_type, lot.amount, lot.sort_key]
        return self.call(Verb.FINISH_LOAD, *args)

    def load(self, *lots: LotSpec | int, debts: Mapping[str, int] | None = None, sv: int = 0) -> Words:
        """Load the account; a number is a lot of that many credits that never expires."""
        specs = [LotSpec(grant_id=at + 1, amount=lot) if isinstance(lot, int) else lot for at, lot in enumerate(lots)]
        self._tokens += 1
        token = f"tok-{self._tokens}"
        begun = self.begin_load(token)
        return self.finish_load(specs, debts=debts, sv=sv, token=token) if begun == ("BEGUN",) else begun

    def apply(self, sv: int, lot: LotSpec, *, repaid: int = 0) -> Words:
        return self.call(Verb.APPLY, self.epoch, self.clock(), sv, lot.credit_type, lot.amount, repaid, lot.sort_key)

    def reserve(
        self,
        items: Mapping[str, int] | int = 1,
        *,
        hold: str = "h1",
        fingerprint: str = "a1",
        ttl_ms: int = TTL_MS,
        name: str = "job 1",
        member: str = "",
    ) -> Words:
        return self.call(
            Verb.RESERVE,
            self.epoch,
            self.clock(),
            hold,
            fingerprint,
            ttl_ms,
            self.receipt_ms,
            name,
            member,
            *_flat(items),
        )

    def commit(
        self,
        items: Mapping[str, int] | int | None = None,
        *,
        hold: str = "h1",
        op: str = "",
        fingerprint: str = "c1",
        final: bool = True,
        overage: Overage = Overage.DENY,
        name: str = "job 1",
        member: str = "",
    ) -> Words:
        return self.call(
            Verb.COMMIT,
            self.epoch,
            self.account_id,
            self.clock(),
            hold,
            op or f"c:{hold}",
            fingerprint,
            int(final),
            overage.value,
            self.receipt_ms,
            name,
            member,
            *_flat({} if items is None else items),
        )

    def release(self, hold: str = "h1") -> Words:
        return self.call(Verb.RELEASE, self.epoch, self.clock(), hold, self.receipt_ms)

    def extend(self, hold: str = "h1", *, ttl_ms: int = TTL_MS, longest_ms: int = 10 * TTL_MS) -> Words:
        return self.call(Verb.EXTEND, self.epoch, self.clock(), hold, ttl_ms, longest_ms)

    def spend(
        self,
        items: Mapping[str, int] | int = 1,
        *,
        hold: str = "s1",
        op: str = "",
        fingerprint: str = "e1",
        kind: str = "spend",
        name: str = "job 1",
        member: str = "",
    ) -> Words:
        return self.call(
            Verb.SPEND,
            self.epoch,
            self.account_id,
            self.clock(),
            hold,
            op or f"s:{hold}",
            fingerprint,
            kind,
            self.receipt_ms,
            name,
            member,
            *_flat(items),
        )

    def take_lots(
        self,
        amount: int,
        *grant_ids: int,
        credit_type: str = A_TYPE,
        allow_debt: bool = False,
        hold: str = "t1",
        op: str = "",
        fingerprint: str = "d1",
        kind: str = "expire",
        name: str = "lapsed",
    ) -> Words:
        return self.call(
            Verb.TAKE_LOTS,
            self.epoch,
            self.account_id,
            self.clock(),
            hold,
            op or f"t:{hold}",
            fingerprint,
            kind,
            self.receipt_ms,
            name,
            credit_type,
            amount,
            int(allow_debt),
            *(lot_name(grant_id) for grant_id in grant_ids),
        )

    def settled(self, *entries: tuple[str, bool]) -> Words:
        """Settle (entry id, whether its charge is given back) of this account."""
        args: list[object] = []
        for entry_id, is_refund in entries:
            args += [entry_id, 0, int(is_refund)]
        k = self.keys
        return self.call(Verb.SETTLED, self.epoch, self.clock(), *args, keys=(k.shard, k.journal, *k.of_account()))

    def lead(self, who: str = "", *, lease_ms: int = 300) -> Words:
        keys = shard_keys(shard_of(self.account_id))
        named = (keys.shard, keys.journal, keys.lead, keys.told)
        return self.call(Verb.LEAD, self.epoch, self.clock(), who, lease_ms, keys=named)

    def tell(self, who: str, booked: str = "{}") -> Words:
        keys = shard_keys(shard_of(self.account_id))
        return self.call(Verb.TELL, self.epoch, who, booked, keys=(keys.shard, keys.lead, keys.told))

    def settle_all(self) -> Words:
        """Settle the whole journal, which must be this account's."""
        return self.settled(*((entry_id, False) for entry_id in self.journal_ids()))

    def read(self, *types: str) -> Words:
        return self.call(Verb.READ, self.epoch, self.clock(), self.receipt_ms, *(types or (A_TYPE,)))

    def figures(self, credit_type: str = A_TYPE) -> tuple[int, ...]:
        """Available, held, unsettled, debt, lapsed."""
        return tuple(int(word) for word in self.read(credit_type)[2:])

    def list_holds(self, *, limit: int = 100, hold: str = "", after: tuple[str | int, ...] = ()) -> Words:
        return self.call(Verb.LIST_HOLDS, self.epoch, self.clock(), self.receipt_ms, limit, hold, *after)

    def unload(self, *, idle_ms: int = 0) -> Words:
        return self.call(Verb.UNLOAD, self.epoch, self.account_id, self.clock(), idle_ms)

    def load_member(
        self,
        member: str = "ada",
        limits: Mapping[str, str] | str = "",
        *,
        used: Mapping[str, tuple[int, int, int]] | None = None,
        version: int = 1,
        days: Sequence[int] | None = None,
        months: Sequence[int] | None = None,
        load: str | None = None,
    ) -> Words:
        """
        Tell a member's limits by type (text: of A_TYPE), as scripts spell them, and what it used (day, month, ever).

        Unless said, a day began an hour ago and has 24 hours, a month has ten of them.
        """
        by_type, spent, began = (
            {A_TYPE: limits} if isinstance(limits, str) else limits,
            used or {},
            self.clock() - HOUR_MS,
        )
        starts = list(days or (began + day * 24 * HOUR_MS for day in range(4)))
        ends = list(months or (began + month * 240 * HOUR_MS for month in range(3)))
        words: list[object] = [len(starts), *starts, len(ends), *ends]
        for credit_type in {**by_type, **spent}:
            words += [credit_type, *spent.get(credit_type, (0, 0, 0)), by_type.get(credit_type, "")]
        return self.call(
            Verb.LOAD_MEMBER,
            self.epoch,
            self.clock(),
            member,
            self.load_id() if load is None else load,
            version,
            *words,
        )

    def load_id(self) -> str:
        """Which load of the account is the one of now; empty if there is none."""
        return str(self.client.hget(self.keys.account, "m") or "").partition("|")[0]

    def read_member(self, member: str = "ada") -> Words:
        return self.call(Verb.READ_MEMBER, self.epoch, self.clock(), self.receipt_ms, member)

    def member_figures(self, member: str = "ada", credit_type: str = A_TYPE) -> tuple[int, ...]:
        """Held, and committed this day, this month, in all."""
        words = self.read_member(member)
        at = words.index(credit_type)
        return tuple(int(word) for word in words[at + 1 : at + 5])

    def void_load(self) -> Words:
        return self.call(Verb.VOID_LOAD, self.epoch, self.clock())

    def handover(self) -> Words:
        return self.call(Verb.HANDOVER, self.epoch, keys=(self.keys.shard,))

    def adopt(self) -> Words:
        return self.call(Verb.ADOPT, self.epoch, keys=(self.keys.shard,))

    def journal_ids(self) -> list[str]:
        found: Any = self.client.xrange(self.keys.journal)
        return [entry_id for entry_id, _ in found]

    def dump(self) -> dict[str, object]:
        """Every key of the server, to see whether anything changed."""
        return {name: _content(server, name) for server in servers_of(self.client) for name in server.keys("*")}

    def seen(self) -> Seen:
        """The account as its keys have it, with every sum and size checked on the way."""
        return read_keys(self.client, self.keys, self.account_id)


def _content(server: redis.Redis, name: str) -> object:
    """
    What a key holds. Not its DUMP: that of a hash or set has the order of a table that Redis may be enlarging.
    """
    match server.type(name):
        case "string":
            return server.get(name)
        case "hash":
            return server.hgetall(name)
        case "set":
            return server.smembers(name)
        case "zset":
            return server.zrange(name, 0, -1, withscores=True)
        case "stream":
            return server.xinfo_stream(name)["last-generated-id"], server.xrange(name)
        case unknown:
            raise AssertionError(f"{name} is a {unknown}, which is not looked into yet")


def _flat(items: Mapping[str, int] | int) -> list[object]:
    wanted = {A_TYPE: items} if isinstance(items, int) else items
    return [word for item in wanted.items() for word in item]
