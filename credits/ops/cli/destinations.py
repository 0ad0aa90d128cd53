"""Commands about notifications: where they go, and how each delivery went."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from credits import audit_log
from credits.clock import system_clock_ms
from credits.db import snapshot
from credits.errors import InvalidInputError
from credits.notifications import destinations, managing, store
from credits.notifications.addresses import networks
from credits.notifications.model import SUBSCRIBABLE, DeliveryState
from credits.notifications.shown import attempts_json, delivery_json, destination_json
from credits.ops.cli.context import MAX_ROW_ID, AsJson, By, Command, DryRun, Reason, act_of, this

destinations_app: Final = typer.Typer(no_args_is_help=True, help="Where notifications go: signed webhooks, or mails.")
deliveries_app: Final = typer.Typer(no_args_is_help=True, help="How each notification was delivered.")

Name = Annotated[str, typer.Argument(help="The destination, as `dst_…`.")]
_MOST: Final = 1000


@destinations_app.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="https://… or mailto:…")],
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help=f"{', '.join(sorted(SUBSCRIBABLE))}; repeatable, all if left out."),
    ] = None,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a destination, and print the secret that signs what it is sent."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        created = managing.create_destination(
            connection,
            command.tenant,
            url=url,
            kinds=kind or (),
            allowed=networks(command.settings.notify_networks),
            secret_key=command.settings.secret_key,
            now_ms=system_clock_ms(),
        )
        made = created.destination
        _log(command, connection, act_of(by, f"notifications to {made.url}"), "destination.create", made.name, {})
    if as_json:
        shown = {**destination_json(made), "secret": created.secret}
        command.print_json({**({"destination": None} if dry_run else shown), "dry_run": dry_run})
    elif dry_run:
        command.say(f"notifications would be sent to {made.url}")
    else:
        command.say(f"{made.name}  {made.url}")
        command.say(created.secret)


@destinations_app.command("list")
def list_destinations(context: typer.Context, as_json: AsJson = False) -> None:
    """Every destination."""
    command = this(context)
    with snapshot(command.engine) as connection:
        rows = [destination_json(one) for one in destinations.list_destinations(connection, command.tenant)]
    if as_json:
        command.print_json({"items": rows})
        return
    columns = ("destination", "url", "kinds", "disabled_reason")
    shown = [[", ".join(row[name]) or "all" if name == "kinds" else row[name] for name in columns] for row in rows]
    command.print_table("Destinations", columns, shown)


@destinations_app.command()
def rotate(context: typer.Context, name: Name, by: By = "", dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Give it a new secret and print that; for a day the one before signs, too."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        secret = managing.rotate_secret(
            connection, command.tenant, name, secret_key=command.settings.secret_key, now_ms=system_clock_ms()
        ).secret
        _log(command, connection, act_of(by, "rotated"), "destination.rotate", name, {})
    if as_json:
        command.print_json({"destination": name, "secret": None if dry_run else secret, "dry_run": dry_run})
    else:
        command.say(f"{name} would get a new secret" if dry_run else secret)


@destinations_app.command()
def enable(context: typer.Context, name: Name, by: By = "", dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Tell it again of what happens from now on."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        managing.enable_destination(connection, command.tenant, name)
        _log(command, connection, act_of(by, "enabled"), "destination.enable", name, {})
    _say(command, name, "enabled", dry_run=dry_run, as_json=as_json)


@destinations_app.command()
def disable(
    context: typer.Context,
    name: Name,
    reason: Reason = "disabled by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Tell it nothing more until it is enabled; what is on its way is dropped."""
    command = this(context)
    act = act_of(by, reason)
    with command.changing(dry_run=dry_run) as connection:
        managing.disable_destination(connection, command.tenant, name, reason=act.reason, now_ms=system_clock_ms())
        _log(command, connection, act, "destination.disable", name, {})
    _say(command, name, "disabled", dry_run=dry_run, as_json=as_json)


@destinations_app.command()
def delete(
    context: typer.Context,
    name: Name,
    reason: Reason = "deleted by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove it. What it was sent stays in the log for a month."""
    command = this(context)
    act = act_of(by, reason)
    with command.changing(dry_run=dry_run) as connection:
        managing.delete_destination(connection, command.tenant, name, now_ms=system_clock_ms())
        _log(command, connection, act, "destination.delete", name, {})
    _say(command, name, "deleted", dry_run=dry_run, as_json=as_json)


@destinations_app.command()
def ping(context: typer.Context, name: Name, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Send it a test; `credits deliveries list` tells how it went."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        delivery_id = managing.ping(connection, command.tenant, name, now_ms=system_clock_ms())
    if as_json:
        command.print_json({"destination": name, "delivery": None if dry_run else delivery_id, "dry_run": dry_run})
    else:
        command.say("a test would be sent" if dry_run else f"delivery {delivery_id} is on its way")


@deliveries_app.command("list")
def list_deliveries(
    context: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="pending, delivered or dead.")] = None,
    destination: Annotated[str | None, typer.Option("--destination", help="Of this destination alone.")] = None,
    before: Annotated[int | None, typer.Option("--before", min=1, max=MAX_ROW_ID, help="Older than this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST)] = 50,
    as_json: AsJson = False,
) -> None:
    """What was sent where, newest first, and what came of it."""
    command = this(context)
    with snapshot(command.engine) as connection:
        found = store.list_deliveries(
            connection, command.tenant, state=state, destination=destination, before_id=before, limit=limit
        )
    rows = [delivery_json(row) for row in found]
    if as_json:
        command.print_json({"items": rows})
        return
    columns = ("id", "state", "kind", "account", "destination", "attempts", "status", "due_at", "detail")
    command.print_table("Deliveries", columns, [[row[name] for name in columns] for row in rows])


@deliveries_app.command()
def show(
    context: typer.Context,
    delivery: Annotated[int, typer.Argument(min=1, max=MAX_ROW_ID)],
    as_json: AsJson = False,
) -> None:
    """Every attempt of one delivery."""
    command = this(context)
    with snapshot(command.engine) as connection:
        attempts = store.attempts_of(connection, command.tenant, delivery)
    rows = attempts_json(attempts)
    columns = ("at", "status", "duration_ms", "detail")
    if as_json:
        command.print_json({"delivery": delivery, "attempts": rows})
    else:
        command.print_table(
            f"Attempts of delivery {delivery}", columns, [[row[name] for name in columns] for row in rows]
        )


@deliveries_app.command()
def retry(
    context: typer.Context,
    delivery: Annotated[int | None, typer.Argument(min=1, max=MAX_ROW_ID)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead one, up to 1,000.")] = False,
    destination: Annotated[str | None, typer.Option("--destination", help="With --all: of this one alone.")] = None,
    by: By = "",
    reason: Reason = "tried again by hand",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send again, under the same `webhook-id`: one delivery, whatever became of it, or every dead one."""
    command = this(context)
    if (delivery is None) is not every:
        raise InvalidInputError("delivery", "name one delivery, or say --all")
    with command.changing(dry_run=dry_run) as connection:
        count = managing.retry_deliveries(
            connection,
            command.tenant,
            ids=() if delivery is None else (delivery,),
            state=DeliveryState.DEAD,
            name=destination,
            now_ms=system_clock_ms(),
        )
        subject = "all" if delivery is None else str(delivery)
        _log(command, connection, act_of(by, reason), "delivery.retry", subject, {"count": count})
    if as_json:
        command.print_json({"retried": count, "dry_run": dry_run})
    else:
        command.say(f"{count} {'would be' if dry_run else 'will be'} sent again within seconds")


def _say(command: Command, name: str, done: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        command.print_json({"destination": name, done: not dry_run, "dry_run": dry_run})
    else:
        command.say(f"{name} {'would be' if dry_run else 'is'} {done}")


def _log(
    command: Command, connection: Connection, act: audit_log.Act, action: str, name: str, detail: Mapping[str, Any]
) -> None:
    audit_log.record(
        connection, command.tenant, act, action=action, subject=name, detail=detail, now_ms=system_clock_ms()
    )
