"""Commands that sell: price, checkout, purchases list and show."""

from typing import Annotated, Any

import typer

from credits import audit_log
from credits.checkout.model import CheckoutRequest
from credits.checkout.quotes import new_purchase
from credits.checkout.shown import price_json
from credits.clock import system_clock_ms
from credits.ops.cli.accounts import Account, Limit
from credits.ops.cli.context import Amount, AmountCommand, AsJson, By, Command, DryRun, act_of, this
from credits.pricing.money import written
from credits.units import Money, parse_amount

CreditType = Annotated[str, typer.Argument(help="The credit type, as in credits.toml.")]
Currency = Annotated[str | None, typer.Option("--currency", help="The credit type's own if left out.")]

purchases_app = typer.Typer(no_args_is_help=True, help="Purchases: from the quote to the credits.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command(cls=AmountCommand)(price)
    app.command(cls=AmountCommand)(checkout)
    app.add_typer(purchases_app, name="purchases")


def price(
    context: typer.Context,
    credit_type: CreditType,
    amount: Amount,
    account: Annotated[str | None, typer.Option("--account", help="What they cost this account.")] = None,
    currency: Currency = None,
    as_json: AsJson = False,
) -> None:
    """What credits cost, and which rule says so."""
    command = this(context)
    found = command.credits.price(credit_type, amount, account=account, currency=currency)
    shown = price_json(found, account=account, locale=command.catalogue.checkout.locale)
    if as_json:
        command.print_json(shown)
        return
    for line in _price_lines(shown):
        command.say(line)


def _price_lines(shown: dict[str, Any]) -> list[str]:
    bonus = f" and {shown['bonus']} on top" if shown["bonus"] else ""
    total = f"{shown['formatted']} ({shown['total']} {shown['currency']})"
    lines = [f"{shown['amount']} {shown['credit_type']}{bonus} cost {total}"]
    slab = shown["slab"]
    if slab is not None:
        end = "" if slab["to"] is None else f" to {slab['to']}"
        lines.append(f"rule      {shown['rule']}: from {slab['from']}{end} at {slab['price_per_unit']} each")
    else:
        lines.append(f"rule      {shown['rule']}")
    if shown["plan"] is not None:
        lines.append(f"discount  {shown['discount']} of {shown['list_total']} for plan {shown['plan']}")
    return [*lines, f"per unit  {shown['per_unit']}"]


def checkout(
    context: typer.Context,
    account: Account,
    credit_type: Annotated[str | None, typer.Argument(help="The credit type; not with --plan.")] = None,
    amount: Annotated[
        int | None, typer.Argument(help="How many credits; not with --plan.", parser=parse_amount, metavar="amount")
    ] = None,
    provider: Annotated[str, typer.Option("--provider", help="stripe, lemonsqueezy or paddle.")] = "stripe",
    plan: Annotated[str | None, typer.Option("--plan", help="Subscribe to this plan.")] = None,
    price: Annotated[str | None, typer.Option("--price", help="Which of the plan's products; else the first.")] = None,
    currency: Currency = None,
    success_url: Annotated[str | None, typer.Option("--success-url", help="Where the payer comes back to.")] = None,
    cancel_url: Annotated[str | None, typer.Option("--cancel-url", help="Where one who does not pay does.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="The payer's address, verified by you.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Names this checkout: repeated, it is the same one.")] = None,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a checkout at a provider and print where it can be paid."""
    command = this(context)
    request = CheckoutRequest(
        account=account,
        provider=provider,
        credit_type=credit_type,
        amount=amount,
        currency=currency,
        plan=plan,
        price=price,
        success_url=success_url,
        cancel_url=cancel_url,
        email=email,
        key=key,
    )
    if dry_run:
        _rehearse(command, request, as_json=as_json)
        return
    values = {name: getattr(request, name) for name in CheckoutRequest.__dataclass_fields__ if name != "account"}
    made = command.credits.checkout(account, **values)
    _log(command, by, str(made["purchase_id"]), account, replayed=bool(made["replayed"]))
    if as_json:
        command.print_json(made)
        return
    command.say(f"{'made before' if made['replayed'] else 'made'}: purchase {made['purchase_id']}, {_what(made)}")
    command.say(f"open until {made['expires_at']}: {made['checkout_url']}")


def _rehearse(command: Command, request: CheckoutRequest, *, as_json: bool) -> None:
    new = new_purchase(command.credits.shop, request, purchase_id="-", now_ms=system_clock_ms())
    shown = {
        "account": new.account,
        "provider": new.provider,
        "credit_type": new.credit_type,
        "amount": new.amount,
        "plan": new.plan,
        "price": new.product_id,
        "total_minor": None if new.asked is None else new.asked.amount_minor,
        "currency": None if new.asked is None else new.asked.currency,
        "dry_run": True,
    }
    if as_json:
        command.print_json(shown)
    else:
        command.say(f"would make a checkout at {new.provider}: {_what(shown)} for {new.account}")


def _what(shown: dict[str, Any] | Any) -> str:
    if shown["plan"] is not None:
        return f"plan {shown['plan']} ({shown['price']})"
    total = shown.get("formatted") or f"{shown['total_minor']} {shown['currency']} (minor units)"
    return f"{shown['amount']} {shown['credit_type']} for {total}"


def _log(command: Command, by: str, purchase_id: str, account: str, *, replayed: bool) -> None:
    if replayed:
        return
    act = act_of(by, "a checkout was made by hand")
    with command.changing(dry_run=False) as connection:
        audit_log.record(
            connection,
            command.tenant,
            act,
            action="checkout.open",
            subject=f"purchase:{purchase_id}",
            detail={"account": account},
            now_ms=system_clock_ms(),
        )


@purchases_app.command("list")
def list_purchases(
    context: typer.Context,
    account: Annotated[str | None, typer.Option("--account", help="Only this account's.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Purchases, newest first: what was quoted, where it stands, what was paid."""
    command = this(context)
    rows = command.credits.purchases(account=account, state=state, limit=limit)
    if as_json:
        command.print_json({"items": rows})
        return
    columns = ("purchase", "state", "account", "what", "quoted", "paid", "back", "provider", "made", "reason")

    def money(amount_minor: int | None, currency: str | None) -> str | None:
        if not amount_minor or currency is None:
            return None
        return written(Money(amount_minor=amount_minor, currency=currency), command.catalogue.checkout.locale)

    shown = [
        (
            row["purchase_id"],
            row["state"],
            row["account"],
            f"plan {row['plan']}" if row["plan"] else f"{row['amount'] or '?'} {row['credit_type'] or ''}".strip(),
            row["formatted"],
            money(row["paid_minor"], row["currency"]),
            money(row["refunded_minor"] + row["disputed_minor"], row["refunded_currency"]),
            row["provider"],
            row["created_at"],
            row["reason"],
        )
        for row in rows
    ]
    command.print_table(f"Purchases ({command.tenant.value})", columns, shown)


@purchases_app.command("show")
def show_purchase(
    context: typer.Context,
    purchase_id: Annotated[str, typer.Argument(help="As `credits purchases list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Everything about one purchase."""
    command = this(context)
    found = command.credits.purchase(purchase_id)
    if as_json:
        command.print_json(found)
        return
    width = max(len(name) for name in found)
    for name, value in found.items():
        if value is not None:
            command.say(f"{name:<{width}}  {value}")
