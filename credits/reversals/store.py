"""SQL of reversals. Every function runs in the caller's transaction; none commits."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, case, func, literal, or_, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ledger.model import DebitKind, EntryKind
from credits.ledger.orders import commands
from credits.ledger.tables import accounts, entries, entry_lots, grants
from credits.reversals.model import (
    CHANGE_OP,
    DISPUTE_RANK,
    REFUND_RANK,
    Dispute,
    DisputeState,
    LotState,
    PaidBack,
    Refund,
    RefundState,
    ReturnOf,
    Targets,
)
from credits.reversals.tables import payment_names, payments, reversals, reversed_lots

_GONE: Final = (DebitKind.EXPIRE, DebitKind.RESET)
"""Debits after which nobody has had the use of the credits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A refund or a dispute, as an event shows it; or that money of one came back (`state` says of which kind)."""

    ref: str
    amount_minor: int | None
    """None: the whole payment."""
    state: RefundState | DisputeState | ReturnOf
    is_counted: bool = True


def note_reversal(connection: Connection, tenant: Tenant, payment_id: int, reversal: Reversal, *, now_ms: int) -> bool:
    """Keep a refund or dispute, in the latest state that any event showed; True if this changed something."""
    values = {"amount_minor": reversal.amount_minor, "state": reversal.state, "updated_at_ms": now_ms}
    fresh = insert_new(
        connection,
        reversals,
        {
            "tenant": tenant,
            "payment_id": payment_id,
            "ref": reversal.ref,
            "kind": _kind(reversal.state),
            "is_counted": int(reversal.is_counted),
            "created_at_ms": now_ms,
            **values,
        },
        unique=("tenant", "ref"),
        returning=("id",),
    )
    if fresh is not None:
        return True
    of_ref = (reversals.c.tenant == tenant) & (reversals.c.ref == reversal.ref)
    before = connection.execute(select(reversals.c.state).where(of_ref)).scalar_one()
    if _rank(reversal.state) <= _rank(type(reversal.state)(before)):
        return False
    connection.execute(update(reversals).where(of_ref).values(**values))
    return True


def note_count(connection: Connection, payment_id: int, refunded_minor: int) -> bool:
    """Keep the highest count of refunded money that the provider ever gave; True if this is higher than before."""
    result = connection.execute(
        update(payments)
        .where(payments.c.id == payment_id, payments.c.counted_minor < refunded_minor)
        .values(counted_minor=refunded_minor)
    )
    return result.rowcount == 1


def paid_back(connection: Connection, payment: RowMapping) -> PaidBack | None:
    """What is known of the payment's money; None if no event has said what was paid."""
    paid_minor = payment["paid_minor"]
    if paid_minor is None:
        return None
    rows = list(connection.execute(select(reversals).where(reversals.c.payment_id == payment["id"])).mappings())

    def amount(row: RowMapping) -> int:
        return int(paid_minor if row["amount_minor"] is None else row["amount_minor"])

    def returned(kind: ReturnOf) -> int:
        return sum(amount(row) for row in rows if row["kind"] == "return" and row["state"] == kind)

    return PaidBack(
        paid_minor=paid_minor,
        counted_minor=payment["counted_minor"],
        refunds_returned_minor=returned(ReturnOf.REFUND),
        disputes_returned_minor=returned(ReturnOf.DISPUTE),
        refunds=[
            Refund(amount_minor=amount(row), state=RefundState(row["state"]), is_counted=bool(row["is_counted"]))
            for row in rows
            if row["kind"] == "refund"
        ],
        disputes=[
            Dispute(amount_minor=amount(row), state=DisputeState(row["state"]))
            for row in rows
            if row["kind"] == "dispute"
        ],
    )


def last_cause(connection: Connection, payment_id: int) -> str | None:
    """The refund or dispute that was seen last of a payment, or what was only counted; None if nothing went back."""
    query = (
        select(reversals.c.ref)
        .where(reversals.c.payment_id == payment_id)
        .order_by(reversals.c.updated_at_ms.desc(), reversals.c.id.desc())
        .limit(1)
    )
    seen: str | None = connection.execute(query).scalar_one_or_none()
    if seen is not None:
        return seen
    counted = (
        select(payments.c.counted_minor, func.min(payment_names.c.name).label("name"))
        .join(payment_names, payment_names.c.payment_id == payments.c.id)
        .where(payments.c.id == payment_id, payments.c.counted_minor > 0)
        .group_by(payments.c.id, payments.c.counted_minor)
    )
    row = connection.execute(counted).one_or_none()
    return None if row is None else f"{row.name}:refunded:{row.counted_minor}"


def lots_of(connection: Connection, tenant: Tenant, payment_id: int) -> list[RowMapping]:
    """The grants that a payment made, in the order in which they were made."""
    names = select(payment_names.c.name).where(payment_names.c.payment_id == payment_id)
    query = (
        select(grants, accounts.c.external_id)
        .join(accounts, accounts.c.id == grants.c.account_id)
        .where(grants.c.tenant == tenant, grants.c.source_ref.in_(names))
        .order_by(grants.c.id)
    )
    return list(connection.execute(query).mappings())


def target_of(connection: Connection, grant_id: int) -> Targets:
    """What is wanted of a lot so far."""
    row = connection.execute(select(reversed_lots).where(reversed_lots.c.grant_id == grant_id)).one_or_none()
    return Targets(clawed=0, frozen=0) if row is None else Targets(clawed=row.wanted_clawed, frozen=row.wanted_frozen)


def set_target(connection: Connection, grant: RowMapping, values: dict[str, Any]) -> None:
    """Say what of a lot is to be taken back and frozen; `values` are columns of reversed_lots."""
    row = {
        "grant_id": grant["id"],
        "tenant": grant["tenant"],
        "account_id": grant["account_id"],
        **dict.fromkeys(("clawed", "forgiven", "judged", "steps", "looks"), 0),
        **values,
    }
    if insert_new(connection, reversed_lots, row, unique=("grant_id",), returning=("grant_id",)) is None:
        connection.execute(update(reversed_lots).where(reversed_lots.c.grant_id == grant["id"]).values(**values))


def read_lot(connection: Connection, grant_id: int) -> RowMapping:
    """A reversed lot with its grant. Lock its account first."""
    query = (
        select(
            reversed_lots,
            grants.c.credit_type,
            grants.c.amount.label("granted"),
            grants.c.remaining,
            grants.c.frozen,
        )
        .join(grants, grants.c.id == reversed_lots.c.grant_id)
        .where(reversed_lots.c.grant_id == grant_id)
    )
    return connection.execute(query).mappings().one()


def state_of(connection: Connection, lot: RowMapping) -> LotState:
    """A grant, and how far the clawback of it has come, if there was any."""
    row = connection.execute(select(reversed_lots).where(reversed_lots.c.grant_id == lot["id"])).one_or_none()
    return LotState(
        granted=lot["amount"],
        remaining=lot["remaining"],
        frozen=lot["frozen"],
        **gone_of(connection, lot["id"]),
        clawed=0 if row is None else row.clawed,
        forgiven=0 if row is None else row.forgiven,
        judged=0 if row is None else row.judged,
    )


def change_lot(connection: Connection, grant_id: int, values: dict[str, Any]) -> None:
    """Write down how far a reversed lot has come."""
    connection.execute(update(reversed_lots).where(reversed_lots.c.grant_id == grant_id).values(**values))


def gone_of(connection: Connection, grant_id: int) -> dict[str, int]:
    """How many credits of a lot ended without being used, as LotState has them: `lapsed` and `returned`."""
    returned = case((entries.c.key.startswith(CHANGE_OP, autoescape=True), entry_lots.c.amount), else_=0)
    lapsed = case((entries.c.kind.in_(_GONE), entry_lots.c.amount), else_=0) - case(
        (entries.c.kind.in_(_GONE), returned), else_=0
    )
    query = (
        select(func.coalesce(func.sum(lapsed), 0), func.coalesce(func.sum(returned), 0))
        .join(entries, entries.c.id == entry_lots.c.entry_id)
        .where(entry_lots.c.grant_id == grant_id, entries.c.kind.in_((*_GONE, EntryKind.RESTORE)))
    )
    gone, gone_with_changes = connection.execute(query).one()
    of_lot = reversed_lots.c.grant_id == grant_id
    adopted = connection.execute(select(reversed_lots.c.adopted).where(of_lot)).scalar_one_or_none() or 0
    return {"lapsed": -int(gone), "returned": -int(gone_with_changes) - adopted}


def adopt(connection: Connection, grant_id: int, amount: int) -> None:
    """Count as clawed what a change of plan took of a lot. Nothing moves: it is gone, and only for another reason."""
    connection.execute(
        update(reversed_lots)
        .where(reversed_lots.c.grant_id == grant_id)
        .values(clawed=reversed_lots.c.clawed + amount, adopted=reversed_lots.c.adopted + amount)
    )


def look_again(connection: Connection, grant_id: int, *, now_ms: int) -> None:
    """Something else has given a lot back what it took: look at what refunds take of it, once no order is under way."""
    of_lot = (reversed_lots.c.grant_id == grant_id) & reversed_lots.c.op.is_(None)
    connection.execute(update(reversed_lots).where(of_lot).values(due_at_ms=now_ms))


def command_of(connection: Connection, tenant: str, op: str) -> RowMapping:
    """The order with this op."""
    return connection.execute(select(commands).where(commands.c.tenant == tenant, commands.c.op == op)).mappings().one()


def due_lots(connection: Connection, *, now_ms: int, limit: int) -> list[tuple[int, int]]:
    """(account, grant) of lots whose order was carried out, or whose held credits are to be looked for again."""
    done = (
        select(literal(1))
        .where(
            commands.c.tenant == reversed_lots.c.tenant,
            commands.c.op == reversed_lots.c.op,
            commands.c.state == "done",
        )
        .exists()
    )
    query = (
        select(reversed_lots.c.account_id, reversed_lots.c.grant_id)
        .where(or_(reversed_lots.c.op.is_not(None) & done, reversed_lots.c.due_at_ms <= now_ms))
        .order_by(reversed_lots.c.account_id, reversed_lots.c.grant_id)
        .limit(limit)
    )
    return [(row.account_id, row.grant_id) for row in connection.execute(query)]


def reversals_of(connection: Connection, payment_id: int) -> list[RowMapping]:
    """The refunds and disputes of a payment, the oldest first."""
    query = select(reversals).where(reversals.c.payment_id == payment_id).order_by(reversals.c.id)
    return list(connection.execute(query).mappings())


def _kind(state: RefundState | DisputeState | ReturnOf) -> str:
    match state:
        case RefundState():
            return "refund"
        case DisputeState():
            return "dispute"
        case ReturnOf():
            return "return"


def _rank(state: RefundState | DisputeState | ReturnOf) -> int:
    match state:
        case RefundState():
            return REFUND_RANK[state]
        case DisputeState():
            return DISPUTE_RANK[state]
        case ReturnOf():
            return 0
