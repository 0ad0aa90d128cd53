"""What members may use and have used: windows, limits, and the sums that the scripts keep as counters."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from credits.reservations.model import Answer, HoldState
from credits.reservations.rules.account import Account, Budget, Hold, Moment, Request, Spent, Words, left_of

_LIMIT: Final = re.compile(r"([dme])(\d+)(?:~(\d+)~(\d+))?")
_WINDOWS: Final = {"d": "day", "m": "month", "e": "ever"}


def is_known(account: Account, at: Moment, member: str) -> bool:
    """Whether a call for this member may go on: its limits are known, and so is the calendar."""
    budget = account.members.get(member)
    return not member or (budget is not None and min(budget.days[-1], budget.months[-1]) > at.sure_ms)


def asks_for(at: Moment, member: str) -> Words:
    """The answer where a member has to be loaded first (without the account's load, which only the gate knows)."""
    return (Answer.MEMBER, member, str(at.sure_ms))


def running(starts: tuple[int, ...], at_ms: int) -> tuple[int, ...]:
    """A calendar from the window of an instant on; of one that is over, what it ended with."""
    begun = [start for start in starts[1:] if start <= at_ms]
    return starts[len(begun) :]


def held_for(account: Account, member: str, credit_type: str) -> int:
    """What the member's open holds have."""
    holds = (hold for hold in account.holds.values() if hold.state is HoldState.HELD and hold.member == member)
    return sum(left_of(hold, credit_type) for hold in holds)


def used(budget: Budget, credit_type: str, at_ms: int) -> tuple[int, int, int]:
    """Committed this day, this month, in all."""
    day, month = running(budget.days, at_ms)[0], running(budget.months, at_ms)[0]
    spent = [one for one in budget.spent if one.credit_type == credit_type]
    before = budget.before.get(credit_type, (0, 0, 0))
    return (
        sum(one.amount for one in spent if one.at_ms >= day) + (before[0] if day == budget.first_day_ms else 0),
        sum(one.amount for one in spent if one.at_ms >= month) + (before[1] if month == budget.first_month_ms else 0),
        sum(one.amount for one in spent) + before[2],
    )


def excess(
    account: Account, at: Moment, member: str, items: Mapping[str, int], hold: Hold | None = None
) -> tuple[str, ...]:
    """(type, window, limit, used, asked for beyond the hold, end of the window) of each limit that would be passed."""
    words: list[str] = []
    if not member:
        return ()
    budget = account.members[member]
    days, months = running(budget.days, at.sure_ms), running(budget.months, at.sure_ms)
    for credit_type, amount in items.items():
        more = amount - min(amount, left_of(hold, credit_type))
        committed = dict(zip("dme", used(budget, credit_type, at.sure_ms), strict=True))
        for letter, limit, raised, until in _LIMIT.findall(budget.limits.get(credit_type, "")):
            most = int(raised) if raised and at.now_ms < int(until) else int(limit)
            total = held_for(account, member, credit_type) + committed[letter]
            if more > 0 and more > most - total:
                end = {"d": days[1], "m": months[1], "e": 0}[letter]
                words += [credit_type, _WINDOWS[letter], str(most), str(total), str(more), str(end)]
    return tuple(words)


def spend_for(account: Account, at: Moment, member: str, items: Mapping[str, int]) -> Account:
    """Count what a member spends in the windows of now."""
    if not member:
        return account
    budget = account.members[member]
    spent = (Spent(credit_type=name, amount=n, at_ms=spent_at(account, at, member)) for name, n in items.items())
    return _with(account, member, replace(budget, spent=(*budget.spent, *spent)))


def spent_at(account: Account, at: Moment, member: str) -> int:
    """When a member spends: never before the windows that it is counted in."""
    budget = account.members[member]
    return max(at.sure_ms, running(budget.days, at.sure_ms)[0], running(budget.months, at.sure_ms)[0])


def unspend_for(account: Account, member: str, spent: Spent) -> Account:
    """Count no more what was counted before."""
    budget = account.members[member]
    place = budget.spent.index(spent)
    return _with(account, member, replace(budget, spent=budget.spent[:place] + budget.spent[place + 1 :]))


def load_member(account: Account, at: Moment, member: str, said: Budget) -> tuple[Account, Words]:
    """Take limits of a version that is not older, a calendar that goes on, and what was used if nothing is known."""
    known = account.members.get(member)
    if known is None:
        return _with(account, member, said), (Answer.LOADED,)
    budget = replace(
        known,
        days=_continued(running(known.days, at.sure_ms), said.days),
        months=_continued(running(known.months, at.sure_ms), said.months),
    )
    if said.version >= known.version:
        budget = replace(budget, version=said.version, limits=said.limits)
    return _with(account, member, budget), (Answer.LOADED,)


def request_of(request: Request, hold: Hold | None) -> Request:
    """A commit as it counts: the hold knows whose it is, if it is there."""
    return request if hold is None else replace(request, member=hold.member)


def _continued(known: tuple[int, ...], said: tuple[int, ...]) -> tuple[int, ...]:
    is_over = len(known) == 1
    return said if said[0] == known[0] or (is_over and said[0] > known[0]) else known


def _with(account: Account, member: str, budget: Budget) -> Account:
    return replace(account, members={**account.members, member: budget})
