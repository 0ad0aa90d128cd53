"""`credits torture`: look for an order of events in which the gate breaks a promise."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from credits.errors import InvalidInputError
from credits.ops.cli.context import AsJson, Command, this
from credits.reservations.torture import seeds
from credits.reservations.torture.model import Fault, Finding, Report, Setup
from credits.reservations.torture.run import campaign
from credits.reservations.torture.server import own_servers
from credits.reservations.torture.world import CREDIT_TYPES, Server

_ENOUGH = 10
"""Findings after which a campaign stops: the rest would say the same."""


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command()(torture)


def torture(
    context: typer.Context,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="On a Redis and a database of its own, with a clock of its own.")
    ] = False,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Stop after the run in which so many are done.")
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first run; the others follow it.")] = 1,
    accounts: Annotated[int, typer.Option("--accounts", min=1, max=8, help="Accounts in each run.")] = 3,
    members: Annotated[int, typer.Option("--members", min=0, max=3, help="Members of each account, with limits.")] = 0,
    disputes: Annotated[bool, typer.Option("--disputes", help="Freeze lots, and set them free or take them.")] = False,
    types: Annotated[int, typer.Option("--types", min=1, max=len(CREDIT_TYPES), help="Credit types in each run.")] = 2,
    faults: Annotated[str, typer.Option("--faults", help="Names with commas between, all, or none.")] = "all",
    strikes: Annotated[float, typer.Option("--strikes", min=0, max=1, help="Chance per step of harm to Redis.")] = 0.01,
    length: Annotated[int, typer.Option("--length", min=1, help="Steps of one run.")] = 800,
    keep: Annotated[Path | None, typer.Option("--keep", help="Append failing seeds to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the gate's scripts and procedures through crashes, lost replies, wipes and rollbacks, checking every step."""
    command: Command = this(context)
    if not simulated:
        raise InvalidInputError("--simulated", "must be given: nothing but the simulated gate is tortured")
    setup = Setup(
        accounts=accounts,
        credit_types=types,
        steps=length,
        strike_chance=strikes,
        faults=_faults(faults),
        members=members,
        disputes=disputes,
    )
    report = _run(command, setup, first_seed=seed, steps=steps, is_quiet=as_json)
    for finding in report.findings:
        if keep is not None:
            seeds.keep(keep, finding, setup)
    if as_json:
        command.print_json(_as_json(report))
    else:
        _show(command, report, setup)
    if report.findings:
        raise typer.Exit(1)


def _faults(text: str) -> frozenset[Fault]:
    try:
        return seeds.faults_of(text)
    except ValueError:
        names = ", ".join(sorted(Fault))
        raise InvalidInputError("--faults", f"must be all, none, or some of {names}, got {text!r}") from None


def _run(command: Command, setup: Setup, *, first_seed: int, steps: int, is_quiet: bool) -> Report:
    total = Report()
    # Stopped like any program, it takes its server along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        own_servers() as path,
        Progress(*columns, console=command.console, disable=is_quiet or not command.console.is_terminal) as bar,
    ):
        server = Server(path)
        task = bar.add_task("steps", total=steps)
        for report in campaign(server, setup, first_seed=first_seed, steps=steps):
            total.add(report)
            bar.update(task, completed=min(total.steps, steps))
            if len(total.findings) >= _ENOUGH:
                break
        server.close()
    return total


def _show(command: Command, report: Report, setup: Setup) -> None:
    command.say(f"{report.steps} steps in {report.runs} runs, {report.checks} checks of an account")
    command.say("faults: " + _listed(report.faults))
    command.say("outcomes: " + _listed(report.outcomes))
    command.say(f"commits acknowledged at level redis that went with a Redis: {report.lost_acknowledgements}")
    for finding in report.findings:
        command.say(f"VIOLATION at step {finding.step} of seed {finding.seed}: {finding.message}")
        command.say(f"  again: {_again(finding, setup)}")
    command.say(f"violations: {len(report.findings)}")


def _again(finding: Finding, setup: Setup) -> str:
    options = seeds.describe(setup).split()
    words = " ".join(f"--{name} {value}" for name, value in (option.split("=") for option in options))
    return f"credits torture --simulated --steps 1 --seed {finding.seed} {words}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _as_json(report: Report) -> dict[str, object]:
    return {
        "steps": report.steps,
        "runs": report.runs,
        "checks": report.checks,
        "lost_acknowledgements": report.lost_acknowledgements,
        "faults": dict(sorted(report.faults.items())),
        "outcomes": dict(sorted(report.outcomes.items())),
        "violations": [
            {"seed": finding.seed, "step": finding.step, "message": finding.message} for finding in report.findings
        ],
    }
