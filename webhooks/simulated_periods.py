"""The calendar of simulated subscriptions: they are billed by the month."""

import calendar
from datetime import UTC, datetime

from credits.inbox.provider import Simulation


def period_start_ms(simulation: Simulation, period: int) -> int:
    """
    When the billing period of that number begins: whole calendar months after the subscription's start.

    Every period keeps the first one's day of the month, or takes the month's last where it is shorter.
    """
    start = datetime.fromtimestamp(simulation.started_at_ms // 1000, tz=UTC)
    year, months = divmod(start.year * 12 + start.month - 1 + period, 12)
    day = min(start.day, calendar.monthrange(year, months + 1)[1])
    return int(start.replace(year=year, month=months + 1, day=day).timestamp()) * 1000
