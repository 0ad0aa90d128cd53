"""Every table in one MetaData: imports each module that declares some. A new tables module gets a line here."""

import credits.api.tables
import credits.audit_log
import credits.backfill.tables
import credits.inbox.tables
import credits.job_runs
import credits.ledger.orders
import credits.ledger.tables
import credits.members.tables
import credits.notifications.tables
import credits.plans.tables
import credits.pricing.tables
import credits.promos.tables
import credits.reservations.tables
import credits.reversals.tables
import credits.topup.tables  # noqa: F401
from credits.db import metadata

__all__ = ["metadata"]
