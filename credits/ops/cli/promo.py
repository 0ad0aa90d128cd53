"""`credits promo`: codes that give credits, and `credits welcome`."""

from typing import Annotated

import typer

from credits import audit_log
from credits.clock import from_iso, iso, system_clock_ms
from credits.db import snapshot
from credits.errors import InvalidInputError
from credits.ids import checked_id
from credits.ops.cli.context import AmountCommand, AsJson, By, DryRun, act_of, this
from credits.promos import service
from credits.promos.service import PromoCode
from credits.units import parse_amount

promo_app = typer.Typer(no_args_is_help=True, help="Promo codes: make, list and redeem them.")

Code = Annotated[str, typer.Argument(metavar="CODE", help="Letters, digits, _ and -; capitals or not.")]


@promo_app.command(cls=AmountCommand)
def create(
    context: typer.Context,
    code: Code,
    credit_type: Annotated[str, typer.Argument(metavar="TYPE", help="The credit type.")],
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", help="Credits for each redemption.", parser=parse_amount)],
    max_uses: Annotated[
        int | None, typer.Option("--max-uses", help="Redemptions in all; left out: any number.")
    ] = None,
    per_account: Annotated[int, typer.Option("--per-account", help="Redemptions by one account.")] = 1,
    expires: Annotated[
        str | None, typer.Option("--expires", help="ISO 8601 instant at which it stops working.")
    ] = None,
    credits_days: Annotated[int | None, typer.Option("--credits-days", help="Days that its credits last.")] = None,
    by: By = "",
    dry_run: DryRun = False,
) -> None:
    """Make a code. Repeated with the same content it changes nothing."""
    command = this(context)
    promo = PromoCode(
        code=service.checked_code(code),
        credit_type=command.catalogue.credit_type(credit_type).key,
        amount=amount,
        max_uses=max_uses,
        per_account=per_account,
        expires_at_ms=None if expires is None else _instant(expires),
        credits_days=credits_days,
    )
    now_ms = system_clock_ms()
    with command.changing(dry_run=dry_run) as connection:
        is_new = service.create(connection, command.tenant, promo, now_ms=now_ms)
        if is_new:
            audit_log.record(
                connection,
                command.tenant,
                act_of(by, f"promo code {promo.code}"),
                action="promo.create",
                subject=f"promo:{promo.code}",
                detail={"credit_type": promo.credit_type, "amount": amount, "max_uses": max_uses},
                now_ms=now_ms,
            )
    would = "would be made" if dry_run else "is there"
    command.say(f"promo code {promo.code} {would}: {amount} {promo.credit_type}")


@promo_app.command("list")
def list_codes(context: typer.Context, as_json: AsJson = False) -> None:
    """Codes, the newest first, with how often each was used."""
    command = this(context)
    with snapshot(command.engine) as connection:
        rows = service.listed(connection, command.tenant)
    columns = ("code", "credit_type", "amount", "uses", "max_uses", "per_account", "expires_at")
    shown = [{**row, "expires_at": iso(row["expires_at_ms"])} for row in rows]
    if as_json:
        command.print_json({"items": [{name: row[name] for name in columns} for row in shown]})
        return
    command.print_table("Promo codes", columns, [[row[name] for name in columns] for row in shown])


@promo_app.command()
def redeem(
    context: typer.Context,
    code: Code,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Who redeems it.")],
    as_json: AsJson = False,
) -> None:
    """Give an account what a code gives, once."""
    command = this(context)
    posted = command.credits.redeem(account, code)
    if as_json:
        command.print_json(
            {"account": account, "key": posted.key, "amount": posted.amount, "replayed": posted.replayed}
        )
        return
    word = "was given before" if posted.replayed else "given"
    command.say(f"{posted.amount} {posted.credit_type} {word} to {account} for {service.checked_code(code)}")


def welcome(
    context: typer.Context, account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The new account.")]
) -> None:
    """Give a new account its welcome credits, once for ever."""
    command = this(context)
    posted = command.credits.welcome(checked_id(account, "account"))
    if not posted:
        command.say("credits.toml has no [welcome.credits.<type>]")
    for one in posted:
        command.say(f"{one.amount} {one.credit_type} {'were given before' if one.replayed else 'given'} to {account}")


def _instant(text: str) -> int:
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        raise InvalidInputError("expires", f"must be an ISO 8601 instant, got {text[:40]!r}") from None
