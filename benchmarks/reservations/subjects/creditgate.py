"""Creditgate, through its library, as an app calls it."""

import time
from pathlib import Path

from sqlalchemy import func, select

from credits import Credits
from credits.db import snapshot
from credits.errors import GateUnavailableError
from credits.ledger.tables import balances
from credits.log import set_up_logging
from credits.reservations.model import Durability
from credits.reservations.sweeps import settle_journals
from tests.support.ledger import assert_ledger_is_sound

GRANTED = 10**9
ITEMS = {"image_generation": 1}
TRIES = 10


def setup(config, accounts):
    """Grant each account more than it will spend, and let the gate learn of it."""
    set_up_logging("json", level=40)
    credits_ = opened(config)
    for account in accounts:
        credits_.add(account, "image_generation", GRANTED, key=f"first {account}", reason="benchmark")
        assert credits_.can_deduct(account, "image_generation", 1)
    credits_.close()


def connect(config, variant, _threads, accounts):
    """One of: a reservation and its commit, a reservation alone, a spend."""
    set_up_logging("json", level=40)
    credits_ = opened(config)
    for account in accounts:
        # A process that runs knows its accounts' ids and its shards' epochs.
        credits_.can_deduct(account, "image_generation", 1)
    verb, _, durability = variant.partition(" ")

    def pair(account, key):
        credits_.reserve(account, ITEMS, reservation_id=key).commit(durability=level)

    def reserve(account, key):
        credits_.reserve(account, ITEMS, reservation_id=key, ttl_s=1)

    def spend(account, key):
        credits_.spend(account, ITEMS, key=key, durability=level)

    level = Durability(durability) if durability else None
    return repeated({"pair": pair, "reserve": reserve, "spend": spend}[verb])


def repeated(call):
    """`call`, repeated by its name if Redis does not answer within a second: a stalled disk holds it up longer."""

    def call_again(account, key):
        for _ in range(TRIES - 1):
            try:
                return call(account, key)
            except GateUnavailableError:
                continue
        return call(account, key)

    return call_again


def settle_until(config, is_over):
    """Settle as a worker does, until `is_over` and the journals are empty."""
    credits_ = opened(config)
    while True:
        over = is_over()
        if settle_journals(credits_.reservations.runtime) == 0:
            if over:
                break
            time.sleep(0.005)
    credits_.close()


def spent(config):
    """What the ledger says was spent. Raises if it does not add up, or is not what the gate says."""
    settle_until(config, lambda: True)
    credits_ = opened(config)
    assert_ledger_is_sound(credits_.engine)
    with snapshot(credits_.engine) as connection:
        count, total, owed = connection.execute(
            select(func.count(), func.sum(balances.c.balance), func.sum(balances.c.debt))
        ).one()
    assert owed == 0, owed
    gate = credits_.balances("hot_0")["image_generation"]
    assert gate.balance == gate.available + gate.held, gate
    credits_.close()
    return count * GRANTED - int(total)


def opened(config):
    """The library over the stage's servers."""
    return Credits.from_env(config["environment"], Path(config["folder"]))
