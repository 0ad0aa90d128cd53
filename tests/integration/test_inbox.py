"""The inbox: no event is lost, each is done once, and whatever needs a person says why and what to do."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from credits.allocation.model import Runtime
from credits.allocation.service import process_events, sweep
from credits.audit_log import audit_log
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import DependencyError, EventActionError, EventNotFoundError, InvalidInputError
from credits.facts import Fact, NothingToDo
from credits.inbox import service, store
from credits.inbox.model import EventState
from credits.inbox.provider import Payload
from credits.inbox.rules import LEASE_MS, MAX_ATTEMPTS_UNAVAILABLE, MAX_ATTEMPTS_UNEXPECTED, backoff_ms, fix_of
from credits.inbox.tables import event_waits, events
from tests.support.clock import VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import OPERATOR, Pipeline
from webhooks.providers.fake import PROVIDER

NOBODY: dict[str, Any] = {"account": None}


class Unwell:
    """The fake provider, whose readers raise what they are told to until they are told nothing."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __call__(self, payload: Payload) -> tuple[Fact, ...]:
        if self.error is not None:
            raise self.error
        return PROVIDER.interpret(payload)


def unwell(runtime: Runtime, error: Exception) -> tuple[Pipeline, Unwell]:
    """A pipeline whose fake provider is unwell."""
    reader = Unwell(error)
    provider = replace(PROVIDER, readers=dict.fromkeys(PROVIDER.readers, reader))
    return Pipeline(runtime=replace(runtime, providers={"fake": provider})), reader


DATABASE_AWAY = [
    pytest.param(OperationalError("SELECT 1", {}, Exception("password of user_1")), id="driver"),
    pytest.param(DependencyError("Redis did not answer"), id="ours"),
]


@pytest.mark.parametrize("error", DATABASE_AWAY)
def test_a_dependency_that_is_away_is_tried_again_later_with_the_reason_in_the_row(
    runtime: Runtime, clock: VirtualClock, error: Exception
) -> None:
    pipeline, reader = unwell(runtime, error)

    failed = pipeline.receive("purchase.paid")
    reader.error = None
    clock.set_ms(failed["due_at_ms"] - 1)
    too_early = pipeline.process()
    clock.advance_ms(1)
    pipeline.process()

    assert (failed["state"], failed["code"]) == (EventState.FAILED, "dependency_unavailable")
    assert "password" not in failed["detail"]
    assert backoff_ms(1, 0) <= failed["due_at_ms"] - failed["received_at_ms"] <= backoff_ms(1, 1)
    assert too_early == 0
    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 100


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (DependencyError("away"), MAX_ATTEMPTS_UNAVAILABLE),
        (ZeroDivisionError("a bug"), MAX_ATTEMPTS_UNEXPECTED),
    ],
)
def test_an_error_that_stays_is_quarantined_and_a_late_retry_still_grants(
    runtime: Runtime, clock: VirtualClock, error: Exception, attempts: int
) -> None:
    pipeline, reader = unwell(runtime, error)
    event_id = pipeline.deliver("purchase.paid")
    while pipeline.process():
        clock.set_ms(pipeline.event(event_id)["due_at_ms"] or clock())

    dead = pipeline.event(event_id)
    reader.error = None
    pipeline.retry(event_id)
    pipeline.process()

    assert (dead["state"], dead["attempts"], dead["due_at_ms"]) == (EventState.DEAD, attempts, None)
    assert "a bug" not in dead["detail"]
    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 100


def test_a_duplicate_of_a_dead_event_leaves_it_dead(runtime: Runtime) -> None:
    pipeline, reader = unwell(runtime, ZeroDivisionError())
    event_id = pipeline.deliver("purchase.paid")
    with transaction(runtime.engine) as connection:
        connection.execute(update(events).values(state=EventState.DEAD, due_at_ms=None))
    reader.error = None

    again = pipeline.receive("purchase.paid")

    assert (again["id"], again["state"], again["deliveries"]) == (event_id, EventState.DEAD, 2)


def test_a_worker_that_lost_its_lease_leaves_nothing_behind(runtime: Runtime, clock: VirtualClock) -> None:
    """The slower of two workers rolls back, and the quicker one's credits stand alone."""
    quick = Pipeline(runtime=runtime)

    def overtaken(payload: Payload) -> tuple[Fact, ...]:
        clock.advance_ms(LEASE_MS + 1)
        quick.process()
        return PROVIDER.interpret(payload)

    provider = replace(PROVIDER, readers=dict.fromkeys(PROVIDER.readers, overtaken))
    slow = Pipeline(runtime=replace(runtime, providers={"fake": provider}))

    slow.receive("purchase.paid")

    assert quick.states() == [EventState.DONE]
    assert quick.balance("user_1") == 100
    assert len(quick.posted()) == 1
    assert_ledger_is_sound(runtime.engine)


def test_an_event_in_the_hands_of_one_worker_is_not_taken_by_another(pipeline: Pipeline, clock: VirtualClock) -> None:
    event_id = pipeline.deliver("purchase.paid")
    with transaction(pipeline.runtime.engine) as connection:
        first = store.claim(connection, [event_id], now_ms=clock(), lease_ms=LEASE_MS, lease_token="first")
    clock.advance_ms(LEASE_MS - 1)

    with transaction(pipeline.runtime.engine) as connection:
        second = store.claim(connection, [event_id], now_ms=clock(), lease_ms=LEASE_MS, lease_token="second")

    assert [event.lease_token for event in first] == ["first"]
    assert second == []


@pytest.mark.parametrize("state", [EventState.DONE, EventState.IGNORED, EventState.SKIPPED, EventState.REJECTED])
def test_a_retry_of_a_finished_event_changes_nothing(pipeline: Pipeline, state: EventState) -> None:
    event_id = pipeline.receive("purchase.paid")["id"]
    with transaction(pipeline.runtime.engine) as connection:
        connection.execute(update(events).values(state=state))
    before = dict(pipeline.event(event_id))

    acted = pipeline.retry(event_id)
    pipeline.process()

    assert (acted.state_before, acted.is_requeued) == (state, False)
    assert dict(pipeline.event(event_id)) == before
    assert pipeline.balance("user_1") == 100


def test_a_replay_of_a_done_event_grants_nothing_more(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid")["id"]

    with transaction(pipeline.runtime.engine) as connection:
        acted = service.replay_stored(connection, Tenant.SANDBOX, event_id, OPERATOR, now_ms=0)
    pipeline.process()

    assert acted.is_requeued
    assert "before" in pipeline.event(event_id)["detail"]
    assert pipeline.balance("user_1") == 100


def test_an_unattributed_payment_is_kept_and_credited_when_it_is_attached(pipeline: Pipeline) -> None:
    event = pipeline.receive("purchase.paid", **NOBODY)

    attach(pipeline, event["id"], "user_1")
    pipeline.process()

    assert (event["state"], event["code"]) == (EventState.UNATTRIBUTED, "nobody_to_credit")
    assert pipeline.states() == [EventState.DONE]
    assert pipeline.balance("user_1") == 100


def test_after_one_payment_was_attached_the_customers_others_find_their_way(pipeline: Pipeline) -> None:
    def same_customer(payload: dict[str, Any]) -> None:
        payload["data"]["customer"] = "cus_same"

    said = {**NOBODY, "edit": same_customer}
    earlier = pipeline.receive("purchase.paid", payment="p0", delivery="0", **said)
    event = pipeline.receive("purchase.paid", payment="p1", delivery="1", **said)

    attach(pipeline, event["id"], "user_1")
    pipeline.process()
    later = pipeline.receive("purchase.paid", payment="p2", delivery="2", **said)

    assert pipeline.event(earlier["id"])["state"] == later["state"] == EventState.DONE
    assert pipeline.balance("user_1") == 300


def test_a_payment_that_does_not_say_what_it_bought_is_told_by_the_operator(pipeline: Pipeline) -> None:
    event = pipeline.receive("purchase.paid", credit_type=None, amount=None)

    attach(pipeline, event["id"], "user_1", credit_type="tokens", amount=7)
    pipeline.process()

    assert (event["state"], event["code"]) == (EventState.UNATTRIBUTED, "credits_unknown")
    assert pipeline.balance("user_1", "tokens") == 7


@pytest.mark.parametrize(
    ("silent", "told"),
    [
        ({"account": None}, {}),
        ({"credit_type": None, "amount": None}, {"credit_type": "tokens", "amount": 7}),
    ],
    ids=["who", "what"],
)
def test_another_event_of_an_attached_payment_needs_nobody(
    pipeline: Pipeline, silent: dict[str, Any], told: dict[str, Any]
) -> None:
    def guest(payload: dict[str, Any]) -> None:
        payload["data"]["customer"] = None

    event = pipeline.receive("purchase.paid", payment="p", delivery="first", edit=guest, **silent)
    attach(pipeline, event["id"], "user_1", **told)
    pipeline.process()

    again = pipeline.receive("purchase.paid", payment="p", delivery="second", edit=guest, **silent)

    assert (event["state"], again["state"]) == (EventState.UNATTRIBUTED, EventState.DONE)
    assert len(pipeline.posted()) == 1


@pytest.mark.parametrize("action", ["retry", "attach"])
def test_an_action_that_does_not_help_leaves_an_unattributed_event_as_it_was(pipeline: Pipeline, action: str) -> None:
    event = pipeline.receive("purchase.paid", credit_type=None, amount=None)
    subjects = waits(pipeline, event["id"])

    if action == "retry":
        pipeline.retry(event["id"])
    else:
        attach(pipeline, event["id"], "user_1")
    pipeline.process()

    again = pipeline.event(event["id"])
    assert (again["state"], again["code"]) == (EventState.UNATTRIBUTED, "credits_unknown")
    assert waits(pipeline, event["id"]) == subjects != []


def test_an_event_that_is_woken_is_looked_at_again_as_often_as_a_new_one(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    said: dict[str, Any] = {"product_id": None, "credit_type": None, "amount": None}
    event_id = pipeline.deliver("plan.paid", **said)
    while pipeline.process():
        clock.set_ms(pipeline.event(event_id)["due_at_ms"] or clock())
    tired = pipeline.event(event_id)

    pipeline.receive("subscription.seen", **said)

    woken = pipeline.event(event_id)
    assert (tired["state"], tired["due_at_ms"]) == (EventState.WAITING, None)
    assert woken["state"] == EventState.WAITING
    assert woken["due_at_ms"] > clock()


def test_finished_events_can_be_neither_attached_nor_skipped(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid")["id"]

    with pytest.raises(EventActionError, match="done"):
        attach(pipeline, event_id, "user_2")
    with pytest.raises(EventActionError, match="done"), transaction(pipeline.runtime.engine) as connection:
        service.skip(connection, Tenant.SANDBOX, event_id, OPERATOR, now_ms=0)

    assert audited(pipeline) == []


def test_an_event_of_the_other_tenant_does_not_exist(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid", **NOBODY)["id"]
    live = Pipeline(runtime=pipeline.runtime, tenant=Tenant.LIVE)

    with pytest.raises(EventNotFoundError):
        live.retry(event_id)


def test_a_skipped_event_is_out_of_the_way_until_it_is_replayed(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid", **NOBODY)["id"]

    with transaction(pipeline.runtime.engine) as connection:
        service.skip(connection, Tenant.SANDBOX, event_id, OPERATOR, now_ms=5)
    pipeline.process()

    skipped = pipeline.event(event_id)
    assert (skipped["state"], skipped["code"], skipped["due_at_ms"]) == (EventState.SKIPPED, "skipped", None)
    assert skipped["detail"] == "skipped by operator:ada: the cause is fixed"


def test_every_action_says_who_and_why(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid", **NOBODY)["id"]

    pipeline.retry(event_id)
    attach(pipeline, event_id, "user_1")
    pipeline.process()
    with transaction(pipeline.runtime.engine) as connection:
        service.replay_stored(connection, Tenant.SANDBOX, event_id, OPERATOR, now_ms=0)

    assert audited(pipeline) == [
        ("operator:ada", "event.retry", f"event:{event_id}", "the cause is fixed", "unattributed"),
        ("operator:ada", "event.attach", f"event:{event_id}", "the cause is fixed", "received"),
        ("operator:ada", "event.replay", f"event:{event_id}", "the cause is fixed", "done"),
    ]


def test_retrying_all_takes_those_that_need_an_operator_and_fit_the_filters(pipeline: Pipeline) -> None:
    unattributed = pipeline.receive("purchase.paid", delivery="1", payment="p1", **NOBODY)["id"]
    failed = pipeline.receive("purchase.paid", delivery="2", payment="p2", credit_type="gold")["id"]
    done = pipeline.receive("purchase.paid", delivery="3", payment="p3")["id"]

    with transaction(pipeline.runtime.engine) as connection:
        every = service.retry_matching(connection, Tenant.SANDBOX, OPERATOR, now_ms=0)
        by_code = service.retry_matching(
            connection, Tenant.SANDBOX, OPERATOR, code="no_such_code", states=[EventState.DONE], now_ms=0
        )

    assert [acted.event_id for acted in every] == [unattributed, failed]
    assert by_code == []
    assert pipeline.event(done)["state"] == EventState.DONE


@pytest.mark.parametrize(("credit_type", "amount"), [("tokens", None), (None, 5)])
def test_an_attachment_names_both_what_and_how_much(
    pipeline: Pipeline, credit_type: str | None, amount: int | None
) -> None:
    event_id = pipeline.receive("purchase.paid", **NOBODY)["id"]

    with pytest.raises(InvalidInputError, match="both or neither"):
        attach(pipeline, event_id, "user_1", credit_type=credit_type, amount=amount)


def test_a_sweep_takes_what_is_due_and_no_more_than_its_limit(pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.deliver("purchase.paid", delivery=str(number), payment=str(number))

    taken = [sweep(pipeline.runtime, limit=3) for _ in range(3)]

    assert taken == [3, 2, 0]
    assert pipeline.balance("user_1") == 500


def test_events_that_nobody_knows_or_that_are_done_are_passed_over(pipeline: Pipeline) -> None:
    event_id = pipeline.receive("purchase.paid")["id"]

    assert process_events(pipeline.runtime, [event_id, 10**9]) == 0


def test_an_event_of_a_provider_that_is_gone_fails_visibly(pipeline: Pipeline) -> None:
    pipeline.deliver("purchase.paid")

    sweep(replace(pipeline.runtime, providers={}))

    (event_id,) = store_ids(pipeline)
    event = pipeline.event(event_id)
    assert (event["state"], event["code"]) == (EventState.FAILED, "unknown_provider")
    assert fix_of(event["code"])


def test_an_event_that_says_nothing_is_ignored(runtime: Runtime) -> None:
    provider = replace(PROVIDER, readers={"purchase.paid": lambda _: (NothingToDo(reason="all quiet"),)})
    pipeline = Pipeline(runtime=replace(runtime, providers={"fake": provider}))

    event = pipeline.receive("purchase.paid")

    assert (event["state"], event["detail"]) == (EventState.IGNORED, "all quiet")


def attach(
    pipeline: Pipeline, event_id: int, account: str, *, credit_type: str | None = None, amount: int | None = None
) -> None:
    now_ms = pipeline.runtime.clock()
    what: dict[str, Any] = {"credit_type": credit_type, "amount": amount}
    with transaction(pipeline.runtime.engine) as connection:
        service.attach(connection, pipeline.tenant, event_id, account, OPERATOR, **what, now_ms=now_ms)


def waits(pipeline: Pipeline, event_id: int) -> list[str]:
    with snapshot(pipeline.runtime.engine) as connection:
        return sorted(
            connection.execute(select(event_waits.c.subject).where(event_waits.c.event_id == event_id)).scalars()
        )


def audited(pipeline: Pipeline) -> list[tuple[str, str, str, str, str]]:
    with snapshot(pipeline.runtime.engine) as connection:
        return [
            (row.actor, row.action, row.subject, row.reason, row.detail["state_before"])
            for row in connection.execute(select(audit_log).order_by(audit_log.c.id))
        ]


def store_ids(pipeline: Pipeline) -> list[int]:
    with snapshot(pipeline.runtime.engine) as connection:
        return list(connection.execute(select(events.c.id)).scalars())
