"""The use case at the heart: take an event, learn its facts, and post what they earn, all in one transaction."""

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any, assert_never

from credits.allocation import outcomes
from credits.allocation.asking import completed_facts_of, facts_of, gaps_to_ask
from credits.allocation.model import InHand, Runtime
from credits.allocation.plan_invoices import plan_paid
from credits.allocation.purchases import purchase_paid, purchase_pending, purchase_voided
from credits.allocation.reversals import reversal_seen
from credits.allocation.sharing import Prepared, named_accounts, sharing
from credits.allocation.subscriptions import customer_linked, subscription_seen
from credits.allocation.telling import tell_of_failure
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.errors import LeaseLostError
from credits.facts import (
    CustomerLinked,
    DisputeSeen,
    Fact,
    MoneyReturned,
    NothingToDo,
    PaymentNamed,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    RefundsCounted,
    RefundSeen,
    SubscriptionSeen,
)
from credits.failpoints import failpoint
from credits.ids import new_id
from credits.inbox import rules, store
from credits.inbox.model import ClaimedEvent, Outcome
from credits.ledger.locks import lock_named
from credits.log import get_logger

log = get_logger(__name__)


def process_events(runtime: Runtime, event_ids: Collection[int]) -> int:
    """
    Process those of `event_ids` that are due and that nobody else has in hand; answers how many that were.

    Safe to run any number of times, at once, and to be killed at any instant: an event's effects and its state are
    one transaction, and an event whose worker died is due again when its lease ends.
    """
    now_ms = runtime.clock()
    with transaction(runtime.engine) as connection:
        claimed = store.claim(connection, event_ids, now_ms=now_ms, lease_ms=rules.LEASE_MS, lease_token=new_id())
    failpoint("allocation.claimed")
    for event in _left_of(runtime, claimed):
        _process_one(runtime, event)
    return len(claimed)


def sweep(runtime: Runtime, *, limit: int = 100) -> int:
    """
    Process the events that are due (`limit` at most, and as many that may have killed a worker); answers how many.

    This is the delivery guarantee: it finds every event whose message was lost, whose worker died, or whose next
    attempt has come. Any number of processes may run it.
    """
    now_ms = runtime.clock()
    with snapshot(runtime.engine) as connection:
        due = store.due_ids(connection, now_ms=now_ms, limit=limit, suspect=False)
        suspects = store.due_ids(connection, now_ms=now_ms, limit=limit, suspect=True)
    taken = process_events(runtime, due) if due else 0
    # Last and one by one: what kills this worker, too, takes no other event with it.
    return taken + sum(process_events(runtime, [event_id]) for event_id in suspects)


def sweep_until_clear(runtime: Runtime, *, until_ms: int) -> int:
    """Sweep again and again until nothing is due or the clock passes `until_ms`; answers how many events it took."""
    total = 0
    while runtime.clock() < until_ms:
        taken = sweep(runtime, limit=50)
        total += taken
        if taken == 0:
            break
    return total


def _left_of(runtime: Runtime, events: Sequence[ClaimedEvent]) -> Sequence[ClaimedEvent]:
    """
    Process in one transaction the events that may share one; answers those that are left to be processed alone.

    If one of them goes wrong, nothing has happened, and all are left.
    """
    shared = sharing(_understood(runtime, events)) if len(events) > 1 else []
    if len(shared) < 2:
        return events
    try:
        ended = _apply_facts(runtime, shared)
    # Alone, each finds out for itself what went wrong, and the one it was records it.
    except Exception as error:  # noqa: BLE001
        log.info("events.not_together", events=len(shared), error=type(error).__name__)
        return events
    for (event, _), outcome in zip(shared, ended, strict=True):
        _log_processed(event, outcome)
    done = {event.id for event, _ in shared}
    return [event for event in events if event.id not in done]


def _understood(runtime: Runtime, events: Sequence[ClaimedEvent]) -> Iterator[Prepared]:
    for event in events:
        if event.crashes:
            continue
        try:
            facts = facts_of(runtime, event)
        # It says so again, and this is recorded, when it is processed alone.
        except Exception:  # noqa: BLE001, S112
            continue
        if not gaps_to_ask(runtime, event, facts):
            yield event, facts


def _process_one(runtime: Runtime, event: ClaimedEvent) -> None:
    try:
        outcome = rules.outcome_of_crashes(event.crashes)
        if outcome is None:
            (outcome,) = _apply_facts(runtime, [(event, completed_facts_of(runtime, event))])
        else:
            _note(runtime, event, outcome)
        _log_processed(event, outcome)
    except LeaseLostError:
        _log_of(event).warning("event.lease_lost")
    # Whatever went wrong, the attempt and its reason are recorded: that row is the retry.
    except Exception as error:  # noqa: BLE001
        _record_failure(runtime, event, error)


def _apply_facts(runtime: Runtime, prepared: Sequence[Prepared]) -> list[Outcome]:
    """Do what some events lead to, and finish them: all or nothing."""
    now_ms = runtime.clock()
    learnt: set[tuple[Tenant, str]] = set()
    with transaction(runtime.engine) as connection:
        lock_named(connection, named_accounts(prepared))
        ended = []
        for event, facts in prepared:
            hand = InHand(
                connection=connection,
                event=event,
                catalogue=runtime.catalogue,
                secret_key=runtime.secret_key,
                now_ms=now_ms,
                audience=runtime.audience,
                providers=runtime.providers,
                learnt=learnt,
            )
            ended.append((event, outcomes.combined([_apply(hand, fact) for fact in facts])))
        failpoint("allocation.before_finish")
        store.wake_any(connection, learnt, now_ms=now_ms)
        store.finish(connection, ended, now_ms=now_ms)
        for event, outcome in ended:
            tell_of_failure(connection, runtime.audience, event, outcome, now_ms=now_ms)
        failpoint("allocation.before_commit")
    failpoint("allocation.after_commit")
    return [outcome for _, outcome in ended]


def _apply(hand: InHand, fact: Fact) -> Outcome:
    """Decide what one fact leads to, and do it."""
    match fact:
        case PurchasePaid():
            return purchase_paid(hand, fact)
        case PurchasePending():
            return purchase_pending(hand, fact)
        case PurchaseVoided():
            return purchase_voided(hand, fact)
        case SubscriptionSeen():
            return subscription_seen(hand, fact)
        case CustomerLinked():
            return customer_linked(hand, fact)
        case PlanPaid():
            return plan_paid(hand, fact)
        case RefundSeen() | RefundsCounted() | DisputeSeen() | MoneyReturned() | PaymentNamed():
            return reversal_seen(hand, fact)
        case NothingToDo():
            return outcomes.ignored(fact.reason)
    assert_never(fact)


def _record_failure(runtime: Runtime, event: ClaimedEvent, error: Exception) -> None:
    now_ms = runtime.clock()
    # Spread, not secrecy: any generator does.
    jitter = random.random()  # noqa: S311
    outcome = rules.outcome_of_error(error, attempts=event.attempts, now_ms=now_ms, jitter=jitter)
    _log_of(event).warning("event.failed", state=outcome.state.value, code=outcome.code, exc_info=error)
    _note(runtime, event, outcome)


def _note(runtime: Runtime, event: ClaimedEvent, outcome: Outcome) -> None:
    try:
        with transaction(runtime.engine) as connection:
            now_ms = runtime.clock()
            store.finish(connection, [(event, outcome)], now_ms=now_ms)
            tell_of_failure(connection, runtime.audience, event, outcome, now_ms=now_ms)
    # The database may be what is away. The lease ends by itself, and the sweep tries again.
    except Exception as error:  # noqa: BLE001
        log.warning("event.outcome_not_recorded", inbox_id=event.id, code=outcome.code, error=type(error).__name__)


def _log_processed(event: ClaimedEvent, outcome: Outcome) -> None:
    _log_of(event).info(
        "event.processed",
        state=outcome.state.value,
        code=outcome.code,
        account=outcome.account,
        payment=outcome.payment,
        detail=outcome.detail,
    )


def _log_of(event: ClaimedEvent) -> Any:
    return log.bind(
        inbox_id=event.id,
        event_id=event.event_id,
        provider=event.provider,
        type=event.event_type,
        attempt=event.attempts,
    )
