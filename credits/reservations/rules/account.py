"""An account as the gate sees it, its figures, and the moves that every call is made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from credits.reservations.model import HoldState

SKEW_MS: Final = 60_000

Words = tuple[str, ...]
Parts = tuple[tuple[str, int], ...]
"""(lot, credits) in the order in which they were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A lot; `available` is what neither a hold nor a debit took of it, lapsed or not."""

    credit_type: str
    sort_key: str
    available: int

    @property
    def expires_at_ms(self) -> int:
        return int(self.sort_key[4:13], 36)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a hold has of one type; after its time ran out what it had, without lots."""

    left: int
    lots: Parts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold, or the receipt of one that ended."""

    state: HoldState
    due_at_ms: int
    made_at_ms: int
    fingerprint: str
    name: str
    items: Mapping[str, Item] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint by op."""
    by_ms: int | None = None
    """The later deadline, by the server's clock, where that and the caller's differed; see deadlines.py."""
    set_at_ms: int | None = None
    """When that was set, by the server's clock."""
    member: str = ""
    """Whose it is; empty: nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a journal entry took of one type."""

    credit_type: str
    amount: int
    debt: int
    lots: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal."""

    op: str
    kind: str
    fingerprint: str
    name: str
    items: tuple[Taken, ...]
    member: str = ""
    spent_at_ms: int | None = None
    """For members: when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a member spent since its account was loaded."""

    credit_type: str
    amount: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a member may use and has used."""

    version: int
    days: tuple[int, ...]
    """When the running day began, and when the next ones begin."""
    months: tuple[int, ...]
    limits: Mapping[str, str]
    """By type, as the scripts spell them."""
    before: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Used that day, that month and ever before the member was loaded."""
    first_day_ms: int
    first_month_ms: int
    """The windows that `before` is of."""
    spent: tuple[Spent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A loaded account."""

    sv: int
    last_ms: int
    lots: Mapping[str, Lot] = field(default_factory=dict)
    debts: Mapping[str, int] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    journal: tuple[Entry, ...] = ()
    members: Mapping[str, Budget] = field(default_factory=dict)
    """Those whose limits are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time of a call: `now_ms` refuses what has lapsed, `sure_ms` frees and lapses."""

    now_ms: int
    sure_ms: int
    wrong_ms: int = 0
    """Until when the server's clock turned out to have been ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every call by name carries."""

    hold: str
    op: str = ""
    fingerprint: str
    name: str
    receipt_ms: int
    member: str = ""


def moment(last_ms: int, *, server_ms: int, caller_ms: int, wrong_ms: int = 0) -> Moment:
    """Never before what was seen; nothing is freed or lapsed more than a minute ahead of the caller's clock."""
    sure_ms = min(server_ms, caller_ms + SKEW_MS)
    return Moment(now_ms=max(server_ms, last_ms), sure_ms=max(sure_ms, last_ms), wrong_ms=wrong_ms)


def at_time(account: Account, at: Moment) -> Account:
    """The account as it is once a call at `at` was through: what it saw of time is never undercut."""
    return replace(account, last_ms=max(account.last_ms, at.sure_ms))


def available(account: Account, credit_type: str, at_ms: int) -> int:
    """What can be reserved at an instant: what has not lapsed, less what is owed."""
    return max(0, sum(lot.available for lot in burn_order(account, credit_type, at_ms)) - debt_of(account, credit_type))


def burn_order(account: Account, credit_type: str, at_ms: int) -> list[Lot]:
    """The type's lots that have not lapsed, the first to be burnt first."""
    alive = (lot for lot in account.lots.values() if lot.credit_type == credit_type and lot.expires_at_ms > at_ms)
    return sorted(alive, key=lambda lot: lot.sort_key)


def held(account: Account, credit_type: str) -> int:
    """What open holds have."""
    holds = (hold for hold in account.holds.values() if hold.state is HoldState.HELD)
    return sum(hold.items[credit_type].left for hold in holds if credit_type in hold.items)


def unsettled(account: Account, credit_type: str | None = None) -> int:
    """What the journal took, of one type or of all."""
    items = (item for entry in account.journal for item in entry.items)
    return sum(item.amount for item in items if credit_type in {None, item.credit_type})


def lapsed(account: Account, credit_type: str, at_ms: int) -> int:
    """What lots past their instant still have."""
    gone = (lot for lot in account.lots.values() if lot.credit_type == credit_type and lot.expires_at_ms <= at_ms)
    return sum(lot.available for lot in gone)


def debt_of(account: Account, credit_type: str) -> int:
    return account.debts.get(credit_type, 0)


def left_of(hold: Hold | None, credit_type: str) -> int:
    return hold.items[credit_type].left if hold is not None and credit_type in hold.items else 0


def sum_of(parts: Iterable[tuple[str, int]]) -> int:
    return sum(part for _, part in parts)


def move(account: Account, lot: str, amount: int) -> Account:
    changed = replace(account.lots[lot], available=account.lots[lot].available + amount)
    return replace(account, lots={**account.lots, lot: changed})


def with_hold(account: Account, name: str, hold: Hold) -> Account:
    return replace(account, holds={**account.holds, name: hold})


def with_debt(account: Account, credit_type: str, change: int) -> Account:
    return replace(account, debts={**account.debts, credit_type: debt_of(account, credit_type) + change})


def journalled(
    account: Account, request: Request, kind: str, items: tuple[Taken, ...], *, spent_at_ms: int | None = None
) -> Account:
    entry = Entry(
        op=request.op,
        kind=kind,
        fingerprint=request.fingerprint,
        name=request.name,
        items=items,
        member=request.member,
        spent_at_ms=spent_at_ms,
    )
    return replace(account, journal=(*account.journal, entry))


def take(account: Account, at: Moment, credit_type: str, amount: int) -> tuple[Account, Parts]:
    parts: list[tuple[str, int]] = []
    for lot in burn_order(account, credit_type, at.now_ms):
        part = min(lot.available, amount - sum_of(parts))
        if part > 0:
            name = lot.sort_key[14:]
            account = move(account, name, -part)
            parts.append((name, part))
    return account, tuple(parts)


def split(parts: Parts, amount: int) -> tuple[Parts, Parts]:
    """The first `amount` credits of `parts`, and the rest."""
    head: list[tuple[str, int]] = []
    rest: list[tuple[str, int]] = []
    for lot, part in parts:
        used = min(part, amount - sum_of(head))
        head += [(lot, used)] if used > 0 else []
        rest += [(lot, part - used)] if part > used else []
    return tuple(head), tuple(rest)


def give_back(account: Account, lots: Iterable[Parts]) -> Account:
    for parts in lots:
        for lot, part in parts:
            account = move(account, lot, part)
    return account


def has(account: Account, credit_type: str, lot: str, amount: int) -> bool:
    found = account.lots.get(lot)
    return found is not None and found.credit_type == credit_type and found.available >= amount


def lost(hold: Hold, due_at_ms: int) -> Hold:
    """A hold whose time ran out remembers what it had: its job may still come."""
    had = {credit_type: Item(left=item.left) for credit_type, item in hold.items.items()}
    return ended(replace(hold, items=had), HoldState.EXPIRED, due_at_ms)


def ended(hold: Hold, state: HoldState, due_at_ms: int) -> Hold:
    """The receipt of a hold, to be forgotten at `due_at_ms`."""
    return replace(hold, state=state, due_at_ms=due_at_ms, by_ms=None, set_at_ms=None)


def receipt(at: Moment, request: Request) -> Hold:
    return Hold(
        state=HoldState.SPENT,
        due_at_ms=at.sure_ms + request.receipt_ms,
        made_at_ms=at.now_ms,
        fingerprint=request.fingerprint,
        name=request.name,
        steps={request.op: request.fingerprint},
        member=request.member,
    )
