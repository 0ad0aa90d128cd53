"""Decides whether a drip goes out, by what is known of its subscription. Pure functions."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import RowMapping

from credits.config.catalogue import Catalogue
from credits.config.policies import OnPastDue, OnPause
from credits.plans.model import Sight
from credits.plans.sights import sight_at


class Verdict(StrEnum):
    """Whether a drip goes out."""

    GRANT = "grant"
    SKIP = "skip"
    """It is left out for good."""
    HOLD = "hold"
    """It goes out once the subscription is paid."""
    STOP = "stop"
    """Neither it nor any after it goes out."""


def verdict(
    at_ms: int, row: RowMapping, changes: Sequence[RowMapping], sights: Sequence[Sight], catalogue: Catalogue
) -> Verdict:
    """Whether what a period hands out at `at_ms` goes out, by what is known of its subscription."""
    for change in changes:
        if change["plan"] == row["plan"] and _is_before(row, change) and change["cut_ms"] < at_ms:
            return Verdict.STOP
    then, now = sight_at(sights, at_ms), sights[-1] if sights else None
    if then is None or now is None:
        return Verdict.GRANT
    plan = catalogue.plans.get(row["plan"])
    on_pause = OnPause.STOP_DRIPS if plan is None else plan.on_pause
    on_past_due = OnPastDue.STOP_DRIPS if plan is None else plan.on_past_due
    if then.ended:
        return Verdict.STOP
    if then.is_paused and on_pause is not OnPause.KEEP:
        return Verdict.SKIP
    if then.is_unpaid and on_past_due is OnPastDue.STOP_DRIPS:
        if now.ended:
            return Verdict.STOP
        return Verdict.HOLD if now.is_unpaid else Verdict.GRANT
    return Verdict.GRANT


def _is_before(row: RowMapping, change: RowMapping) -> bool:
    """Whether a period is one that the change left, and not the one that it began."""
    if row["since_ms"] == change["since_ms"]:
        return bool(row["source_ref"] != change["source_ref"])
    return bool(row["since_ms"] < change["since_ms"])
