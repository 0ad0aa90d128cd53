"""What the overview shows, gathered from library and ledger: values for a template, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from credits.clock import from_iso
from credits.config.catalogue import CreditType, Plan
from credits.db import snapshot
from credits.engine import Credits
from credits.errors import GateUnavailableError
from credits.ledger.model import Balance
from credits.portal import store
from credits.portal.store import DAY_MS, Owner

CHART_DAYS: Final = 30
MAX_RECEIPTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day of the chart. Heights are in hundredths of the highest day."""

    place: int
    """Counted from the oldest day, 0."""
    at_ms: int
    spent: int
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One credit type: its balance and its last thirty days."""

    key: str
    name: str
    balance: Balance
    bars: tuple[Bar, ...]

    @property
    def spent(self) -> int:
        return sum(bar.spent for bar in self.bars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A credit type that can be bought."""

    kind: CreditType
    currencies: tuple[str, ...]
    packs: tuple[int, ...]

    @property
    def default_amount(self) -> int:
        return self.packs[0] if self.packs else max(self.kind.minimum_amount, min(100, self.kind.largest_amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the first page."""

    cards: tuple[Card, ...]
    lapses: Sequence[Mapping[str, Any]]
    subscriptions: Sequence[Mapping[str, Any]]
    receipts: Sequence[Mapping[str, Any]]
    is_gate_away: bool


def overview(library: Credits, account: str, owner: Owner | None, *, now_ms: int) -> Overview:
    """The account at this moment. Where Redis is away, from the ledger alone."""
    balances, is_gate_away = balances_of(library, account)
    if owner is None:
        return Overview(cards=(), lapses=(), subscriptions=(), receipts=_receipts(library, account), is_gate_away=False)
    offset_ms = offset_ms_of(owner.time_zone, now_ms)
    today = (now_ms + offset_ms) // DAY_MS
    since_ms = (today - CHART_DAYS + 1) * DAY_MS - offset_ms
    with snapshot(library.engine) as connection:
        spent = {
            name: store.spent_by_day(connection, owner.id, name, since_ms=since_ms, offset_ms=offset_ms)
            for name in balances
        }
        lapses = [dict(row) for row in store.lapses(connection, owner.id, now_ms=now_ms)]
        subscriptions = [dict(row) for row in store.subscriptions_of(connection, owner.id)]
    return Overview(
        cards=tuple(
            Card(
                key=name,
                name=name_of(library, name),
                balance=balance,
                bars=bars_of(spent[name], today=today, offset_ms=offset_ms),
            )
            for name, balance in balances.items()
        ),
        lapses=lapses,
        subscriptions=[_subscription(library, row) for row in subscriptions],
        receipts=_receipts(library, account),
        is_gate_away=is_gate_away,
    )


def balances_of(library: Credits, account: str) -> tuple[Mapping[str, Balance], bool]:
    """The balances, and whether Redis was away: then they are the ledger's."""
    try:
        return library.balances(account), False
    except GateUnavailableError:
        return library.ledger_balances(account), True


def bars_of(spent: Mapping[int, int], *, today: int, offset_ms: int) -> tuple[Bar, ...]:
    """Thirty days, today last."""
    highest = max(spent.values(), default=0)
    return tuple(
        Bar(
            place=place,
            at_ms=day * DAY_MS - offset_ms,
            spent=spent.get(day, 0),
            # A day on which little was spent is still to be seen.
            percent=0 if not spent.get(day) else max(2, round(100 * spent[day] / highest)),
        )
        for place, day in enumerate(range(today - CHART_DAYS + 1, today + 1))
    )


def offset_ms_of(zone: str, now_ms: int) -> int:
    """How far the zone is ahead of UTC now. Days before a change of the clocks are cut an hour off: it is a picture."""
    moment = datetime.fromtimestamp(now_ms / 1000, tz=UTC).astimezone(ZoneInfo(zone))
    offset = moment.utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def offers(library: Credits) -> tuple[Offer, ...]:
    """What can be bought, as credits.toml lists it."""
    return tuple(
        Offer(
            kind=kind,
            currencies=(kind.currency, *kind.prices),
            packs=tuple(pack.amount for pack in kind.packs),
        )
        for kind in library.catalogue.credit_types.values()
        if kind.pricing is not None or kind.packs
    )


def plans_for_sale(
    library: Credits, providers: Sequence[str], subscriptions: Sequence[Mapping[str, Any]]
) -> tuple[tuple[Plan, str], ...]:
    """Plans that can be subscribed to and are not yet, each with the first provider that sells it."""
    running = {key for one in subscriptions if not one["has_ended"] for key in one["plan_keys"]}
    found = []
    for plan in library.catalogue.plans.values():
        seller = next((name for name in providers if plan.product_ids.get(name)), None)
        if seller is not None and plan.key not in running:
            found.append((plan, seller))
    return tuple(found)


def name_of(library: Credits, credit_type: str) -> str:
    """A credit type's name for people; its key once it is not declared any more."""
    kind = library.catalogue.credit_types.get(credit_type)
    return credit_type if kind is None else kind.name


def plan_name(library: Credits, key: str) -> str:
    """A plan's name for people; its key once it is not declared any more."""
    plan = library.catalogue.plans.get(key)
    return key if plan is None else plan.name


def _subscription(library: Credits, row: Mapping[str, Any]) -> dict[str, Any]:
    known = [library.catalogue.plan_of(row["provider"], product_id) for product_id in row["product_ids"]]
    plans = {plan.key: plan.name for plan in known if plan is not None}
    return {
        "plan": ", ".join(plans.values()) or row["subscription_id"],
        "plan_keys": tuple(plans),
        "status": row["status"] or "",
        "period_end_ms": row["period_end_ms"],
        "has_ended": bool(row["ended"]),
    }


def _receipts(library: Credits, account: str) -> Sequence[Mapping[str, Any]]:
    rows = library.purchases(account=account, limit=MAX_RECEIPTS)
    return [{**row, "created_at_ms": from_iso(row["created_at"])} for row in rows]
