"""What the checks know of time: a hold lasts as long as its client asked for, whichever clock went wrong meanwhile."""

from typing import Any, Final

from credits.reservations.model import Answer
from credits.reservations.scripts import Verb
from credits.reservations.steps import Call
from credits.reservations.torture.model import Violation
from credits.reservations.torture.view import GateAccount

TOLERANCE_MS: Final = 185_000
"""A minute for clocks that differ, two more while the server's is two minutes behind, and the callers' own seconds."""


class Deadlines:
    """When each hold should end, by true time."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}

    def note(self, call: Call, answer: list[Any], now_ms: int) -> None:
        """A hold was made or extended."""
        if call.verb is Verb.RESERVE and answer[0] == Answer.HELD:
            self._due[str(call.args[2])] = now_ms + int(call.args[4])
        elif call.verb is Verb.EXTEND and answer[0] == Answer.EXTENDED:
            hold = str(call.args[2])
            if hold in self._due:
                self._due[hold] = max(self._due[hold], now_ms + int(call.args[3]))

    def forget(self) -> None:
        """Redis may have lost holds, or what it knew of its clock."""
        self._due.clear()

    def check(self, call: Call, answer: list[Any], account: GateAccount, now_ms: int) -> None:
        """After a call on a live account: no hold ended early, none that the call should have freed is left."""
        for name, hold in account.holds.items():
            due = self._due.get(name)
            # A load gives up holds for which the ledger no longer has the credits.
            if due is None or call.verb is Verb.FINISH_LOAD:
                continue
            if hold.state == "X" and now_ms < due - TOLERANCE_MS:
                raise Violation(f"hold {name} ended {due - now_ms} ms early")
            # A caller who was stalled for hours ends nothing that was open when its call left.
            if hold.state == "H" and answer[0] == Answer.READ and min(now_ms, _told(call)) > due + TOLERANCE_MS:
                raise Violation(f"hold {name} is held {now_ms - due} ms too long")
            if hold.state != "H":
                del self._due[name]


def _told(call: Call) -> int:
    """Up to when a call that reads may end something: a minute beyond its caller's clock."""
    return int(call.args[1]) + 60_000
