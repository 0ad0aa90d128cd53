"""The simulator: it finds nothing in what we ship, and finds every guard that is missing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from credits.ops.cli.app import build
from credits.reservations.torture import seeds
from credits.reservations.torture.model import Fault, Finding, Report, Setup
from credits.reservations.torture.mutants import Mutant
from credits.reservations.torture.run import campaign, play
from credits.reservations.torture.server import own_servers
from credits.reservations.torture.world import Server

pytestmark = pytest.mark.simulator

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
SHORT_STEPS = 4_000
MUTANT_STEPS = 200_000
OFTEN_WIPED = Setup(accounts=1, credit_types=1, strike_chance=0.1, faults=frozenset({Fault.WIPE, Fault.STALL}))
OFTEN_CUT = Setup(accounts=2, credit_types=1, strike_chance=0.02, faults=frozenset({Fault.SPLIT, Fault.STALL}))
HARSH = Setup(accounts=2, credit_types=1, strike_chance=0.02)
SEEN_IN = {
    Mutant.LOSER_ARMS: OFTEN_WIPED,
    Mutant.SETTLES_ANY_EPOCH: OFTEN_CUT,
    Mutant.BOOKS_TWICE: HARSH,
    Mutant.LOADS_ANY_EPOCH: HARSH,
    Mutant.CREDITS_UNORDERED: replace(HARSH, accounts=1, strike_chance=0.0),
    Mutant.FORGETS_UNAPPLIED: OFTEN_CUT,
    Mutant.LOADS_UNDRAINED: HARSH,
    Mutant.SETTLES_UNSERVED: OFTEN_CUT,
    Mutant.FORGETS_ELSEWHERE: OFTEN_CUT,
    Mutant.NEVER_REFUNDS: HARSH,
    Mutant.BOOKS_FOR_NOBODY: replace(HARSH, members=2),
    Mutant.FORGETS_LIMITS: replace(OFTEN_CUT, accounts=1, members=2),
    Mutant.MEMBERS_GO_BACK: replace(HARSH, accounts=1, members=2),
}
"""What to play where a missing guard shows soonest."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_servers() as path:
        server = Server(path)
        yield server
        server.close()


def test_no_order_of_events_breaks_a_promise(server: Server) -> None:
    total = Report()

    for report in campaign(server, Setup(), first_seed=1, steps=SHORT_STEPS):
        total.add(report)

    assert total.findings == []
    assert total.steps >= SHORT_STEPS
    assert min(total.outcomes[name] for name in ("commit COMMITTED", "grant", "ledger booked", "command run")) > 0


def test_harsh_runs_meet_every_fault_and_break_no_promise(server: Server) -> None:
    total = Report()

    for report in campaign(server, Setup(accounts=1, strike_chance=0.05), first_seed=1, steps=SHORT_STEPS):
        total.add(report)

    assert total.findings == []
    assert {fault for fault in Fault if total.faults[fault.value] == 0} == set()


def test_no_order_of_events_lets_a_member_pass_its_limit_or_lose_count(server: Server) -> None:
    total = Report()
    setup = Setup(accounts=2, credit_types=1, members=2, strike_chance=0.02)

    for report in campaign(server, setup, first_seed=1, steps=2 * SHORT_STEPS):
        total.add(report)

    assert total.findings == []
    named = ("reserve LIMIT", "limit set", "limit raised", "zone set", "member READ", "commit RESCUED")
    assert min(total.outcomes[name] for name in named) > 0


def test_no_order_of_events_loses_what_is_frozen_set_free_or_given_back(server: Server) -> None:
    total = Report()
    setup = Setup(accounts=2, credit_types=1, disputes=True)

    for report in campaign(server, setup, first_seed=1, steps=2 * SHORT_STEPS):
        total.add(report)

    assert total.findings == []
    assert min(total.outcomes[name] for name in ("freeze ordered", "unfreeze", "frozen taken", "restore")) > 0


@pytest.mark.parametrize("kept", list(seeds.kept(SEEDS_FILE)), ids=lambda kept: str(kept.seed))
def test_a_seed_that_failed_once_fails_no_more(kept: seeds.KeptSeed, server: Server) -> None:
    report = play(server, kept.seed, kept.setup)

    assert report.findings == []


@pytest.mark.parametrize("mutant", list(Mutant), ids=lambda mutant: mutant.name.lower())
def test_a_missing_guard_is_found(mutant: Mutant, server: Server) -> None:
    setup = replace(SEEN_IN[mutant], mutant=mutant)

    found = any(report.findings for report in campaign(server, setup, first_seed=1, steps=MUTANT_STEPS))

    assert found, f"{MUTANT_STEPS} steps did not show that {mutant}"


def test_one_seed_plays_one_run(server: Server) -> None:
    first = play(server, 7, Setup())

    second = play(server, 7, Setup())

    assert first == second


def test_a_finding_is_kept_as_a_line_that_replays_it(tmp_path: Path) -> None:
    setup = Setup(accounts=4, credit_types=1, faults=frozenset({Fault.WIPE, Fault.STALL}))

    seeds.keep(tmp_path / "seeds.txt", Finding(seed=42, step=7, message="what was\nseen"), setup)

    assert list(seeds.kept(tmp_path / "seeds.txt")) == [seeds.KeptSeed(42, setup)]


def test_the_command_reports_steps_faults_and_violations() -> None:
    result = CliRunner().invoke(build({}), ["torture", "--simulated", "--steps", "500", "--seed", "3"])

    assert result.exit_code == 0, result.output
    assert "violations: 0" in result.output
    assert "reply_lost" in result.output


def test_the_command_refuses_a_fault_that_is_none() -> None:
    result = CliRunner().invoke(build({}), ["torture", "--simulated", "--faults", "earthquake"])

    assert result.exit_code != 0
    assert "earthquake" in str(result.exception)
