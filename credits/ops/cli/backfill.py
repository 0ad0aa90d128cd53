"""`credits backfill` and `credits reconcile`: look through what a provider has, and take in what no webhook told."""

import re
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from credits.backfill.connect import open_listing
from credits.backfill.model import Tally
from credits.backfill.service import Report, Search, Tell, backfill, reconcile
from credits.clock import iso, system_clock_ms
from credits.errors import InvalidInputError
from credits.ops.cli.context import AsJson, Command, DryRun, this
from credits.ops.cli.doorbell import ring

_UNIT_MS: Final = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_LONGEST_MS: Final = 3_650 * 86_400_000

Provider = Annotated[str, typer.Argument(help="stripe, lemonsqueezy or paddle.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("backfill")(backfill_command)
    app.command("reconcile")(reconcile_command)


def backfill_command(
    context: typer.Context,
    provider: Provider,
    since: Annotated[str, typer.Option("--since", help="How far back: 12h, 3d, 4w.")] = "3d",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """List what was paid and given back at a provider, and take in what no webhook told. Repeating it adds nothing."""
    command = this(context)
    since_ms = system_clock_ms() - _span_ms(since)
    search = _search(command, provider)
    with _shown(as_json=as_json) as progress:
        report = backfill(
            search,
            since_ms=since_ms,
            opened=lambda: command.changing(dry_run=dry_run),
            tell=_teller(progress),
        )
    _tell(command, provider, report, dry_run=dry_run, as_json=as_json)


def reconcile_command(context: typer.Context, provider: Provider, as_json: AsJson = False) -> None:
    """The same since the last time, with a day's overlap, as workers do by themselves for Lemon Squeezy."""
    command = this(context)
    with _shown(as_json=as_json) as progress:
        report = reconcile(_search(command, provider), tell=_teller(progress))
    _tell(command, provider, report, dry_run=False, as_json=as_json)


def _search(command: Command, provider: str) -> Search:
    return Search(
        engine=command.engine,
        tenant=command.tenant,
        listing=open_listing(command.settings, command.tenant, provider),
        provider=command.providers[provider],
        clock=system_clock_ms,
    )


def _span_ms(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text.strip(), re.ASCII)
    span_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not 0 < span_ms <= _LONGEST_MS:
        raise InvalidInputError("since", f"must be such as 12h, 3d or 4w, up to 3650d; got {text[:40]!r}")
    return span_ms


def _shown(*, as_json: bool) -> Progress:
    """On the terminal's other stream, so that what is printed can be piped."""
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed} found"), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal)


def _teller(progress: Progress) -> Tell:
    bars: dict[str, object] = {}

    def tell(kind: str, tally: Tally) -> None:
        if kind not in bars:
            bars[kind] = progress.add_task(kind, total=None)
        progress.update(bars[kind], completed=tally.found)  # type: ignore[arg-type]

    return tell


def _tell(command: Command, provider: str, report: Report, *, dry_run: bool, as_json: bool) -> None:
    if not dry_run:
        ring(command.settings.broker_url, report.event_ids)
    if as_json:
        command.print_json(
            {
                "provider": provider,
                "tenant": command.tenant.value,
                "since": iso(report.since_ms),
                "dry_run": dry_run,
                "is_complete": report.is_complete,
                "kinds": {kind: asdict(tally) for kind, tally in report.kinds.items()},
            }
        )
        return
    columns = ("kind", "found", "new", "known", "other_mode", "unread", "too_large")
    rows = [[kind, *asdict(tally).values()] for kind, tally in report.kinds.items()]
    command.print_table(f"{provider} ({command.tenant.value}) since {iso(report.since_ms)}", columns, rows)
    new = sum(tally.new for tally in report.kinds.values())
    would = "would be" if dry_run else "are"
    command.say(f"{new} {would} new to the inbox; what was granted before is not granted again.")
    if new and not dry_run:
        command.say("→ `credits events list --status stuck` shows those that need you.")
