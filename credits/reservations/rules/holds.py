"""Reserve, extend, release, read, load: what holds are made of and how they end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from credits.reservations.model import Answer, HoldState, Overage
from credits.reservations.rules.account import (
    Account,
    Hold,
    Item,
    Moment,
    Request,
    Words,
    available,
    debt_of,
    ended,
    give_back,
    has,
    held,
    lapsed,
    left_of,
    lost,
    move,
    take,
    unsettled,
    with_hold,
)
from credits.reservations.rules.deadlines import is_over, with_deadline
from credits.reservations.rules.members import asks_for, excess, is_known
from credits.units import MAX_AMOUNT

RECLAIM: Final = 16


def reserve(
    account: Account, at: Moment, request: Request, ttl_ms: int, items: Mapping[str, int]
) -> tuple[Account, Words]:
    """Hold every item or none."""
    known = account.holds.get(request.hold)
    if known is not None:
        if known.state is HoldState.SPENT or known.fingerprint not in {"", request.fingerprint}:
            return account, (Answer.CONFLICT,)
        return account, (Answer.REPLAYED, known.state, str(known.due_at_ms))
    if not is_known(account, at, request.member):
        return account, asks_for(at, request.member)
    account, refusal = reclaim_for(account, at, request.receipt_ms, lambda one: refused(one, at, request, items))
    if refusal:
        return account, refusal
    had: dict[str, Item] = {}
    for credit_type, amount in items.items():
        account, parts = take(account, at, credit_type, amount)
        had[credit_type] = Item(left=amount, lots=parts)
    hold = Hold(
        state=HoldState.HELD,
        due_at_ms=0,
        made_at_ms=at.now_ms,
        fingerprint=request.fingerprint,
        name=request.name,
        items=had,
        member=request.member,
    )
    hold = with_deadline(hold, at, ttl_ms)
    return with_hold(account, request.hold, hold), (Answer.HELD, str(hold.due_at_ms))


def extend(account: Account, at: Moment, hold: str, ttl_ms: int, longest_ms: int) -> tuple[Account, Words]:
    """Move a deadline away, within bounds."""
    known = account.holds.get(hold)
    if known is None:
        return account, (Answer.NONE,)
    if known.state is not HoldState.HELD:
        return account, (Answer.ENDED, known.state)
    known = with_deadline(known, at, ttl_ms, known.made_at_ms + longest_ms)
    return with_hold(account, hold, known), (Answer.EXTENDED, str(known.due_at_ms))


def release(account: Account, at: Moment, hold: str, receipt_ms: int) -> tuple[Account, Words]:
    """Give back what a hold still has."""
    known = account.holds.get(hold)
    if known is None:
        return account, (Answer.NONE,)
    if known.state is not HoldState.HELD:
        return account, (Answer.ENDED, known.state)
    account = give_back(account, (item.lots for item in known.items.values()))
    emptied = dict.fromkeys(known.items, Item(left=0))
    known = ended(replace(known, items=emptied), HoldState.RELEASED, at.sure_ms + receipt_ms)
    return with_hold(account, hold, known), (Answer.RELEASED,)


def read(account: Account, at: Moment, receipt_ms: int, types: Sequence[str]) -> tuple[Account, Words]:
    """Per type: available, held, unsettled, debt, lapsed."""
    account, _ = reclaim(account, at, receipt_ms)
    words: list[str] = []
    for name in types:
        figures = (
            available(account, name, at.now_ms),
            held(account, name),
            unsettled(account, name),
            debt_of(account, name),
            lapsed(account, name, at.sure_ms),
        )
        words += [name, *map(str, figures)]
    return account, (Answer.READ, *words)


def load(fresh: Account, holds: Mapping[str, Hold], at: Moment, receipt_ms: int) -> tuple[Account, Words]:
    """Adopt the holds that survived, the oldest first, as far as the fresh lots have the credits."""
    account, adopted = fresh, 0
    for name, hold in sorted(holds.items(), key=lambda one: (one[1].made_at_ms, one[0])):
        if hold.state is not HoldState.HELD:
            account = with_hold(account, name, hold)
            continue
        parts = [(name, lot, part) for name, item in hold.items.items() for lot, part in item.lots]
        left, is_late = is_over(hold, at)
        if not is_late and all(has(account, *part) for part in parts):
            for _, lot, part in parts:
                account = move(account, lot, -part)
            account, adopted = with_hold(account, name, left), adopted + 1
        else:
            account = with_hold(account, name, lost(hold, at.sure_ms + receipt_ms))
    return account, (Answer.LOADED, str(adopted))


def reclaim(
    account: Account, at: Moment, receipt_ms: int, *, limit: int | None = None, kept: str | None = None
) -> tuple[Account, bool]:
    """Free overdue holds and forget overdue receipts but `kept`, the longest due first; says whether none is left."""
    overdue = sorted((hold.due_at_ms, name) for name, hold in account.holds.items() if hold.due_at_ms <= at.sure_ms)
    for _, name in overdue[:limit]:
        hold = account.holds[name]
        if name == kept:
            continue
        if hold.state is HoldState.HELD:
            hold, is_late = is_over(hold, at)
            if is_late:
                account = give_back(account, (item.lots for item in hold.items.values()))
                hold = lost(hold, at.sure_ms + receipt_ms)
            account = with_hold(account, name, hold)
        else:
            account = replace(account, holds={key: one for key, one in account.holds.items() if key != name})
    return account, limit is None or len(overdue) < limit


def reclaim_for(
    account: Account, at: Moment, receipt_ms: int, shortage: Callable[[Account], Words]
) -> tuple[Account, Words]:
    """A few overdue holds are freed at every call; all of them before anybody is refused."""
    account, is_all = reclaim(account, at, receipt_ms, limit=RECLAIM)
    short = shortage(account)
    if short and not is_all:
        account, _ = reclaim(account, at, receipt_ms)
        short = shortage(account)
    return account, short


def refused(
    account: Account, at: Moment, request: Request, items: Mapping[str, int], *, is_bound: bool = True
) -> Words:
    """The answer to who asks for too much: of what the member may use, or of what the account has."""
    over = excess(account, at, request.member, items) if is_bound else ()
    if over:
        return (Answer.LIMIT, request.member, *over)
    short = short_of(account, at, items)
    return (Answer.INSUFFICIENT, *short) if short else ()


def short_of(
    account: Account,
    at: Moment,
    items: Mapping[str, int],
    hold: Hold | None = None,
    overage: Overage = Overage.IF_AVAILABLE,
) -> Words:
    """(type, asked, possible) of each type that neither the hold nor what is available nor the policy covers."""
    words: list[str] = []
    for credit_type, amount in items.items():
        from_hold = min(amount, left_of(hold, credit_type))
        free = 0 if hold is not None and overage is Overage.DENY else available(account, credit_type, at.now_ms)
        missing = amount - from_hold - free
        may_owe = overage is Overage.ALLOW_DEBT and debt_of(account, credit_type) + missing <= MAX_AMOUNT
        if missing > 0 and not may_owe:
            words += [credit_type, str(amount), str(left_of(hold, credit_type) + free)]
    return tuple(words)
