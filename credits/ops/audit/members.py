"""What the gate counts for members, re-added from holds, journal and entries: by its own reading of all three."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from credits.ops.audit.model import Code

Disagreement = tuple[Code, str, object, object]
"""(code, subject, expected, found)"""

_SPENT = text(
    """SELECT credit_type, SUM(CASE WHEN spent_at_ms >= :day THEN -amount ELSE 0 END),
              SUM(CASE WHEN spent_at_ms >= :month THEN -amount ELSE 0 END), SUM(-amount)
       FROM entries WHERE account_id = :account AND member = :member GROUP BY credit_type"""
)
_LIMITS = text(
    """SELECT credit_type, per, amount, raised_to, raised_until_ms FROM member_limits
       WHERE account_id = :account AND member = :member"""
)
_VERSION = text("SELECT mv FROM accounts WHERE id = :account")


@dataclass(frozen=True, slots=True)
class CountedMember:
    """A member as the gate counts it; `version` is None while only its holds are known."""

    name: str
    version: int | None
    day: int
    month: int
    held: dict[str, int]
    spent: dict[str, tuple[int, int, int]]
    """This day, this month, ever."""
    limits: set[str]
    """`<type> <limit as the gate spells it>`."""


@dataclass(frozen=True, slots=True)
class MemberLine:
    """What a line of the journal took for a member."""

    journal_id: str
    member: str
    at: int
    taken: dict[str, int]


def read_member(field: str, value: str) -> CountedMember:
    """One field of an account's hash. Raises ValueError."""
    version, days, months, items = value.split("|")
    held: dict[str, int] = {}
    spent: dict[str, tuple[int, int, int]] = {}
    limits: set[str] = set()
    for item in filter(None, items.split(";")):
        kind, numbers = item.split("=")
        now, day, month, ever, texts = numbers.split(",")
        held[kind], spent[kind] = int(now), (int(day), int(month), int(ever))
        limits |= {f"{kind} {one}" for one in texts.split("+") if one}
    return CountedMember(
        name=plain_name(field.removeprefix("b:")),
        version=int(version) if version else None,
        day=int(days.split(",")[0] or 0),
        month=int(months.split(",")[0] or 0),
        held=held,
        spent=spent,
        limits=limits,
    )


def plain_name(spelled: str) -> str:
    """A name whose bytes other than letters, digits and `_.-~` were spelled %XX. Raises ValueError."""
    first, *rest = spelled.split("%")
    return (first.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)).decode()


def of_holds(members: dict[str, CountedMember], in_holds: dict[tuple[str, str], int]) -> Iterator[Disagreement]:
    """What members hold by their counters and by the open holds' records."""
    counted = {(one.name, kind): n for one in members.values() for kind, n in one.held.items()}
    for name, kind in sorted(counted.keys() | in_holds.keys()):
        found, expected = counted.get((name, kind), 0), in_holds.get((name, kind), 0)
        if found != expected:
            yield Code.GATE_MEMBER_HELD, f"member {name}, {kind}", expected, found


def of_ledger(
    connection: Connection,
    account_id: int,
    members: dict[str, CountedMember],
    lines: list[MemberLine],
    booked: set[tuple[int, str]],
) -> Iterator[Disagreement]:
    """What members have used by their counters, and by entries and lines of the journal; and their limits."""
    for one in members.values():
        if one.version is None:
            continue
        whose = {"account": account_id, "member": one.name}
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for kind, *spent in connection.execute(_SPENT, {**whose, "day": one.day, "month": one.month}):
            sums[kind] = [int(amount) for amount in spent]
        for line in lines:
            if line.member == one.name and (account_id, line.journal_id) not in booked:
                for kind, amount in line.taken.items():
                    for place, start in enumerate((one.day, one.month, 0)):
                        sums[kind][place] += amount if line.at >= start else 0
        for kind in sorted(sums.keys() | one.spent.keys()):
            expected, found = tuple(sums[kind]), one.spent.get(kind, (0, 0, 0))
            if expected != found:
                yield Code.GATE_MEMBER_USED, f"member {one.name}, {kind}: this day, this month, ever", expected, found
        if connection.execute(_VERSION, whose).scalar_one() == one.version:
            told = {_spelled(*row) for row in connection.execute(_LIMITS, whose)}
            if told != one.limits:
                yield Code.GATE_MEMBER_LIMITS, f"member {one.name}: limits", sorted(told), sorted(one.limits)


def _spelled(kind: str, per: str, amount: int, raised_to: int | None, raised_until_ms: int | None) -> str:
    return f"{kind} {per[0]}{amount}" + (f"~{raised_to}~{raised_until_ms}" if raised_to is not None else "")
