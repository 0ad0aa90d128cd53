"""Which plans an account has right now, by its subscriptions at every provider."""

from typing import Final

from sqlalchemy import Connection, or_, select

from credits.config.catalogue import Catalogue, Plan
from credits.config.settings import Tenant
from credits.ledger.tables import accounts
from credits.plans.tables import subscriptions

_NOT_IN_FORCE: Final = ("canceled", "expired", "incomplete", "incomplete_expired", "paused", "unpaid")
"""In the providers' words. Lemon Squeezy's `cancelled` runs on until its period ends, and then says `expired`."""


def plans_of_account(connection: Connection, tenant: Tenant, account: str, catalogue: Catalogue) -> tuple[Plan, ...]:
    """The plans of `account`'s subscriptions that are neither over, nor paused, nor unpaid; one plan once."""
    rows = connection.execute(
        select(subscriptions.c.provider, subscriptions.c.product_ids)
        .join(accounts, accounts.c.id == subscriptions.c.account_id)
        .where(
            accounts.c.tenant == tenant,
            accounts.c.external_id == account,
            subscriptions.c.ended == 0,
            or_(subscriptions.c.status.is_(None), subscriptions.c.status.not_in(_NOT_IN_FORCE)),
        )
    )
    found = [catalogue.plan_of(provider, product_id) for provider, product_ids in rows for product_id in product_ids]
    return tuple({plan.key: plan for plan in found if plan is not None}.values())
