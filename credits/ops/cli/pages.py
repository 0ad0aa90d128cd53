"""The command that makes a link to an account's hosted page."""

from typing import Annotated

import typer

from credits.clock import iso
from credits.ops.cli.context import AsJson, this
from credits.passes.issuing import DEFAULT_TTL_S, MAX_TTL_S, MIN_TTL_S


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("portal-link")(portal_link)


def portal_link(
    context: typer.Context,
    account: str,
    ttl_s: Annotated[
        int, typer.Option("--ttl-s", min=MIN_TTL_S, max=MAX_TTL_S, help="Seconds until it opens nothing any more.")
    ] = DEFAULT_TTL_S,
    locale: Annotated[str | None, typer.Option("--locale", help="As de or pt_BR; the browser's if left out.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="For its checkouts: the user's, verified.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that opens the hosted page of ACCOUNT: balances, history, buying."""
    command = this(context)
    url, expires_at_ms = command.credits.portal_link(account, ttl_s=ttl_s, locale=locale, email=email)
    if as_json:
        command.print_json({"account": account, "url": url, "expires_at": iso(expires_at_ms)})
    else:
        command.say(url)
