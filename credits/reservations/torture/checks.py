"""The identities of the gate, checked after every step on what Redis and SQL say at that moment."""

from collections import Counter
from typing import Any

from credits.reservations.steps import Call
from credits.reservations.torture.budgets import check_limits, check_members
from credits.reservations.torture.deadlines import Deadlines
from credits.reservations.torture.ledger_view import Entry, Grant, LedgerView
from credits.reservations.torture.model import Promises, Violation
from credits.reservations.torture.view import (
    NEVER_MS,
    GateAccount,
    GateShard,
    GateView,
    Line,
    expiry_ms,
)
from credits.reservations.torture.world import World

_SKEW_MS = 60_000


class Checker:
    """Reads what a step may have changed, and raises Violation if a rule does not hold."""

    def __init__(self, world: World, promises: Promises) -> None:
        self._world, self._promises = world, promises
        self.views = [GateView(wire) for wire in world.server.wires]
        self.ledger = LedgerView(world.server.sql)
        self.suspense_is_allowed = False
        """Only a Redis that forgot and remembers again, or two at once, can make a line that its lots do not cover."""
        self.deadlines = Deadlines()
        self.count = 0
        self.check_everything()

    @property
    def gate(self) -> GateView:
        """The master as it was last seen."""
        return self.views[self._world.master]

    def check_everything(self) -> None:
        """After a fault, and in the end."""
        self._check_ledger()
        for master in self._world.masters:
            self.check_gate(master, self._world.shards, self._world.account_ids)

    def check_ledger(self) -> None:
        """After a SQL transaction: the ledger by itself, then the gate as it was last seen against it."""
        self._check_ledger()
        for master in self._world.masters:
            for account_id in self._world.account_ids:
                self._check_account(master, account_id)

    def check_gate(
        self, master: int, shards: list[int], account_ids: list[int], answers: list[Any] | None = None
    ) -> None:
        """After a script: what it may have touched, as `answers` to the view's questions say or Redis does now."""
        view = self.views[master]
        before_shards, before_accounts, new = dict(view.shards), dict(view.accounts), list[Line]()
        if answers is None:
            view.read(shards, account_ids)
        else:
            view.take(shards, account_ids, answers)
        for shard in shards:
            seen = {line.stream_id for line in before_shards[shard].lines} if shard in before_shards else set()
            for line in view.shards[shard].lines:
                if line.stream_id not in seen and line.account_id in account_ids:
                    self._check_new_line(master, line, before_accounts.get(line.account_id))
                    new.append(line)
        for account_id in account_ids:
            self._check_account(master, account_id)
            if self._world.members and self.is_live(master, account_id):
                check_limits(
                    account_id, before_accounts.get(account_id), view.accounts[account_id], new, self._promises
                )

    def check_time(self, master: int, call: Call, answer: list[Any]) -> None:
        """After a script, once its keys were checked: holds end when they should."""
        if self._world.is_split or ":account:" not in call.keys[1]:
            return
        account_id = int(call.keys[1].rsplit(":", 1)[1])
        # Where callers bring the time, it is that of a call's departure, or what was seen if that is later: its caller
        # may have been stalled for long.
        seen_ms = self.views[master].accounts[account_id].at_ms
        told_ms = max(int(call.args[1]), seen_ms) if self._world.is_virtual else self._world.now_ms
        self.deadlines.note(call, answer, told_ms)
        if self.is_live(master, account_id):
            self.deadlines.check(call, answer, self.views[master].accounts[account_id], told_ms)

    def is_live(self, master: int, account_id: int) -> bool:
        """Whether the gate would serve the account as it stands, and may be believed."""
        number = account_id % 64
        shard, account = self.views[master].shards[number], self.views[master].accounts[account_id]
        epoch = self._world.armed.get((master, number))
        if epoch is None or shard.epoch != epoch or account.epoch != epoch:
            return False
        # Of two masters, what the one says whose epoch is over is never booked as it stands.
        if self._world.was_split and self.ledger.epochs().get(number) != int(epoch):
            return False
        has = (account.listed, len(account.holds), len(account.due))
        return has == (account.burnable_size, account.holds_size, account.holds_size)

    # ── the ledger ───────────────────────────────────────────────────────────────────────────────────────

    def _check_ledger(self) -> None:
        before = dict(self.ledger.balances)
        for entry in self.ledger.read():
            self._check_entry(entry, before)
        if self._world.members:
            self.ledger.read_members()
        left: Counter[tuple[int, str]] = Counter()
        for grant in self.ledger.grants.values():
            if not 0 <= grant.remaining <= grant.amount or grant.remaining != self.ledger.moved[grant.id]:
                raise Violation(
                    f"lot {grant.id}: {grant.remaining} remain, its entries say {self.ledger.moved[grant.id]}"
                )
            left[grant.account_id, grant.credit_type] += grant.remaining
        for name, (balance, debt, seq) in self.ledger.balances.items():
            if debt < 0 or balance != left[name] - debt:
                raise Violation(f"balance {name} is {balance}, its lots {left[name]}, its debt {debt}")
            if before.get(name) != (balance, debt, seq):
                raise Violation(f"balance {name} is {(balance, debt, seq)}, its entries say {before.get(name)}")

    def _check_entry(self, entry: Entry, running: dict[tuple[int, str], tuple[int, int, int]]) -> None:
        """Its number, its sums, and whether it was allowed to make debt; moves `running` on."""
        name = (entry.account_id, entry.credit_type)
        balance, debt, seq = running.get(name, (0, 0, 0))
        if entry.seq != seq + 1 or entry.balance_after != balance + entry.amount:
            raise Violation(
                f"entry {entry.key} has number {entry.seq} and sum {entry.balance_after} after {running.get(name)}"
            )
        if entry.debt_after > debt and entry.kind != "suspense" and _op(entry) not in self._promises.may_owe:
            raise Violation(f"entry {entry.key} made a debt that nobody allowed")
        if entry.kind == "suspense" and not self.suspense_is_allowed and not self._promises.contested:
            raise Violation(f"entry {entry.key} is suspense although Redis never went back")
        running[name] = (entry.balance_after, entry.debt_after, entry.seq)

    # ── the gate against the ledger ──────────────────────────────────────────────────────────────────────

    def _check_account(self, master: int, account_id: int) -> None:
        self.count += 1
        if not self.is_live(master, account_id):
            return
        account, shard = self.views[master].accounts[account_id], self.views[master].shards[account_id % 64]
        grants = [grant for grant in self.ledger.grants.values() if grant.account_id == account_id]
        sv, lines = account.sv, [line for line in shard.lines if line.account_id == account_id]
        if shard.is_whole and shard.entries_of.get(account_id, 0) != len(lines):
            raise Violation(f"account {account_id} counts {shard.entries_of.get(account_id)} of its {len(lines)} lines")
        for number in range(sv + 1, self.ledger.sv[account_id] + 1):
            if (account_id, number) not in self.ledger.outbox:
                raise Violation(f"account {account_id} will never hear of credit {number}: it has those up to {sv}")
        self._check_time(account_id, account)
        check_burnable(account_id, account)
        held, later = check_holds(account_id, account), self.ledger.credits_above(account_id, sv)
        for credit_type in self._world.credit_types:
            elsewhere = sum(one.kept + one.repaid for one in later if one.credit_type == credit_type)
            elsewhere += self.ledger.frozen(account_id, credit_type)
            self._check_type(account_id, account, credit_type, shard, lines, elsewhere)
        self._check_lots(account_id, account, shard, lines, held, grants)
        if self._world.members:
            check_members(account_id, account, self.ledger, lines, is_whole=shard.is_whole)

    def _check_type(
        self,
        account_id: int,
        account: GateAccount,
        credit_type: str,
        shard: GateShard,
        lines: list[Line],
        elsewhere: int,
    ) -> None:
        has = account.counts(credit_type)
        where = f"account {account_id} {has}".replace("Counters", credit_type)
        if min(has.available, has.held, has.unsettled, has.debt, has.lapsed) < 0:
            raise Violation(f"{where}: negative")
        items = [(line, item) for line in lines for item in line.items if item.credit_type == credit_type]
        written = sum(item.amount for _, item in items)
        if shard.is_whole and has.unsettled != written:
            raise Violation(f"{where}: the journal says {written}")
        pending = sum(
            item.amount for line, item in items if (line.journal_id, account_id, credit_type) not in self.ledger.booked
        )
        posted = self.ledger.balances.get((account_id, credit_type), (0, 0, 0))[0]
        # What is frozen, or was given since, the gate does not have.
        truth = posted - elsewhere
        total = has.available + has.held + has.lapsed - has.debt + pending
        if total > truth or (shard.is_whole and total < truth):
            raise Violation(f"{where}, pending {pending}: the gate says {total}, the ledger {truth}")

    def _check_lots(
        self,
        account_id: int,
        account: GateAccount,
        shard: GateShard,
        lines: list[Line],
        held: Counter[int],
        grants: list[Grant],
    ) -> None:
        """Each lot: what remains in the ledger is free, held, lapsed, or in a line of the journal."""
        pending: Counter[int] = Counter()
        for line in lines:
            for item in line.items:
                if (line.journal_id, account_id, item.credit_type) not in self.ledger.booked:
                    pending.update(item.lots)
        later: Counter[int] = Counter()
        for credit in self.ledger.credits_above(account_id, account.sv):
            later[credit.grant_id] += credit.kept
        for grant in grants:
            free = account.lots[grant.id][0] if grant.id in account.lots else 0
            has = free + held[grant.id] + pending[grant.id]
            known = grant.remaining - grant.frozen - later[grant.id]
            if has > known or (shard.is_whole and has != known):
                raise Violation(
                    f"lot {grant.id} of {account_id}: {free} free, {held[grant.id]} held, {pending[grant.id]} pending;"
                    f" the ledger says {grant.remaining}, {grant.frozen} frozen, {later[grant.id]} not told yet"
                )

    def _check_time(self, account_id: int, account: GateAccount) -> None:
        latest = self._world.now_ms + (0 if self._world.is_virtual else _SKEW_MS + 2000)
        if account.at_ms > latest:
            raise Violation(f"account {account_id} is at {account.at_ms}, {latest} at most")
        if account.unsettled != sum(counters.unsettled for counters in account.counters.values()):
            raise Violation(
                f"account {account_id} has {account.unsettled} unsettled in all, its types {account.counters}"
            )
        if account.next_due_ms > min(account.due.values(), default=account.next_due_ms):
            raise Violation(f"account {account_id} looks for overdue holds at {account.next_due_ms}, one is due before")

    def _check_new_line(self, master: int, line: Line, before: GateAccount | None) -> None:
        """What was not under hold must not have lapsed when it was spent."""
        if line.kind not in {"spend", "deduct"} or not self.is_live(master, line.account_id):
            return
        account = self.views[master].accounts[line.account_id]
        hold = before.holds.get(line.op.split(":")[1]) if before else None
        for item in line.items:
            free = item.lots.copy()
            for was_held in hold.items if hold else ():
                free.subtract(was_held.lots)
            for lot, taken in free.items():
                if taken > 0 and _lapses_ms(account, lot) <= account.at_ms:
                    raise Violation(f"{line.op} spent lot {lot} of {line.account_id}, which lapsed before")


def check_burnable(account_id: int, account: GateAccount) -> None:
    """The lots in burn order, their counters, and when the next one lapses."""
    available: Counter[str] = Counter()
    for member in account.burnable:
        credit_type, sort_key = member.split("|")
        lot = account.lots.get(int(sort_key[14:], 36))
        if lot is None or lot[1] != sort_key or lot[0] <= 0:
            raise Violation(f"account {account_id} may burn {member}, whose lot is {lot}")
        if expiry_ms(sort_key) < account.next_expiry_ms:
            raise Violation(f"account {account_id} looks for lapsed lots at {account.next_expiry_ms}, after {sort_key}")
        available[credit_type] += lot[0]
    if any(free < 0 for free, _ in account.lots.values()):
        raise Violation(f"account {account_id} has a negative lot")
    for credit_type in account.counters.keys() | available.keys():
        if account.counts(credit_type).available != available[credit_type]:
            raise Violation(f"account {account_id}: {account.counters}, its lots have {dict(available)}")
    lapsed = sum(free for free, _ in account.lots.values()) - available.total()
    if lapsed != sum(counters.lapsed for counters in account.counters.values()):
        raise Violation(f"account {account_id}: {lapsed} have lapsed, {account.counters}")


def check_holds(account_id: int, account: GateAccount) -> Counter[int]:
    """Open holds, their counters and deadlines; answers what they hold, by lot."""
    held: Counter[str] = Counter()
    by_lot: Counter[int] = Counter()
    for name, hold in account.holds.items():
        if account.due.get(name) != hold.due_ms:
            raise Violation(f"hold {name} is due at {hold.due_ms}, listed for {account.due.get(name)}")
        if hold.state != "H":
            continue
        if hold.load != account.load:
            raise Violation(f"hold {name} is open in another load")
        for item in hold.items:
            if item.amount != item.lots.total() or min(item.lots.values(), default=1) < 1:
                raise Violation(f"hold {name} has {item.amount} {item.credit_type} from {dict(item.lots)}")
            held[item.credit_type] += item.amount
            by_lot.update(item.lots)
            for lot in item.lots:
                if _lapses_ms(account, lot) <= hold.made_ms:
                    raise Violation(f"hold {name}, made at {hold.made_ms}, has lot {lot}, which had lapsed")
    for credit_type in account.counters.keys() | held.keys():
        if account.counts(credit_type).held != held[credit_type]:
            raise Violation(f"account {account_id}: {account.counters}, its holds have {dict(held)}")
    return by_lot


def _lapses_ms(account: GateAccount, lot: int) -> int:
    return expiry_ms(account.lots[lot][1]) if lot in account.lots else NEVER_MS


def _op(entry: Entry) -> str:
    return entry.key.removesuffix(f":{entry.credit_type}")
