"""SQL of purchases: a quote, then what became of it. Every function runs in the caller's transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.pricing.tables import purchases
from credits.units import Money


class PurchaseState(StrEnum):
    """Where a purchase is on its way to credits."""

    QUOTED = "quoted"
    REFUSED = "refused"
    OPEN = "open"
    PENDING = "pending"
    EXPIRED = "expired"
    FAILED = "failed"
    SUBSCRIBED = "subscribed"
    CREDITED = "credited"


FINAL: Final = (PurchaseState.SUBSCRIBED, PurchaseState.CREDITED)

_RANK: Final = {
    PurchaseState.QUOTED: 0,
    PurchaseState.REFUSED: 0,
    PurchaseState.OPEN: 1,
    PurchaseState.PENDING: 2,
    PurchaseState.EXPIRED: 3,
    PurchaseState.FAILED: 3,
    PurchaseState.SUBSCRIBED: 4,
    PurchaseState.CREDITED: 4,
}
"""Events come in any order: a state gives way to those of its own rank and above, and a final one to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What we offered: so many credits to this account, for so much before discounts and taxes."""

    quote_id: str
    account: str
    credit_type: str
    amount: int
    """Granted in all."""
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPurchase:
    """A quote to be stored, with all that its checkout is made of: what is not in here cannot be repeated."""

    quote_id: str
    request_key: str | None
    fingerprint: str
    provider: str
    account: str
    email_digest: str | None = None
    credit_type: str | None = None
    amount: int | None = None
    bonus: int | None = None
    plan: str | None = None
    product_id: str | None = None
    asked: Money | None = None
    price: Mapping[str, Any] = field(default_factory=dict)
    success_url: str
    cancel_url: str
    expires_at_ms: int


def insert_purchase(connection: Connection, tenant: Tenant, new: NewPurchase, *, now_ms: int) -> bool:
    """Store a quote; False if another one was stored under its request key before."""
    row = insert_new(
        connection,
        purchases,
        {
            "tenant": tenant,
            **{name: getattr(new, name) for name in NewPurchase.__dataclass_fields__ if name != "asked"},
            "asked_minor": None if new.asked is None else new.asked.amount_minor,
            "currency": None if new.asked is None else new.asked.currency,
            "state": PurchaseState.QUOTED,
            "reason": "",
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
        },
        unique=("tenant", "request_key"),
        returning=("id",),
    )
    return row is not None


def insert_quote(connection: Connection, tenant: Tenant, quote: Quote, *, now_ms: int) -> None:
    """Store a quote of which nothing else is known, as for a checkout that an app makes itself."""
    connection.execute(
        insert(purchases).values(
            tenant=tenant,
            quote_id=quote.quote_id,
            account=quote.account,
            credit_type=quote.credit_type,
            amount=quote.amount,
            asked_minor=quote.price.amount_minor,
            currency=quote.price.currency,
            state=PurchaseState.QUOTED,
            reason="",
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
    )


def find_quote(connection: Connection, tenant: Tenant, quote_id: str) -> Quote | None:
    """A stored quote for credits, or None; one for a plan sells no credits by itself."""
    row = find_purchase(connection, tenant, quote_id)
    if row is None or row["amount"] is None:
        return None
    return Quote(
        quote_id=quote_id,
        account=row["account"],
        credit_type=row["credit_type"],
        amount=row["amount"],
        price=Money(amount_minor=row["asked_minor"], currency=row["currency"]),
    )


def find_purchase(
    connection: Connection, tenant: Tenant, quote_id: str, *, for_update: bool = False
) -> RowMapping | None:
    """The row of a quote, or None."""
    query = select(purchases).where(purchases.c.tenant == tenant, purchases.c.quote_id == quote_id)
    return connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()


def find_request(connection: Connection, tenant: Tenant, request_key: str) -> RowMapping | None:
    """The purchase that was asked for under this key, or None."""
    query = select(purchases).where(purchases.c.tenant == tenant, purchases.c.request_key == request_key)
    return connection.execute(query).mappings().one_or_none()


def find_keyed(connection: Connection, tenant: Tenant, key: str) -> RowMapping | None:
    """The purchase that a payment of this key is for, or None."""
    query = select(purchases).where(purchases.c.tenant == tenant, purchases.c.key == key)
    return connection.execute(query).mappings().one_or_none()


def find_numbered(connection: Connection, tenant: Tenant, number: int) -> RowMapping | None:
    """A purchase by the number of its row, for those that have no quote."""
    query = select(purchases).where(purchases.c.tenant == tenant, purchases.c.id == number)
    return connection.execute(query).mappings().one_or_none()


def list_purchases(
    connection: Connection,
    tenant: Tenant,
    *,
    account: str | None = None,
    states: Collection[str] | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RowMapping]:
    """Purchases, newest first."""
    query = select(purchases).where(purchases.c.tenant == tenant)
    if account is not None:
        query = query.where(purchases.c.account == account)
    if states is not None:
        query = query.where(purchases.c.state.in_(states))
    if before_id is not None:
        query = query.where(purchases.c.id < before_id)
    return list(connection.execute(query.order_by(purchases.c.id.desc()).limit(limit)).mappings())


def record_checkout(
    connection: Connection,
    tenant: Tenant,
    quote_id: str,
    *,
    checkout_id: str,
    checkout_url: str,
    key: str | None,
    now_ms: int,
) -> None:
    """
    Write down where the quote can be paid; the first answer stays.

    `key` is the payment's, where the provider names it before it is made: later events then find this row.
    """
    row = find_purchase(connection, tenant, quote_id, for_update=True)
    if row is None or row["checkout_url"] is not None:
        return
    values: dict[str, Any] = {"checkout_id": checkout_id, "checkout_url": checkout_url, "updated_at_ms": now_ms}
    if row["key"] is None and key is not None:
        _forget_keyed(connection, tenant, key)
        values["key"] = key
    # What has become of it meanwhile stays.
    if _RANK[PurchaseState(row["state"])] < _RANK[PurchaseState.OPEN]:
        values |= {"state": PurchaseState.OPEN, "reason": ""}
    connection.execute(update(purchases).where(purchases.c.id == row["id"]).values(**values))


def note_refusal(connection: Connection, tenant: Tenant, quote_id: str, *, reason: str, now_ms: int) -> None:
    """Write down that the provider made no checkout, unless one was made meanwhile."""
    connection.execute(
        update(purchases)
        .where(
            purchases.c.tenant == tenant,
            purchases.c.quote_id == quote_id,
            purchases.c.state.in_((PurchaseState.QUOTED, PurchaseState.REFUSED)),
        )
        .values(state=PurchaseState.REFUSED, reason=reason[:500], updated_at_ms=now_ms)
    )


def note_state(
    connection: Connection,
    tenant: Tenant,
    key: str,
    state: PurchaseState,
    *,
    reason: str,
    quote_id: str | None = None,
    now_ms: int,
    **bought: Any,
) -> None:
    """
    Note what became of the purchase `key`. A credited one stays credited, however late an older word arrives.

    A quote that was paid already, by another payment, stays what it is: the further payment is a purchase of its own.
    `bought` may name account, credit_type, amount, paid_minor and currency.
    """
    values = {"key": key, "state": state, "reason": reason, "updated_at_ms": now_ms, **bought}
    quoted = None if quote_id is None else find_purchase(connection, tenant, quote_id, for_update=True)
    if quoted is not None and (quoted["state"] not in FINAL or quoted["key"] == key):
        # Events that came before the money may know the payment's key but no quote: their row becomes the quote's.
        if quoted["key"] != key:
            _forget_keyed(connection, tenant, key)
        _keep_quoted_currency(quoted, values)
        connection.execute(update(purchases).where(purchases.c.id == quoted["id"], _gives_way(state)).values(**values))
        return
    fresh = insert_new(
        connection,
        purchases,
        {
            "tenant": tenant,
            "quote_id": None,
            "same_quote_as": None if quoted is None else quote_id,
            "created_at_ms": now_ms,
            **values,
        },
        unique=("tenant", "key"),
        returning=("id",),
    )
    if fresh is None:
        by_key = (purchases.c.tenant == tenant) & (purchases.c.key == key)
        connection.execute(update(purchases).where(by_key, _gives_way(state)).values(**values))


def _keep_quoted_currency(quoted: RowMapping, values: dict[str, Any]) -> None:
    """What was asked stays in its own currency: every later event of the payment is compared with it."""
    paid_in = values.get("currency")
    if quoted["asked_minor"] is None or paid_in == quoted["currency"]:
        return
    values.pop("currency", None)
    if paid_in is not None and values.get("paid_minor") is not None:
        values["reason"] = f"paid in another currency: {values.pop('paid_minor')} {paid_in} (minor units)"


def _gives_way(state: PurchaseState) -> Any:
    """Whether the state that is stored gives way to `state`."""
    return purchases.c.state.in_([one for one, rank in _RANK.items() if rank <= _RANK[state] and one not in FINAL])


def _forget_keyed(connection: Connection, tenant: Tenant, key: str) -> None:
    """Free a payment's key for the quote that it names: of a row that only it made, or that was taken for its own."""
    by_key = (purchases.c.tenant == tenant) & (purchases.c.key == key)
    connection.execute(delete(purchases).where(by_key & purchases.c.quote_id.is_(None)))
    freed = {"key": None, "state": PurchaseState.OPEN, "reason": "", "paid_minor": None}
    connection.execute(update(purchases).where(by_key).values(**freed))
