"""`credits simulate lifecycle`: the whole life of a subscription in a sandbox, on a virtual clock."""

import logging
from dataclasses import replace
from typing import Annotated

import typer

from credits.errors import ConfigError, InvalidInputError
from credits.ids import checked_id
from credits.log import set_up_logging
from credits.ops.cli.context import AsJson, this
from credits.ops.lifecycle.story import MOST_MONTHS, Asked
from credits.simulation.dialects import DIALECTS, SHAPES
from credits.simulation.post import BAD, ORDERLY


def lifecycle(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan to subscribe to, as in credits.toml.")],
    months: Annotated[int, typer.Option("--months", min=1, max=MOST_MONTHS, help="How long it lasts.")] = 14,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the life and its bad luck.")] = 1,
    disorder: Annotated[
        int | None, typer.Option("--disorder", min=0, help="Other bad luck for the same life; the seed if left out.")
    ] = None,
    orderly: Annotated[bool, typer.Option("--orderly", help="Each event arrives once, at once, in order.")] = False,
    account: Annotated[str, typer.Option("--account", help="Its name in the sandbox.")] = "lifecycle",
    provider: Annotated[str, typer.Option("--provider", help="stripe, lemonsqueezy or paddle.")] = "stripe",
    api_version: Annotated[
        str | None, typer.Option("--api-version", help="Shape of Stripe's payloads: old, basil, or a version.")
    ] = None,
    upgrade: Annotated[str | None, typer.Option("--upgrade", help="The plan it changes to; left out: chosen.")] = None,
    as_json: AsJson = False,
) -> None:
    """
    Live a whole subscription through and print its statement. A database and a Redis of its own; nothing is changed.

    Exit status 1 if the books do not balance in the end.
    """
    command = this(context)
    if provider not in DIALECTS:
        raise InvalidInputError("provider", f"must be one of {', '.join(sorted(DIALECTS))}, got {provider[:40]!r}")
    if command.make_receiver is None:
        raise ConfigError({"receiver": "this command was built without one; run `credits`"})
    asked = Asked(
        plan=plan,
        upgrade=upgrade,
        provider=provider,
        api_version=None if api_version is None else SHAPES.get(api_version, api_version),
        account=checked_id(account, "account"),
        months=months,
        seed=seed,
    )
    luck = ORDERLY if orderly else replace(BAD, seed=seed if disorder is None else disorder)
    # What the sandbox logs is its own; what went wrong stands in the statement.
    set_up_logging("console", level=logging.CRITICAL)
    # Imported here, because every other command would pay for it, too.
    from credits.ops.lifecycle.run import run_lifecycle

    statement = run_lifecycle(command.settings.config_path, command.providers, command.make_receiver, asked, luck)
    if as_json:
        command.print_json(statement.as_json())
    else:
        for line in statement.as_text():
            command.say(line)
    if not statement.is_sound:
        raise typer.Exit(1)
