"""An account's plan credits on paper: what a decided change would do to them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from credits.plans import rules
from credits.plans.changes import Decided
from credits.plans.model import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedEntry:
    """An entry that would be written."""

    credit_type: str
    kind: str
    amount: int
    why: str


@dataclass(slots=True, kw_only=True)
class PurseLot:
    """A lot of a subscription's plan credits."""

    plan: str
    credit_type: str
    start_ms: int
    end_ms: int | None
    remaining: int


class Purse:
    """Does with numbers what credits.plans.periods orders of the ledger, in the same order."""

    def __init__(self, sums: Mapping[str, tuple[int, int]], lots: Iterable[PurseLot]) -> None:
        """`sums`: (balance, debt) by credit type; `lots`: the oldest first."""
        self.sums = dict(sums)
        self.entries: list[PreviewedEntry] = []
        self._lots = list(lots)

    def carry_out(self, decided: Decided) -> None:
        """Grant what comes, then take what goes."""
        for period in decided.periods:
            for handout in rules.first_handouts(period):
                order = handout.order
                self._grant(order.credit_type, order.amount, period.plan, handout)
        for change in decided.changes:
            self._take_back(change)
        for change in decided.changes:
            if change.takes_rest:
                self._take_rest(change)

    def _grant(self, credit_type: str, amount: int, plan: str, of: rules.Handout) -> None:
        balance, debt = self.sums.get(credit_type, (0, 0))
        repaid = min(debt, amount)
        self.sums[credit_type] = (balance + amount, debt - repaid)
        self._lots.append(
            PurseLot(
                plan=plan,
                credit_type=credit_type,
                start_ms=of.start_ms,
                end_ms=of.end_ms,
                remaining=amount - repaid,
            )
        )
        why = f"the rest of the period on plan {plan}"
        self._note(credit_type, "grant", amount, why if not repaid else f"{why}; {repaid} repay debt")

    def _take_back(self, change: Change) -> None:
        lots = sorted(
            self._lots,
            key=lambda lot: (lot.plan != change.plan, lot.end_ms is not None and lot.end_ms <= change.since_ms),
        )
        for credit_type, amount in change.amounts:
            left = amount
            for lot in lots:
                if lot.credit_type == credit_type:
                    taken = min(left, lot.remaining)
                    lot.remaining, left = lot.remaining - taken, left - taken
            balance, debt = self.sums.get(credit_type, (0, 0))
            self.sums[credit_type] = (balance - amount, debt + left)
            why = f"plan {change.plan}: money given back"
            self._note(credit_type, "reset", -amount, why if not left else f"{why}; {left} spent before, owed")

    def _take_rest(self, change: Change) -> None:
        for lot in self._lots:
            if lot.plan == change.plan and lot.start_ms < change.cut_ms and lot.remaining:
                balance, debt = self.sums.get(lot.credit_type, (0, 0))
                self.sums[lot.credit_type] = (balance - lot.remaining, debt)
                self._note(lot.credit_type, "reset", -lot.remaining, f"plan {change.plan}: left, unspent")
                lot.remaining = 0

    def _note(self, credit_type: str, kind: str, amount: int, why: str) -> None:
        if amount:
            self.entries.append(PreviewedEntry(credit_type=credit_type, kind=kind, amount=amount, why=why))
