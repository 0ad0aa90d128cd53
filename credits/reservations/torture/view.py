"""What stands in Redis, read for the checks. Shares nothing with what wrote it, not even a parser."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from credits.reservations.torture.server import Command, Wire

_DIGITS: Final = 36
NEVER_MS: Final = int("z" * 9, _DIGITS)


@dataclass(slots=True)
class Item:
    """Credits of one type in a hold or a journal line."""

    credit_type: str
    amount: int
    debt: int
    lots: Counter[int]


@dataclass(slots=True)
class Line:
    """A line of the journal."""

    stream_id: str
    journal_id: str
    account_id: int
    op: str
    kind: str
    items: list[Item]
    member: str = ""
    spent_at_ms: int = 0
    """Of members' lines."""


@dataclass(slots=True)
class Hold:
    """A record of an open or ended hold."""

    state: str
    due_ms: int
    made_ms: int
    load: str
    items: list[Item]
    member: str = ""


@dataclass(slots=True)
class GateShard:
    """A shard's counters and journal."""

    epoch: str | None = None
    entries: int | None = None
    entries_of: dict[int, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    is_whole: bool = True
    """False once lines have vanished that nobody settled."""
    raw: Any = None


@dataclass(slots=True)
class Counters:
    """Credits of one type: available, held, unsettled, owed, lapsed."""

    available: int = 0
    held: int = 0
    unsettled: int = 0
    debt: int = 0
    lapsed: int = 0


Limits = dict[tuple[str, str], tuple[int, int | None, int | None]]
"""(amount, raised to, raised until) by type and window (d, m, e)."""


@dataclass(slots=True)
class MemberUse:
    """What a member holds of a type, and has used: this day, this month, ever."""

    held: int
    used: tuple[int, int, int]


@dataclass(slots=True)
class MemberSeen:
    """A member as the gate counts it."""

    version: int | None
    """None: only what its holds have is known."""
    days: list[int]
    months: list[int]
    items: dict[str, MemberUse]
    limits: Limits


@dataclass(slots=True)
class GateAccount:
    """An account's keys."""

    load: str = ""
    """Empty if it is not loaded."""
    sv: int = 0
    next_expiry_ms: int = 0
    at_ms: int = 0
    next_due_ms: int = 0
    burnable_size: int = 0
    holds_size: int = 0
    unsettled: int = 0
    counters: dict[str, Counters] = field(default_factory=dict)
    lots: dict[int, tuple[int, str]] = field(default_factory=dict)
    """(what is free, sort key) by grant."""
    burnable: set[str] = field(default_factory=set)
    """<type>|<sort key> of each lot that can be burnt, listed or a type's only one."""
    listed: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    members: dict[str, MemberSeen] = field(default_factory=dict)
    raw: Any = None

    @property
    def epoch(self) -> str:
        """Of its load."""
        return self.load.partition(".")[0]

    def counts(self, credit_type: str) -> Counters:
        """The counters of a type; zeros where they were never written."""
        return self.counters.get(credit_type) or Counters()


def expiry_ms(sort_key: str) -> int:
    """When a lot lapses; NEVER_MS for never."""
    return int(sort_key[4:13], _DIGITS)


class GateView:
    """Redis as the checks see it. Reads again only what it is told to, and parses only what changed."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.shards: dict[int, GateShard] = {}
        self.accounts: dict[int, GateAccount] = {}

    def read(self, shards: list[int], account_ids: list[int]) -> None:
        """Read these shards and accounts in one packet."""
        self.take(shards, account_ids, self._wire.ask(questions(shards, account_ids)))

    def take(self, shards: list[int], account_ids: list[int], answers: list[Any]) -> None:
        """Take in the answers to `questions` about the same."""
        for at, shard in enumerate(shards):
            raw = answers[2 * at : 2 * at + 2]
            if shard not in self.shards or self.shards[shard].raw != raw:
                self.shards[shard] = _read_shard(raw)
        for at, account_id in enumerate(account_ids):
            raw = answers[2 * len(shards) + 4 * at :][:4]
            if account_id not in self.accounts or self.accounts[account_id].raw != raw:
                self.accounts[account_id] = _read_account(raw)


def questions(shards: list[int], account_ids: list[int]) -> list[Command]:
    """The commands that read everything there is of these shards and accounts."""
    asked: list[Command] = []
    for shard in shards:
        asked += [("HGETALL", f"cg:{{{shard}}}:shard"), ("XRANGE", f"cg:{{{shard}}}:journal", "-", "+")]
    for account_id in account_ids:
        tag = f"cg:{{{account_id % 64}}}:"
        asked += [
            ("HGETALL", f"{tag}account:{account_id}"),
            ("ZRANGE", f"{tag}lots:{account_id}", "0", "-1"),
            ("HGETALL", f"{tag}holds:{account_id}"),
            ("ZRANGE", f"{tag}due:{account_id}", "0", "-1", "WITHSCORES"),
        ]
    return asked


def _read_shard(raw: Any) -> GateShard:
    fields = dict(zip(raw[0][::2], raw[0][1::2], strict=True))
    lines = [_read_line(stream_id, values) for stream_id, values in raw[1]]
    entries = int(fields["n"]) if "n" in fields else None
    return GateShard(
        epoch=fields.get("ep"),
        entries=entries,
        entries_of={int(name[1:]): int(n) for name, n in fields.items() if name[0] == "u"},
        lines=lines,
        is_whole=entries == len(lines),
        raw=raw,
    )


def _read_line(stream_id: str, values: list[str]) -> Line:
    fields = dict(zip(values[::2], values[1::2], strict=True))
    items = []
    for text in fields["i"].split(";"):
        credit_type, rest = text.split("=")
        amount, debt, lots = rest.split(",")
        items.append(Item(credit_type, int(amount), int(debt), _read_lots(lots)))
    journal_id, account_id = f"{fields['e']}-{stream_id}", int(fields["a"])
    member, spent_at_ms = fields.get("m", ""), int(fields.get("t", 0))
    return Line(stream_id, journal_id, account_id, fields["op"], fields["k"], items, _plain(member), spent_at_ms)


def _read_account(raw: Any) -> GateAccount:
    fields = dict(zip(raw[0][::2], raw[0][1::2], strict=True))
    account = GateAccount(burnable=set(raw[1]), listed=len(raw[1]), raw=raw)
    if "m" in fields:
        load, sv, next_expiry = fields["m"].split("|")
        account.load, account.sv, account.next_expiry_ms = load, int(sv), int(next_expiry) or NEVER_MS
    if "w" in fields:
        numbers = [int(word) for word in fields["w"].split("|")]
        account.at_ms, account.next_due_ms = numbers[0], numbers[1] or NEVER_MS
        account.burnable_size, account.holds_size, account.unsettled = numbers[2:]
    for name, value in fields.items():
        if name[0] == "L":
            free, sort_key, _type = value.split(":")
            account.lots[int(name[1:], _DIGITS)] = (int(free), sort_key)
    account.members = {_plain(name[2:]): _read_member(value) for name, value in fields.items() if name[:2] == "b:"}
    for name, value in fields.items():
        if name[:2] == "c:":
            *counts, only = value.split(":")
            counters = account.counters[name[2:]] = Counters(*map(int, counts))
            if only:
                account.lots[int(only[14:], _DIGITS)] = (counters.available, only)
            if only and counters.available:
                account.burnable.add(f"{name[2:]}|{only}")
    account.holds = {name: _read_hold(text) for name, text in zip(raw[2][::2], raw[2][1::2], strict=True)}
    account.due = {name: int(score) for name, score in zip(raw[3][::2], raw[3][1::2], strict=True)}
    return account


def _read_hold(text: str) -> Hold:
    state, due, made, load, _fingerprint, items, _steps, name = text.split("|", 7)
    member = _plain(name.split("\x1e")[1]) if name[:1] == "\x1e" else ""
    read = []
    for item in items.split(";") if items else ():
        credit_type, rest = item.split("=")
        left, lots = rest.split(",")
        # Only an open hold has lots; a receipt may say other things in their place.
        read.append(Item(credit_type, int(left), 0, _read_lots(lots) if state == "H" else Counter()))
    return Hold(state, int(due.partition("~")[0]), int(made), load, read, member)


def _read_member(text: str) -> MemberSeen:
    version, days, months, items = text.split("|")
    seen = MemberSeen(int(version) if version else None, _numbers(days), _numbers(months), {}, {})
    for item in items.split(";") if items else ():
        kind, rest = item.split("=")
        held, day, month, ever, limits = rest.split(",")
        seen.items[kind] = MemberUse(int(held), (int(day), int(month), int(ever)))
        for limit in limits.split("+") if limits else ():
            amount, *raised = limit[1:].split("~")
            seen.limits[kind, limit[0]] = (int(amount), *map(int, raised)) if raised else (int(amount), None, None)  # type: ignore[assignment]
    return seen


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word]


def _plain(name: str) -> str:
    """A name that was spelled with %XX for every byte that could mean something."""
    raw, at = bytearray(), 0
    while at < len(name):
        is_spelled = name[at] == "%"
        raw += bytes.fromhex(name[at + 1 : at + 3]) if is_spelled else name[at].encode()
        at += 3 if is_spelled else 1
    return raw.decode()


def _read_lots(text: str) -> Counter[int]:
    lots: Counter[int] = Counter()
    for part in text.split("+") if text else ():
        lot, taken = part.split(":")
        lots[int(lot, _DIGITS)] += int(taken)
    return lots
