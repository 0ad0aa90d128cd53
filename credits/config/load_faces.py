"""Reads `[notifications]` and `[portal]` of credits.toml. What is faulty is reported and takes its default."""

from collections.abc import Mapping
from pathlib import Path as FilePath

from credits.config import rules
from credits.config.faces import NotificationRules, PortalRules
from credits.config.findings import Report
from credits.config.schema import NotificationsTable, PortalTable, read_table


def read_notifications(raw: object, declared: Mapping[str, object], report: Report) -> NotificationRules:
    """What is told beforehand, for the credit types that are `declared`."""
    table = read_table(NotificationsTable, raw, ("notifications",), report)
    rules.check_low_balance(table.low_balance, declared, ("notifications", "low_balance"), report)
    return NotificationRules(low_balance=table.low_balance, lapse_notice_days=table.lapse_notice_days)


def read_portal(raw: object, folder: FilePath, report: Report) -> PortalRules:
    """How the hosted page looks; the logo lies below `folder`."""
    table = read_table(PortalTable, raw, ("portal",), report)
    logo = None if table.logo is None else folder / table.logo
    if logo is not None:
        rules.check_logo(logo, ("portal", "logo"), report)
    return PortalRules(name=table.name, colour=table.colour, logo=logo)
