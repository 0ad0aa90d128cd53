"""What only Creditgate does: thousands of reservations in a call, and booking the journal."""

import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.reservations.stage import Stage
from credits import Credits
from credits.errors import CreditsError
from credits.ids import new_id
from credits.reservations.asks import Commit
from credits.reservations.batch import Reserve
from credits.reservations.sweeps import settle_journals

BATCH: Final = 5_000
ACCOUNTS: Final = 500


def alone(stage: Stage, *, rounds: int) -> dict[str, float]:
    """Medians: reservations a second by `reserve_many`, and commits a second that one settler books."""
    config: dict[str, Any] = stage.configs["creditgate"]
    library = Credits.from_env(config["environment"], Path(config["folder"]))
    reserved, settled = [], []
    try:
        for _ in range(rounds + 1):
            wanted = [
                Reserve(account=f"many_{number % ACCOUNTS}", items={"image_generation": 1}, reservation_id=new_id())
                for number in range(BATCH)
            ]
            began_s = time.perf_counter()
            held = library.reserve_many(wanted)
            reserved.append(BATCH / (time.perf_counter() - began_s))
            assert not any(isinstance(one, CreditsError) for one in held)
            commits = [Commit(account=one.account, reservation_id=str(one.reservation_id)) for one in wanted]
            answers = library.commit_many(commits, durability="redis")
            assert not any(isinstance(one, CreditsError) for one in answers)
            began_s = time.perf_counter()
            booked = settle_journals(library.reservations.runtime)
            settled.append(booked / (time.perf_counter() - began_s))
            assert booked == BATCH, booked
            stage.spent["creditgate"] += BATCH
    finally:
        library.close()
    # The first round met cold connections and statements.
    return {"reserve_many_per_s": median(reserved[1:]), "settled_per_s": median(settled[1:])}
