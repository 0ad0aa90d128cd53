"""Commit, spend, take lots, settle, apply: what changes the ledger, or comes from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from credits.ledger.model import DebitKind
from credits.reservations.model import Answer, HoldState, Overage
from credits.reservations.rules.account import (
    Account,
    Hold,
    Item,
    Lot,
    Moment,
    Parts,
    Request,
    Spent,
    Taken,
    Words,
    available,
    debt_of,
    ended,
    give_back,
    held,
    journalled,
    left_of,
    move,
    receipt,
    split,
    sum_of,
    take,
    unsettled,
    with_debt,
    with_hold,
)
from credits.reservations.rules.holds import reclaim, reclaim_for, refused, short_of
from credits.reservations.rules.members import (
    asks_for,
    excess,
    is_known,
    request_of,
    spend_for,
    spent_at,
    unspend_for,
)
from credits.units import MAX_AMOUNT

MAX_STEPS: Final = 256


def commit(
    account: Account,
    at: Moment,
    request: Request,
    items: Mapping[str, int],
    *,
    is_final: bool = True,
    overage: Overage = Overage.DENY,
) -> tuple[Account, Words]:
    """Turn a hold or a part of it (no items: all of it) into spending; without the hold, pay from what is available."""
    known = account.holds.get(request.hold)
    if known is not None and request.op in known.steps:
        is_same = known.steps[request.op] == request.fingerprint
        return account, (Answer.REPLAYED if is_same else Answer.CONFLICT,)
    if known is not None and known.state is HoldState.SPENT:
        return account, (Answer.CONFLICT,)
    if known is not None and len(known.steps) >= MAX_STEPS:
        return account, (Answer.BAD,)
    is_held = known is not None and known.state is HoldState.HELD
    if not items:
        if known is None or known.state not in {HoldState.HELD, HoldState.EXPIRED}:
            return account, (Answer.GONE,)
        items = {credit_type: item.left for credit_type, item in known.items.items()}
    own, request = known if is_held else None, request_of(request, known)
    if not is_known(account, at, request.member):
        return account, asks_for(at, request.member)
    account, refusal = _commit_refused(account, at, request, items, own, overage)
    if refusal:
        return account, refusal
    if unsettled(account) + sum(items.values()) > MAX_AMOUNT:
        return account, (Answer.BAD,)
    hold = known or _unknown_hold(at, request)
    account, hold = spend_from(account, at, hold, own, items, request, "spend")
    if is_final or not is_held:
        if is_held:
            account = give_back(account, (item.lots for item in hold.items.values()))
        emptied = dict.fromkeys(hold.items, Item(left=0))
        due = at.sure_ms + request.receipt_ms
        hold = ended(replace(hold, items=emptied), HoldState.COMMITTED, due)
    left = sum(item.left for item in hold.items.values())
    answer = Answer.COMMITTED if is_held else Answer.RESCUED
    return with_hold(account, request.hold, hold), (answer, str(unsettled(account)), str(min(left, MAX_AMOUNT)))


def _commit_refused(
    account: Account,
    at: Moment,
    request: Request,
    items: Mapping[str, int],
    hold: Hold | None,
    overage: Overage,
) -> tuple[Account, Words]:
    """The refusal of a commit, once all overdue holds but its own are freed; no words if it may go on."""

    def refusal() -> Words:
        over = () if overage is Overage.ALLOW_DEBT else excess(account, at, request.member, items, hold)
        if over:
            return (Answer.LIMIT, request.member, *over)
        short = short_of(account, at, items, hold, overage)
        return (Answer.GONE if hold is None else Answer.INSUFFICIENT, *short) if short else ()

    if refusal():
        account, _ = reclaim(account, at, request.receipt_ms, kept=request.hold)
    return account, refusal()


def _unknown_hold(at: Moment, request: Request) -> Hold:
    return Hold(
        state=HoldState.COMMITTED,
        due_at_ms=0,
        made_at_ms=at.now_ms,
        fingerprint="",
        name=request.name,
        member=request.member,
    )


def spend(account: Account, at: Moment, request: Request, kind: str, items: Mapping[str, int]) -> tuple[Account, Words]:
    """Take every item or none, without a hold in between."""
    known = account.holds.get(request.hold)
    if known is not None:
        is_same = known.steps.get(request.op) == request.fingerprint
        return account, (Answer.REPLAYED if is_same else Answer.CONFLICT,)
    if not is_known(account, at, request.member):
        return account, asks_for(at, request.member)
    is_bound = kind == DebitKind.SPEND
    account, refusal = reclaim_for(
        account, at, request.receipt_ms, lambda one: refused(one, at, request, items, is_bound=is_bound)
    )
    if refusal:
        return account, refusal
    if unsettled(account) + sum(items.values()) > MAX_AMOUNT:
        return account, (Answer.BAD,)
    account, hold = spend_from(account, at, receipt(at, request), None, items, request, kind)
    return with_hold(account, request.hold, hold), (Answer.COMMITTED, str(unsettled(account)))


def take_lots(
    account: Account,
    at: Moment,
    request: Request,
    kind: str,
    credit_type: str,
    wanted: int,
    *,
    allow_debt: bool,
    lots: Sequence[str],
) -> tuple[Account, Words]:
    """Take what is free of named lots, lapsed or not; the rest on debt if that is allowed."""
    known = account.holds.get(request.hold)
    if known is not None:
        if known.steps.get(request.op) != request.fingerprint or credit_type not in known.items:
            return account, (Answer.CONFLICT,)
        item = known.items[credit_type]
        return account, (Answer.REPLAYED, str(item.left), str(item.lots[0][1]))
    account, _ = reclaim(account, at, request.receipt_ms)
    owed = debt_of(account, credit_type)
    if unsettled(account) + wanted > MAX_AMOUNT or (allow_debt and owed + wanted > MAX_AMOUNT):
        return account, (Answer.BAD,)
    parts: list[tuple[str, int]] = []
    for name in lots:
        lot = account.lots.get(name)
        part = min(lot.available, wanted - sum_of(parts)) if lot is not None and lot.credit_type == credit_type else 0
        if part > 0:
            account = move(account, name, -part)
            parts.append((name, part))
    taken = sum_of(parts)
    debt = wanted - taken if allow_debt else 0
    account = with_debt(account, credit_type, debt)
    if taken + debt > 0:
        booked = Taken(credit_type=credit_type, amount=taken + debt, debt=debt, lots=tuple(parts))
        account = journalled(account, request, kind, (booked,))
    hold = replace(receipt(at, request), items={credit_type: Item(left=taken, lots=(("debt", debt),))})
    return with_hold(account, request.hold, hold), (Answer.TAKEN, str(taken), str(debt))


def apply(
    account: Account, sv: int, credit_type: str, *, kept: int, repaid: int, lot: str, sort_key: str, at: Moment
) -> tuple[Account, Words]:
    """Apply the next credit; `kept` of it can be spent, the rest repaid a debt."""
    if sv <= account.sv:
        return account, (Answer.DUP,)
    if sv > account.sv + 1:
        return account, (Answer.GAP,)
    of_type = sum(one.available for one in account.lots.values() if one.credit_type == credit_type)
    if of_type + held(account, credit_type) + unsettled(account, credit_type) + kept > MAX_AMOUNT:
        return account, (Answer.BAD,)
    account = replace(with_debt(account, credit_type, -repaid), sv=sv, last_ms=at.sure_ms)
    if kept > 0:
        known = account.lots.get(lot, Lot(credit_type=credit_type, sort_key=sort_key, available=0))
        account = replace(account, lots={**account.lots, lot: known})
        account = move(account, lot, kept)
    return account, (Answer.APPLIED,)


def settle(account: Account, refunds: Iterable[bool]) -> tuple[Account, Words]:
    """Forget the oldest entries, one for each of `refunds`; where that is true, give the charge back."""
    for is_refund in (done := list(refunds)):
        entry, account = account.journal[0], replace(account, journal=account.journal[1:])
        for item in entry.items if is_refund else ():
            account = give_back(with_debt(account, item.credit_type, -item.debt), [item.lots])
            if entry.spent_at_ms is not None:
                spent = Spent(credit_type=item.credit_type, amount=item.amount, at_ms=entry.spent_at_ms)
                account = unspend_for(account, entry.member, spent)
    return account, (Answer.SETTLED, str(len(done)))


def spend_from(
    account: Account,
    at: Moment,
    record: Hold,
    hold: Hold | None,
    items: Mapping[str, int],
    request: Request,
    kind: str,
) -> tuple[Account, Hold]:
    """Take what was found to suffice: from the hold first, then from what is available, the rest on debt."""
    booked: list[Taken] = []
    left = dict(record.items)
    for credit_type, amount in items.items():
        from_hold = min(amount, left_of(hold, credit_type))
        taken = min(amount - from_hold, available(account, credit_type, at.now_ms))
        debt = amount - from_hold - taken
        used: Parts = ()
        if from_hold > 0:
            used, rest = split(left[credit_type].lots, from_hold)
            left[credit_type] = Item(left=left[credit_type].left - from_hold, lots=rest)
        account, parts = take(account, at, credit_type, taken)
        account = with_debt(account, credit_type, debt)
        if amount > 0:
            booked.append(Taken(credit_type=credit_type, amount=amount, debt=debt, lots=used + parts))
    if booked:
        at_ms = spent_at(account, at, request.member) if request.member else None
        account = spend_for(account, at, request.member, {one.credit_type: one.amount for one in booked})
        account = journalled(account, request, kind, tuple(booked), spent_at_ms=at_ms)
    return account, replace(record, items=left, steps={**record.steps, request.op: request.fingerprint})
