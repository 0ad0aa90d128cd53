"""What every command shares: its settings, its connections, and how it prints and fails."""

import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy import Connection, Engine
from typer.core import TyperCommand

from credits.audit_log import Act
from credits.checkout.connect import Sellers
from credits.clock import Clock
from credits.config.catalogue import Catalogue
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, load_settings, read_environment
from credits.db import is_unavailable, open_engine, rehearsal, transaction
from credits.engine import Credits
from credits.errors import CreditsError, InvalidInputError
from credits.ids import checked_text
from credits.inbox.provider import Provider
from credits.ops.cli.table import lines_of
from credits.reservations.connect import open_gate
from credits.units import parse_amount

MAX_ROW_ID = 2**63 - 1
"""The largest number that a row of any table can have."""

_NEGATIVE: Final = re.compile(r"-[0-9][0-9._,]*", re.ASCII)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]
Amount = Annotated[int, typer.Argument(help="How many credits.", parser=parse_amount, metavar="amount")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")]
By = Annotated[str, typer.Option("--by", help="Who does it; your user name if left out.")]


MakeReceiver = Callable[[Settings, Engine, Clock], Callable[..., Iterable[bytes]]]
"""The receiver over these parts, as a WSGI application. It stands above this package, so it is handed in."""


@dataclass
class Command:
    """One run of the command: settings and connections are made when something asks for them."""

    providers: Mapping[str, Provider]
    tenant_override: Tenant | None = None
    make_receiver: MakeReceiver | None = None
    console: Console = field(default_factory=lambda: Console(soft_wrap=True))

    @cached_property
    def settings(self) -> Settings:
        return load_settings(read_environment(os.environ, Path.cwd()), Path.cwd())

    @property
    def tenant(self) -> Tenant:
        return self.tenant_override or self.settings.tenant

    @cached_property
    def engine(self) -> Engine:
        return open_engine(self.settings.database_url, pool_size=1)

    @cached_property
    def catalogue(self) -> Catalogue:
        return load_catalogue(self.settings.config_path)

    @cached_property
    def credits(self) -> Credits:
        return Credits(
            engine=self.engine,
            catalogue=self.catalogue,
            tenant=self.tenant,
            secret_key=self.settings.secret_key,
            gate=open_gate(self.settings, self.engine),
            max_exposure=self.settings.max_exposure,
            sellers=Sellers(self.settings, self.tenant),
            base_url=self.settings.base_url,
        )

    def changing(self, *, dry_run: bool) -> AbstractContextManager[Connection]:
        """The transaction of a change, or its rehearsal."""
        return rehearsal(self.engine) if dry_run else transaction(self.engine)

    def print_json(self, value: Any) -> None:
        typer.echo(json.dumps(value, ensure_ascii=False))

    def print_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A listing below its title. Lines can be searched, cut and scrolled; nothing in them is read as markup."""
        head, *lines = lines_of(columns, rows)
        self.console.print(Text(title, style="bold"))
        self.console.print(Text(head, style="bold"))
        for line in lines:
            self.say(line)

    def say(self, text: str) -> None:
        """A sentence, printed as it is."""
        self.console.print(Text(text))


class AmountCommand(TyperCommand):
    """A command with an amount among its arguments: one below 0 is outside its bound, and no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = any(_NEGATIVE.fullmatch(word) for word in args)
        return super().parse_args(ctx, args)


def this(context: typer.Context) -> Command:
    """The running command's parts."""
    command = context.obj
    if not isinstance(command, Command):
        raise TypeError("a command runs below the app, whose callback makes its parts")
    return command


def act_of(by: str, reason: str) -> Act:
    """Who does something and why, for the audit log. Raises InvalidInputError for a reason that says nothing."""
    if not reason.strip():
        raise InvalidInputError("reason", "must say why, in at most 500 characters")
    return Act(
        actor=checked_text(f"operator:{by or getpass.getuser()}", "by", max_length=200),
        reason=checked_text(reason, "reason", max_length=500),
    )


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Print an error of ours as a sentence with what to do, and leave with status 1; 3 if the database is away."""
    try:
        yield
    except CreditsError as error:
        _fail(f"{error.code}: {error}", error.fix, status=1)
    # A driver's error has no sentence of ours; what can be known of it is whether the server was there.
    except Exception as error:
        if not is_unavailable(error):
            raise
        _fail(
            f"database_unavailable: the database did not answer ({type(error).__name__})",
            "Start it (`credits dev` in this folder), run `credits migrate`, or set CREDITGATE_DATABASE_URL.",
            status=3,
        )


def shielded(run: Callable[[], object]) -> None:
    """Run the command with errors as sentences."""
    with errors_as_sentences():
        run()


def _fail(sentence: str, fix: str, *, status: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error  ", "bold red"), sentence))
    console.print(Text.assemble(("fix    ", "bold"), fix))
    sys.exit(status)
