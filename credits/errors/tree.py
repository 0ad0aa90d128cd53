"""The root of the errors, and what all of them need."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final


class CreditsError(Exception):
    """Base of every error Creditgate raises on purpose."""

    code: ClassVar[str] = "error"
    fix: ClassVar[str] = "Read the message; it names what was wrong."
    """What to do about it, shown to the person who has to."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross processes: Celery pickles them. A constructor that makes the message of parts cannot be repeated.
        return with_message, (type(self), self.args, vars(self))


def below(parent: type[CreditsError]) -> Iterator[type[CreditsError]]:
    """Every error of this package that descends from `parent`; an installation's own are none of them."""
    for child in parent.__subclasses__():
        if child.__module__.startswith(f"{__package__}."):
            yield child
            yield from below(child)


def with_message(kind: type[CreditsError], args: tuple[Any, ...], data: Mapping[str, Any]) -> CreditsError:
    """An error as it was made elsewhere, with its words and all that it carries, without asking its constructor."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


_WORDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def shown(value: object) -> str:
    """`value` as a message may show it, in JSON's words: whole if short, cut if somebody sent a megabyte."""
    if value is None or isinstance(value, bool | dict | list):
        text = json.dumps(value, ensure_ascii=False, default=repr)
    else:
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def kind_of(value: object) -> str:
    """What `value` is, in words for callers of any language: "text", "a number", "null"."""
    return "null" if value is None else _WORDS.get(type(value), type(value).__name__)
