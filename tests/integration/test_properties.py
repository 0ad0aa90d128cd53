"""Whatever is doubled, reordered, delayed or split: the same payments end in the same ledger."""

import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from credits.allocation.model import Runtime
from credits.config.settings import Tenant
from credits.db import snapshot
from credits.inbox.model import FINISHED
from credits.inbox.tables import events
from credits.ledger.tables import accounts, entries, grants
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.lives import MONTH_MS, Told, lives, named, retold
from tests.support.pipeline import Pipeline

EXAMPLES = {"sqlite": 25, "postgresql": 5}
pytestmark = pytest.mark.timeout(300)

SHAPES = ["2020-08-27", "2025-02-24.acacia", "2025-03-31.basil"]

_numbers = itertools.count(1)

Lots = set[tuple[str, str, int, int | None]]


@pytest.fixture
def examples(database_kind: str) -> settings:
    return settings(
        max_examples=EXAMPLES[database_kind],
        # An example takes a while, so there is no time to make a failing one smaller; its blob repeats it.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def test_any_order_and_number_of_deliveries_ends_in_the_same_ledger(
    runtime: Runtime, clock: VirtualClock, examples: settings
) -> None:
    """The same life is told to the sandbox in order and once, and to the live tenant in any way at all."""

    @examples
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        account = f"user_{next(_numbers)}"
        told = data.draw(lives(), label="told")
        batches = data.draw(retold(told), label="retold")
        pauses_ms = data.draw(st.lists(st.integers(0, 10**8), min_size=len(batches), max_size=len(batches)))

        tell(Pipeline(runtime=runtime), account, [[event] for event in sorted(told, key=lambda event: event.order)])
        clock.set_ms(NOON_MS + 6 * MONTH_MS)
        tell(Pipeline(runtime=runtime, tenant=Tenant.LIVE), account, batches, pauses_ms)

        assert lots(runtime, Tenant.LIVE, account) == lots(runtime, Tenant.SANDBOX, account)
        assert posted(runtime, Tenant.LIVE, account) == posted(runtime, Tenant.SANDBOX, account)
        assert unfinished(runtime) == []

    check()
    assert_ledger_is_sound(runtime.engine)


def test_old_and_new_api_shapes_end_in_the_same_ledger(runtime: Runtime, examples: settings) -> None:
    """Told in one shape to the sandbox, and in a mixture of shapes to the live tenant."""

    @examples
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        account = f"user_{next(_numbers)}"
        told = [event for event in data.draw(lives()) if event.provider == "stripe"]
        shape = data.draw(st.sampled_from(SHAPES), label="shape")
        shapes = data.draw(st.lists(st.sampled_from(SHAPES), min_size=len(told), max_size=len(told)), label="shapes")

        tell(Pipeline(runtime=runtime), account, [[shaped(event, shape)] for event in told])
        mixed = [[shaped(event, one) for event, one in zip(told, shapes, strict=True)]]
        tell(Pipeline(runtime=runtime, tenant=Tenant.LIVE), account, mixed)

        assert lots(runtime, Tenant.LIVE, account) == lots(runtime, Tenant.SANDBOX, account)
        assert unfinished(runtime) == []

    check()
    assert_ledger_is_sound(runtime.engine)


def tell(pipeline: Pipeline, account: str, batches: list[list[Told]], pauses_ms: list[int] | None = None) -> None:
    """Deliver batch after batch, process after each, and look again whenever an event is due until none is."""
    clock = pipeline.runtime.clock
    assert isinstance(clock, VirtualClock)
    for number, batch in enumerate(batches):
        for event in batch:
            pipeline.deliver(
                event.event_type, provider=event.provider, edit=event.edit, **named(pipeline, event, account)
            )
        pipeline.process()
        clock.advance_ms(pauses_ms[number] if pauses_ms else 0)
    while (due_at_ms := next_due_ms(pipeline.runtime)) is not None:
        clock.set_ms(max(clock(), due_at_ms))
        pipeline.process()


def shaped(event: Told, shape: str) -> Told:
    return Told(
        event_type=event.event_type,
        provider=event.provider,
        said={**event.said, "api_version": shape, "delivery": f"{event.said['delivery']}-{shape}"},
        edit=event.edit,
    )


def next_due_ms(runtime: Runtime) -> int | None:
    with snapshot(runtime.engine) as connection:
        query = select(events.c.due_at_ms).where(events.c.due_at_ms.is_not(None)).order_by(events.c.due_at_ms).limit(1)
        return connection.execute(query).scalar_one_or_none()


def lots(runtime: Runtime, tenant: Tenant, account: str) -> Lots:
    """(credit type, key, amount, expiry) of every lot. A session's id tells its mode, which is no difference."""
    query = (
        select(grants)
        .join(accounts, accounts.c.id == grants.c.account_id)
        .where(accounts.c.tenant == tenant, accounts.c.external_id == account)
    )
    with snapshot(runtime.engine) as connection:
        return {
            (row.credit_type, row.key.replace("cs_live", "cs_test"), row.amount, row.expires_at_ms)
            for row in connection.execute(query)
        }


def posted(runtime: Runtime, tenant: Tenant, account: str) -> set[tuple[str, str, int]]:
    query = (
        select(entries)
        .join(accounts, accounts.c.id == entries.c.account_id)
        .where(accounts.c.tenant == tenant, accounts.c.external_id == account)
    )
    with snapshot(runtime.engine) as connection:
        return {(row.kind, row.key.replace("cs_live", "cs_test"), row.amount) for row in connection.execute(query)}


def unfinished(runtime: Runtime) -> list[tuple[str, str, str]]:
    with snapshot(runtime.engine) as connection:
        rows = connection.execute(select(events).where(events.c.state.not_in(sorted(FINISHED))))
        return [(row.event_type, row.state, row.detail) for row in rows]
