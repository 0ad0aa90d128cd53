"""What the gate says of an account, with nothing changed; and how every call of it is asked."""

from dataclasses import dataclass, field
from typing import Final

from credits.config.settings import Tenant
from credits.db import glance
from credits.errors import InvalidInputError
from credits.errors.tree import shown
from credits.ids import checked_id
from credits.ledger import store as ledger_store
from credits.ledger.model import Balance
from credits.ledger.service import MAX_ROWS
from credits.reservations import answers
from credits.reservations.asks import Ask, database_needed
from credits.reservations.checks import hold_name
from credits.reservations.protocol import NOT_READY, Answered, ask_once, in_its_epoch
from credits.reservations.records import HoldRecord
from credits.reservations.scripts import Verb
from credits.reservations.steps import GateRuntime, run

_MAX_REMEMBERED: Final = 100_000


@dataclass(slots=True)
class Looking:
    """The looks of one tenant. Safe to share between threads."""

    runtime: GateRuntime
    tenant: Tenant
    credit_types: tuple[str, ...]
    _account_ids: dict[str, int] = field(default_factory=dict)

    def balances(self, account: str) -> dict[str, Balance]:
        """
        Per credit type: the ledger's balance, what is held, pending and available, and the debt, at this instant.

        `pending` is what was committed and is not in the ledger yet; `balance` does not know of it yet.
        """
        account_id = self.account_id(account)
        if account_id is None:
            return {}
        with database_needed(), glance(self.runtime.engine) as connection:
            booked = {kind: sum_ for kind, sum_, _ in ledger_store.all_balances(connection, account_id)}
        answer = self.words(account_id, Verb.READ, self.runtime.receipt_ms, *booked)
        found = {}
        for at in range(1, len(answer), 6):
            kind, free, held, pending, debt = answer[at], *(int(word) for word in answer[at + 1 : at + 5])
            found[kind] = Balance(balance=booked[kind], held=held, pending=pending, available=free, debt=debt)
        return found

    def available(self, account: str, credit_type: str) -> int:
        """What could be reserved of one type right now."""
        account_id = self.account_id(account)
        if account_id is None:
            return 0
        return int(self.words(account_id, Verb.READ, self.runtime.receipt_ms, credit_type)[2])

    def holds(self, account: str, *, limit: int = 100, after: tuple[int, str] | None = None) -> list[HoldRecord]:
        """Open holds, the soonest due first; `after` goes on behind the hold of this deadline and name in Redis."""
        if type(limit) is not int or not 1 <= limit <= MAX_ROWS:
            raise InvalidInputError("limit", f"must be a whole number from 1 to {MAX_ROWS}, got {shown(limit)}")
        account_id = self.account_id(account)
        if account_id is None:
            return []
        return answers.hold_records(
            self.words(account_id, Verb.LIST_HOLDS, self.runtime.receipt_ms, limit, "", *(after or ()))
        )

    def find(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id, one that ended included while Redis remembers it."""
        name = checked_id(reservation_id, "reservation_id")
        account_id = self.account_id(account)
        if account_id is None:
            return None
        hold = hold_name(self.tenant, account_id, name)
        found = answers.hold_records(self.words(account_id, Verb.LIST_HOLDS, self.runtime.receipt_ms, 1, hold))
        return found[0] if found else None

    def call(self, ask: Ask) -> Answered:
        """Ask the gate, and let the account be loaded first if it has to."""
        told = ask_once(self.runtime, ask.account_id, ask.verb, ask.args)
        if told.words[0] not in NOT_READY:
            return told
        with database_needed():
            return run(self.runtime, in_its_epoch(self.runtime, ask.account_id, ask.verb, ask.args, told=told))

    def account_id(self, account: str) -> int | None:
        """The internal id of an account; None if it never had credits. Ids never change, so they are remembered."""
        name = checked_id(account, "account")
        known = self._account_ids.get(name)
        if known is not None:
            return known
        with database_needed(), glance(self.runtime.engine) as connection:
            found = ledger_store.find_account(connection, self.tenant, name)
        if found is not None:
            if len(self._account_ids) >= _MAX_REMEMBERED:
                self._account_ids.clear()
            self._account_ids[name] = found
        return found

    def words(self, account_id: int, verb: Verb, *args: str | int) -> list[str]:
        """What a verb answers that takes epoch and time in front of `args`."""
        ask = Ask(account_id=account_id, name="", verb=verb, args=(self.runtime.clock(), *args))
        return self.call(ask).words
