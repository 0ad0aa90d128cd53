"""Whole lives told late, twice, out of order, in every shape: each fact has its effect once, whenever it is told."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from credits.clock import from_iso, iso
from credits.ops.lifecycle.sandbox import Sandbox, sandbox
from credits.simulation.clock import VirtualClock
from credits.simulation.dialects import DIALECTS
from credits.simulation.post import ORDERLY, Disorder
from tests.support.told_lives import DAY_MS, HOUR_MS, Life, batches, configuration
from tests.support.told_worlds import Outcome, live_all, unfinished
from webhooks.app import sandbox_app
from webhooks.providers import REGISTRY

BATCH = 12
LIVES = int(os.environ.get("CREDITGATE_TEST_LIVES", "24"))
"""How many each test here tells twice; `make lives` tells thousands."""

BAD_DAYS = dict.fromkeys(DIALECTS, Disorder(duplicates=0.4, delays=0.7, max_delay_s=6 * HOUR_MS // 1000, drops=0.2))
"""What providers do on a bad day, each day."""

ANY_ORDER = {
    **dict.fromkeys(DIALECTS, Disorder(duplicates=0.5, delays=1.0, max_delay_s=150 * DAY_MS // 1000, drops=0.1)),
    # It forgets an event after 155 seconds, and its invoices say nothing of plan and seats.
    "lemonsqueezy": Disorder(duplicates=0.5, delays=1.0, max_delay_s=155, drops=0.1),
}
"""Each event comes at any time of the life that it tells of, or long after it."""

pytestmark = [pytest.mark.proof, pytest.mark.timeout(0)]
World = Callable[[int], AbstractContextManager[Sandbox]]
told_often = settings(
    max_examples=max(1, LIVES // BATCH),
    deadline=None,
    database=None,
    # The same few lives in every check of a change; `make lives` draws others each time.
    derandomize="CREDITGATE_TEST_LIVES" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(valkey_server: object, migrated_sqlite_file: Path, tmp_path: Path) -> World:
    """Makes an empty sandbox that sells what the lives subscribe to, at the given time."""
    config = tmp_path / "credits.toml"
    config.write_text(configuration(), encoding="utf-8")
    return lambda at_ms: sandbox(
        config,
        REGISTRY,
        sandbox_app,
        clock=VirtualClock(at_ms),
        redis_url=str(valkey_server.url),  # type: ignore[attr-defined]
        migrated=migrated_sqlite_file,
    )


def test_lives_with_jobs_told_late_and_twice_are_at_each_calm_moment_as_if_told_in_order(world: World) -> None:
    @told_often
    @given(batch=batches(BATCH, with_jobs=True), luck=st.integers(0, 2**32))
    def check(batch: list[Life], luck: int) -> None:
        well = lived(world, batch, dict.fromkeys(DIALECTS, ORDERLY), times=1)
        badly = lived(world, batch, unlucky(BAD_DAYS, luck), times=2)

        assert_alike(batch, well, badly)

    check()


def test_lives_told_in_any_order_at_all_end_with_the_same_grants_and_balances(world: World) -> None:
    @told_often
    @given(batch=batches(BATCH, with_jobs=False), luck=st.integers(0, 2**32))
    def check(batch: list[Life], luck: int) -> None:
        well = lived(world, batch, dict.fromkeys(DIALECTS, ORDERLY), times=1)
        badly = lived(world, batch, unlucky(ANY_ORDER, luck), times=2)

        assert_alike(batch, *(ends(outcomes) for outcomes in (well, badly)))

    check()


def unlucky(disorders: Mapping[str, Disorder], luck: int) -> dict[str, Disorder]:
    return {name: replace(one, seed=luck) for name, one in disorders.items()}


def lived(world: World, batch: list[Life], disorders: Mapping[str, Disorder], *, times: int) -> dict[str, Outcome]:
    """What became of the lives, in a world of their own in which everything is audited at the end."""
    with world(from_iso(batch[0].start)) as box:
        told = {}
        for number, life in enumerate(batch):
            account = f"user_{number}"
            told[account] = (life.provider, life.told(account, box.reference(life.provider, account)))
        outcomes = live_all(box, told, disorders, times=times)
        assert box.audit().findings == []
        assert unfinished(box) == []
    return outcomes


def ends(outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    """How they ended, and not how they came there."""
    return {account: replace(one, seen=one.seen[-1:]) for account, one in outcomes.items()}


def assert_alike(batch: list[Life], well: dict[str, Outcome], badly: dict[str, Outcome]) -> None:
    pairs = zip(batch, well.values(), badly.values(), strict=True)
    assert [(life, _difference(one, other)) for life, one, other in pairs if one != other] == []


def _difference(one: Outcome, other: Outcome) -> dict[str, Any]:
    """For who reads a failure: what is not alike, and when it was seen first."""
    seen = [
        (iso(at_ms), mine, its) for (at_ms, mine), (_, its) in zip(one.seen, other.seen, strict=True) if mine != its
    ]
    return {
        "used": (one.used - other.used, other.used - one.used),
        "paid for": set(one.paid_for.items()) ^ set(other.paid_for.items()),
        "refused": (one.refused, other.refused),
        "seen": seen[:1],
    }
