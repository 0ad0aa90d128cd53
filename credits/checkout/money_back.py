"""What of a purchase's money went back: what its state says after the payment."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, exists, or_, select

from credits.config.settings import Tenant
from credits.pricing.store import PurchaseState
from credits.reversals import rules
from credits.reversals.model import DisputeState, PaidBack
from credits.reversals.store import paid_back
from credits.reversals.tables import payment_names, payments, reversals

WENT_BACK: Final = ("partly_refunded", "refunded", "disputed")
"""States that a credited purchase is shown in; none of them is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBack:
    """Of one payment, in the currency that it was paid in."""

    paid_minor: int
    currency: str | None
    refunded_minor: int = 0
    disputed_minor: int = 0
    """What a bank wants back, or has taken back."""


def money_back_of(connection: Connection, tenant: Tenant, rows: Collection[RowMapping]) -> Mapping[str, MoneyBack]:
    """By the payment's key, for those of the purchases `rows` of which any money went back or is disputed."""
    keys = [row["key"] for row in rows if row["key"] is not None and row["state"] == PurchaseState.CREDITED]
    if not keys:
        return {}
    any_reversal = exists().where(reversals.c.payment_id == payments.c.id)
    query = (
        select(payments, payment_names.c.name)
        .join(payment_names, payment_names.c.payment_id == payments.c.id)
        .where(
            payment_names.c.tenant == tenant,
            payment_names.c.name.in_(keys),
            or_(payments.c.counted_minor > 0, any_reversal),
        )
    )
    found = {}
    for row in connection.execute(query).mappings().all():
        back = paid_back(connection, row)
        if back is not None:
            found[row["name"]] = counted(back, row["currency"])
    return found


def counted(back: PaidBack, currency: str | None) -> MoneyBack:
    """What went back in all. Money goes back once: what was refunded is not disputed, too. Pure."""
    refunded_minor = min(rules.refunded_minor(back), back.paid_minor)
    contested_minor = sum(one.amount_minor for one in back.disputes if one.state is DisputeState.OPEN)
    disputed_minor = min(rules.disputed_minor(back) + contested_minor, back.paid_minor - refunded_minor)
    return MoneyBack(
        paid_minor=back.paid_minor, currency=currency, refunded_minor=refunded_minor, disputed_minor=disputed_minor
    )


def state_after(back: MoneyBack | None) -> str:
    """The state of a credited purchase. Pure."""
    if back is None:
        return PurchaseState.CREDITED.value
    if back.disputed_minor:
        return "disputed"
    if not back.refunded_minor:
        return PurchaseState.CREDITED.value
    return "refunded" if back.refunded_minor >= back.paid_minor else "partly_refunded"
