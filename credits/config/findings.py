"""What a check found, by key: problems forbid starting, warnings do not."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]
"""Where something stands in a TOML file: keys and positions from the top."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SHOWN_LENGTH: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything a check found, each reason under the key it is about."""

    problems: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)


class Report:
    """Collects findings while a file is read. Several reasons about one key are kept together."""

    def __init__(self) -> None:
        self._problems: dict[str, list[str]] = {}
        self._warnings: dict[str, list[str]] = {}

    def problem(self, path: Path, reason: str) -> None:
        """Note something that must be mended before the file can be used."""
        self._problems.setdefault(written(path), []).append(reason)

    def warning(self, path: Path, reason: str) -> None:
        """Note something that works but is probably not meant."""
        self._warnings.setdefault(written(path), []).append(reason)

    def has_problem_at(self, path: Path) -> bool:
        """Whether a problem was noted at `path` itself."""
        return written(path) in self._problems

    def has_problem_in(self, path: Path) -> bool:
        """Whether a problem was noted at `path` or anywhere below it."""
        start = written(path)
        return any(key == start or key.startswith((f"{start}.", f"{start}[")) for key in self._problems)

    def findings(self) -> Findings:
        """What was noted so far, in the order it was noted."""
        return Findings(
            problems={key: "; ".join(reasons) for key, reasons in self._problems.items()},
            warnings={key: "; ".join(reasons) for key, reasons in self._warnings.items()},
        )


def written(path: Path) -> str:
    """`path` as TOML spells it: `credit_types.image_generation.slabs[1].from`; unusual keys in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _BARE_KEY.fullmatch(step) else repr(step))
    return text


def shown(value: object) -> str:
    """`value` as a message may show it: whole if short, cut if long; tables and lists by their kind."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of a message about the unknown word `text`: the known word that looks like it, or all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(text[:100], words, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known are: {', '.join(words)}" if words else "none is declared"
