"""Price calculators: an installation's own functions that say what an amount of credits costs."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import cast

from credits.errors import ConfigError

Calculator = Callable[[int, str | None], Decimal]
"""Called with the amount of credits and the key of the buyer's plan (None: no plan); answers the price."""


def load_calculator(reference: str, folder: Path) -> Calculator:
    """
    Import the function that `reference` names as `module:function`.

    `folder`, the one credits.toml is in, comes first on the import path while the module is imported. Safe to repeat:
    Python imports a module once.

    Raises ConfigError if it cannot be imported or called.
    """
    module_name, _, function_name = reference.partition(":")
    with _first_on_import_path(folder):
        try:
            module = importlib.import_module(module_name)
        # The module is the installation's own code: whatever it raises is a finding about it, not a failure of ours.
        except (Exception, SystemExit) as error:
            raise ConfigError(
                {reference: f"cannot be imported ({type(error).__name__}: {error}); put it in {folder} or install it"}
            ) from error
    function = getattr(module, function_name, None)
    if function is None:
        raise ConfigError({reference: f"module {module_name} has no {function_name}; define it there"})
    if not callable(function):
        raise ConfigError(
            {reference: f"{function_name} is not callable; it must be a function (amount, plan) -> Decimal"}
        )
    return cast("Calculator", function)


@contextmanager
def _first_on_import_path(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    # A module written a moment ago is invisible to an import system that has listed its folder before.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        # By value, not by position: the module may have changed the path itself.
        if entry in sys.path:
            sys.path.remove(entry)
