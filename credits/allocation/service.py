"""The use case at the heart: take an event, learn its facts, and post what they earn, all in one transaction."""

import random
from collections.abc import Collection, Sequence
from typing import assert_never

from credits.allocation import outcomes
from credits.allocation.model import InHand, Runtime
from credits.allocation.purchases import purchase_paid, purchase_pending, purchase_voided
from credits.allocation.subscriptions import customer_linked, plan_paid, subscription_seen, waiting_for
from credits.allocation.telling import tell_of_failure
from credits.db import snapshot, transaction
from credits.errors import LeaseLostError, UnknownProviderError
from credits.facts import (
    CustomerLinked,
    Deferred,
    Fact,
    NothingToDo,
    PlanPaid,
    PurchasePaid,
    PurchasePending,
    PurchaseVoided,
    SubscriptionSeen,
)
from credits.failpoints import failpoint
from credits.ids import new_id
from credits.inbox import rules, store
from credits.inbox.model import ClaimedEvent, Outcome
from credits.log import get_logger
from credits.payload import parse

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
    for event in claimed:
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


def _process_one(runtime: Runtime, event: ClaimedEvent) -> None:
    log_event = log.bind(
        inbox_id=event.id,
        event_id=event.event_id,
        provider=event.provider,
        type=event.event_type,
        attempt=event.attempts,
    )
    try:
        outcome = rules.outcome_of_crashes(event.crashes)
        if outcome is None:
            outcome = _apply_facts(runtime, event, _facts_of(runtime, event))
        else:
            _note(runtime, event, outcome)
        log_event.info(
            "event.processed",
            state=outcome.state.value,
            code=outcome.code,
            account=outcome.account,
            payment=outcome.payment,
            detail=outcome.detail,
        )
    except LeaseLostError:
        log_event.warning("event.lease_lost")
    # Whatever went wrong, the attempt and its reason are recorded: that row is the retry.
    except Exception as error:  # noqa: BLE001
        _record_failure(runtime, event, error)


def _facts_of(runtime: Runtime, event: ClaimedEvent) -> Sequence[Fact]:
    provider = runtime.providers.get(event.provider)
    if provider is None:
        raise UnknownProviderError(event.provider, sorted(runtime.providers))
    return provider.interpret(parse(event.body))


def _apply_facts(runtime: Runtime, event: ClaimedEvent, facts: Sequence[Fact]) -> Outcome:
    with transaction(runtime.engine) as connection:
        hand = InHand(
            connection=connection,
            event=event,
            catalogue=runtime.catalogue,
            secret_key=runtime.secret_key,
            now_ms=runtime.clock(),
            audience=runtime.audience,
        )
        outcome = outcomes.combined([_apply(hand, fact) for fact in facts])
        failpoint("allocation.before_finish")
        store.finish(connection, event, outcome, now_ms=hand.now_ms)
        tell_of_failure(connection, runtime.audience, event, outcome, now_ms=hand.now_ms)
        failpoint("allocation.before_commit")
    failpoint("allocation.after_commit")
    return outcome


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
        case Deferred():
            return waiting_for(fact.feature, f"{fact.subject}: {fact.reason}")
        case NothingToDo():
            return outcomes.ignored(fact.reason)
    assert_never(fact)


def _record_failure(runtime: Runtime, event: ClaimedEvent, error: Exception) -> None:
    now_ms = runtime.clock()
    # Spread, not secrecy: any generator does.
    jitter = random.random()  # noqa: S311
    outcome = rules.outcome_of_error(error, attempts=event.attempts, now_ms=now_ms, jitter=jitter)
    log.bind(inbox_id=event.id, event_id=event.event_id, provider=event.provider, type=event.event_type).warning(
        "event.failed", state=outcome.state.value, code=outcome.code, attempt=event.attempts, exc_info=error
    )
    _note(runtime, event, outcome)


def _note(runtime: Runtime, event: ClaimedEvent, outcome: Outcome) -> None:
    try:
        with transaction(runtime.engine) as connection:
            now_ms = runtime.clock()
            store.finish(connection, event, outcome, now_ms=now_ms)
            tell_of_failure(connection, runtime.audience, event, outcome, now_ms=now_ms)
    # The database may be what is away. The lease ends by itself, and the sweep tries again.
    except Exception as error:  # noqa: BLE001
        log.warning("event.outcome_not_recorded", inbox_id=event.id, code=outcome.code, error=type(error).__name__)
