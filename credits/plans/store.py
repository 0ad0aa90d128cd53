"""SQL of plans: the customer map and subscriptions. Every function runs in the caller's transaction."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from credits.config.settings import Tenant
from credits.db import insert_new
from credits.facts import SubscriptionSeen
from credits.ids import digest
from credits.ledger.tables import accounts
from credits.plans.model import Sight
from credits.plans.tables import provider_customers, subscription_sights, subscriptions

# Every payment asks it: built once, with parameters.
_IS_LINKED: Final = select(provider_customers.c.account_id).where(
    provider_customers.c.tenant == bindparam("tenant"),
    provider_customers.c.provider == bindparam("provider"),
    provider_customers.c.customer_id == bindparam("customer"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as last seen."""

    account: str | None
    product_ids: tuple[str, ...]
    interval: str | None
    quantity: int | None
    period_end_ms: int | None
    ended: bool
    stamp_ms: int


def account_of_customer(connection: Connection, tenant: Tenant, provider: str, customer_id: str) -> str | None:
    """The external id of the account a provider's customer belongs to."""
    return connection.execute(
        select(accounts.c.external_id)
        .join(provider_customers, provider_customers.c.account_id == accounts.c.id)
        .where(
            provider_customers.c.tenant == tenant,
            provider_customers.c.provider == provider,
            provider_customers.c.customer_id == customer_id,
        )
    ).scalar_one_or_none()


def is_linked(connection: Connection, tenant: Tenant, provider: str, customer_id: str) -> bool:
    """Whether it is remembered whose a customer is; then it stays so."""
    customer = {"tenant": tenant, "provider": provider, "customer": customer_id}
    return connection.execute(_IS_LINKED, customer).first() is not None


def link_customer(
    connection: Connection, tenant: Tenant, provider: str, customer_id: str, account_id: int, now_ms: int
) -> bool:
    """Remember whose a customer is; the first answer stays. True if this call wrote it."""
    row = insert_new(
        connection,
        provider_customers,
        {
            "tenant": tenant,
            "provider": provider,
            "customer_id": customer_id,
            "account_id": account_id,
            "created_at_ms": now_ms,
        },
        unique=("tenant", "provider", "customer_id"),
        returning=("account_id",),
    )
    return row is not None


def find_subscription(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str
) -> Subscription | None:
    """A subscription with the external id of its account; None if nothing was heard of it."""
    row = connection.execute(
        select(subscriptions, accounts.c.external_id)
        .outerjoin(accounts, accounts.c.id == subscriptions.c.account_id)
        .where(
            subscriptions.c.tenant == tenant,
            subscriptions.c.provider == provider,
            subscriptions.c.subscription_id == subscription_id,
        )
    ).one_or_none()
    if row is None:
        return None
    return Subscription(
        account=row.external_id,
        product_ids=tuple(row.product_ids),
        interval=row.interval,
        quantity=row.quantity,
        ended=bool(row.ended),
        period_end_ms=row.period_end_ms,
        stamp_ms=row.stamp_ms,
    )


def see_subscription(
    connection: Connection,
    tenant: Tenant,
    provider: str,
    fact: SubscriptionSeen,
    *,
    account_id: int | None,
    interval: str | None,
    now_ms: int,
) -> bool:
    """
    Store a sight of a subscription unless a later one is stored; True if it was stored.

    The account and the interval, once known, stay.
    """
    state = {
        "customer_id": fact.payer.customer_id,
        "product_ids": list(fact.product_ids),
        # An open set of words: one that is longer than the column is no reason to fail.
        "status": None if fact.status is None else fact.status[:32],
        "quantity": fact.quantity,
        "period_start_ms": fact.period_start_ms,
        "period_end_ms": fact.period_end_ms,
        "ended": int(fact.ended),
        "stamp_ms": fact.stamp_ms,
        "rank": fact.rank,
        "updated_at_ms": now_ms,
    }
    identity = {"tenant": tenant, "provider": provider, "subscription_id": fact.subscription_id}
    row = insert_new(
        connection,
        subscriptions,
        identity | state | {"account_id": account_id, "interval": interval},
        unique=tuple(identity),
        returning=("stamp_ms",),
    )
    if row is not None:
        return True
    this_one = [subscriptions.c[name] == value for name, value in identity.items()]
    connection.execute(
        update(subscriptions)
        .where(*this_one)
        .values(
            account_id=func.coalesce(subscriptions.c.account_id, account_id),
            interval=func.coalesce(subscriptions.c.interval, interval),
        )
    )
    is_older = (subscriptions.c.stamp_ms < fact.stamp_ms) | (
        (subscriptions.c.stamp_ms == fact.stamp_ms) & (subscriptions.c.rank <= fact.rank)
    )
    result = connection.execute(update(subscriptions).where(*this_one, is_older).values(**state))
    return result.rowcount == 1


def add_sight(connection: Connection, tenant: Tenant, provider: str, fact: SubscriptionSeen) -> bool:
    """Add what the provider showed to the subscription's history; True if it was not there."""
    said = {
        "product_ids": list(fact.product_ids),
        "status": None if fact.status is None else fact.status[:32],
        "quantity": fact.quantity,
        "period_start_ms": fact.period_start_ms,
        "period_end_ms": fact.period_end_ms,
        "trial_end_ms": fact.trial_end_ms,
        "is_first": int(fact.is_first),
        "is_paused": int(fact.is_paused),
        "is_unpaid": int(fact.is_unpaid),
        "ended": int(fact.ended),
    }
    identity = {
        "tenant": tenant,
        "provider": provider,
        "subscription_id": fact.subscription_id,
        "stamp_ms": fact.stamp_ms,
        "rank": fact.rank,
        "digest": digest(*said.values()),
    }
    row = insert_new(connection, subscription_sights, identity | said, unique=tuple(identity), returning=("stamp_ms",))
    return row is not None


def sights_of(connection: Connection, tenant: Tenant, provider: str, subscription_id: str) -> list[Sight]:
    """The history of a subscription, the earliest sight first."""
    columns = subscription_sights.c
    query = (
        select(subscription_sights)
        .where(columns.tenant == tenant, columns.provider == provider, columns.subscription_id == subscription_id)
        .order_by(columns.stamp_ms, columns.rank, columns.digest)
    )
    return [
        Sight(
            product_ids=tuple(row.product_ids),
            status=row.status,
            quantity=row.quantity,
            period_start_ms=row.period_start_ms,
            period_end_ms=row.period_end_ms,
            trial_end_ms=row.trial_end_ms,
            is_first=bool(row.is_first),
            is_paused=bool(row.is_paused),
            is_unpaid=bool(row.is_unpaid),
            ended=bool(row.ended),
            stamp_ms=row.stamp_ms,
            rank=row.rank,
        )
        for row in connection.execute(query)
    ]
