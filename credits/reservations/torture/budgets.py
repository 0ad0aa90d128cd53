"""The identities of members: the gate counts what ledger, journal and holds say, and no limit is passed."""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from credits.reservations.torture.ledger_view import LedgerView
from credits.reservations.torture.model import Promises, Violation
from credits.reservations.torture.view import GateAccount, Line, MemberSeen
from credits.reservations.torture.world import ZONES

_DAY_MS: Final = 86_400_000
_MONTHS_MS: Final = [int(datetime(2027, month, 1, tzinfo=UTC).timestamp()) * 1000 for month in (1, 2, 3, 4)]
_LETTERS: Final = "dme"


def check_members(
    account_id: int, account: GateAccount, ledger: LedgerView, lines: list[Line], *, is_whole: bool
) -> None:
    """One account's members against the ledger. `lines` are the account's in the journal."""
    held: Counter[tuple[str, str]] = Counter()
    for hold in account.holds.values():
        if hold.state == "H" and hold.member:
            for item in hold.items:
                held[hold.member, item.credit_type] += item.amount
    counted = {(name, kind): item.held for name, seen in account.members.items() for kind, item in seen.items.items()}
    for name in counted.keys() | held.keys():
        if counted.get(name, 0) != held[name]:
            raise Violation(f"member {name} of {account_id} holds {held[name]}, counted are {counted.get(name, 0)}")
    for member, seen in account.members.items():
        if seen.version is None:
            continue
        _check_calendar(account_id, member, seen, ledger)
        if seen.version == ledger.versions[account_id] and seen.limits != ledger.limits.get((account_id, member), {}):
            raise Violation(
                f"member {member} of {account_id} has {seen.limits}, SQL of the same version says otherwise"
            )
        pending = [
            (item.credit_type, line.spent_at_ms, item.amount)
            for line in lines
            if line.member == member
            for item in line.items
            if (line.journal_id, account_id, item.credit_type) not in ledger.booked
        ]
        _check_used(account_id, member, seen, [*ledger.spent_by[account_id, member], *pending], is_whole=is_whole)


def check_limits(
    account_id: int, before: GateAccount | None, after: GateAccount, new: list[Line], promises: Promises
) -> None:
    """What a member uses may not grow beyond a limit, but by what is known by name to do so."""
    if before is None or before.load != after.load:
        return
    for member, seen in after.members.items():
        was = before.members.get(member)
        if was is None or was.version is None or seen.version is None:
            continue
        if any(line.member == member and line.op in promises.unbound for line in new):
            continue
        for kind, item in seen.items.items():
            earlier = was.items.get(kind)
            for at, letter in enumerate(_LETTERS):
                total = item.held + item.used[at]
                limit = seen.limits.get((kind, letter))
                grew = earlier is None or total > earlier.held + earlier.used[at]
                if limit is None or not grew or total == 0:
                    continue
                amount, raised, until_ms = limit
                most = raised if raised is not None and after.at_ms < (until_ms or 0) else amount
                if total > most:
                    raise Violation(
                        f"member {member} of {account_id} uses {total} {kind}, its limit {letter} is {most}"
                    )
                if after.at_ms >= min(seen.days[1], seen.months[1]):
                    raise Violation(f"member {member} of {account_id} was served at {after.at_ms} beyond {seen.days}")


def check_known_limits(account_id: int, account: GateAccount, ledger: LedgerView) -> None:
    """Once no change waits: whatever the gate knows of a member's limits is what SQL says."""
    for member, seen in account.members.items():
        known = ledger.limits.get((account_id, member), {})
        if seen.version is not None and seen.limits != known:
            raise Violation(f"at rest, member {member} of {account_id} has {seen.limits}, SQL says {known}")


def _check_used(
    account_id: int, member: str, seen: MemberSeen, spent: list[tuple[str, int, int]], *, is_whole: bool
) -> None:
    starts = (seen.days[0], seen.months[0], 0)
    for kind in {name for name, _, _ in spent} | seen.items.keys():
        has = seen.items[kind].used if kind in seen.items else (0, 0, 0)
        for start, counted in zip(starts, has, strict=True):
            truth = sum(amount for name, at_ms, amount in spent if name == kind and at_ms >= start)
            if counted < truth or (is_whole and counted > truth):
                raise Violation(
                    f"member {member} of {account_id} is counted {has} {kind} since {starts}; since {start}: {truth}"
                )


def _check_calendar(account_id: int, member: str, seen: MemberSeen, ledger: LedgerView) -> None:
    """By arithmetic: none of these zones changes its clocks in that winter."""
    if (account_id, None) in ledger.changes:
        return
    offset_ms = 60_000 * ZONES[ledger.zones[account_id]]
    months = [start - offset_ms for start in _MONTHS_MS]
    rest = {(start + offset_ms) % _DAY_MS for start in seen.days}
    steps = {later - earlier for earlier, later in zip(seen.days, seen.days[1:], strict=False)}
    is_right = rest == {0} and steps <= {_DAY_MS} and set(seen.months[:2]) <= set(months)
    if not is_right or seen.months[0] > seen.days[0]:
        raise Violation(f"member {member} of {account_id} has days {seen.days} and months {seen.months}")
