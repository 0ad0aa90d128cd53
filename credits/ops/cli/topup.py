"""`credits topup`: automatic top-ups, and why a card was charged or not."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from credits import audit_log
from credits.clock import system_clock_ms
from credits.db import snapshot, transaction
from credits.ops.cli.context import AsJson, By, Command, Reason, act_of, this
from credits.topup.health import list_in_flight, topup_health
from credits.units import parse_amount

topup_app = typer.Typer(
    no_args_is_help=True, help="Automatic top-ups: set, show, explain, list what is in flight, retry, switch off."
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="The credit type.")]


@topup_app.command("set")
def set_topup(
    context: typer.Context,
    account: Account,
    credit_type: Type,
    threshold: Annotated[int, typer.Option("--threshold", help="Fewer available credits than these are a shortage.")],
    monthly_cap: Annotated[
        int, typer.Option("--monthly-cap", help="The most in a calendar month (UTC), in the smallest unit: cents.")
    ],
    amount: Annotated[
        int | None, typer.Option("--amount", help="Credits bought each time.", parser=parse_amount)
    ] = None,
    target: Annotated[int | None, typer.Option("--target", help="Or: buy what is missing to so many.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Left out: the credit type's own.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Left out: the first that can.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", help="The provider's customer to charge.")] = None,
    card: Annotated[str | None, typer.Option("--card", help="The payment method to charge.")] = None,
    reason: Reason = "the owner agreed",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Charge the account's saved card whenever credits run low. The owner must have agreed to it."""
    command = this(context)
    act = act_of(by, reason)
    found = command.credits.set_topup(
        account,
        credit_type,
        threshold=threshold,
        monthly_cap_minor=monthly_cap,
        amount=amount,
        target=target,
        currency=currency,
        provider=provider,
        customer_id=customer,
        payment_method=card,
    )
    _log(command, act, "topup.set", found)
    _show(command, found, as_json=as_json)


@topup_app.command()
def show(context: typer.Context, account: Account, as_json: AsJson = False) -> None:
    """Every automatic top-up of an account."""
    command = this(context)
    rows = command.credits.topups(account)
    if as_json:
        command.print_json({"account": account, "items": rows})
        return
    columns = ("credit_type", "is_on", "threshold", "amount", "target", "monthly_cap_minor", "currency", "reason")
    command.print_table(f"Automatic top-ups of {account}", columns, [[row[name] for name in columns] for row in rows])


@topup_app.command()
def explain(context: typer.Context, account: Account, credit_type: Type, as_json: AsJson = False) -> None:
    """Why the card is charged now, or is not; until when; and what became of the last attempts."""
    command = this(context)
    _show(command, command.credits.topup(account, credit_type), as_json=as_json)


@topup_app.command("in-flight")
def in_flight(context: typer.Context, as_json: AsJson = False) -> None:
    """Every top-up that is not over: charged and not credited yet, or without an answer; the oldest first."""
    command = this(context)
    with snapshot(command.engine) as connection:
        rows = list_in_flight(connection, command.tenant, now_ms=system_clock_ms())
        alarms = [one.alarm for one in topup_health(connection, now_ms=system_clock_ms()) if one.alarm]
    if as_json:
        command.print_json({"items": rows, "alarms": alarms})
        return
    if not rows:
        command.say(f"No top-up is in flight ({command.tenant.value}).")
        return
    columns = ("account", "credit_type", "state", "age_s", "amount", "cost_minor", "currency", "payment", "purchase_id")
    command.print_table("Top-ups in flight", columns, [[row[name] for name in columns] for row in rows])
    for alarm in alarms:
        command.say(f"Alarm: {alarm}")


@topup_app.command()
def off(
    context: typer.Context,
    account: Account,
    credit_type: Type,
    reason: Reason = "the owner asked for it",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Charge nothing more. What is in flight is finished."""
    command = this(context)
    act = act_of(by, reason)
    found = command.credits.stop_topup(account, credit_type)
    _log(command, act, "topup.off", found)
    _show(command, found, as_json=as_json)


@topup_app.command()
def retry(
    context: typer.Context,
    account: Account,
    credit_type: Type,
    reason: Reason = "retried by hand",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Forget the declines and refunds before, and decide at once: charges if there is a shortage."""
    command = this(context)
    act = act_of(by, reason)
    found = command.credits.retry_topup(account, credit_type)
    _log(command, act, "topup.retry", found)
    _show(command, found, as_json=as_json)


_AGREED: Final = ("credit_type", "threshold", "amount", "target", "monthly_cap_minor")


def _log(command: Command, act: audit_log.Act, action: str, found: Mapping[str, Any]) -> None:
    with transaction(command.engine) as connection:
        audit_log.record(
            connection,
            command.tenant,
            act,
            action=action,
            subject=f"account:{found['account']}"[:255],
            detail={name: found[name] for name in _AGREED},
            now_ms=system_clock_ms(),
        )


def _show(command: Command, found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        command.print_json(found)
        return
    wanted = f"{found['amount']} credits" if found["amount"] is not None else f"up to {found['target']} credits"
    state = "on" if found["is_on"] else "off"
    command.say(f"Automatic top-up of {found['credit_type']} for {found['account']} is {state} at {found['provider']}:")
    command.say(f"  below {found['threshold']} available (now {found['available']}) buy {wanted}")
    spent, cap = found["spent_this_month_minor"], found["monthly_cap_minor"]
    command.say(f"  charged this month: {spent} of at most {cap} {found['currency']} (smallest unit)")
    until = f", until {found['until']}" if found["until"] else ""
    command.say(f"Now: {found['decision']} ({found['reason']}){until}: {found['sentence']}")
    last = found["last_decision"]
    if last is not None:
        detail = f": {last['detail']}" if last["detail"] else ""
        command.say(f"Last decided: {last['decision']} ({last['reason']}), since {last['since']}{detail}")
    if found["finish_url"]:
        command.say(f"The payer can finish the payment at {found['finish_url']}")
    columns = ("begun_at", "state", "amount", "cost_minor", "kind", "reason", "payment")
    if found["attempts"]:
        command.print_table("Attempts", columns, [[one[name] for name in columns] for one in found["attempts"]])
