"""What stands in Redis and in SQL, read for the checks. Shares nothing with what wrote it, not even a parser."""

import sqlite3
from collections import Counter, defaultdict
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


@dataclass(slots=True)
class Hold:
    """A record of an open or ended hold."""

    state: str
    due_ms: int
    made_ms: int
    load: str
    items: list[Item]


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
    return Line(stream_id, f"{fields['e']}-{stream_id}", int(fields["a"]), fields["op"], fields["k"], items)


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
    state, due, made, load, _fingerprint, items, _steps, _name = text.split("|", 7)
    read = []
    for item in items.split(";") if items else ():
        credit_type, rest = item.split("=")
        left, lots = rest.split(",")
        # Only an open hold has lots; a receipt may say other things in their place.
        read.append(Item(credit_type, int(left), 0, _read_lots(lots) if state == "H" else Counter()))
    return Hold(state, int(due.partition("~")[0]), int(made), load, read)


def _read_lots(text: str) -> Counter[int]:
    lots: Counter[int] = Counter()
    for part in text.split("+") if text else ():
        lot, taken = part.split(":")
        lots[int(lot, _DIGITS)] += int(taken)
    return lots


@dataclass(slots=True)
class Entry:
    """An entry of the ledger."""

    id: int
    account_id: int
    credit_type: str
    seq: int
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    key: str
    journal_id: str | None


@dataclass(slots=True)
class Grant:
    """A lot of the ledger."""

    id: int
    account_id: int
    credit_type: str
    amount: int
    remaining: int
    expires_at_ms: int | None
    sv: int


class LedgerView:
    """SQL as the checks see it: entries are read once, since they never change; the rest each time."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self.sv: dict[int, int] = {}
        self.balances: dict[tuple[int, str], tuple[int, int, int]] = {}
        self.grants: dict[int, Grant] = {}
        self.entries: dict[str, Entry] = {}
        # Two shards may number their lines alike: hence the account.
        self.booked: set[tuple[str, int, str]] = set()
        self.outbox: set[tuple[int, int]] = set()
        self.moved: Counter[int] = Counter()
        """Σ of what entries moved, by grant."""
        self._last_entry_id = 0

    def epochs(self) -> dict[int, int]:
        """The epoch of each shard, at this moment."""
        return dict(self._sql.execute("SELECT id, epoch FROM shards").fetchall())

    def read(self) -> list[Entry]:
        """Read what a transaction may have changed; answers the entries that are new, the oldest first."""
        ask = self._sql.execute
        self.sv = dict(ask("SELECT id, sv FROM accounts").fetchall())
        self.outbox = set(ask("SELECT account_id, sv FROM outbox").fetchall())
        rows = ask("SELECT account_id, credit_type, balance, debt, seq FROM balances").fetchall()
        self.balances = {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
        numbers: defaultdict[int, int] = defaultdict(int)
        for row in ask(
            "SELECT id, account_id, credit_type, amount, remaining, expires_at_ms FROM grants ORDER BY id"
        ).fetchall():
            # Every grant takes the account's next number, in its own transaction.
            numbers[row[1]] += 1
            self.grants[row[0]] = Grant(*(*row, numbers[row[1]]))
        before = self._last_entry_id
        new = [
            Entry(*row)
            for row in ask(
                "SELECT id, account_id, credit_type, seq, kind, amount, balance_after, debt_after, key, journal_id "
                "FROM entries WHERE id > ? ORDER BY id",
                (before,),
            ).fetchall()
        ]
        if new:
            self._last_entry_id = new[-1].id
            for entry in new:
                self.entries[entry.key] = entry
                if entry.journal_id:
                    self.booked.add((entry.journal_id, entry.account_id, entry.credit_type))
            query = "SELECT grant_id, amount FROM entry_lots WHERE entry_id > ?"
            for grant_id, amount in ask(query, (before,)).fetchall():
                self.moved[grant_id] += amount
        return new
