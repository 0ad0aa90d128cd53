"""
A job that costs what it measures: it writes pages, each costs so many tokens, and it may crash on any of them.

    python -m examples.token_job user_1 report-7 --pages 5
    python -m examples.token_job user_1 report-8 --pages 5 --crash-after 2    # and again, without --crash-after

Run again under the same name it goes on where it was: no page is paid twice, and none is given away.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from credits import Credits
from credits.errors import HoldEndedError, InsufficientCreditsError
from credits.reservations.model import HoldState

MOST_TOKENS_A_PAGE = 100
TTL_S = 5.0


def write_page(name: str, number: int) -> str:
    """What a language model would be asked for. What it costs is known only afterwards."""
    return f"Page {number} of {name}. " + "Tokens are counted when they are there. " * (number + 1)


def count_tokens(text: str) -> int:
    """How many tokens a page has cost."""
    return len(text.split())


def run_job(library: Credits, account: str, name: str, *, pages: int, folder: Path, crash_after: int | None) -> int:
    """
    Write the pages and pay for each; answers what the job cost in all. Safe to run again under the same `name`.

    Raises:
        InsufficientCreditsError: the account cannot pay for the longest pages there may be; nothing was done.
        HoldEndedError: it was interrupted for longer than the hold lasted, and the credits are gone by now.
    """
    with library.reserve(account, tokens=pages * MOST_TOKENS_A_PAGE, reservation_id=name, ttl_s=TTL_S) as hold:
        if hold.state is HoldState.COMMITTED:
            # An earlier run came to the end. Each commit below would answer that it was made before, too.
            return sum(load_costs(folder, name))
        for number in range(pages):
            # First the result and its cost, then the payment: after a crash between the two the same payment is
            # asked for again, with the same amount, and is made once.
            costs = load_costs(folder, name)
            if number == len(costs):
                costs.append(count_tokens(write_page(name, number)))
                (folder / f"{name}.json").write_text(json.dumps(costs))
            if crash_after == number:
                os.kill(os.getpid(), signal.SIGKILL)
            hold.commit(tokens=costs[number], step=f"page-{number}", final=False)
        # What was held and not used goes back.
        hold.commit(tokens=0)
    return sum(load_costs(folder, name))


def load_costs(folder: Path, name: str) -> list[int]:
    """What each finished page of a job has cost."""
    file = folder / f"{name}.json"
    costs: list[int] = json.loads(file.read_text()) if file.exists() else []
    return costs


def main() -> int:
    """Run one job from the command line."""
    parser = argparse.ArgumentParser(description="A job that costs what it measures.")
    parser.add_argument("account")
    parser.add_argument("name", help="names the job: run again under it, the job goes on")
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--crash-after", type=int, help="die, as by kill -9, before this page is paid")
    said = parser.parse_args()
    library = Credits.from_env()
    try:
        cost = run_job(
            library, said.account, said.name, pages=said.pages, folder=said.folder, crash_after=said.crash_after
        )
    except InsufficientCreditsError as error:
        sys.stderr.write(f"not enough credits: {error}\n")
        return 2
    except HoldEndedError as error:
        sys.stderr.write(f"too late: {error}\n")
        return 3
    sys.stdout.write(f"{said.name} cost {cost} tokens\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
