"""The command `credits`, put together from its groups."""

from collections.abc import Mapping
from typing import Annotated

import typer

from credits.config.settings import Tenant
from credits.inbox.provider import Provider
from credits.ops.cli import accounts, audit, backfill, pages, run, selling, simulate, torture
from credits.ops.cli.blocked import accounts_app
from credits.ops.cli.config import config_app
from credits.ops.cli.context import Command, MakeReceiver
from credits.ops.cli.destinations import deliveries_app, destinations_app
from credits.ops.cli.events import events_app
from credits.ops.cli.keys import keys_app
from credits.ops.cli.members import members_app
from credits.ops.cli.promo import promo_app, welcome
from credits.ops.cli.topup import topup_app


def build(providers: Mapping[str, Provider], make_receiver: MakeReceiver | None = None) -> typer.Typer:
    """The command over these providers; without `make_receiver` it cannot simulate whole lives."""
    app = typer.Typer(
        name="credits",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Creditgate: payments come in, credits go out, exactly once.",
    )

    @app.callback()
    def options(
        context: typer.Context,
        tenant: Annotated[
            Tenant | None, typer.Option("--tenant", help="live or sandbox; CREDITGATE_TENANT if left out.")
        ] = None,
    ) -> None:
        context.obj = Command(providers=providers, tenant_override=tenant, make_receiver=make_receiver)

    run.register(app)
    accounts.register(app)
    audit.register(app)
    backfill.register(app)
    pages.register(app)
    selling.register(app)
    simulate.register(app)
    torture.register(app)
    app.add_typer(accounts_app, name="accounts")
    app.add_typer(events_app, name="events")
    app.add_typer(keys_app, name="keys")
    app.add_typer(promo_app, name="promo")
    app.command()(welcome)
    app.add_typer(topup_app, name="topup")
    app.add_typer(members_app, name="members")
    app.add_typer(destinations_app, name="destinations")
    app.add_typer(deliveries_app, name="deliveries")
    app.add_typer(config_app, name="config")
    return app
