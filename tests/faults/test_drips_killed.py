"""The sweep of drips, stopped for months and killed anywhere, hands out and carries on the same."""

import signal

import pytest
from sqlalchemy import Engine, select

from credits.allocation.model import Runtime
from credits.clock import from_iso
from credits.config.load import load_catalogue
from credits.db import snapshot
from credits.failpoints import VARIABLE
from credits.inbox.provider import SimulatedLine
from credits.ledger.tables import accounts, entries, grants
from credits.plans import drips
from credits.reservations.steps import GateRuntime
from credits.reservations.sweeps import sweep_gate
from tests.support.clock import VirtualClock
from tests.support.forked import run_forked
from tests.support.installation import CONFIG_FILE, Installation
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline

YEAR = ("2027-11-29T10:00Z", "2028-11-29T10:00Z")
STOPPED_UNTIL = "2028-03-01T00:00Z"
"""Beat rests from November over a leap day."""

ACCOUNTS = ("user_1", "user_2", "user_3")
EXPECTED = ["2027-11-29", "2027-12-29", "2028-01-29", "2028-02-29"]

_FIRST_CREDITS = '[plans.pro.credits.image_generation]\namount = 1000\nevery = "month"\nexpires = "period_end"\n'

_SWEEP = (
    "from credits.plans import drips; from workers.runtime import runtime; one = runtime(); "
    "drips.sweep(one.engine, one.catalogue, lambda: {now_ms}, until_ms={now_ms} + 1)"
)


def subscribe(pipeline: Pipeline, account: str) -> None:
    """A year of plan pro is paid, which drips by the month."""
    start_ms, end_ms = map(from_iso, YEAR)
    line = SimulatedLine(product_id="price_pro_yearly", amount_minor=12_000, start_ms=start_ms, end_ms=end_ms)
    named = {"account": account, "subscription": account, "payment": account, "delivery": account}
    said = {"credit_type": None, "amount": None, "at_ms": start_ms, "started_at_ms": start_ms}
    pipeline.receive("invoice.paid", provider="stripe", lines=(line,), **named, **said)


def handed_out(engine: Engine, account: str) -> list[str]:
    """The days of an account's drips of one credit type, by their keys; the first has none in its key."""
    query = (
        select(entries.c.key)
        .join(accounts, accounts.c.id == entries.c.account_id)
        .where(accounts.c.external_id == account, entries.c.credit_type == "tokens", entries.c.kind == "grant")
        .order_by(entries.c.id)
    )
    with snapshot(engine) as connection:
        ends = [key.rsplit(":", 1)[1] for key in connection.execute(query).scalars()]
    return [YEAR[0][:10] if end == "tokens" else end for end in ends]


def carried(engine: Engine) -> list[tuple[str, int]]:
    """(account, credits) of each lot that was carried on."""
    query = (
        select(accounts.c.external_id, grants.c.amount)
        .join(accounts, accounts.c.id == grants.c.account_id)
        .where(grants.c.source == "rollover")
        .order_by(accounts.c.external_id)
    )
    with snapshot(engine) as connection:
        return [(account, amount) for account, amount in connection.execute(query)]


@pytest.mark.parametrize(("failpoint", "done"), [("drips.before_commit", 0), ("drips.after_commit", 1)])
def test_a_sweep_of_drips_that_is_killed_anywhere_hands_out_the_same_in_the_end(
    installation: Installation, runtime: Runtime, engine: Engine, clock: VirtualClock, failpoint: str, done: int
) -> None:
    clock.set_ms(from_iso(YEAR[0]))
    pipeline = Pipeline(runtime=runtime)
    for account in ACCOUNTS:
        subscribe(pipeline, account)
    now_ms = from_iso(STOPPED_UNTIL)
    script = _SWEEP.format(now_ms=now_ms)

    # Each is killed at the same place: one account further at best.
    killed = [
        run_forked(script, env={**installation.env, VARIABLE: f"{failpoint}=kill"}, cwd=installation.folder)
        for _ in range(2)
    ]
    finished = [handed_out(engine, account) for account in ACCOUNTS].count(EXPECTED)
    clock.set_ms(now_ms)
    for _ in range(2):
        drips.sweep(engine, runtime.catalogue, clock, until_ms=now_ms + 1)

    assert killed == [-signal.SIGKILL] * 2
    assert finished == 2 * done
    assert [handed_out(engine, account) for account in ACCOUNTS] == [EXPECTED] * len(ACCOUNTS)
    assert_ledger_is_sound(engine)


@pytest.mark.parametrize(("failpoint", "done"), [("carries.before_commit", 0), ("carries.after_commit", 1)])
def test_a_sweep_that_is_killed_while_it_carries_on_carries_each_rest_once(
    installation: Installation, pipeline: Pipeline, gate: GateRuntime, clock: VirtualClock, failpoint: str, done: int
) -> None:
    config = installation.folder / "rollover.toml"
    rolling = f"{_FIRST_CREDITS}rollover = {{ cap = 300 }}\n"
    config.write_text(CONFIG_FILE.read_text(encoding="utf-8").replace(_FIRST_CREDITS, rolling, 1), encoding="utf-8")
    pipeline = pipeline.with_catalogue(load_catalogue(config))
    runtime = pipeline.runtime
    clock.set_ms(from_iso(YEAR[0]))
    for account in ACCOUNTS:
        subscribe(pipeline, account)
    clock.set_ms(from_iso("2027-12-30T00:00Z"))
    drips.sweep(runtime.engine, runtime.catalogue, clock, until_ms=clock() + 1)
    # What is left of the first month lapses, and in the same transaction becomes what is to be carried on.
    sweep_gate(gate)
    env = {**installation.env, "CREDITGATE_CONFIG": str(config), VARIABLE: f"{failpoint}=kill"}

    killed = [run_forked(_SWEEP.format(now_ms=clock()), env=env, cwd=installation.folder) for _ in range(2)]
    finished = len(carried(runtime.engine))
    for _ in range(2):
        drips.sweep(runtime.engine, runtime.catalogue, clock, until_ms=clock() + 1)
        sweep_gate(gate)

    assert killed == [-signal.SIGKILL] * 2
    assert finished == 2 * done
    assert carried(runtime.engine) == [(account, 300) for account in ACCOUNTS]
    assert [pipeline.balance(account) for account in ACCOUNTS] == [1300] * len(ACCOUNTS)
    assert_ledger_is_sound(runtime.engine)
