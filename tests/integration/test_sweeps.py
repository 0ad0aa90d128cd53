"""The sweeps finish what was left lying: journals, credits, expiries, orders, idle accounts."""

import time

import pytest
from sqlalchemy import func, select

from credits.config.settings import Tenant
from credits.db import snapshot
from credits.engine import Credits
from credits.ledger.orders import commands
from credits.reservations.courier import Courier
from credits.reservations.keys import account_keys
from credits.reservations.steps import GateRuntime
from credits.reservations.sweeps import Unloading, sweep_gate, waiting_accounts
from tests.support.clock import VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.pipeline import Pipeline
from tests.support.valkey import ValkeyServer


def test_a_sweep_of_any_process_books_what_nobody_waited_for(shop: Shop) -> None:
    library = shop.process()
    for number in range(130):
        library.add(f"user_{number}", TYPE, 10, key=f"a{number}")
        library.spend(f"user_{number}", image_generation=3, key="s", durability="redis")

    swept = sweep_gate(shop.gate())

    assert swept.settled == 130
    assert {figures(library, f"user_{number}") for number in range(130)} == {(7, 0, 0, 7, 0)}
    assert sweep_gate(shop.gate()).settled == 0
    assert_ledger_is_sound(shop.engine)


def test_a_grant_can_be_spent_at_once(shop: Shop) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 10, key="a")
    library.reserve("user_1", image_generation=10)

    library.add("user_1", TYPE, 5, key="b")

    library.reserve("user_1", image_generation=5)
    assert figures(library, "user_1") == (15, 15, 0, 0, 0)


@pytest.mark.usefixtures("impatient")
def test_a_grant_while_redis_is_frozen_is_neither_lost_nor_late_and_is_brought_by_the_sweep(
    shop: Shop, valkey_server: ValkeyServer
) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 10, key="a")
    library.balances("user_1")
    valkey_server.freeze()
    with Pace() as pace:
        for number in range(20):
            library.add("user_1", TYPE, 1, key=f"b{number}")
    valkey_server.thaw()

    swept = sweep_gate(shop.gate())

    assert pace.fair_s < 2.5
    assert swept.credits_applied in {19, 20}
    assert figures(library, "user_1") == (30, 0, 0, 30, 0)


@pytest.mark.usefixtures("impatient")
def test_a_courier_pauses_after_a_failure(shop: Shop, valkey_server: ValkeyServer) -> None:
    courier = Courier.over(shop.gate())
    granting = Credits(engine=shop.engine, catalogue=shop.catalogue, tenant=Tenant.SANDBOX)
    granting.add("user_1", TYPE, 10, key="a")
    asked: list[str] = []

    def waiting(name: str) -> list[int]:
        asked.append(name)
        return waiting_accounts(shop.engine)

    valkey_server.freeze()
    try:
        courier.bring(lambda: waiting("first"))
        courier.bring(lambda: waiting("second"))
    finally:
        valkey_server.thaw()

    assert asked == ["first"]


def test_lapsed_credits_are_booked_out_and_held_ones_when_their_hold_ends(
    pipeline: Pipeline, gate: GateRuntime, clock: VirtualClock
) -> None:
    library = pipeline.credits
    library.add("user_1", TYPE, 10, key="a", expires_at_ms=clock() + 700)
    hold = library.reserve("user_1", image_generation=4)
    clock.advance_ms(800)

    swept = [sweep_gate(gate) for _ in range(3)]
    while_held = figures(library, "user_1")
    hold.release()
    expired = figures(library, "user_1")

    assert swept[0].expiries_ordered == 1
    assert while_held == (4, 4, 0, 0, 0)
    assert expired == (4, 0, 0, 0, 0)
    with snapshot(gate.engine) as connection:
        assert connection.execute(select(func.count()).select_from(commands)).scalar_one() <= 2
    assert_ledger_is_sound(gate.engine)


def test_an_idle_account_leaves_redis_and_comes_back_on_demand(shop: Shop) -> None:
    library = shop.process()
    library.add("idle", TYPE, 10, key="a")
    library.add("busy", TYPE, 10, key="b")
    hold = library.reserve("busy", image_generation=4)
    library.balances("idle")
    gate, idle, busy = shop.gate(), library.reservations.account_id("idle"), library.reservations.account_id("busy")
    assert idle is not None
    assert busy is not None
    time.sleep(0.01)

    swept = sweep_gate(gate, Unloading(idle_s=0))

    assert swept.unloaded == 1
    assert gate.gate.client.exists(account_keys(idle).account, account_keys(idle).lots) == 0
    assert gate.gate.client.exists(account_keys(busy).account) == 1
    assert figures(library, "idle") == (10, 0, 0, 10, 0)
    hold.commit()


@pytest.mark.usefixtures("impatient")
def test_a_sweep_without_redis_is_logged_and_not_raised(shop: Shop, valkey_server: ValkeyServer) -> None:
    gate = shop.gate()
    valkey_server.freeze()
    try:
        swept = sweep_gate(gate)
    finally:
        valkey_server.thaw()

    assert swept.settled == 0
