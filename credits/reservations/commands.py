"""Debits that SQL orders and the gate carries out: expiries and clawbacks. Each once, by its op."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from credits.config.settings import Tenant
from credits.ids import digest
from credits.ledger.model import DebitKind
from credits.ledger.orders import order_command
from credits.reservations import store
from credits.reservations.epochs import learn_epoch
from credits.reservations.journal import Origin
from credits.reservations.keys import shard_of
from credits.reservations.model import Answer, lot_name
from credits.reservations.protocol import in_its_epoch
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import GateRuntime, Sql, Steps

_EXPIRY_REASON: Final = "lapsed"


def run_command(runtime: GateRuntime, command: Mapping[str, Any]) -> Steps[bool]:
    """
    Carry one order out; False if the gate refused it, or is in another epoch by now.

    What the gate took is booked, and the order closed with it, by settlement; an order that found nothing to take is
    closed here. Killed anywhere, or its line lost with a Redis, it stays open and is carried out again.
    """
    account_id, op = command["account_id"], command["op"]
    origin = Origin(actor=command["actor"], reason=command["reason"])
    answered = yield from in_its_epoch(
        runtime,
        account_id,
        Verb.TAKE_LOTS,
        (
            account_id,
            runtime.clock(),
            digest(op)[:32],
            op,
            command["fingerprint"],
            command["kind"],
            runtime.receipt_ms,
            origin.as_text(),
            command["credit_type"],
            command["amount"],
            command["allow_debt"],
            *(lot_name(grant_id) for grant_id in command["grant_ids"]),
        ),
    )
    answer, shard = answered.words, shard_of(account_id)
    if answer[0] not in {Answer.TAKEN, Answer.REPLAYED}:
        return False
    if int(answer[1]) + int(answer[2]) > 0:
        # Its line is in the journal or on the books, or a Redis has lost it: then the order is still to be carried out.
        # Only who books the line knows.
        yield from settle(runtime, shard)
        return True
    closed: bool = yield Sql(_closing(shard, answered.epoch, command["id"], runtime.clock()))
    if not closed:
        yield from learn_epoch(runtime, shard)
    return closed


def order_expiries(connection: Connection, *, now_ms: int, limit: int = 500, pause_ms: int = 0) -> int:
    """
    Order the expiry of every lapsed lot that still has credits on the books; answers how many orders it wrote.

    Credits under hold lapse when their hold ends: a later sweep orders those, under the next number.
    """
    written = 0
    for lot in store.lapsed_lots(connection, now_ms=now_ms, limit=limit, pause_ms=pause_ms):
        number = store.count_expiries(connection, lot["account_id"], lot["id"])
        op = f"expire:{lot['id']}:{number}"
        written += order_command(
            connection,
            Tenant(lot["tenant"]),
            lot["account_id"],
            kind=DebitKind.EXPIRE,
            credit_type=lot["credit_type"],
            amount=lot["remaining"],
            grant_ids=[lot["id"]],
            allow_debt=False,
            op=op,
            fingerprint=digest(op)[:32],
            actor="gate",
            reason=_EXPIRY_REASON,
            now_ms=now_ms,
        )
    return written


def _closing(shard: int, epoch: int, command_id: int, now_ms: int) -> Callable[[Connection], bool]:
    def close(connection: Connection) -> bool:
        # That a Redis of an epoch that is over found nothing to take says nothing about the one of now.
        if store.read_epoch(connection, shard) != epoch:
            return False
        store.close_command(connection, command_id, taken=0, now_ms=now_ms)
        return True

    return close
