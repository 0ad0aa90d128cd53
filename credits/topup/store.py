"""SQL of automatic top-ups. Every function runs in the caller's transaction."""

from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select, update

from credits.checkout.cards import DeclineKind
from credits.config.settings import Tenant
from credits.db import insert_new
from credits.ledger.tables import accounts, balances
from credits.plans.tables import provider_customers
from credits.pricing.store import PurchaseState
from credits.pricing.tables import purchases
from credits.reversals.tables import payment_names, reversals
from credits.topup.model import TAKEN, Attempt, AttemptState, Policy
from credits.topup.tables import topup_attempts as attempts
from credits.topup.tables import topup_policies as policies

MAX_CUSTOMERS: Final = 5
"""The newest customers of an account that are asked for a card: every checkout may make one."""

_REMEMBERED: Final = 8


def find_policy(
    connection: Connection, tenant: Tenant, account: str, credit_type: str, *, for_update: bool = False
) -> RowMapping | None:
    """The row of a policy, or None; locked until the transaction ends if asked for."""
    query = select(policies).where(_named(policies, tenant, account, credit_type))
    return connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()


def list_policies(connection: Connection, tenant: Tenant, account: str) -> list[RowMapping]:
    """The policies of an account, by credit type."""
    query = select(policies).where(policies.c.tenant == tenant, policies.c.account == account)
    return list(connection.execute(query.order_by(policies.c.credit_type)).mappings())


def policy_of(row: RowMapping) -> Policy:
    """A policy out of its row."""
    values = {name: row[name] for name in Policy.__dataclass_fields__}
    return Policy(**{**values, "is_on": bool(row["is_on"])})


def put_policy(connection: Connection, tenant: Tenant, policy: Policy, *, now_ms: int) -> None:
    """Store what the owner agrees to now, in the place of what was agreed before. Safe to repeat."""
    whose = {"account": policy.account, "credit_type": policy.credit_type}
    agreed = {name: getattr(policy, name) for name in Policy.__dataclass_fields__.keys() - whose.keys()}
    agreed |= {"is_on": int(policy.is_on)}
    fresh = insert_new(
        connection,
        policies,
        {"tenant": tenant, "created_at_ms": now_ms, **whose, **agreed},
        unique=("tenant", "account", "credit_type"),
        returning=("id",),
    )
    if fresh is None:
        undecided = {"decision": None, "reason": None, "until_ms": None}
        change_policy(connection, tenant, policy.account, policy.credit_type, **agreed, **undecided)


def change_policy(connection: Connection, tenant: Tenant, account: str, credit_type: str, **values: Any) -> bool:
    """Change columns of a policy; False if there is none."""
    named = _named(policies, tenant, account, credit_type)
    return connection.execute(update(policies).where(named).values(**values)).rowcount > 0


def low_policies(connection: Connection, tenant: Tenant, *, after_id: int, limit: int) -> list[RowMapping]:
    """
    Policies that are on and whose balance is below the threshold, by id.

    Credits that are frozen or have lapsed count here until the ledger books it, seconds later.
    """
    balance = func.coalesce(balances.c.balance, 0)
    is_owner = and_(accounts.c.tenant == policies.c.tenant, accounts.c.external_id == policies.c.account)
    return list(
        connection.execute(
            select(policies)
            .outerjoin(accounts, is_owner)
            .outerjoin(
                balances,
                and_(balances.c.account_id == accounts.c.id, balances.c.credit_type == policies.c.credit_type),
            )
            .where(
                policies.c.tenant == tenant,
                policies.c.is_on == 1,
                policies.c.id > after_id,
                balance < policies.c.threshold,
            )
            .order_by(policies.c.id)
            .limit(limit)
        ).mappings()
    )


def recent_attempts(connection: Connection, tenant: Tenant, account: str, credit_type: str) -> list[RowMapping]:
    """The newest attempts, the newest first."""
    query = select(attempts).where(_named(attempts, tenant, account, credit_type))
    return list(connection.execute(query.order_by(attempts.c.seq.desc()).limit(_REMEMBERED)).mappings())


def attempt_of(row: RowMapping) -> Attempt:
    """An attempt out of its row."""
    return Attempt(
        seq=row["seq"],
        state=AttemptState(row["state"]),
        begun_at_ms=row["begun_at_ms"],
        ended_at_ms=row["ended_at_ms"],
        kind=None if row["kind"] is None else DeclineKind(row["kind"]),
    )


def spent_minor(
    connection: Connection, tenant: Tenant, account: str, credit_type: str, *, currency: str, since_ms: int
) -> int:
    """What attempts that began since then have charged, or may yet."""
    return int(
        connection.execute(
            select(func.coalesce(func.sum(attempts.c.cost_minor), 0)).where(
                _named(attempts, tenant, account, credit_type),
                attempts.c.begun_at_ms >= since_ms,
                attempts.c.state.in_(TAKEN),
                attempts.c.currency == currency,
                # What the payer finished by hand was bought by hand.
                attempts.c.finish_purchase_id.is_(None),
            )
        ).scalar_one()
    )


def insert_attempt(connection: Connection, tenant: Tenant, values: dict[str, Any]) -> None:
    """Store an attempt. Raises IntegrityError if another one is in flight; under the policy's lock none is."""
    connection.execute(insert(attempts).values(tenant=tenant, tries=0, reason="", **values))


def find_attempt(
    connection: Connection, tenant: Tenant, charge_id: str, *, for_update: bool = False
) -> RowMapping | None:
    """An attempt by the name of its charge."""
    query = select(attempts).where(attempts.c.tenant == tenant, attempts.c.charge_id == charge_id)
    return connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()


def change_attempt(connection: Connection, attempt_id: int, **values: Any) -> None:
    """Write down how far an attempt has come."""
    connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(**values))


def choose_card(connection: Connection, attempt_id: int, *, customer_id: str, payment_method: str) -> None:
    """Write down which card is charged, unless that is chosen already."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.payment_method.is_(None))
        .values(customer_id=customer_id, payment_method=payment_method)
    )


def due_attempts(connection: Connection, tenant: Tenant, *, now_ms: int, limit: int) -> list[RowMapping]:
    """Attempts with something left to do, the longest due first."""
    query = select(attempts).where(attempts.c.tenant == tenant, attempts.c.due_at_ms <= now_ms)
    return list(connection.execute(query.order_by(attempts.c.due_at_ms).limit(limit)).mappings())


def is_any_finished(connection: Connection, tenant: Tenant) -> bool:
    """Whether the credits of an attempt that is not over are there."""
    return connection.execute(select(attempts.c.id).where(_finished(tenant)).limit(1)).first() is not None


def finish_granted(connection: Connection, tenant: Tenant, *, now_ms: int) -> int:
    """End the attempts whose credits are there: by the charge itself, or by the link that its payer was given."""
    changed = connection.execute(
        update(attempts)
        .where(_finished(tenant))
        .values(state=AttemptState.GRANTED, reason="", ended_at_ms=now_ms, due_at_ms=None)
    )
    return changed.rowcount


def _finished(tenant: Tenant) -> Any:
    credited = select(purchases.c.quote_id).where(
        purchases.c.tenant == tenant,
        purchases.c.state == PurchaseState.CREDITED,
        or_(
            and_(attempts.c.ended_at_ms.is_(None), purchases.c.quote_id == attempts.c.quote_id),
            purchases.c.quote_id == attempts.c.finish_purchase_id,
        ),
    )
    is_waiting = or_(attempts.c.ended_at_ms.is_(None), attempts.c.state == AttemptState.HANDED_OFF)
    return and_(attempts.c.tenant == tenant, is_waiting, credited.exists())


def customers_of(connection: Connection, tenant: Tenant, provider: str, account: str) -> tuple[str, ...]:
    """The provider's customers that belong to an account, the newest first."""
    return tuple(
        connection.execute(
            select(provider_customers.c.customer_id)
            .join(accounts, accounts.c.id == provider_customers.c.account_id)
            .where(
                accounts.c.tenant == tenant,
                accounts.c.external_id == account,
                provider_customers.c.provider == provider,
            )
            .order_by(provider_customers.c.created_at_ms.desc(), provider_customers.c.customer_id)
            .limit(MAX_CUSTOMERS)
        ).scalars()
    )


def last_reversal_ms(connection: Connection, tenant: Tenant, account: str) -> int | None:
    """When a purchase of the account was last refunded or disputed, as far as we were told."""
    found: int | None = connection.execute(
        select(func.max(reversals.c.created_at_ms))
        .join(payment_names, payment_names.c.payment_id == reversals.c.payment_id)
        .join(purchases, and_(purchases.c.tenant == payment_names.c.tenant, purchases.c.key == payment_names.c.name))
        .where(purchases.c.tenant == tenant, purchases.c.account == account)
    ).scalar_one()
    return found


def is_account_blocked(connection: Connection, tenant: Tenant, account: str) -> bool:
    """Whether nothing may be reserved by the account until its clawback is settled."""
    query = select(accounts.c.blocked_for).where(accounts.c.tenant == tenant, accounts.c.external_id == account)
    return connection.execute(query).scalar_one_or_none() is not None


def _named(table: Any, tenant: Tenant, account: str, credit_type: str) -> Any:
    return and_(table.c.tenant == tenant, table.c.account == account, table.c.credit_type == credit_type)
