"""Commands about members of an account: list, set, raise, remove, zone."""

from typing import Annotated, Final

import typer

from credits.clock import iso, system_clock_ms
from credits.errors import InvalidInputError
from credits.ids import checked_id
from credits.members import service
from credits.members.model import MemberLimit, Per, member_json
from credits.ops.cli.accounts import Account, CreditType, Limit, instant
from credits.ops.cli.context import Amount, AmountCommand, AsJson, By, DryRun, Reason, act_of, this
from credits.ops.cli.member_table import COLUMNS, member_rows
from credits.units import parse_amount

members_app: Final = typer.Typer(no_args_is_help=True, help="Members of an account, and what each may spend.")


def parse_limit(text: str) -> int:
    """A limit as it is typed. Raises InvalidAmountError."""
    return parse_amount(text, smallest=0)


MemberName = Annotated[str, typer.Argument(metavar="MEMBER", help="The member, as your app calls it.")]
Window = Annotated[Per, typer.Option("--per", help="The limit's window, in the account's time zone.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")]


@members_app.command("list")
def list_members(
    context: typer.Context,
    account: Account,
    after: Annotated[str, typer.Option("--after", help="Go on behind this member.")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Members that have a limit or have spent: what each may spend, has used, and when that begins anew."""
    command = this(context)
    found = command.credits.members(account, after=after, limit=limit)
    if as_json:
        command.print_json({"account": account, "items": [member_json(one) for one in found]})
        return
    command.print_table(f"Members of {account}", COLUMNS, member_rows(found))


@members_app.command("set", cls=AmountCommand)
def set_limit(
    context: typer.Context,
    account: Account,
    member: MemberName,
    credit_type: CreditType,
    amount: Annotated[
        int, typer.Argument(help="At most so many credits per window; 0: none.", parser=parse_limit, metavar="amount")
    ],
    per: Window,
    reason: Why = "",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set what a member may spend of a type per day, per month or for ever."""
    command = this(context)
    limit = command.credits.member_limit(member, credit_type, amount, per=per)
    act, name = act_of(by, reason or "limit set by hand"), checked_id(account, "account")
    with command.changing(dry_run=dry_run) as connection:
        service.set_limit(connection, command.tenant, name, limit, act, now_ms=system_clock_ms())
    if not dry_run:
        command.credits.bring_member_changes(account)
    if as_json:
        command.print_json({"account": account, **_limit_json(limit), "dry_run": dry_run})
    else:
        command.say(f"{member} of {account} {'could' if dry_run else 'may'} spend {amount} {credit_type} {_span(per)}")


@members_app.command("raise", cls=AmountCommand)
def raise_limit(
    context: typer.Context,
    account: Account,
    member: MemberName,
    credit_type: CreditType,
    amount: Amount,
    per: Window,
    until: Annotated[str, typer.Option("--until", help="ISO 8601 instant at which the raise ends.")],
    reason: Reason,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Raise a member's limit for a while."""
    command = this(context)
    asked = command.credits.member_limit(member, credit_type, amount, per=per)
    with command.changing(dry_run=dry_run) as connection:
        raised = service.raise_limit(
            connection,
            command.tenant,
            checked_id(account, "account"),
            asked,
            act_of(by, reason),
            until_ms=instant("until", until),
            now_ms=system_clock_ms(),
        )
    if not dry_run:
        command.credits.bring_member_changes(account)
    if as_json:
        command.print_json({"account": account, **_limit_json(raised), "dry_run": dry_run})
    else:
        until_text = iso(raised.raised_until_ms)
        command.say(
            f"{member} of {account} {'could' if dry_run else 'may'} spend {amount} {credit_type} {_span(per)} until"
            f" {until_text}, then {raised.amount} again"
        )


@members_app.command()
def remove(
    context: typer.Context,
    account: Account,
    member: MemberName,
    credit_type: Annotated[str | None, typer.Option("--type", help="Only limits of this credit type.")] = None,
    per: Annotated[Per | None, typer.Option("--per", help="Only limits of this window.")] = None,
    reason: Why = "",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove a member's limits: it may spend what the account has."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        removed = service.remove_limits(
            connection,
            command.tenant,
            checked_id(account, "account"),
            checked_id(member, "member"),
            act_of(by, reason or "limit removed by hand"),
            credit_type=credit_type,
            per=per,
            now_ms=system_clock_ms(),
        )
        if not removed:
            raise InvalidInputError(
                "member", f"{member!r} of {account!r} has no such limit; see `credits members list`"
            )
    if not dry_run:
        command.credits.bring_member_changes(account)
    if as_json:
        command.print_json({"account": account, "member": member, "removed": removed, "dry_run": dry_run})
    else:
        command.say(f"{removed} limits of {member} {'would be' if dry_run else 'are'} removed")


@members_app.command()
def zone(
    context: typer.Context,
    account: Account,
    time_zone: Annotated[str, typer.Argument(help="Of the IANA database, such as Europe/Berlin.")],
    reason: Why = "",
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set whose midnight begins the days and months of an account's limits."""
    command = this(context)
    act, name = act_of(by, reason or "time zone set by hand"), checked_id(account, "account")
    with command.changing(dry_run=dry_run) as connection:
        is_new = service.set_time_zone(connection, command.tenant, name, time_zone, act, now_ms=system_clock_ms())
    if not dry_run:
        command.credits.bring_member_changes(account)
    if as_json:
        command.print_json({"account": account, "time_zone": time_zone, "changed": is_new, "dry_run": dry_run})
    elif is_new:
        command.say(f"days of {account} {'would begin' if dry_run else 'begin'} at midnight in {time_zone}")
    else:
        command.say(f"days of {account} began at midnight in {time_zone} before")


def _limit_json(limit: MemberLimit) -> dict[str, object]:
    return {
        "member": limit.member,
        "credit_type": limit.credit_type,
        "per": limit.per.value,
        "amount": limit.amount,
        "raised_to": limit.raised_to,
        "raised_until": iso(limit.raised_until_ms),
    }


def _span(per: Per) -> str:
    return "for ever" if per is Per.EVER else f"per {per.value}"
