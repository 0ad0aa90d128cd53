"""`credits simulate`: send the running receiver a signed, realistic webhook."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from credits.clock import system_clock_ms
from credits.config.settings import Tenant, secret_variable
from credits.db import snapshot, transaction
from credits.errors import ConfigError, DependencyError, InvalidIdError, InvalidInputError, UnknownProviderError
from credits.ids import checked_id, new_id, signed_reference
from credits.inbox.provider import Provider, SettledBy, SignedWebhook, Simulation
from credits.ops.cli.context import AsJson, Command, this
from credits.ops.cli.simulated_change import plan_change
from credits.ops.cli.simulated_life import lifecycle
from credits.ops.cli.simulated_object import tell_fake
from credits.pricing import store as purchases
from credits.reversals.preview import preview_refund
from credits.units import Money, checked_amount, parse_amount

_DAY_MS = 86_400_000
_WEBHOOK = "webhook"
_HELP = (
    "Send a webhook as a provider would: `credits simulate PROVIDER EVENT`; "
    "see what a refund or a change of plan would do; or let a whole subscription happen in a sandbox."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver said."""

    status: int
    body: str


class _WebhookByDefault(TyperGroup):
    """`credits simulate stripe invoice.paid` is `credits simulate webhook stripe invoice.paid`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_WEBHOOK, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    group = typer.Typer(cls=_WebhookByDefault, no_args_is_help=True, help=_HELP)
    group.command(name=_WEBHOOK)(simulate)
    group.command()(refund)
    group.command(name="plan-change")(plan_change)
    group.command()(lifecycle)
    app.add_typer(group, name="simulate")


def simulate(
    context: typer.Context,
    provider_name: Annotated[str, typer.Argument(metavar="PROVIDER", help="stripe, lemonsqueezy, paddle or fake.")],
    event_type: Annotated[str, typer.Argument(metavar="[EVENT]", help="The event type; left out: list them.")] = "",
    account: Annotated[str | None, typer.Option("--account", help="Whose payment; left out: it says nobody.")] = None,
    credit_type: Annotated[str | None, typer.Option("--credit-type", help="What is bought.")] = None,
    amount: Annotated[int | None, typer.Option("--amount", help="How many credits.", parser=parse_amount)] = None,
    plan: Annotated[str | None, typer.Option("--plan", help="The plan that is paid for.")] = None,
    payment: Annotated[str, typer.Option("--payment", help="Another event of this payment.")] = "",
    subscription: Annotated[str, typer.Option("--subscription", help="Names the subscription.")] = "",
    period: Annotated[int, typer.Option("--period", min=0, max=1200, help="Its billing period, 0 the first.")] = 0,
    times: Annotated[int, typer.Option("--times", min=1, max=1000, help="Send the same event so many times.")] = 1,
    paid_minor: Annotated[int, typer.Option("--paid-minor", min=0, help="The price asked, in cents.")] = 1000,
    settled_by: Annotated[
        SettledBy, typer.Option("--settled-by", help="What paid a subscription's invoice.")
    ] = SettledBy.CARD,
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217.")] = "USD",
    quoted_minor: Annotated[
        int | None, typer.Option("--quoted-minor", help="Store a quote of this price first.")
    ] = None,
    api_version: Annotated[str | None, typer.Option("--api-version", help="Shape of the payload, for Stripe.")] = None,
    client_reference: Annotated[
        str | None, typer.Option("--client-reference", help="As a payment link carries it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a correctly signed webhook of any kind to the running receiver, as the provider would."""
    command = this(context)
    provider = command.providers.get(provider_name)
    if provider is None:
        raise UnknownProviderError(provider_name, sorted(command.providers))
    if not event_type:
        command.print_json({"events": provider.event_types()}) if as_json else command.say(
            "\n".join(provider.event_types())
        )
        return
    if event_type not in provider.event_types():
        raise InvalidInputError("event", f"{provider_name} is simulated with {', '.join(provider.event_types())}")
    now_ms = system_clock_ms()
    payment = checked_id(payment, "payment") if payment else new_id()[-12:]
    simulation = Simulation(
        event_type=event_type,
        payment=payment,
        account=account,
        credit_type=credit_type,
        amount=None if amount is None else checked_amount(amount),
        quote_id=_quote(command, account, credit_type, amount, quoted_minor, currency, now_ms),
        product_id=None if plan is None else _product_of(command, provider_name, plan),
        subscription=subscription or payment,
        period=period,
        paid_minor=paid_minor,
        settled_by=settled_by,
        currency=Money(amount_minor=paid_minor, currency=currency).currency,
        api_version=api_version,
        client_reference=client_reference or _reference(command, account),
        tenant=command.tenant,
        at_ms=now_ms,
        # The start of today, so that events sent a minute apart are about the same periods.
        started_at_ms=now_ms - now_ms % _DAY_MS,
        delivery=new_id(),
    )
    webhook = provider.sign(provider.simulate(simulation), _secret(command, provider), now_ms // 1000)
    tell_fake(command.settings.access.get((command.tenant, provider_name)), simulation, webhook.body)
    url = f"{command.settings.base_url}/webhooks/{provider_name}"
    _show(command, payment, [_post(url, webhook) for _ in range(times)], as_json=as_json)


def _reference(command: Command, account: str | None) -> str | None:
    """The account, signed, for providers whose payers can edit what we write; None without a key to sign it."""
    if account is None or not command.settings.secret_key:
        return None
    try:
        return signed_reference(account, command.settings.secret_key)
    except InvalidIdError:
        # Too long for a reference; the account itself is on the object at most providers.
        return None


def refund(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Whose payment it is.")],
    payment: Annotated[str, typer.Argument(metavar="PAYMENT_KEY", help="Any name of it: stripe:pi:..., ls:order:...")],
    refunded_minor: Annotated[int, typer.Option("--refunded-minor", min=1, help="So much more, in minor units.")],
    as_json: AsJson = False,
) -> None:
    """Show what a further refund would take back: the entries, and the balances before and after. Nothing changes."""
    command = this(context)
    with snapshot(command.engine) as connection:
        preview = preview_refund(
            connection,
            command.tenant,
            command.catalogue,
            account=account,
            payment=payment,
            refunded_minor=checked_amount(refunded_minor, "refunded_minor"),
        )
    if as_json:
        command.print_json(preview.as_json())
        return
    money = f"{preview.refunded_minor} of {preview.paid_minor} {preview.currency or ''}".rstrip()
    command.say(f"a refund of {money} (minor units); {preview.refunded_before_minor} went back before")
    for entry in preview.entries:
        command.say(f"  {entry.kind:9} {entry.amount:+d} {entry.credit_type}  lot {entry.lot}, {entry.why}")
    for kind, amount in preview.forgiven.items():
        command.say(f"  forgiven  {amount} {kind}, spent before")
    for kind, (before, after) in preview.balances.items():
        command.say(f"{kind}: {before['balance']} -> {after['balance']}, debt {before['debt']} -> {after['debt']}")
    if not preview.entries and not preview.forgiven:
        command.say("nothing would change")


def _show(command: Command, payment: str, answers: Sequence[Answer], *, as_json: bool) -> None:
    """Print what the receiver said; leave with status 1 if it was not 200 each time."""
    if as_json:
        shown = [{"status": answer.status, "body": _json_or_text(answer.body)} for answer in answers]
        command.print_json({"payment": payment, "answers": shown})
    else:
        for answer in answers:
            command.say(f"{answer.status}  {answer.body}")
        command.say(f"payment {payment}; another event of it: --payment {payment}")
    if any(answer.status != 200 for answer in answers):
        raise typer.Exit(1)


def _json_or_text(body: str) -> Any:
    # Whoever answers in the receiver's place, a proxy or another program, may answer anything.
    try:
        return json.loads(body)
    except ValueError:
        return body


def _quote(
    command: Command,
    account: str | None,
    credit_type: str | None,
    amount: int | None,
    quoted_minor: int | None,
    currency: str,
    now_ms: int,
) -> str | None:
    """Store the quote that the payment will be held against; None if none was asked for."""
    if quoted_minor is None:
        return None
    if account is None or credit_type is None or amount is None:
        raise InvalidInputError("quoted_minor", "needs --account, --credit-type and --amount: a quote names all three")
    quote = purchases.Quote(
        quote_id=new_id(),
        account=checked_id(account, "account"),
        credit_type=command.catalogue.credit_type(credit_type).key,
        amount=checked_amount(amount),
        price=Money(amount_minor=quoted_minor, currency=currency),
    )
    with transaction(command.engine) as connection:
        purchases.insert_quote(connection, command.tenant, quote, now_ms=now_ms)
    return quote.quote_id


def _product_of(command: Command, provider_name: str, plan_key: str) -> str:
    product_ids = command.catalogue.plan(plan_key).product_ids.get(provider_name, ())
    if not product_ids:
        raise InvalidInputError("plan", f"plan {plan_key} has no price at {provider_name} in credits.toml")
    return product_ids[0]


def _secret(command: Command, provider: Provider) -> bytes:
    for secret in command.settings.secrets_of(provider.name):
        if secret.tenant is command.tenant:
            return secret.value
    variable = secret_variable(provider.name, command.tenant)
    mode = "a test-mode" if command.tenant is Tenant.SANDBOX else "a live"
    raise ConfigError({variable: f"must hold the secret to sign {mode} webhook with; run it where `credits dev` runs"})


def _post(url: str, webhook: SignedWebhook) -> Answer:
    request = urllib.request.Request(url, data=webhook.body, headers=dict(webhook.headers), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return Answer(status=response.status, body=response.read().decode().strip())
    except urllib.error.HTTPError as error:
        return Answer(status=error.code, body=error.read().decode("utf-8", "replace").strip())
    except OSError as error:
        raise DependencyError(f"nothing answers at {url} ({error}); is `credits dev` running in this folder?") from None
