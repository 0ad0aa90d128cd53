"""Lives lived in a sandbox, and what came of them in a form that two tellings of one life have in common."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from credits.db import snapshot
from credits.errors import InsufficientCreditsError
from credits.inbox.model import FINISHED
from credits.inbox.tables import events
from credits.ledger.tables import accounts, entries, entry_lots, grants
from credits.ops.lifecycle.sandbox import Sandbox
from credits.reservations.hold import Hold
from credits.simulation.post import Disorder, Postman
from tests.support.told_lives import DAY_MS, HOUR_MS, IMAGES, Job, Told

OF_A_DATE = re.compile(r":\d{4}-\d{2}-\d{2}$|^drip:")
CARRY = re.compile(r"carry:[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one life."""

    used: Counter[tuple[str, str]]
    """How many credits of each lot were spent, by (credit type, what it was granted for)."""
    paid_for: dict[str, int]
    """What came with each payment at once, by its key; drips and what was carried on have other keys."""
    seen: tuple[tuple[int, dict[str, tuple[int, int]]], ...]
    """(instant, (balance, debt) by credit type): whenever everything that had happened was told."""
    refused: tuple[int, ...]
    """Jobs that were refused."""


def live_all(
    box: Sandbox,
    told: Mapping[str, tuple[str, Told]],
    disorders: Mapping[str, Disorder],
    *,
    beat_hours: int = 24,
    times: int = 1,
) -> dict[str, Outcome]:
    """
    Live lives, by account with their providers, at the same time; answers what became of each.

    The workers look every `beat_hours`, so many times.
    """
    postmen = {
        name: Postman(
            provider=box.providers[name],
            secret=box.secret(name),
            target=box.target(name),
            clock=box.clock,
            disorder=disorders[name],
        )
        for name in {name for name, _ in told.values()}
    }
    for name, one in told.values():
        happened = [event for each in one.happened for event in each.events]
        box.store_quotes(happened)
        postmen[name].send(*happened)
    works = [(job.at_ms, account, job) for account, (_, one) in told.items() for job in one.jobs]
    ends = [(job.at_ms + job.hours * HOUR_MS, account, job) for _, account, job in works]
    end_ms = max(one.end_ms for _, one in told.values())
    holds: dict[tuple[str, Job], Hold | None] = {}
    seen: dict[str, list[tuple[int, dict[str, tuple[int, int]]]]] = {account: [] for account in told}
    at_ms = box.clock()
    steps = {*range(at_ms, end_ms + beat_hours * HOUR_MS, beat_hours * HOUR_MS), *(one[0] for one in works + ends)}
    steps |= {calm_ms for _, one in told.values() for calm_ms in one.calm_ms}
    for step_ms in sorted(steps):
        for postman in postmen.values():
            postman.deliver_all(until_ms=step_ms)
        box.clock.set_ms(step_ms)
        for _ in range(times):
            box.work()
        for account, (_, one) in told.items():
            if step_ms in one.calm_ms:
                seen[account].append((step_ms, _balances(box, account)))
        for _, account, job in (one for one in works if one[0] == step_ms):
            holds[account, job] = _begin(box, account, job)
        for _, account, job in (one for one in ends if one[0] == step_ms):
            _finish(holds[account, job], job)
    return {
        account: Outcome(
            used=_used(box, account),
            paid_for=_paid_for(box, account),
            seen=tuple(seen[account]),
            refused=tuple(sorted(job.at_ms for (who, job), hold in holds.items() if who == account and hold is None)),
        )
        for account in told
    }


def _balances(box: Sandbox, account: str) -> dict[str, tuple[int, int]]:
    return {kind: (one.balance, one.debt) for kind, one in box.credits.balances(account).items()}


def _begin(box: Sandbox, account: str, job: Job) -> Hold | None:
    try:
        return box.credits.reserve(account, {IMAGES: job.amount}, reservation_id=f"j{job.at_ms}", ttl_s=DAY_MS // 1000)
    except InsufficientCreditsError:
        return None


def _finish(hold: Hold | None, job: Job) -> None:
    if hold is not None and job.amount % 3:
        hold.commit({IMAGES: job.amount - job.amount // 4})
    elif hold is not None:
        hold.release()


def _paid_for(box: Sandbox, account: str) -> dict[str, int]:
    lots = box.credits.grants(account, limit=1000)
    return {
        lot["key"]: lot["amount"] for lot in lots if not OF_A_DATE.search(lot["key"]) and lot["source"] != "rollover"
    }


def _used(box: Sandbox, account: str) -> Counter[tuple[str, str]]:
    query = (
        select(entries.c.credit_type, grants.c.key, entry_lots.c.amount)
        .join(entry_lots, entry_lots.c.entry_id == entries.c.id)
        .join(grants, grants.c.id == entry_lots.c.grant_id)
        .join(accounts, accounts.c.id == entries.c.account_id)
        .where(accounts.c.external_id == account, entries.c.kind == "spend")
    )
    used: Counter[tuple[str, str]] = Counter()
    with snapshot(box.engine) as connection:
        for row in connection.execute(query):
            used[row.credit_type, CARRY.sub("carry", row.key)] -= row.amount
    return used


def unfinished(box: Sandbox) -> list[str]:
    """Events that came to no end, in words."""
    query = select(events.c.event_type, events.c.state, events.c.detail).where(events.c.state.not_in(FINISHED))
    with snapshot(box.engine) as connection:
        return [" ".join(map(str, row)) for row in connection.execute(query)]
