"""What operators do with events: each action fits the event's state, and says who and why."""

from typing import Any

import pytest
from sqlalchemy import select, update

from credits.audit_log import audit_log
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import EventActionError, EventNotFoundError, InvalidInputError
from credits.inbox import service
from credits.inbox.model import EventState
from credits.inbox.tables import event_waits, events
from tests.support.pipeline import OPERATOR, Pipeline

NOBODY: dict[str, Any] = {"account": None}


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
    """An unattributable payment is retried for ever, then lost (worldmonitor #6191)."""
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
