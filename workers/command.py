"""The entry of the `credits` command. It stands at the top of the import order, where every package may be known."""

from credits.ops.cli.app import build
from credits.ops.cli.context import errors_as_sentences
from webhooks.providers import REGISTRY


def main() -> None:
    """Run the command. Errors of ours are sentences with a fix, and exit status 1."""
    with errors_as_sentences():
        build(REGISTRY)()
