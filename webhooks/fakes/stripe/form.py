"""Stripe's way of writing nested values in a form: `line_items[0][price_data][currency]=usd`."""

import re
from collections.abc import Iterable
from typing import Any, Final

_STEP: Final = re.compile(r"\[([^\[\]]*)\]")
_KEY: Final = re.compile(r"[^\[\]]+(?:\[[^\[\]]*\])*")


class MalformedFormError(ValueError):
    """A key of the form cannot be read."""


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values as they were before they became a form; whole-numbered keys make lists. Raises MalformedFormError."""
    root: dict[str, Any] = {}
    for key, value in pairs:
        if not _KEY.fullmatch(key):
            raise MalformedFormError(f"Invalid parameter name: {key[:60]}")
        head = key.partition("[")[0]
        steps = [head, *_STEP.findall(key)]
        place = root
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise MalformedFormError(f"Invalid parameter: {key[:60]}")
        place[steps[-1]] = value
    listed = _with_lists(root)
    if not isinstance(listed, dict):
        raise MalformedFormError("Invalid parameters: their names are numbers")
    return listed


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(item) for name, item in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
