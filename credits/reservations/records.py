"""A hold's record in Redis, read back into a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credits.clock import iso
from credits.reservations.member_names import member_of
from credits.reservations.model import HoldState

_MARK = "\x1e"
"""Stands around the member in front of a hold's name; no name begins with a control character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRecord:
    """A hold as Redis has it."""

    hold: str
    reservation_id: str
    member: str | None = None
    state: HoldState
    made_at_ms: int
    due_at_ms: int
    """When an open hold is freed, or the receipt of an ended one forgotten."""
    left: Mapping[str, int]
    """What it still holds, per credit type."""
    steps: int
    """How many commits it has had."""


def read_record(hold: str, text: str) -> HoldRecord:
    """What the script wrote as `<state>|<due>|<made>|<load>|<fingerprint>|<items>|<steps>|<name>`."""
    state, due, made, _load, _fingerprint, items, steps, name = text.split("|", 7)
    member = None
    if name.startswith(_MARK):
        _, whose, name = name.split(_MARK, 2)
        member = member_of(whose)
    return HoldRecord(
        hold=hold,
        reservation_id=name,
        member=member,
        state=HoldState(state),
        made_at_ms=int(made),
        due_at_ms=int(due.partition("~")[0]),
        left={
            kind: int(rest.split(",", 1)[0])
            for kind, _, rest in (part.partition("=") for part in items.split(";") if part)
        },
        steps=steps.count("="),
    )


def hold_json(record: HoldRecord) -> dict[str, Any]:
    """A hold as every face shows it."""
    return {
        "reservation_id": record.reservation_id,
        "member": record.member,
        "state": record.state.name.lower(),
        "items": dict(record.left),
        "commits": record.steps,
        "made_at": iso(record.made_at_ms),
        "expires_at": iso(record.due_at_ms),
    }
