"""What stands in SQL, read for the checks. Shares nothing with what wrote it."""

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass

from credits.reservations.torture.model import Violation
from credits.reservations.torture.view import Limits


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
    member: str | None = None
    spent_at_ms: int = 0


@dataclass(slots=True)
class Grant:
    """A lot of the ledger."""

    id: int
    account_id: int
    credit_type: str
    amount: int
    remaining: int
    expires_at_ms: int | None
    frozen: int


@dataclass(frozen=True, slots=True)
class Credit:
    """What the gate is to be told of: a grant, frozen credits that are free again, or some that were given back."""

    grant_id: int
    credit_type: str
    kept: int
    """In the lot."""
    repaid: int
    """Of the account's debt."""


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
        self.credits: dict[tuple[int, int], Credit] = {}
        """By account and number: all that ever were in the outbox."""
        self.moved: Counter[int] = Counter()
        """Σ of what entries moved, by grant."""
        self._last_entry_id = 0
        self.zones: dict[int, str] = {}
        self.versions: dict[int, int] = {}
        self.limits: dict[tuple[int, str], Limits] = {}
        self.changes: set[tuple[int, str | None]] = set()
        """(account, member) of changes that wait; no member: of the time zone."""
        self.spent_by: defaultdict[tuple[int, str], list[tuple[str, int, int]]] = defaultdict(list)
        """(credit type, when, amount) of members' entries."""

    def epochs(self) -> dict[int, int]:
        """The epoch of each shard, at this moment."""
        return dict(self._sql.execute("SELECT id, epoch FROM shards").fetchall())

    def read(self) -> list[Entry]:
        """Read what a transaction may have changed; answers the entries that are new, the oldest first."""
        ask = self._sql.execute
        self.sv = dict(ask("SELECT id, sv FROM accounts").fetchall())
        waiting = ask("SELECT account_id, sv, grant_id, credit_type, amount, debt_repaid FROM outbox").fetchall()
        self.outbox = {(row[0], row[1]) for row in waiting}
        self.credits.update({(row[0], row[1]): Credit(*row[2:]) for row in waiting})
        rows = ask("SELECT account_id, credit_type, balance, debt, seq FROM balances").fetchall()
        self.balances = {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
        query = "SELECT id, account_id, credit_type, amount, remaining, expires_at_ms, frozen FROM grants"
        self.grants = {row[0]: Grant(*row) for row in ask(query).fetchall()}
        # A freeze makes no entry: its order says which line carried it out.
        query = (
            "SELECT journal_id, account_id, credit_type FROM commands WHERE kind = 'freeze' AND journal_id IS NOT NULL"
        )
        self.booked.update(ask(query).fetchall())
        before = self._last_entry_id
        new = [
            Entry(*row)
            for row in ask(
                "SELECT id, account_id, credit_type, seq, kind, amount, balance_after, debt_after, key, journal_id, "
                "member, spent_at_ms FROM entries WHERE id > ? ORDER BY id",
                (before,),
            ).fetchall()
        ]
        if new:
            self._last_entry_id = new[-1].id
            for entry in new:
                self.entries[entry.key] = entry
                if entry.member is not None:
                    spent = (entry.credit_type, entry.spent_at_ms, -entry.amount)
                    self.spent_by[entry.account_id, entry.member].append(spent)
                if entry.journal_id:
                    self.booked.add((entry.journal_id, entry.account_id, entry.credit_type))
            query = "SELECT grant_id, amount FROM entry_lots WHERE entry_id > ?"
            for grant_id, amount in ask(query, (before,)).fetchall():
                self.moved[grant_id] += amount
        return new

    def frozen(self, account_id: int, credit_type: str) -> int:
        """What is set aside: in the balance, and not in the gate."""
        name = (account_id, credit_type)
        return sum(one.frozen for one in self.grants.values() if (one.account_id, one.credit_type) == name)

    def credits_above(self, account_id: int, sv: int) -> list[Credit]:
        """What the ledger has given the account since the credit `sv`."""
        return [self.credits[account_id, number] for number in range(sv + 1, self.sv.get(account_id, 0) + 1)]

    def read_members(self) -> None:
        """Read limits, zones and the changes that wait, and whether usage adds up. Only runs with members need it."""
        ask = self._sql.execute
        self.zones, self.versions, self.limits = {}, {}, defaultdict(dict)
        for account_id, zone, version in ask("SELECT id, time_zone, mv FROM accounts").fetchall():
            self.zones[account_id], self.versions[account_id] = zone, version
        query = "SELECT account_id, member, credit_type, per, amount, raised_to, raised_until_ms FROM member_limits"
        for account_id, member, kind, per, *limit in ask(query).fetchall():
            self.limits[account_id, member][kind, per[0]] = tuple(limit)
        self.changes = set(ask("SELECT account_id, member FROM member_changes").fetchall())
        used = ask("SELECT account_id, member, credit_type, used FROM member_usage").fetchall()
        added: Counter[tuple[int, str, str]] = Counter()
        for (account_id, member), spent in self.spent_by.items():
            for kind, _, amount in spent:
                added[account_id, member, kind] += amount
        if {(account, member, kind): total for account, member, kind, total in used} != dict(added):
            raise Violation(f"members used {used}, their entries say {dict(added)}")
