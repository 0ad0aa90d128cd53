"""`credits simulate plan-change`: what a change of plan would do to an account's credits."""

from typing import Annotated

import typer

from credits.clock import MAX_INSTANT_MS, from_iso, iso, system_clock_ms
from credits.db import snapshot
from credits.errors import InvalidInputError
from credits.ops.cli.context import AsJson, this
from credits.plans.preview import Wanted, preview_change


def plan_change(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Whose plan it is.")],
    plan: Annotated[str, typer.Argument(help="The plan to change to, as in credits.toml.")],
    at: Annotated[str | None, typer.Option("--at", help="When, ISO 8601; now if left out.")] = None,
    quantity: Annotated[int | None, typer.Option("--quantity", min=1, help="Seats; as they are if left out.")] = None,
    price_minor: Annotated[
        int | None, typer.Option("--price-minor", min=0, help="The new plan's price for a whole period.")
    ] = None,
    subscription: Annotated[str | None, typer.Option("--subscription", help="Which, if there are several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a prorated change of plan or seats would write, and the balances before and after. Nothing changes."""
    command = this(context)
    wanted = Wanted(plan=plan, quantity=quantity, price_minor=price_minor, subscription_id=subscription)
    with snapshot(command.engine) as connection:
        preview = preview_change(connection, command.tenant, command.catalogue, account, wanted, at_ms=_instant_ms(at))
    if as_json:
        command.print_json(preview.as_json())
        return
    command.say(
        f"{account}: plan {preview.plan_before} -> {preview.plan_after} at {iso(preview.at_ms)}, "
        f"the period ends at {iso(preview.period_end_ms)}"
    )
    command.say(f'on_change of {preview.plan_before}: "{preview.policy}"; {preview.money}')
    for entry in preview.entries:
        command.say(f"  {entry.kind:9} {entry.amount:+d} {entry.credit_type}  {entry.why}")
    for kind, (before, after) in preview.balances.items():
        command.say(f"{kind}: {before['balance']} -> {after['balance']}, debt {before['debt']} -> {after['debt']}")
    if not preview.entries:
        command.say("nothing would change at once")


def _instant_ms(at: str | None) -> int:
    if at is None:
        return system_clock_ms()
    try:
        at_ms = from_iso(at)
    except ValueError:
        raise InvalidInputError(
            "at", f"must be an ISO 8601 instant, as 2026-01-31T12:00:00Z, got {at[:40]!r}"
        ) from None
    if not 0 <= at_ms <= MAX_INSTANT_MS:
        raise InvalidInputError("at", "must be an instant of the years 1970 to 9999")
    return at_ms
