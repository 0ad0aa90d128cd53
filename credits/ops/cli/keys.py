"""Commands about API keys: create, rotate, list, revoke."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from credits import audit_log
from credits.api import keys
from credits.api.keys import Scope
from credits.clock import iso, system_clock_ms
from credits.errors import InvalidInputError
from credits.ops.cli.context import AsJson, By, Command, DryRun, Reason, act_of, this

keys_app: Final = typer.Typer(no_args_is_help=True, help="API keys of app services.")

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


@keys_app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, reserve, grant, sell or admin; repeatable; read if left out."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Valid for this long; for ever if left out.")
    ] = None,
    account_prefix: Annotated[
        str | None, typer.Option("--account-prefix", help="Only for accounts whose name begins so, for example org_1/.")
    ] = None,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once."""
    command = this(context)
    now_ms = system_clock_ms()
    scopes = scope or [Scope.READ.value]
    with command.changing(dry_run=dry_run) as connection:
        key = keys.create_key(
            connection,
            tenant=command.tenant,
            name=name,
            scopes=scopes,
            now_ms=now_ms,
            expires_at_ms=None if days is None else now_ms + days * _DAY_MS,
            account_prefix=account_prefix,
        )
        detail = {"scopes": scopes, "account_prefix": account_prefix}
        _log(command, connection, act_of(by, f"key for {name}"), "key.create", _kid(key), detail)
    if as_json:
        shown = {"kid": None, "key": None} if dry_run else {"kid": _kid(key), "key": key}
        command.print_json({**shown, **detail, "dry_run": dry_run})
    elif dry_run:
        command.say(f"a key with the scopes {', '.join(scopes)} would be made")
    else:
        _show_once(command, key)


@keys_app.command()
def rotate(
    context: typer.Context,
    kid: Annotated[str, typer.Argument(help="The id of the key to replace, the third part of it.")],
    hours: Annotated[
        int, typer.Option("--hours", min=0, max=8760, help="How long the old key stays valid beside the new one.")
    ] = 168,
    reason: Reason = "rotated by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a successor of a key, with the same scopes and limits. Both are valid until the old one ends."""
    command = this(context)
    now_ms = system_clock_ms()
    with command.changing(dry_run=dry_run) as connection:
        made = keys.rotate_key(connection, command.tenant, kid, now_ms=now_ms, old_ends_at_ms=now_ms + hours * _HOUR_MS)
        ends_at, expires_at = iso(made.old_ends_at_ms), iso(made.expires_at_ms)
        detail = {"successor": _kid(made.key), "ends_at": ends_at}
        _log(command, connection, act_of(by, reason), "key.rotate", kid, detail)
    if as_json:
        shown = {"kid": None, "key": None} if dry_run else {"kid": _kid(made.key), "key": made.key}
        command.print_json(
            {**shown, "expires_at": expires_at, "replaces": kid, "old_ends_at": ends_at, "dry_run": dry_run}
        )
        return
    if dry_run:
        command.say(f"a successor of key {kid} would be made; {kid} would end at {ends_at}")
    else:
        _show_once(command, made.key)
        command.say(f"Key {kid} stays valid until {ends_at}.")
    if expires_at is not None:
        command.say(f"The new key expires at {expires_at}, as {kid} would have.")


@keys_app.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """Every key, without its secret."""
    command = this(context)
    now_ms = system_clock_ms()
    rows = [
        {
            "kid": row["kid"],
            "name": row["name"],
            "scopes": row["scopes"],
            "state": _state(row["revoked_at_ms"], row["expires_at_ms"], now_ms),
            "created_at": iso(row["created_at_ms"]),
            "expires_at": iso(row["expires_at_ms"]),
            "last_used_at": iso(row["last_used_at_ms"]),
            "account_prefix": row["account_prefix"],
        }
        for row in keys.list_keys(command.engine, command.tenant)
    ]
    if as_json:
        command.print_json({"items": rows})
    else:
        columns = ("kid", "name", "scopes", "state", "created_at", "expires_at", "last_used_at", "account_prefix")
        command.print_table(
            "API keys",
            columns,
            [[", ".join(row[name]) if name == "scopes" else row[name] for name in columns] for row in rows],
        )


@keys_app.command()
def revoke(
    context: typer.Context,
    kid: Annotated[str, typer.Argument(help="The key's id, the third part of the key.")],
    reason: Reason = "revoked by hand",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a key worthless at once."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        if not keys.revoke_key(connection, command.tenant, kid, now_ms=system_clock_ms()):
            raise InvalidInputError("kid", f"there is no valid key {kid[:40]!r}; see `credits keys list`")
        _log(command, connection, act_of(by, reason), "key.revoke", kid, {})
    if as_json:
        command.print_json({"kid": kid, "revoked": not dry_run, "dry_run": dry_run})
    else:
        command.say(f"key {kid} {'would be' if dry_run else 'is'} revoked")


def _show_once(command: Command, key: str) -> None:
    command.say(key)
    command.say("Keep it now: only its hash is stored, and it is never shown again.")


def _kid(key: str) -> str:
    return key.split("_")[2]


def _log(
    command: Command, connection: Connection, act: audit_log.Act, action: str, kid: str, detail: Mapping[str, Any]
) -> None:
    audit_log.record(
        connection,
        command.tenant,
        act,
        action=action,
        subject=f"key:{kid}",
        detail=detail,
        now_ms=system_clock_ms(),
    )


def _state(revoked_at_ms: int | None, expires_at_ms: int | None, now_ms: int) -> str:
    if revoked_at_ms is not None:
        return "revoked"
    return "expired" if expires_at_ms is not None and expires_at_ms <= now_ms else "valid"
