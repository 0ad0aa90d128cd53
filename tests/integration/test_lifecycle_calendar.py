"""Many lives at once, told badly, while beat stands still for a week or runs twice: they end as when all goes well."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from credits.ops.lifecycle.sandbox import Sandbox, sandbox
from credits.ops.lifecycle.story import DAY_MS, START_MS, Asked, story
from credits.simulation.clock import VirtualClock
from credits.simulation.post import BAD, ORDERLY, Disorder, Postman
from webhooks.app import sandbox_app
from webhooks.providers import REGISTRY

CONFIG_FILE = Path(__file__).parents[1] / "support" / "credits.toml"
LOT = re.compile(r"\b(expire|claw|restore|freeze|thaw):\d+")
MONTHS = 3
pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]

Facts = dict[str, Counter[tuple[str, str, int]]]


def live_all(box: Sandbox, lives: list[Asked], disorder: Disorder, *, beat_days: int, times: int) -> Facts:
    """Live them at the same time, with a beat every few days that runs so many times; answers each one's entries."""
    stories = {asked.account: story(asked, box.catalogue) for asked in lives}
    postmen = {
        name: Postman(
            provider=REGISTRY[name],
            secret=box.secret(name),
            target=box.target(name),
            clock=box.clock,
            disorder=disorder,
        )
        for name in {asked.provider for asked in lives}
    }
    for asked in lives:
        events = (event for one in stories[asked.account].happened for event in one.events)
        postmen[asked.provider].send(*events)
    at_ms, end_ms = START_MS, max(one.end_ms for one in stories.values())
    while at_ms < end_ms:
        at_ms += beat_days * DAY_MS
        box.clock.set_ms(at_ms)
        for postman in postmen.values():
            postman.deliver_all(until_ms=at_ms)
        for _ in range(times):
            box.work()
    assert box.audit().findings == []
    return {asked.account: facts(box, asked.account) for asked in lives}


def facts(box: Sandbox, account: str) -> Counter[tuple[str, str, int]]:
    rows = box.credits.entries(account, limit=500)
    return Counter((row["credit_type"], LOT.sub(r"\1:lot", row["key"]), row["amount"]) for row in rows)


def test_lives_told_badly_end_the_same_though_beat_rests_for_days(
    valkey_server: object, migrated_sqlite_file: Path
) -> None:
    def world(lives: list[Asked], disorder: Disorder, *, beat_days: int, times: int) -> Facts:
        with sandbox(
            CONFIG_FILE,
            REGISTRY,
            sandbox_app,
            clock=VirtualClock(START_MS),
            redis_url=str(valkey_server.url),  # type: ignore[attr-defined]
            migrated=migrated_sqlite_file,
        ) as box:
            return live_all(box, lives, disorder, beat_days=beat_days, times=times)

    @settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(
        seeds=st.lists(st.integers(0, 10**6), min_size=8, max_size=8, unique=True),
        luck=st.integers(0, 10**6),
        beat_days=st.sampled_from([2, 7]),
    )
    def check(seeds: list[int], luck: int, beat_days: int) -> None:
        lives = [
            Asked(
                plan="pro",
                upgrade=None,
                provider=("stripe", "stripe", "lemonsqueezy")[number % 3],
                api_version=(None, "2020-08-27", None)[number % 3],
                account=f"user_{seed}",
                months=MONTHS,
                seed=seed,
            )
            for number, seed in enumerate(seeds)
        ]

        well = world(lives, ORDERLY, beat_days=1, times=1)
        badly = world(lives, replace(BAD, seed=luck), beat_days=beat_days, times=2)

        assert badly == well

    check()
