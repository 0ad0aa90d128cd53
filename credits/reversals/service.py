"""Use cases of reversals: set what is to be taken back of a payment's lots, and go step by step until it is."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.config.shortfall import Shortfall
from credits.errors import PaidUnknownError
from credits.ids import digest
from credits.ledger import moves
from credits.ledger.locks import lock_accounts
from credits.ledger.model import DebitKind
from credits.ledger.moves import Move
from credits.ledger.orders import order_command
from credits.reversals import blocks, payments, rules, store
from credits.reversals.model import LotState, Plan, Step, Targets

# An op has at most 128 characters, and ends with the lot, the step's number and the credit type.
_MAX_CAUSE: Final = 64
_LOOK_AGAIN_MS: Final = (5_000, 15_000, 60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retargeted:
    """One lot after its payment's refunds and disputes were weighed anew."""

    grant_id: int
    account: str
    payment: str
    """As the lot names it."""
    credit_type: str
    granted: int
    before: Targets
    wanted: Targets


def retarget(
    connection: Connection,
    tenant: Tenant,
    payment_id: int,
    catalogue: Catalogue,
    *,
    cause: str,
    actor: str,
    event_id: int | None,
    now_ms: int,
) -> list[Retargeted]:
    """
    Weigh all that is known of a payment's money, and begin whatever its lots need; answers every lot of it.

    Safe to repeat: what is wanted already changes nothing. Locks the payment, then its accounts.
    Raises PaidUnknownError if money went back and no event said how much was paid.
    """
    payment = payments.lock_payment(connection, payment_id)
    back = store.paid_back(connection, payment)
    lots = store.lots_of(connection, tenant, payment_id)
    if back is None:
        if lots and (payment["counted_minor"] or store.last_cause(connection, payment_id)):
            raise PaidUnknownError(cause)
        return []
    lock_accounts(connection, {lot["account_id"] for lot in lots})
    return [
        _retarget_lot(
            connection,
            lot,
            rules.targets(lot["amount"], back),
            {"shortfall": policy_of(catalogue, lot["credit_type"]), "cause": cause, "actor": actor},
            event_id=event_id,
            now_ms=now_ms,
        )
        for lot in lots
    ]


def lock_payment_of(connection: Connection, tenant: Tenant, source_ref: str) -> int | None:
    """
    Keep refunds and disputes of what was paid for off until the transaction ends; None if no payment is called so.

    For who grants more of a payment later on: call it before the account is locked, and `weigh_anew` afterwards.
    """
    payment_id = payments.find_payment(connection, tenant, [source_ref])
    return None if payment_id is None else int(payments.lock_payment(connection, payment_id)["id"])


def weigh_anew(connection: Connection, tenant: Tenant, payment_id: int, catalogue: Catalogue, *, now_ms: int) -> None:
    """Take from what a payment has just granted the share that went back of its money before."""
    cause = store.last_cause(connection, payment_id)
    if cause is not None:
        retarget(connection, tenant, payment_id, catalogue, cause=cause, actor="gate", event_id=None, now_ms=now_ms)


def advance_due(connection: Connection, *, now_ms: int, limit: int = 200) -> int:
    """Take the next step with every lot whose last one is done, or that waited long enough; answers how many."""
    blocks.forget_repaid(connection)
    due = store.due_lots(connection, now_ms=now_ms, limit=limit)
    lock_accounts(connection, {account_id for account_id, _ in due})
    for _, grant_id in due:
        advance(connection, grant_id, event_id=None, now_ms=now_ms)
    return len(due)


def advance(connection: Connection, grant_id: int, *, event_id: int | None, now_ms: int) -> None:
    """
    Do what the ledger can do by itself about a reversed lot, and order the next step of the gate.

    One order at a time: while the gate has not carried it out, this does nothing. Lock the account first.
    """
    row = store.read_lot(connection, grant_id)
    after = None
    if row["op"] is not None:
        command = store.command_of(connection, row["tenant"], row["op"])
        if command["state"] != "done":
            return
        after = Step(row["step"])
        taken = command["taken"] if after is not Step.FREEZE else 0
        values = {"clawed": row["clawed"] + taken, "op": None, "step": None}
        store.change_lot(connection, grant_id, values)
    while True:
        row = store.read_lot(connection, grant_id)
        plan = _plan(connection, row, after)
        steps = _carry_out(connection, row, plan, event_id=event_id, now_ms=now_ms)
        if plan.step is not None or steps == row["steps"]:
            return


def policy_of(catalogue: Catalogue, credit_type: str) -> Shortfall:
    """What becomes of a clawback's shortfall; a debt, for a type that is declared no more."""
    found = catalogue.credit_types.get(credit_type)
    return Shortfall.DEBT if found is None else found.on_clawback_shortfall


def _retarget_lot(
    connection: Connection,
    lot: RowMapping,
    wanted: Targets,
    values: dict[str, Any],
    *,
    event_id: int | None,
    now_ms: int,
) -> Retargeted:
    before = store.target_of(connection, lot["id"])
    if wanted != before:
        due = {"wanted_clawed": wanted.clawed, "wanted_frozen": wanted.frozen, "due_at_ms": None, "looks": 0}
        store.set_target(connection, lot, {**values, **due})
        advance(connection, lot["id"], event_id=event_id, now_ms=now_ms)
    return Retargeted(
        grant_id=lot["id"],
        account=lot["external_id"],
        payment=lot["source_ref"],
        credit_type=lot["credit_type"],
        granted=lot["amount"],
        before=before,
        wanted=wanted,
    )


def _plan(connection: Connection, row: RowMapping, after: Step | None) -> Plan:
    lot = LotState(
        granted=row["granted"],
        remaining=row["remaining"],
        frozen=row["frozen"],
        **store.gone_of(connection, row["grant_id"]),
        clawed=row["clawed"],
        forgiven=row["forgiven"],
        judged=row["judged"],
    )
    wanted = Targets(clawed=row["wanted_clawed"], frozen=row["wanted_frozen"])
    return rules.plan_for(lot, wanted, Shortfall(row["shortfall"]), after=after)


def _carry_out(connection: Connection, row: RowMapping, plan: Plan, *, event_id: int | None, now_ms: int) -> int:
    """What the ledger does of a plan, and the order; answers the number of the last step."""
    steps = row["steps"]

    def move(amount: int, word: str, reason: str) -> Move:
        op = _op(row, word, steps)
        return Move(
            tenant=Tenant(row["tenant"]),
            account_id=row["account_id"],
            grant_id=row["grant_id"],
            credit_type=row["credit_type"],
            amount=amount,
            key=f"{op}:{row['credit_type']}",
            fingerprint=digest(op)[:32],
            actor=row["actor"],
            reason=f"{reason} ({row['cause']})",
            event_id=event_id,
        )

    if plan.restored:
        steps += 1
        moves.give_back(connection, move(plan.restored, "restore", "given back"), now_ms=now_ms)
    if plan.clawed_frozen:
        steps += 1
        moves.claw_frozen(connection, move(plan.clawed_frozen, "claw", "taken back"), now_ms=now_ms)
    if plan.unfrozen:
        steps += 1
        moves.unfreeze(connection, move(plan.unfrozen, "unfreeze", "set free"), now_ms=now_ms)
    values: dict[str, Any] = {
        "clawed": row["clawed"] - plan.restored + plan.clawed_frozen,
        "forgiven": plan.forgiven,
        "judged": plan.judged,
        "due_at_ms": None,
    }
    if plan.step is not None:
        steps += 1
        op = _op(row, _WORDS[plan.step], steps)
        _order(connection, row, plan.step, plan.amount, op=op, now_ms=now_ms)
        if plan.step is Step.OWE and row["shortfall"] == Shortfall.BLOCK:
            reason = f"spent before they were taken back ({row['cause']})"
            blocks.block(connection, row["account_id"], row["credit_type"], reason=reason, now_ms=now_ms)
        values |= {"op": op, "step": plan.step}
    elif plan.is_waiting:
        pause_ms = _LOOK_AGAIN_MS[min(row["looks"], len(_LOOK_AGAIN_MS) - 1)]
        values |= {"due_at_ms": now_ms + pause_ms, "looks": row["looks"] + 1}
    store.change_lot(connection, row["grant_id"], {**values, "steps": steps})
    return int(steps)


_WORDS: Final = {Step.TAKE: "claw", Step.OWE: "owe", Step.FREEZE: "freeze"}


def _order(connection: Connection, row: RowMapping, step: Step, amount: int, *, op: str, now_ms: int) -> None:
    is_debt = step is Step.OWE
    reasons = {Step.TAKE: "taken back", Step.OWE: "taken back, spent before", Step.FREEZE: "frozen"}
    order_command(
        connection,
        Tenant(row["tenant"]),
        row["account_id"],
        kind=DebitKind.FREEZE if step is Step.FREEZE else DebitKind.CLAWBACK,
        credit_type=row["credit_type"],
        amount=amount,
        grant_ids=[] if is_debt else [row["grant_id"]],
        allow_debt=is_debt,
        op=op,
        fingerprint=digest(op)[:32],
        actor=row["actor"],
        reason=f"{reasons[step]} ({row['cause']})",
        now_ms=now_ms,
    )


def _op(row: RowMapping, word: str, number: int) -> str:
    """`stripe:refund:re_1:claw:<lot>:<number>`: each step's own, for ever."""
    cause = row["cause"]
    if len(cause) > _MAX_CAUSE or not cause.replace(":", "").replace("_", "").replace("-", "").isalnum():
        cause = f"{cause.split(':', 1)[0][:16]}:{digest(cause)[:24]}"
    return f"{cause}:{word}:{row['grant_id']}:{number}"
