"""Decides what a paid subscription line earns, and how long a billing period is. Pure functions."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Final

from credits.config.catalogue import ExpiryKind, Plan
from credits.ids import digest
from credits.ledger.model import GrantOrder, GrantSource
from credits.units import Money

# Billing periods as providers sell them: how long one may really last, and its name in the subscriptions table.
_INTERVALS: Final = (
    (timedelta(hours=20), timedelta(hours=28), "1 day"),
    (timedelta(days=6, hours=20), timedelta(days=7, hours=4), "1 week"),
    (timedelta(days=27, hours=20), timedelta(days=31, hours=4), "1 month"),
    (timedelta(days=88), timedelta(days=93), "3 month"),
    (timedelta(days=180), timedelta(days=185), "6 month"),
    (timedelta(days=364), timedelta(days=367), "1 year"),
    (timedelta(days=729), timedelta(days=732), "2 year"),
)


def orders_of_plan(
    plan: Plan,
    *,
    account: str,
    key: str,
    source_ref: str,
    period_start_ms: int,
    period_end_ms: int | None,
    paid: Money | None,
    actor: str,
    event_id: int | None,
    sent: tuple[object, ...] = (),
    meta: dict[str, object] | None = None,
) -> tuple[GrantOrder, ...]:
    """
    The credits that `plan` earns for one paid period: one order per credit type, keyed `<key>:<credit type>`.

    The fingerprint covers who and what was paid for, and what else the caller `sent`; not the amount: that comes from
    the configuration, and a redelivery after a price list changed is still the same payment.
    """
    return tuple(
        GrantOrder(
            account=account,
            credit_type=part.credit_type,
            amount=part.amount,
            key=f"{key}:{part.credit_type}",
            fingerprint=digest("plan", account, key, part.credit_type, *sent),
            source=GrantSource.PLAN,
            source_ref=source_ref,
            plan=plan.key,
            priority=part.priority,
            effective_at_ms=0,
            expires_at_ms=part.expires.lapses_at_ms(granted_at_ms=period_start_ms, period_end_ms=period_end_ms),
            paid=paid,
            actor=actor,
            reason=f"plan {plan.key}, {source_ref}",
            event_id=event_id,
            meta=dict(meta or {}),
        )
        for part in plan.credits
    )


def needs_period_end(plan: Plan) -> bool:
    """Whether any of the plan's credits lapse when the period does."""
    return any(part.expires.kind is ExpiryKind.PERIOD_END for part in plan.credits)


def interval_of(first_period_ms: tuple[int, int]) -> str | None:
    """The billing interval that a first period shows, as `1 month`; None if it is of no length that is sold."""
    length = timedelta(milliseconds=first_period_ms[1] - first_period_ms[0])
    return next((name for shortest, longest, name in _INTERVALS if shortest <= length <= longest), None)


def interval_by_renewal(start_ms: int, renews_at_ms: int | None, *, seen_at_ms: int) -> str | None:
    """
    The billing interval between the start of a period and the next renewal; None if that cannot be known.

    A renewal that was seen long after the start may be several periods away. The second of two periods begins about in
    the middle of the span, or a little sooner where a short month comes first: the first two fifths are safe from it.
    """
    if renews_at_ms is None or abs(seen_at_ms - start_ms) * 5 >= (renews_at_ms - start_ms) * 2:
        return None
    return interval_of((start_ms, renews_at_ms))


def period_end_ms(start_ms: int, interval: str) -> int:
    """The end of a period of `interval` that starts at `start_ms`: the same day of a later month, or its last day."""
    count_text, unit = interval.split()
    count = int(count_text)
    start = datetime.fromtimestamp(start_ms / 1000, tz=UTC)
    match unit:
        case "day":
            end = start + timedelta(days=count)
        case "week":
            end = start + timedelta(weeks=count)
        case "month":
            end = _add_months(start, count)
        case "year":
            end = _add_months(start, 12 * count)
        case _:
            raise ValueError(f"no billing interval is called {interval!r}")
    return start_ms + round((end - start) / timedelta(milliseconds=1))


def _add_months(start: datetime, months: int) -> datetime:
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month0 + 1)[1])
    return start.replace(year=year, month=month0 + 1, day=day)
