"""Deductions by hand: through the gate like every debit, with who and why in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping

from credits.db import snapshot
from credits.errors import (
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    LedgerPendingError,
    Shortage,
)
from credits.ids import checked_id, checked_text, digest
from credits.ledger import store as ledger_store
from credits.ledger.model import MAX_ACTOR_LENGTH, MAX_REASON_LENGTH, DebitKind, Posted
from credits.reservations import answers
from credits.reservations.asks import Ask, database_needed
from credits.reservations.checks import checked_items, checked_member, flat
from credits.reservations.journal import Origin
from credits.reservations.member_names import gate_name
from credits.reservations.model import Answer, Durability
from credits.reservations.scripts import Verb
from credits.reservations.service import Reservations
from credits.units import checked_amount

_OLD_KEY: Final = "manual:"
"""What a grant by hand is keyed by, and what deductions were before there was a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduction:
    """Credits to be taken out by hand."""

    account: str
    credit_type: str
    amount: int
    key: str
    actor: str
    reason: str
    member: str | None = None

    @property
    def fingerprint(self) -> str:
        whose = () if self.member is None else (self.member,)
        return digest("deduct", self.account, self.credit_type, self.amount, *whose)


def deduction(
    *,
    account: str,
    credit_type: str,
    amount: int,
    key: str,
    actor: str,
    reason: str,
    member: str | None = None,
) -> Deduction:
    """A deduction with every field within its bounds. Raises InvalidInputError."""
    checked_text(actor, "actor", max_length=MAX_ACTOR_LENGTH)
    if not actor.isprintable():
        raise InvalidInputError("actor", "must have printable characters only")
    return Deduction(
        account=checked_id(account, "account"),
        credit_type=credit_type,
        amount=checked_amount(amount),
        key=checked_id(key, "key"),
        actor=actor,
        reason=checked_text(reason, "reason", max_length=MAX_REASON_LENGTH),
        member=checked_member(member),
    )


def deduct(gate: Reservations, order: Deduction) -> Posted:
    """
    Take credits out in burn order, once per key, and answer the ledger's entry.

    Raises:
        InsufficientCreditsError: fewer are available; nothing was taken, and the key may be used again.
        IdempotencyConflictError: the key was used before for something else, by a grant by hand too.
        LedgerPendingError: taken, but the database does not answer; repeat it with the same key.
    """
    wanted = checked_items({order.credit_type: order.amount}, gate.credit_types)
    earlier = _earlier(gate, order)
    if earlier is not None:
        return earlier
    account_id = gate.account_id(order.account)
    if account_id is None:
        raise answers.nothing_there(wanted)
    ask = _ask(gate, account_id, order)
    answered = gate.call(ask)
    committed = gate.acknowledged(ask, answered, Durability.LEDGER)
    entry = None if committed.is_pending else _find(gate, [f"{ask.op}:{order.credit_type}"])
    if entry is None:
        raise LedgerPendingError(f"{order.amount} {order.credit_type} of {order.account} are taken, not yet booked")
    return _posted(entry, order, replayed=answered.words[0] == Answer.REPLAYED)


def rehearse(gate: Reservations, order: Deduction) -> Posted:
    """What `deduct` would answer now, with nothing changed; the same errors. The entry's number is a guess: 0."""
    checked_items({order.credit_type: order.amount}, gate.credit_types)
    earlier = _earlier(gate, order)
    if earlier is not None:
        return earlier
    free = gate.available(order.account, order.credit_type)
    if free < order.amount:
        raise InsufficientCreditsError(Shortage(order.credit_type, order.amount, free))
    found = gate.balances(order.account)[order.credit_type]
    return Posted(
        account=order.account,
        credit_type=order.credit_type,
        key=order.key,
        seq=0,
        amount=-order.amount,
        balance_after=found.balance - found.pending - order.amount,
        replayed=False,
    )


def _op(gate: Reservations, order: Deduction) -> str:
    # Of the key alone: one key deducts once, whatever account or type it comes with the second time.
    return f"m:{digest(gate.tenant.value, order.key)[:32]}"


def _ask(gate: Reservations, account_id: int, order: Deduction) -> Ask:
    op, now_ms, receipt_ms = _op(gate, order), gate.runtime.clock(), gate.runtime.receipt_ms
    origin = Origin(reservation_id=order.key, actor=order.actor, reason=order.reason).as_text()
    hold, kind = op.removeprefix("m:"), DebitKind.DEDUCT.value
    whose, items = gate_name(order.member), flat({order.credit_type: order.amount})
    return Ask(
        account_id=account_id,
        name=order.key,
        verb=Verb.SPEND,
        args=(account_id, now_ms, hold, op, order.fingerprint, kind, receipt_ms, origin, whose, *items),
        op=op,
        content=order.fingerprint,
    )


def _earlier(gate: Reservations, order: Deduction) -> Posted | None:
    """The answer to a key that the ledger knows. Raises IdempotencyConflictError."""
    op = _op(gate, order)
    keys = [f"{_OLD_KEY}{order.key}", *(f"{op}:{credit_type}" for credit_type in gate.credit_types)]
    entry = _find(gate, keys)
    if entry is None:
        return None
    if entry["fingerprint"] != order.fingerprint:
        raise IdempotencyConflictError(
            order.key,
            first=f"{entry['kind']} of {abs(entry['amount'])} {entry['credit_type']} for {entry['external_id']}",
            now=f"deduct of {order.amount} {order.credit_type} for {order.account}",
        )
    return _posted(entry, order, replayed=True)


def _find(gate: Reservations, keys: Sequence[str]) -> RowMapping | None:
    with database_needed(), snapshot(gate.runtime.engine) as connection:
        return ledger_store.find_first_entry(connection, gate.tenant, keys)


def _posted(entry: RowMapping, order: Deduction, *, replayed: bool) -> Posted:
    return Posted(
        account=entry["external_id"],
        credit_type=entry["credit_type"],
        key=order.key,
        seq=entry["seq"],
        amount=entry["amount"],
        balance_after=entry["balance_after"],
        replayed=replayed,
    )
