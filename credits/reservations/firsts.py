"""
First answers, remembered in Redis for a day: for requests that leave nothing behind that bears their name.

What changes credits is not among them: its name is the unique key of a hold or of an entry, and kept with it.
"""

from dataclasses import dataclass
from typing import Final

from credits.config.settings import Tenant
from credits.errors import IdempotencyConflictError
from credits.ids import digest
from credits.reservations.gate import Gate
from credits.reservations.keys import PREFIX

KEPT_S: Final = 86_400

ASKED_S: Final = KEPT_S + 3_600
"""What was asked for is known for longer than the answer: no other request ever gets that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firsts:
    """The first answers of one tenant. Raises GateUnavailableError while Redis does not answer."""

    gate: Gate
    tenant: Tenant

    def begin(self, where: str, name: str, content: str) -> str | None:
        """
        Note that `content` was asked for at `where` under `name`; what the first such request was answered, if it was.

        None: carry it out, and `keep` what came of it. One that was killed meanwhile is carried out again.
        Raises IdempotencyConflictError if the name stands for other content.
        """
        wanted = digest(content)
        known = self.gate.set_first(self._key("asked", where, name), wanted, kept_s=ASKED_S)
        if known != wanted:
            raise IdempotencyConflictError(name, first="other content", now="this")
        return self.gate.text_of(self._key("answered", where, name))

    def keep(self, where: str, name: str, answer: str) -> str:
        """Remember the answer, unless another request of this name was faster; answers the first one."""
        return self.gate.set_first(self._key("answered", where, name), answer, kept_s=KEPT_S)

    def _key(self, what: str, where: str, name: str) -> str:
        return f"{PREFIX}{what}:{digest(self.tenant.value, where, name)}"
