"""Commands about accounts that are blocked because they owe refunded credits."""

from typing import Annotated, Final

import typer

from credits.clock import iso, system_clock_ms
from credits.db import snapshot
from credits.ops.cli.context import AsJson, By, DryRun, Reason, act_of, this
from credits.reversals import blocks

accounts_app: Final = typer.Typer(no_args_is_help=True, help="Accounts that may reserve nothing.")


@accounts_app.command()
def blocked(context: typer.Context, as_json: AsJson = False) -> None:
    """List the accounts that may reserve nothing, with what they owe and why."""
    command = this(context)
    with snapshot(command.engine) as connection:
        found = sorted(blocks.blocked(connection, command.tenant).values(), key=lambda one: one.at_ms)
    if as_json:
        command.print_json(
            {
                "blocked": [
                    {
                        "account": one.account,
                        "credit_type": one.credit_type,
                        "debt": one.debt,
                        "reason": one.reason,
                        "since": iso(one.at_ms),
                    }
                    for one in found
                ]
            }
        )
        return
    for one in found:
        command.say(f"{one.account}  owes {one.debt} {one.credit_type}  since {iso(one.at_ms)}  {one.reason}")
    if not found:
        command.say("no account is blocked")


@accounts_app.command()
def unblock(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Whom to let reserve again.")],
    reason: Reason,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let an account reserve again though it owes; the debt stays, and the next grant repays it."""
    command = this(context)
    with command.changing(dry_run=dry_run) as connection:
        lifted = blocks.unblock(connection, command.tenant, account, act_of(by, reason), now_ms=system_clock_ms())
    shown = {"account": account, "credit_type": lifted.credit_type, "debt": lifted.debt, "dry_run": dry_run}
    if as_json:
        command.print_json(shown)
    else:
        word = "would be" if dry_run else "is"
        command.say(f"{account} {word} unblocked; it still owes {lifted.debt} {lifted.credit_type}")
