"""Commands about accounts: balance, entries, grants, holds, grant, deduct, can-deduct."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from sqlalchemy import Connection

from credits import audit_log
from credits.clock import from_iso, iso, system_clock_ms
from credits.engine import balances_json
from credits.errors import GateUnavailableError, InvalidInputError
from credits.ledger.model import Posted
from credits.ledger.shown import entry_json, grant_json
from credits.members.model import member_json
from credits.ops.cli.context import Amount, AmountCommand, AsJson, By, Command, DryRun, Reason, act_of, this
from credits.ops.cli.member_table import COLUMNS, member_rows
from credits.reservations.deduct import deduction, rehearse
from credits.reservations.records import hold_json

Account = Annotated[str, typer.Argument(help="The account, as your app calls it.")]
CreditType = Annotated[str, typer.Argument(help="The credit type, as in credits.toml.")]
Key = Annotated[str, typer.Option("--key", help="Names this change: repeated with one key it happens once.")]
OnlyType = Annotated[str | None, typer.Option("--type", help="Only this credit type.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many rows at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    for command in (balance, entries, grants, holds):
        app.command()(command)
    for changing in (grant, deduct):
        app.command(cls=AmountCommand)(changing)
    app.command("can-deduct", cls=AmountCommand)(can_deduct)


def balance(
    context: typer.Context,
    account: Account,
    at: Annotated[str | None, typer.Option("--at", help="As of this ISO 8601 instant.")] = None,
    as_json: AsJson = False,
) -> None:
    """What an account has: balance, held, pending, available, debt."""
    command = this(context)
    at_ms = None if at is None else instant("at", at)
    note = ""
    try:
        found = command.credits.balances(account, at_ms=at_ms)
    except GateUnavailableError as error:
        found = command.credits.ledger_balances(account)
        note = f"{error}: these are the ledger's figures, without holds and without what was committed a moment ago"
    if as_json:
        command.print_json(balances_json(account, found))
    elif not found:
        command.say(f"{account} has never had credits ({command.tenant.value}).")
    else:
        command.print_table(
            f"{account} ({command.tenant.value})",
            ("credit type", "balance", "held", "pending", "available", "debt"),
            [(name, b.balance, b.held, b.pending, b.available, b.debt) for name, b in found.items()],
        )
    if note:
        typer.echo(f"note: {note}", err=True)


def holds(context: typer.Context, account: Account, limit: Limit = 100, as_json: AsJson = False) -> None:
    """An account's open holds, the soonest due first, and what each of its members may spend still."""
    command = this(context)
    found = command.credits.holds(account, limit=limit)
    rows, members = [hold_json(hold) for hold in found], command.credits.members(account, limit=limit)
    last = members[-1].member if len(members) == limit else None
    # Beyond so many members, those whose holds are shown.
    names = {hold.member for hold in found if hold.member} - {one.member for one in members}
    members += [command.credits.member(account, name) for name in sorted(names)]
    if as_json:
        command.print_json({"account": account, "items": rows, "members": [member_json(one) for one in members]})
        return
    columns = [name for name in ("reservation_id", "member", "items", "made_at", "expires_at") if _is_shown(name, rows)]
    shown = [[_amounts(row[name]) if name == "items" else row[name] or "" for name in columns] for row in rows]
    command.print_table(f"Holds of {account}", columns, shown)
    if members:
        command.print_table(f"Members of {account}", COLUMNS, member_rows(members))
    if last is not None:
        command.say(f"→ more of them, if there are: credits members list {account} --after {last}")


def can_deduct(
    context: typer.Context, account: Account, credit_type: CreditType, amount: Amount, as_json: AsJson = False
) -> None:
    """Whether an account could pay so much right now; exit status 1 if not."""
    command = this(context)
    can = command.credits.can_deduct(account, credit_type, amount)
    if as_json:
        command.print_json({"account": account, "credit_type": credit_type, "amount": amount, "can_deduct": can})
    else:
        command.say(f"{account} {'can' if can else 'cannot'} pay {amount} {credit_type} now.")
    if not can:
        raise typer.Exit(1)


def _is_shown(column: str, rows: Sequence[Mapping[str, object]]) -> bool:
    # An account without members needs no column for them.
    return column != "member" or any(row["member"] for row in rows)


def _amounts(items: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {kind}" for kind, amount in items.items())


def entries(
    context: typer.Context, account: Account, only: OnlyType = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """An account's ledger, newest first: every movement with the balance after it."""
    command = this(context)
    rows = [entry_json(row) for row in command.credits.entries(account, credit_type=only, limit=limit)]
    if as_json:
        command.print_json({"account": account, "items": rows})
        return
    names = ("at", "credit_type", "seq", "kind", "amount", "balance_after", "member", "key", "actor", "reason")
    columns = [name for name in names if _is_shown(name, rows)]
    shown = [["" if row[name] is None else row[name] for name in columns] for row in rows]
    command.print_table(f"Entries of {account}", columns, shown)


def grants(
    context: typer.Context, account: Account, only: OnlyType = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """An account's grants, newest first: what each was, what is left of it, when it lapses."""
    command = this(context)
    rows = [grant_json(row) for row in command.credits.grants(account, credit_type=only, limit=limit)]
    if as_json:
        command.print_json({"account": account, "items": rows})
        return
    columns = ("created_at", "credit_type", "amount", "remaining", "source", "plan", "priority", "expires_at", "key")
    command.print_table(f"Grants of {account}", columns, [[row[name] for name in columns] for row in rows])


def grant(
    context: typer.Context,
    account: Account,
    credit_type: CreditType,
    amount: Amount,
    reason: Reason,
    key: Key,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="ISO 8601 instant; never if left out.")] = None,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give an account credits by hand."""
    command = this(context)
    act = act_of(by, reason)
    with command.changing(dry_run=dry_run) as connection:
        posted = command.credits.add_in(
            connection,
            account,
            credit_type,
            amount,
            key=key,
            reason=act.reason,
            actor=act.actor,
            expires_at_ms=None if expires_at is None else instant("expires_at", expires_at),
        )
        _log_change(command, connection, act, "ledger.grant", posted)
    if not dry_run:
        command.credits.bring_credits(account)
    _show(command, posted, dry_run=dry_run, as_json=as_json)


def deduct(
    context: typer.Context,
    account: Account,
    credit_type: CreditType,
    amount: Amount,
    reason: Reason,
    key: Key,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take credits out of an account by hand."""
    command = this(context)
    act = act_of(by, reason)
    if dry_run:
        order = deduction(
            account=account, credit_type=credit_type, amount=amount, key=key, actor=act.actor, reason=act.reason
        )
        posted = rehearse(command.credits.reservations, order)
    else:
        posted = command.credits.deduct(account, credit_type, amount, key=key, reason=act.reason, actor=act.actor)
        with command.changing(dry_run=False) as connection:
            _log_change(command, connection, act, "ledger.deduct", posted)
    _show(command, posted, dry_run=dry_run, as_json=as_json)


def _log_change(command: Command, connection: Connection, act: audit_log.Act, action: str, posted: Posted) -> None:
    if posted.replayed:
        return
    audit_log.record(
        connection,
        command.tenant,
        act,
        action=action,
        subject=f"account:{posted.account}",
        detail={"credit_type": posted.credit_type, "amount": posted.amount, "key": posted.key},
        now_ms=system_clock_ms(),
    )


def _show(command: Command, posted: Posted, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        command.print_json(
            {
                "account": posted.account,
                "credit_type": posted.credit_type,
                "amount": posted.amount,
                "balance_after": posted.balance_after,
                "seq": posted.seq,
                "key": posted.key,
                "replayed": posted.replayed,
                "dry_run": dry_run,
            }
        )
        return
    how = "would change" if dry_run else "changed before under the same key" if posted.replayed else "changed"
    command.say(
        f"{posted.credit_type} of {posted.account} {how} by {posted.amount:+d}; "
        f"balance after it {posted.balance_after}" + (f" (entry {posted.seq})" if posted.seq else "")
    )


def instant(name: str, text: str) -> int:
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        raise InvalidInputError(name, f"must be an ISO 8601 instant such as {iso(0)}, got {text[:40]!r}") from None
