"""What a change of plan would do, with nothing changed: the entries, and the balances before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from credits.clock import iso
from credits.config.catalogue import Catalogue, Plan
from credits.config.settings import Tenant
from credits.errors import InvalidInputError
from credits.facts import PlanLine
from credits.ledger import store as ledger_store
from credits.ledger.tables import accounts
from credits.plans import asks_store, changes, periods_store, pools, rules
from credits.plans.changes import Billed, Decided
from credits.plans.model import Change, Period, PeriodKind
from credits.plans.purse import PreviewedEntry, Purse, PurseLot
from credits.plans.tables import plan_periods
from credits.plans.weighing import weigh
from credits.units import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The change to look at."""

    plan: str
    quantity: int | None = None
    """None: as it is."""
    price_minor: int | None = None
    """What the new plan costs for a whole period; None: as it was last paid here."""
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A change of plan that did not happen."""

    account: str
    subscription_id: str
    plan_before: str
    plan_after: str
    at_ms: int
    period_end_ms: int
    policy: str
    """The `on_change` that decides."""
    money: str
    """What the prorations were taken to be."""
    entries: tuple[PreviewedEntry, ...]
    balances: dict[str, tuple[dict[str, int], dict[str, int]]]
    """(balance and debt before, and after) by credit type."""

    def as_json(self) -> dict[str, Any]:
        names = ("account", "subscription_id", "plan_before", "plan_after", "policy", "money")
        return {
            **{name: getattr(self, name) for name in names},
            "at": iso(self.at_ms),
            "period_end": iso(self.period_end_ms),
            "entries": [
                {name: getattr(entry, name) for name in ("credit_type", "kind", "amount", "why")}
                for entry in self.entries
            ],
            "balances": {kind: {"before": before, "after": after} for kind, (before, after) in self.balances.items()},
        }


def preview_change(
    connection: Connection, tenant: Tenant, catalogue: Catalogue, account: str, wanted: Wanted, *, at_ms: int
) -> Preview:
    """
    What a prorated change to another plan or quantity would lead to at `at_ms`. Run it in a snapshot.

    The billing period stays, and no job holds any of the credits. Raises InvalidInputError if the account has no paid
    period at that time, or several subscriptions of which none is named; UnknownPlanError.
    """
    new_plan = catalogue.plan(wanted.plan)
    row = _running(connection, tenant, account, wanted.subscription_id, at_ms)
    old = periods_store.period_of(row)
    old_plan, quantity = catalogue.plan(old.plan), old.quantity if wanted.quantity is None else wanted.quantity
    if (new_plan.key, quantity) == (old.plan, old.quantity):
        raise InvalidInputError("plan", f"{account} is on plan {old.plan} with this quantity already")
    rows = periods_store.periods_of(connection, tenant, row["provider"], row["subscription_id"])
    old_minor, new_minor, money = _prices(connection, rows, old, old_plan, new_plan, quantity, wanted.price_minor)
    left = Fraction(row["end_ms"] - at_ms, row["end_ms"] - row["anchor_ms"])
    sides = [
        _billed(new_plan, old, quantity, round(new_minor * left), at_ms),
        _billed(old_plan, old, old.quantity, -round(old_minor * left), at_ms),
    ]
    split, *_ = changes.splits_of([], sides)
    decided = changes.decide([split], periods_store.stays_of(rows))[split.key]
    decided = _weighed(connection, row, decided)
    sums = {kind: (balance, debt) for kind, balance, debt in ledger_store.all_balances(connection, row["account_id"])}
    lots = periods_store.open_lots_of(connection, tenant, row["provider"], row["subscription_id"])
    purse = Purse(sums, [_lot(lot) for lot in lots])
    purse.carry_out(decided)
    return Preview(
        account=account,
        subscription_id=row["subscription_id"],
        plan_before=old.plan,
        plan_after=new_plan.key,
        at_ms=at_ms,
        period_end_ms=row["end_ms"],
        policy=(old_plan.on_change.up if new_minor >= old_minor else old_plan.on_change.down).value,
        money=money,
        entries=tuple(purse.entries),
        balances={kind: (_shown(sums.get(kind, (0, 0))), _shown(after)) for kind, after in sorted(purse.sums.items())},
    )


def _weighed(connection: Connection, row: RowMapping, decided: Decided) -> Decided:
    """The change with what it would take beside the other changes of the period, and what refunds take of it."""
    before = asks_store.asks_of(connection, Tenant(row["tenant"]), row["provider"], row["subscription_id"])

    def to_take(change: Change, credit_type: str, asked: int) -> int:
        pool_of = {"credit_type": credit_type, "end_ms": row["end_ms"]}
        others = [ask for ask in before if all(ask[name] == value for name, value in pool_of.items())]
        ask = {
            **{name: row[name] for name in ("tenant", "provider", "subscription_id", "account_id")},
            **{name: getattr(change, name) for name in ("key", "plan", "source_ref", "since_ms", "cut_ms")},
            **pool_of,
            "asked": asked,
            "ordered": 0,
            "steps": 0,
        }
        return weigh(pools.read_split(connection, [*others, ask]).pool).to_order

    changed = [
        replace(change, amounts=tuple((name, to_take(change, name, asked)) for name, asked in change.amounts))
        for change in decided.changes
    ]
    return replace(decided, changes=tuple(changed))


def _running(
    connection: Connection, tenant: Tenant, account: str, subscription_id: str | None, at_ms: int
) -> RowMapping:
    """The account's paid period at that instant, as its latest change left it."""
    query = (
        select(plan_periods, accounts.c.external_id)
        .join(accounts, accounts.c.id == plan_periods.c.account_id)
        .where(
            accounts.c.tenant == tenant,
            accounts.c.external_id == account,
            plan_periods.c.kind != PeriodKind.TRIAL,
            plan_periods.c.since_ms <= at_ms,
            plan_periods.c.end_ms > at_ms,
        )
        .order_by(plan_periods.c.since_ms, plan_periods.c.id)
    )
    rows = connection.execute(query).mappings().all()
    found = [row for row in rows if subscription_id in {None, row["subscription_id"]}]
    names = sorted({row["subscription_id"] for row in found})
    if not found:
        raise InvalidInputError("account", f"{account} has no paid period of a plan at {iso(at_ms)}")
    if len(names) > 1:
        raise InvalidInputError("subscription", f"must be one of {', '.join(names)}: {account} has several")
    return found[-1]


def _prices(
    connection: Connection,
    rows: Sequence[RowMapping],
    old: Period,
    old_plan: Plan,
    new_plan: Plan,
    quantity: int | None,
    price_minor: int | None,
) -> tuple[int, int, str]:
    """(price of a whole period before, after, and in words where they are from)."""
    old_minor = _last_price(rows, old_plan.key, old.quantity)
    new_minor = price_minor
    if new_minor is None:
        new_minor = _last_price(rows, new_plan.key, quantity)
    if new_minor is None:
        query = select(plan_periods).where(
            plan_periods.c.tenant == rows[0]["tenant"],
            plan_periods.c.provider == old.provider,
            plan_periods.c.plan == new_plan.key,
            plan_periods.c.full_price_minor.is_not(None),
        )
        # Of another subscriber, and of the same length within the days by which months differ.
        long_ms = (old.end_ms or 0) - old.anchor_ms
        same = query.where(
            (plan_periods.c.end_ms - plan_periods.c.anchor_ms).between(long_ms * 9 // 10, long_ms * 11 // 10)
        )
        last = connection.execute(same.order_by(plan_periods.c.id.desc()).limit(1)).mappings().all()
        new_minor = _last_price(last, new_plan.key, quantity)
    if old_minor and new_minor is not None:
        return old_minor, new_minor, f"a whole period costs {old_minor} before and {new_minor} after, in minor units"
    up = sum(part.amount for part in rules.parts_of(new_plan, quantity)) >= sum(
        part.amount for part in rules.parts_of(old_plan, old.quantity)
    )
    way = "dearer" if up else "cheaper"
    said = f"a price is not known here: taken to be {way}, as it hands out {'more' if up else 'less'}"
    return (1000, 2000, said) if up else (2000, 1000, said)


def _last_price(rows: Sequence[RowMapping], plan: str, quantity: int | None) -> int | None:
    """What a whole period on `plan` cost last, brought to `quantity`."""
    paid = [row for row in rows if row["plan"] == plan and row["full_price_minor"] is not None]
    if not paid:
        return None
    last = paid[-1]
    if not last["quantity"] or not quantity:
        return int(last["full_price_minor"])
    return round(Fraction(last["full_price_minor"] * quantity, last["quantity"]))


def _billed(plan: Plan, old: Period, quantity: int | None, amount_minor: int, at_ms: int) -> Billed:
    """A side of the proration, as the invoice's line would be read."""
    key = f"simulated:{'given' if amount_minor < 0 else 'charged'}"
    currency = old.paid.currency if old.paid is not None else "USD"
    money = Money(amount_minor=amount_minor, currency=currency)
    line = PlanLine(
        key=key,
        product_id=None,
        period_start_ms=at_ms,
        period_end_ms=old.end_ms,
        quantity=quantity,
        amount=money,
        is_proration=True,
    )
    period = replace(
        old,
        key=key,
        source_ref="simulated",
        plan=plan.key,
        kind=PeriodKind.CHANGE,
        since_ms=at_ms,
        cut_ms=at_ms,
        parts=rules.parts_of(plan, quantity),
        quantity=quantity,
        event_id=None,
    )
    return Billed(line=line, plan=plan, period=period)


def _lot(row: RowMapping) -> PurseLot:
    return PurseLot(
        plan=row["plan"],
        credit_type=row["credit_type"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        remaining=row["remaining"],
    )


def _shown(sums: tuple[int, int]) -> dict[str, int]:
    return {"balance": sums[0], "debt": sums[1]}
