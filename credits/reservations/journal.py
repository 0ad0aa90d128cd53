"""Lines of the journal: what the gate took, read back into values. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from credits.ledger.model import DebitKind
from credits.reservations.gate import JournalLine
from credits.reservations.member_names import member_of
from credits.reservations.model import grant_id_of

_MARK: Final = "\x1f"


class UnreadableLineError(Exception):
    """A line that this release cannot read. It stays where it is, and its account waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a debit comes from: a reservation, or somebody's hand with a reason and the key they gave it."""

    reservation_id: str | None = None
    actor: str = "gate"
    reason: str = ""

    def as_text(self) -> str:
        """As the journal carries it. A reservation id never begins with a control character, so the two differ."""
        if self.reservation_id is not None and self == Origin(reservation_id=self.reservation_id):
            return self.reservation_id
        return f"{_MARK}{self.actor}{_MARK}{self.reservation_id or ''}{_MARK}{self.reason}"


def read_origin(text: str) -> Origin:
    """What `Origin.as_text` wrote."""
    if not text.startswith(_MARK):
        return Origin(reservation_id=text or None)
    _, actor, reservation_id, reason = text.split(_MARK, 3)
    return Origin(reservation_id=reservation_id or None, actor=actor, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debit:
    """Credits of one type that one line took: from lots, and on debt."""

    journal_id: str
    """`<epoch>-<stream id>`: tells this line from any other, for ever."""
    stream_id: str
    account_id: int
    op: str
    kind: DebitKind
    fingerprint: str
    reservation_id: str | None
    actor: str
    reason: str
    credit_type: str
    amount: int
    debt: int
    lots: tuple[tuple[int, int], ...]
    """(grant, credits) in the order in which they were taken."""
    member: str | None = None
    """For whom the account spent."""
    spent_at_ms: int | None = None
    """When, by the gate's clock; of members' debits only: it decides which window of their limits they are in."""

    @property
    def key(self) -> str:
        """The ledger's key of the entry: one per op and type, for ever."""
        return f"{self.op}:{self.credit_type}"


def read_line(line: JournalLine) -> tuple[Debit, ...]:
    """The debits of a line, one per credit type. Raises UnreadableLineError."""
    try:
        return tuple(_debit(line, line.fields, item) for item in line.fields["i"].split(";"))
    except (KeyError, ValueError) as error:
        raise UnreadableLineError(f"journal line {line.stream_id}: {error}") from None


def _debit(line: JournalLine, fields: Mapping[str, str], item: str) -> Debit:
    credit_type, _, rest = item.partition("=")
    amount, debt, lots = rest.split(",")
    origin = read_origin(fields["r"])
    debit = Debit(
        journal_id=f"{int(fields['e'])}-{line.stream_id}",
        stream_id=line.stream_id,
        account_id=int(fields["a"]),
        op=fields["op"],
        kind=DebitKind(fields["k"]),
        fingerprint=fields["fp"],
        reservation_id=origin.reservation_id,
        actor=origin.actor,
        reason=origin.reason,
        credit_type=credit_type,
        amount=int(amount),
        debt=int(debt),
        lots=_lots(lots),
        member=member_of(fields["m"]) if "m" in fields else None,
        spent_at_ms=int(fields["t"]) if "m" in fields else None,
    )
    if debit.amount < 1 or debit.debt < 0 or sum(taken for _, taken in debit.lots) + debit.debt != debit.amount:
        raise ValueError(f"{item!r} does not add up")
    return debit


def _lots(text: str) -> tuple[tuple[int, int], ...]:
    """(grant, credits), each grant once: a commit above its hold may take more from a lot that it held from."""
    taken_from: dict[int, int] = {}
    for part in text.split("+") if text else ():
        name, taken = part.split(":")
        grant_id = grant_id_of(name)
        taken_from[grant_id] = taken_from.get(grant_id, 0) + int(taken)
    return tuple(taken_from.items())
