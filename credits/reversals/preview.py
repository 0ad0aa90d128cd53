"""What a refund would do, with nothing changed: the entries it would write, and the balances before and after."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.errors import InvalidInputError, PaidUnknownError
from credits.ledger import store as ledger_store
from credits.reversals import payments, rules, store
from credits.reversals.model import Refund, RefundState, Step, Targets
from credits.reversals.service import policy_of

# Take, owe, and what the ledger does by itself: a lot comes to rest in a few rounds.
_ROUNDS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedEntry:
    """An entry that the refund would write."""

    credit_type: str
    kind: str
    amount: int
    lot: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A refund that did not happen."""

    account: str
    payment: str
    currency: str | None
    paid_minor: int
    refunded_before_minor: int
    refunded_minor: int
    entries: tuple[PreviewedEntry, ...]
    forgiven: dict[str, int]
    balances: dict[str, tuple[dict[str, int], dict[str, int]]]
    """(balance and debt before, and after) by credit type."""

    def as_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "payment": self.payment,
            "currency": self.currency,
            "paid_minor": self.paid_minor,
            "refunded_before_minor": self.refunded_before_minor,
            "refunded_minor": self.refunded_minor,
            "entries": [
                {name: getattr(entry, name) for name in ("credit_type", "kind", "amount", "lot", "why")}
                for entry in self.entries
            ],
            "forgiven": self.forgiven,
            "balances": {kind: {"before": before, "after": after} for kind, (before, after) in self.balances.items()},
        }


def preview_refund(
    connection: Connection, tenant: Tenant, catalogue: Catalogue, *, account: str, payment: str, refunded_minor: int
) -> Preview:
    """
    What a further refund of `refunded_minor` would lead to, if no job holds any of the credits. Run it in a snapshot.

    Raises InvalidInputError if there is no such payment, or it granted this account nothing.
    """
    payment_id = payments.find_payment(connection, tenant, [payment])
    account_id = ledger_store.find_account(connection, tenant, account)
    lots = [] if payment_id is None else store.lots_of(connection, tenant, payment_id)
    mine = [lot for lot in lots if lot["account_id"] == account_id]
    if payment_id is None or account_id is None or not mine:
        raise InvalidInputError("payment", f"{payment!r} granted {account} nothing; `credits grants` shows what did")
    row = payments.read_payment(connection, payment_id)
    back = store.paid_back(connection, row)
    if back is None:
        raise PaidUnknownError(payment)
    before_minor = rules.refunded_minor(back)
    further = Refund(amount_minor=refunded_minor, state=RefundState.SUCCEEDED, is_counted=False)
    wanted_back = replace(back, refunds=[*back.refunds, further])
    entries: list[PreviewedEntry] = []
    forgiven: dict[str, int] = {}
    for lot in mine:
        wanted = rules.targets(lot["amount"], wanted_back)
        entries += _entries_of(connection, lot, wanted, catalogue, forgiven)
    sums = {kind: (balance, debt) for kind, balance, debt in ledger_store.all_balances(connection, account_id)}
    return Preview(
        account=account,
        payment=payment,
        currency=row["currency"],
        paid_minor=back.paid_minor,
        refunded_before_minor=before_minor,
        refunded_minor=refunded_minor,
        entries=tuple(entries),
        forgiven=forgiven,
        balances={kind: _balances(kind, sums[kind], entries) for kind in sorted({lot["credit_type"] for lot in mine})},
    )


def _entries_of(
    connection: Connection, lot: RowMapping, wanted: Targets, catalogue: Catalogue, forgiven: dict[str, int]
) -> list[PreviewedEntry]:
    kind, policy = lot["credit_type"], policy_of(catalogue, lot["credit_type"])
    state, after = store.state_of(connection, lot), None
    already = state.forgiven
    entries = []

    def entry(amount: int, why: str) -> None:
        if amount:
            word = "restore" if amount > 0 else "clawback"
            entries.append(PreviewedEntry(credit_type=kind, kind=word, amount=amount, lot=lot["id"], why=why))

    for _ in range(_ROUNDS):
        plan = rules.plan_for(state, wanted, policy, after=after)
        taken = plan.amount if plan.step is Step.TAKE else 0
        owed = plan.amount if plan.step is Step.OWE else 0
        entry(plan.restored, "given back")
        entry(-plan.clawed_frozen, "frozen")
        entry(-taken, "unspent")
        entry(-owed, "spent before: owed")
        state = replace(
            state,
            remaining=state.remaining + plan.restored - plan.clawed_frozen - taken,
            frozen=state.frozen - plan.clawed_frozen - plan.unfrozen + (plan.amount if plan.step is Step.FREEZE else 0),
            clawed=state.clawed - plan.restored + plan.clawed_frozen + taken + owed,
            forgiven=plan.forgiven,
            judged=plan.judged,
        )
        after = plan.step
        if plan.step is None:
            break
    if state.forgiven > already:
        forgiven[kind] = forgiven.get(kind, 0) + state.forgiven - already
    return entries


def _balances(
    kind: str, before: tuple[int, int], entries: list[PreviewedEntry]
) -> tuple[dict[str, int], dict[str, int]]:
    balance, debt = before
    for entry in entries:
        if entry.credit_type == kind:
            balance += entry.amount
            debt += -entry.amount if entry.why.endswith("owed") else -min(debt, max(0, entry.amount))
    return {"balance": before[0], "debt": before[1]}, {"balance": balance, "debt": debt}
