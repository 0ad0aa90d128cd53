"""
Many threads after the last credits of one account: exactly as many succeed as there are credits.

`python -m tests.support.hammer` runs it long: 64 threads, 100,000 attempts to reserve one of 10,000 credits.
"""

import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from credits.config.load import load_catalogue
from credits.db import open_engine
from credits.engine import Credits
from credits.errors import CreditsError
from credits.ops.migrate import migrate
from tests.support.library import TYPE, Shop, figures
from tests.support.valkey import ValkeyServer

THREADS = 64
ACCOUNT = "hammered"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of all attempts, by "held" or the error's code, and what the account has after them."""

    answers: Counter[str]
    figures: tuple[int, int, int, int, int]
    took_s: float


def hammer(shop: Shop, *, amount: int, attempts: int, threads: int = THREADS) -> Outcome:
    """Give an account `amount` credits and let `threads` threads try to reserve one, `attempts` times together."""
    library = shop.process()
    library.add(ACCOUNT, TYPE, amount, key="all there is")
    answers: Counter[str] = Counter()
    lock, barrier = threading.Lock(), threading.Barrier(threads)

    def work(number: int) -> None:
        barrier.wait()
        mine = Counter(_attempt(library, f"{number}-{n}") for n in range(number, attempts, threads))
        with lock:
            answers.update(mine)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began_s = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took_s = time.monotonic() - began_s
    return Outcome(answers=answers, figures=figures(library, ACCOUNT), took_s=took_s)


def _attempt(library: Credits, name: str) -> str:
    try:
        library.reserve(ACCOUNT, image_generation=1, reservation_id=name, ttl_s=3600)
    except CreditsError as error:
        return error.code
    return "held"


def main() -> None:
    """The long form, on an SQLite ledger and a Valkey of its own."""
    amount, attempts = 10_000, 100_000
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder) / "valkey")
        server.start()
        url = f"sqlite:///{folder}/hammer.sqlite3"
        migrate(url)
        catalogue = load_catalogue(Path(__file__).with_name("credits.toml"))
        try:
            shop = Shop(engine=open_engine(url), redis_url=server.url, catalogue=catalogue)
            outcome = hammer(shop, amount=amount, attempts=attempts)
        finally:
            server.stop()
    sys.stdout.write(
        f"{dict(outcome.answers)} in {outcome.took_s:.1f} s; balance, held, pending, available: {outcome.figures}\n"
    )
    is_exact = outcome.answers == {"held": amount, "insufficient_credits": attempts - amount}
    sys.exit(0 if is_exact and outcome.figures == (amount, amount, 0, 0, 0) else 1)


if __name__ == "__main__":
    main()
