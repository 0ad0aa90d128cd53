"""Payments that are refunded and disputed, over a database and a gate of the test's own."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import RowMapping, select

from credits.config.catalogue import Expiry, ExpiryKind
from credits.config.shortfall import Shortfall
from credits.db import snapshot
from credits.ledger.model import Balance
from credits.ledger.tables import accounts, entries, grants
from credits.reservations.sweeps import advance_reversals, apply_outbox, run_orders, settle_journals, sweep_gate
from tests.support.clock import VirtualClock
from tests.support.library import TYPE
from tests.support.pipeline import Pipeline

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@dataclass(kw_only=True)
class Till:
    """What one test sells to whom, and what becomes of the money."""

    pipeline: Pipeline
    account: str = "user_1"
    _deliveries: Any = field(default_factory=itertools.count)

    def paid(self, payment: str = "p", *, amount: int = 100, minor: int = 1000) -> RowMapping:
        """`payment` bought so many credits for so much."""
        return self.tell("purchase.paid", payment=payment, amount=amount, paid_minor=minor)

    def refunded(self, minor: int, *, of: str = "p", name: str = "r", failed: bool = False) -> RowMapping:
        """A refund of that name, of so much."""
        said = {"refund": name, "refunded_minor": minor}
        return self.tell("refund.failed" if failed else "refund.created", payment=of, data=said)

    def disputed(self, state: str, *, of: str = "p", minor: int = 1000, name: str = "d") -> RowMapping:
        """A dispute of that name was opened, lost or won."""
        return self.tell(f"dispute.{state}", payment=of, data={"dispute": name, "disputed_minor": minor})

    def tell(self, event_type: str, *, data: dict[str, Any] | None = None, **said: Any) -> RowMapping:
        """Deliver an event, process it, let the gate do its part; answers the event's row as it is then."""
        said = {"account": self.account, "delivery": f"d{next(self._deliveries)}", **said}
        edit = None if data is None else lambda body: body["data"].update(data)
        event_id = self.pipeline.deliver(event_type, edit=edit, **said)
        self.settle()
        return self.pipeline.event(event_id)

    def settle(self) -> None:
        """All that workers would do until nothing is left to do at this moment."""
        assert self.pipeline.gate is not None
        self.pipeline.process()
        for _ in range(3):
            settle_journals(self.pipeline.gate)
            apply_outbox(self.pipeline.gate)
            run_orders(self.pipeline.gate)
            advance_reversals(self.pipeline.gate)
        apply_outbox(self.pipeline.gate)

    def look_again(self) -> None:
        """As `settle`, after the pause for which held credits are left alone."""
        self.pass_time(MINUTE_MS)

    def lapse(self) -> None:
        """Until all that was bought has lapsed."""
        self.pass_time(31 * DAY_MS)
        assert self.pipeline.gate is not None
        sweep_gate(self.pipeline.gate)

    def pass_time(self, ms: int) -> None:
        clock = self.pipeline.runtime.clock
        assert isinstance(clock, VirtualClock)
        clock.advance_ms(ms)
        self.settle()

    def figures(self, credit_type: str = TYPE) -> dict[str, int]:
        """Balance, available and debt, by name; only what is not 0."""
        one = self.pipeline.credits.balances(self.account).get(credit_type, Balance(balance=0, available=0))
        return {name: value for name, value in one.as_json().items() if value}

    def payment_name(self) -> str:
        """The name of the first payment, as its grant keeps it."""
        with snapshot(self.pipeline.runtime.engine) as connection:
            return str(connection.execute(select(grants.c.source_ref).order_by(grants.c.id).limit(1)).scalar_one())

    def frozen(self) -> int:
        """Σ frozen of the account's lots."""
        query = select(grants.c.frozen).join(accounts).where(accounts.c.external_id == self.account)
        with snapshot(self.pipeline.runtime.engine) as connection:
            return sum(connection.execute(query).scalars())

    def history(self, credit_type: str = TYPE) -> list[tuple[str, int]]:
        """(kind, amount) of the account's entries, the oldest first."""
        query = (
            select(entries.c.kind, entries.c.amount)
            .join(accounts, accounts.c.id == entries.c.account_id)
            .where(accounts.c.external_id == self.account, entries.c.credit_type == credit_type)
            .order_by(entries.c.id)
        )
        with snapshot(self.pipeline.runtime.engine) as connection:
            return [(row.kind, row.amount) for row in connection.execute(query)]


def till(pipeline: Pipeline, *, shortfall: Shortfall = Shortfall.DEBT) -> Till:
    """A till whose purchases lapse after 30 days, and whose clawbacks do this about what they find spent."""
    catalogue = pipeline.runtime.catalogue
    types = {key: replace(one, on_clawback_shortfall=shortfall) for key, one in catalogue.credit_types.items()}
    purchases = replace(catalogue.purchases, expires=Expiry(kind=ExpiryKind.AFTER, after_days=30))
    return Till(pipeline=pipeline.with_catalogue(replace(catalogue, credit_types=types, purchases=purchases)))
