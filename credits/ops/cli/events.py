"""Commands about events: find every allocation that failed, see why, and set it right."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import RowMapping

from credits.allocation.suggesting import candidates
from credits.clock import iso, system_clock_ms
from credits.config.settings import Tenant
from credits.db import snapshot
from credits.errors import InvalidInputError
from credits.inbox import service, store
from credits.inbox.model import FINISHED, NEEDS_OPERATOR, EventState
from credits.inbox.rules import fix_of
from credits.inbox.service import Acted
from credits.ops.cli.context import MAX_ROW_ID, AsJson, By, Command, DryRun, Reason, act_of, this
from credits.ops.cli.doorbell import ring
from credits.ops.cli.event_file import event_of_file
from credits.units import parse_amount

events_app: Final = typer.Typer(no_args_is_help=True, help="Webhooks as they came, and what became of each.")

EventId = Annotated[int, typer.Argument(help="The event's number in the listing.", min=1, max=MAX_ROW_ID)]
Status = Annotated[
    list[str] | None,
    typer.Option(
        "--status", help="Only these states; may be repeated or separated by commas. `stuck` is all that need you."
    ),
]
ByProvider = Annotated[str | None, typer.Option("--provider", help="Only this provider.")]
ByType = Annotated[str | None, typer.Option("--type", help="Only this event type.")]
ByCode = Annotated[str | None, typer.Option("--code", help="Only this reason code.")]

_COLUMNS: Final = (
    "id", "provider", "event_type", "event_id", "state", "code", "detail", "attempts", "crashes", "deliveries",
    "attached_account", "attached_credit_type", "attached_amount",
)  # fmt: skip


_TRIED_AGAIN: Final = frozenset({EventState.FAILED, EventState.WAITING, EventState.UNATTRIBUTED})


@events_app.command("list")
def list_events(
    context: typer.Context,
    status: Status = None,
    provider: ByProvider = None,
    event_type: ByType = None,
    code: ByCode = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Events, newest first, each with its state, attempts, reason and what to do."""
    command = this(context)
    with snapshot(command.engine) as connection:
        rows = store.select_events(
            connection,
            command.tenant,
            states=_states(status),
            provider=provider,
            event_type=event_type,
            code=code,
            limit=limit,
        )
    if as_json:
        command.print_json({"items": [_event_json(row) for row in rows]})
        return
    if not rows:
        command.say(f"No event matches ({command.tenant.value}).")
        return
    command.print_table(
        f"Events ({command.tenant.value})",
        ("id", "state", "provider", "type", "received", "tries", "next try", "reason"),
        [
            (
                row["id"],
                row["state"],
                row["provider"],
                row["event_type"],
                _short_time(row["received_at_ms"]),
                row["attempts"],
                _short_time(row["due_at_ms"]) if row["state"] in _TRIED_AGAIN else "",
                row["detail"],
            )
            for row in rows
        ],
    )
    fixes = dict.fromkeys(f"{row['code']}: {fix_of(row['code'])}" for row in rows if _needs_fix(row))
    for fix in fixes:
        command.say(f"→ {fix}")


@events_app.command()
def show(context: typer.Context, event_id: EventId, as_json: AsJson = False) -> None:
    """One event with its body, its reason, and what to do."""
    command = this(context)
    with snapshot(command.engine) as connection:
        row = service.find(connection, command.tenant, event_id)
        likely = candidates(connection, command.tenant, row, command.providers)
    body = bytes(row["body"])
    if as_json:
        command.print_json(_event_json(row) | {"candidates": likely, "body": body.decode("utf-8", "replace")})
        return
    for name, value in _event_json(row).items():
        if value not in (None, ""):
            command.say(f"{name:>20}  {value}")
    command.say(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    for one in likely:
        what = f"--credit-type {one['credit_type']} --amount {one['amount']}"
        command.say(f"→ The same price was quoted to {one['account']} at {one['quoted_at']}. If it is theirs (ask):")
        command.say(f"  credits events attach {event_id} {shlex.quote(one['account'])} {what} --reason '…'")


@events_app.command()
def retry(
    context: typer.Context,
    event_id: Annotated[
        int | None, typer.Argument(help="The event's number; or use the filters with --all.", min=1, max=MAX_ROW_ID)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every event that matches the filters.")] = False,
    status: Status = None,
    provider: ByProvider = None,
    event_type: ByType = None,
    code: ByCode = None,
    reason: Reason = "retried by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Process one failed event again, or all that match. A finished event is left as it is."""
    command = this(context)
    if (event_id is None) != every:
        raise InvalidInputError("event_id", "name one event, or say --all (with filters if you like)")
    act, now_ms = act_of(by, reason), system_clock_ms()
    with command.changing(dry_run=dry_run) as connection:
        if event_id is not None:
            acted = [service.retry(connection, command.tenant, event_id, act, now_ms=now_ms)]
        else:
            acted = service.retry_matching(
                connection,
                command.tenant,
                act,
                states=_states(status),
                provider=provider,
                event_type=event_type,
                code=code,
                now_ms=now_ms,
            )
    _report(command, acted, dry_run=dry_run, as_json=as_json)


@events_app.command()
def attach(
    context: typer.Context,
    event_id: EventId,
    account: Annotated[str, typer.Argument(help="Whose payment it is.")],
    reason: Reason,
    credit_type: Annotated[str | None, typer.Option("--credit-type", help="What it bought.")] = None,
    amount: Annotated[
        int | None, typer.Option("--amount", help="How many credits it bought.", parser=parse_amount)
    ] = None,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give an unattributed payment to an account; its later payments find their way by themselves."""
    command = this(context)
    if credit_type is not None:
        command.catalogue.credit_type(credit_type)
    with command.changing(dry_run=dry_run) as connection:
        acted = service.attach(
            connection,
            command.tenant,
            event_id,
            account,
            act_of(by, reason),
            credit_type=credit_type,
            amount=amount,
            now_ms=system_clock_ms(),
        )
    _report(command, [acted], dry_run=dry_run, as_json=as_json)


@events_app.command()
def skip(
    context: typer.Context,
    event_id: EventId,
    reason: Reason,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take an event out of the way for good, because it is dealt with otherwise."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        acted = service.skip(connection, command.tenant, event_id, act_of(by, reason), now_ms=system_clock_ms())
    _report(command, [acted], dry_run=dry_run, as_json=as_json, verb="skipped")


@events_app.command()
def replay(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A webhook's body as the provider sent it.")] = None,
    provider: Annotated[str, typer.Option("--provider", help="Whose body it is; needed with a file.")] = "",
    event_id: Annotated[
        int | None, typer.Option("--event", help="A stored event instead of a file.", min=1, max=MAX_ROW_ID)
    ] = None,
    reason: Reason = "replayed by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Process a body from a file, or a stored event once more. What was granted for it is not granted again."""
    command = this(context)
    if (file is None) == (event_id is None):
        raise InvalidInputError("file", "name a file, or a stored event with --event")
    act, now_ms = act_of(by, reason), system_clock_ms()
    new = None if file is None else event_of_file(command, file, provider, now_ms)
    with command.changing(dry_run=dry_run) as connection:
        if event_id is not None:
            acted = service.replay_stored(connection, command.tenant, event_id, act, now_ms=now_ms)
        elif new is not None:
            receipt = service.replay_body(connection, new, act, now_ms=now_ms)
            is_queued = receipt.is_new and receipt.state not in FINISHED
            acted = Acted(event_id=receipt.id, state_before=receipt.state, is_requeued=is_queued)
    _report(command, [acted], dry_run=dry_run, as_json=as_json)


def _report(command: Command, acted: list[Acted], *, dry_run: bool, as_json: bool, verb: str = "") -> None:
    if not dry_run:
        ring(command.settings.broker_url, [one.event_id for one in acted if one.is_requeued])
    if as_json:
        items = [
            {"id": one.event_id, "state_before": one.state_before.value, "requeued": one.is_requeued} for one in acted
        ]
        command.print_json({"items": items, "dry_run": dry_run})
        return
    would = "would be " if dry_run else ""
    for one in acted:
        done = verb or ("processed again within seconds" if one.is_requeued else "left as it is")
        command.say(f"event {one.event_id} was {one.state_before.value}: {would}{done}")
    if not acted:
        command.say("No event matches.")


def _states(words: list[str] | None) -> list[EventState]:
    names = [name.strip() for word in words or [] for name in word.split(",") if name.strip()]
    states: list[EventState] = []
    for name in names:
        if name == "stuck":
            states.extend(NEEDS_OPERATOR)
            continue
        try:
            states.append(EventState(name))
        except ValueError:
            known = ", ".join([*(state.value for state in EventState), "stuck"])
            raise InvalidInputError("status", f"must be among {known}; got {name[:40]!r}") from None
    return states


def _event_json(row: RowMapping) -> dict[str, Any]:
    shown: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    shown["tenant"] = Tenant(row["tenant"]).value
    shown["received_at"] = iso(row["received_at_ms"])
    shown["next_attempt_at"] = iso(row["due_at_ms"])
    shown["finished_at"] = iso(row["finished_at_ms"])
    shown["fix"] = fix_of(row["code"])
    return shown


def _needs_fix(row: RowMapping) -> bool:
    return row["state"] in NEEDS_OPERATOR and bool(fix_of(row["code"]))


def _short_time(at_ms: int | None) -> str:
    text = iso(at_ms)
    return "" if text is None else text[:19].replace("T", " ")
