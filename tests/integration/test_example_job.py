"""The example in examples/token_job.py does what it says, crash included."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from credits.engine import Credits
from examples.token_job import TTL_S, count_tokens, write_page
from tests.conftest import CONFIG_FILE
from tests.support.forked import run_forked
from tests.support.library import OTHER, Shop, figures

REPOSITORY = Path(__file__).parents[2]
COST = sum(count_tokens(write_page("report", number)) for number in range(3))


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", OTHER, 1000, key="a")
    return library


@dataclass(frozen=True, slots=True)
class Ended:
    """How the job ended, and what it said."""

    status: int
    stdout: str
    stderr: str


def run(shop: Shop, database_url: str, folder: Path, *options: str) -> Ended:
    env = {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_REDIS_URL": shop.redis_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
    }
    said, complained = folder / "stdout", folder / "stderr"
    status = run_forked(
        "import runpy; runpy.run_module('examples.token_job', run_name='__main__', alter_sys=True)",
        env=env,
        cwd=REPOSITORY,
        argv=("user_1", "report", "--folder", str(folder), *options),
        stdout=said,
        stderr=complained,
    )
    return Ended(status, said.read_text(), complained.read_text())


def test_the_job_pays_what_it_measured_and_once(
    library: Credits, shop: Shop, database_url: str, tmp_path: Path
) -> None:
    first = run(shop, database_url, tmp_path)
    again = run(shop, database_url, tmp_path)

    assert (first.stdout, again.stdout) == (f"report cost {COST} tokens\n",) * 2
    assert figures(library, "user_1", OTHER) == (1000 - COST, 0, 0, 1000 - COST, 0)


@pytest.mark.parametrize("pause_s", [0, TTL_S + 0.5])
def test_a_job_that_crashed_goes_on_and_pays_each_page_once(
    library: Credits, shop: Shop, database_url: str, tmp_path: Path, pause_s: float
) -> None:
    crashed = run(shop, database_url, tmp_path, "--crash-after", "1")
    held = figures(library, "user_1", OTHER)[1]
    time.sleep(pause_s)

    again = run(shop, database_url, tmp_path)

    assert crashed.status == -signal.SIGKILL
    assert held == 300 - count_tokens(write_page("report", 0))
    assert again.stdout == f"report cost {COST} tokens\n"
    assert figures(library, "user_1", OTHER) == (1000 - COST, 0, 0, 1000 - COST, 0)


def test_an_account_that_cannot_pay_is_told_before_anything_is_done(
    library: Credits, shop: Shop, database_url: str, tmp_path: Path
) -> None:
    refused = run(shop, database_url, tmp_path, "--pages", "11")

    assert refused.status == 2
    assert refused.stderr == "not enough credits: tokens: 1100 needed, 1000 available\n"
    assert list(tmp_path.glob("*.json")) == []
