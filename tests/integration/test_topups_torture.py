"""Processes that sweep at once and are killed at any instant: every shortage is charged once, and is credited."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from credits.config.settings import Settings
from tests.integration.test_topups import Topups
from tests.support.market import SELLING_CONFIG, market

pytestmark = pytest.mark.proof

ACCOUNTS = 12
LIVES = 16
AT_ONCE = 3

_SWEEPER = """
import sys
from credits.checkout.model import Shop
from credits.checkout.stripe import StripeSeller
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import ProviderAccess, Tenant
from credits.db import open_engine
from credits.topup.service import TopupRuntime, sweep

database_url, api_base, config, ahead_ms = sys.argv[1:]
clock = lambda: system_clock_ms() + int(ahead_ms)
seller = StripeSeller(ProviderAccess(api_key="sk_test_1", api_base=api_base))
shop = Shop(engine=open_engine(database_url), catalogue=load_catalogue(config), tenant=Tenant.SANDBOX, clock=clock,
            base_url="http://127.0.0.1", sellers={"stripe": seller})
while True:
    sweep(TopupRuntime(shops=[shop], clock=clock), until_ms=clock() + 60_000)
"""
_PLACES = ("topup.begun", "topup.card_chosen", "topup.charged")


def test_whoever_is_killed_wherever_every_shortage_is_charged_once(
    engine: Engine, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    with market(engine, settings, tmp_path) as made:
        topups = Topups(market=made)
        names = [f"user_{number}" for number in range(ACCOUNTS)]
        for name in names:
            topups.buy(name)
            topups.library.set_topup(name, "image_generation", threshold=10, amount=100, monthly_cap_minor=1_000)

        running: list[subprocess.Popen[bytes]] = []
        for life in range(LIVES):
            # Later lives are a minute on each: what was left lying is due.
            command = [
                sys.executable,
                "-c",
                _SWEEPER,
                database_url,
                made.fakes_url,
                str(SELLING_CONFIG),
                str(life * 60_000),
            ]
            point = f"{chance.choice(_PLACES)}=kill" if life % 2 else ""
            running.append(subprocess.Popen(command, env={**os.environ, "CREDITGATE_FAILPOINTS": point}))
            if len(running) >= AT_ONCE:
                time.sleep(chance.uniform(0.6, 1.6))
                oldest = running.pop(0)
                oldest.kill()
                oldest.wait()
        for process in running:
            process.kill()
            process.wait()
        topups.ahead_ms = LIVES * 60_000
        for _ in range(3):
            topups.sweep()
            topups.ahead_ms += 60_000

        assert [made.pipeline.balance(name) for name in names] == [105] * ACCOUNTS
        assert (len(topups.intents()), topups.paid()) == (ACCOUNTS, ACCOUNTS)
        states = [topups.library.topup(name, "image_generation")["attempts"] for name in names]
        assert [[one["state"] for one in attempts] for attempts in states] == [["granted"]] * ACCOUNTS
