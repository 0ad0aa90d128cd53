"""The entry of the `credits` command. It stands at the top of the import order, where every package may be known."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine

from credits.clock import Clock
from credits.config.settings import Settings
from credits.ops.cli.app import build
from credits.ops.cli.context import errors_as_sentences
from webhooks.providers import REGISTRY


def main() -> None:
    """Run the command. Errors of ours are sentences with a fix, and exit status 1."""
    with errors_as_sentences():
        build(REGISTRY, _receiver)()


def _receiver(settings: Settings, engine: Engine, clock: Clock) -> Callable[..., Iterable[bytes]]:
    # Most commands need no web application, and importing it takes longer than they do.
    from webhooks.app import sandbox_app

    return sandbox_app(settings, engine, clock)
