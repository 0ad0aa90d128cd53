"""An installation without its processes: webhooks go into the inbox, the worker's function takes them out."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from credits.allocation.model import Runtime
from credits.allocation.service import sweep
from credits.audit_log import Act
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.engine import Credits
from credits.inbox import service, store
from credits.inbox.model import EventState, NewEvent
from credits.inbox.service import Acted
from credits.inbox.tables import events
from credits.ledger.locks import lock_accounts
from credits.ledger.store import ensure_account, read_balance
from credits.ledger.tables import accounts, balances, entries
from credits.payload import parse
from credits.reservations.steps import GateRuntime
from tests.support.clock import NOON_MS
from tests.support.webhooks import simulation

OPERATOR = Act(actor="operator:ada", reason="the cause is fixed")

Edit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Drives one database through its inbox, as receiver and workers do."""

    runtime: Runtime
    tenant: Tenant = Tenant.SANDBOX
    gate: GateRuntime | None = None

    @property
    def credits(self) -> Credits:
        """The library over the same database and gate."""
        return Credits(
            engine=self.runtime.engine,
            catalogue=self.runtime.catalogue,
            tenant=self.tenant,
            secret_key=self.runtime.secret_key,
            clock=self.runtime.clock,
            gate=self.gate,
        )

    def with_catalogue(self, catalogue: Catalogue) -> "Pipeline":
        """The same database after credits.toml changed."""
        return replace(self, runtime=replace(self.runtime, catalogue=catalogue))

    def with_price(self, plan: str, product_id: str, *, provider: str = "stripe") -> "Pipeline":
        """The same database after `product_id` was added to a plan in credits.toml."""
        catalogue = self.runtime.catalogue
        changed = catalogue.plan(plan)
        product_ids = {**changed.product_ids, provider: (*changed.product_ids.get(provider, ()), product_id)}
        plans = {**catalogue.plans, plan: replace(changed, product_ids=product_ids)}
        return self.with_catalogue(replace(catalogue, plans=plans))

    def retry(self, event_id: int) -> Acted:
        """Let an operator retry the event."""
        with transaction(self.runtime.engine) as connection:
            return service.retry(connection, self.tenant, event_id, OPERATOR, now_ms=self.runtime.clock())

    def body(self, event_type: str, *, provider: str = "fake", edit: Edit | None = None, **changes: Any) -> bytes:
        """A simulated body; `edit` changes its JSON, `changes` what it says."""
        said = {"at_ms": self.runtime.clock(), "started_at_ms": NOON_MS, "tenant": self.tenant, **changes}
        body = self.runtime.providers[provider].simulate(simulation(event_type, **said))
        if edit is None:
            return body
        payload = json.loads(body)
        edit(payload)
        return json.dumps(payload).encode()

    def deliver(self, event_type: str, *, provider: str = "fake", **changes: Any) -> int:
        """Put a simulated event into the inbox; answers its number. One that is there already is counted."""
        return self.deliver_body(provider, self.body(event_type, provider=provider, **changes))

    def deliver_body(self, provider: str, body: bytes) -> int:
        delivery = self.runtime.providers[provider].envelope(parse(body), body)
        tenant = delivery.tenant or self.tenant
        event = NewEvent(
            tenant=tenant,
            provider=provider,
            provider_account=delivery.provider_account,
            endpoint=tenant,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            body=body,
            state=EventState.RECEIVED,
            occurred_at_ms=delivery.occurred_at_ms,
            received_at_ms=self.runtime.clock(),
        )
        with transaction(self.runtime.engine) as connection:
            return (store.insert_event(connection, event) or store.count_delivery(connection, event)).id

    def process(self) -> int:
        """Sweep until nothing is due; answers how many attempts that were."""
        attempts = 0
        while taken := sweep(self.runtime):
            attempts += taken
        return attempts

    def receive(self, event_type: str, *, provider: str = "fake", **changes: Any) -> RowMapping:
        """Deliver one event, process what is due, and answer the event's row."""
        event_id = self.deliver(event_type, provider=provider, **changes)
        self.process()
        return self.event(event_id)

    def event(self, event_id: int) -> RowMapping:
        with snapshot(self.runtime.engine) as connection:
            return connection.execute(select(events).where(events.c.id == event_id)).mappings().one()

    def states(self) -> list[str]:
        """The state of every event, in the order of arrival."""
        with snapshot(self.runtime.engine) as connection:
            return list(connection.execute(select(events.c.state).order_by(events.c.id)).scalars())

    def balance(self, account: str, credit_type: str = "image_generation") -> int:
        """The account's balance in this pipeline's tenant; 0 if it has none."""
        found = self.credits.ledger_balances(account).get(credit_type)
        return 0 if found is None else found.balance

    def posted(self) -> set[tuple[str, str, str, int]]:
        """(tenant, key, kind, amount) of every entry there is."""
        with snapshot(self.runtime.engine) as connection:
            rows = connection.execute(select(entries.c.tenant, entries.c.key, entries.c.kind, entries.c.amount))
            return {(row[0], row[1], row[2], row[3]) for row in rows}

    def owe(self, account: str, credit_type: str, debt: int) -> None:
        """Let an account owe `debt` credits, as after a clawback that found too little."""
        with transaction(self.runtime.engine) as connection:
            account_id = ensure_account(connection, self.tenant, account, self.runtime.clock())
            lock_accounts(connection, [account_id])
            balance, owed, seq = read_balance(connection, account_id, credit_type)
            connection.execute(
                insert(entries).values(
                    tenant=self.tenant,
                    account_id=account_id,
                    credit_type=credit_type,
                    seq=seq + 1,
                    kind="clawback",
                    amount=-debt,
                    balance_after=balance - debt,
                    debt_after=owed + debt,
                    key=f"test:clawback:{account}:{seq + 1}",
                    fingerprint="",
                    actor="test",
                    reason="refunded after it was spent",
                    meta={},
                    at_ms=self.runtime.clock(),
                )
            )
            values = {"balance": balance - debt, "debt": owed + debt, "seq": seq + 1}
            identity = {"account_id": account_id, "credit_type": credit_type}
            if seq == 0:
                connection.execute(insert(balances).values(tenant=self.tenant, **identity, **values))
            else:
                where = [balances.c[name] == value for name, value in identity.items()]
                connection.execute(update(balances).where(*where).values(**values))


def account_exists(pipeline: Pipeline, account: str) -> bool:
    """Whether any tenant of the database knows `account`."""
    with snapshot(pipeline.runtime.engine) as connection:
        query = select(accounts.c.id).where(accounts.c.external_id == account)
        return connection.execute(query).first() is not None
