"""Live a story through in a sandbox: each delivery, each job and each day in its turn."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import RowMapping, select

from credits.db import snapshot
from credits.errors import InsufficientCreditsError
from credits.inbox.provider import Provider
from credits.inbox.tables import events
from credits.ops.cli.context import MakeReceiver
from credits.ops.lifecycle.sandbox import Sandbox, sandbox
from credits.ops.lifecycle.statement import Line, Statement
from credits.ops.lifecycle.story import DAY_MS, START_MS, Asked, Job, Story, story
from credits.simulation.clock import VirtualClock
from credits.simulation.post import Disorder, Postman

_PAGE: Final = 500


def run_lifecycle(
    config_path: Path,
    providers: Mapping[str, Provider],
    make_receiver: MakeReceiver,
    asked: Asked,
    disorder: Disorder,
) -> Statement:
    """
    Live the life that `asked` draws, with deliveries as bad as `disorder` says; nothing outside is changed.

    Raises what `story` and `sandbox` raise.
    """
    clock = VirtualClock(START_MS)
    with sandbox(config_path, providers, make_receiver, clock=clock) as box:
        reference = box.reference(asked.provider, asked.account)
        return live(box, story(asked, box.catalogue, client_reference=reference), asked, disorder)


def live(box: Sandbox, life: Story, asked: Asked, disorder: Disorder) -> Statement:
    """Live `life` through in `box`, whose clock stands at its beginning."""
    postman = Postman(
        provider=box.providers[asked.provider],
        secret=box.secret(asked.provider),
        target=box.target(asked.provider),
        clock=box.clock,
        disorder=disorder,
    )
    box.store_quotes(event for one in life.happened for event in one.events)
    postman.send(*(event for one in life.happened for event in one.events))
    refused = []
    for job in life.jobs:
        _go_on(box, postman, job.at_ms)
        if not _do(box, asked.account, job):
            refused.append((job.at_ms, f"a job was refused: {job.amount} {job.credit_type} were not there"))
    _go_on(box, postman, life.end_ms)
    report = box.audit()
    return Statement(
        account=asked.account,
        provider=asked.provider,
        happened=[(one.at_ms, one.words) for one in life.happened],
        lines=_lines(box, asked.account),
        deliveries=postman.deliveries,
        refused_jobs=refused,
        left_out=life.left_out,
        states=_states(box),
        findings=[f"{one.code.value} {one.subject}: {one.expected} / {one.found}" for one in report.findings],
        is_audited=report.is_gate_read,
    )


def _go_on(box: Sandbox, postman: Postman, until_ms: int) -> None:
    """Deliver what is due until then, in its order, and let the workers look at least once a day."""
    while box.clock() < until_ms:
        day_ends_ms = min(until_ms, box.clock() - box.clock() % DAY_MS + DAY_MS)
        while (due_ms := postman.next_at_ms) is not None and due_ms < day_ends_ms:
            if postman.deliver_next().status == 200:
                box.work()
        box.clock.set_ms(day_ends_ms)
        box.work()


def _do(box: Sandbox, account: str, job: Job) -> bool:
    """Pay for a job; False if the credits were not there."""
    try:
        box.credits.spend(account, {job.credit_type: job.amount}, key=job.key)
    except InsufficientCreditsError:
        return False
    box.work()
    return True


def _lines(box: Sandbox, account: str) -> list[Line]:
    rows: list[RowMapping] = []
    while page := box.credits.entries(account, before_id=rows[-1]["id"] if rows else None, limit=_PAGE):
        rows += page
    names = ("at_ms", "credit_type", "kind", "amount", "balance_after", "debt_after", "key")
    return [Line(**{name: row[name] for name in names}) for row in reversed(rows)]


def _states(box: Sandbox) -> dict[str, int]:
    with snapshot(box.engine) as connection:
        return dict(Counter(str(state) for state in connection.execute(select(events.c.state)).scalars()))
