"""The verbs as one Functions library: one Lua file each, joined under a name that tells every version apart."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources


class Verb(StrEnum):
    """Every script, by the name of its file."""

    ARM = "arm"
    BEGIN_LOAD = "begin_load"
    FINISH_LOAD = "finish_load"
    APPLY = "apply"
    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    EXTEND = "extend"
    SPEND = "spend"
    TAKE_LOTS = "take_lots"
    SETTLED = "settled"
    READ = "read"
    LIST_HOLDS = "list_holds"
    UNLOAD = "unload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One version of the gate's code."""

    name: str
    code: str

    def function(self, verb: Verb) -> str:
        """The name that FCALL takes for `verb`."""
        return f"{self.name}_{verb.value}"


@cache
def library() -> Library:
    """
    The library of this release.

    Its name carries a digest of its code: another version is loaded beside it, never over it, and its volatile state
    starts empty.
    """
    folder = resources.files("credits.reservations") / "lua"
    parts = [(folder / f"{name}.lua").read_text("utf-8") for name in ["_common", *(verb.value for verb in Verb)]]
    body = "\n".join(parts)
    name = f"creditgate_{hashlib.sha256(body.encode()).hexdigest()[:10]}"
    functions = "\n".join(f"redis.register_function('{name}_{verb.value}', {verb.value})" for verb in Verb)
    return Library(name=name, code=f"#!lua name={name}\n{body}\n{functions}\n")
