"""The verbs as one Functions library: one Lua file each, joined under a name that tells every version apart."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final


class Verb(StrEnum):
    """Every script, by the name of its file."""

    ARM = "arm"
    HANDOVER = "handover"
    ADOPT = "adopt"
    BEGIN_LOAD = "begin_load"
    FINISH_LOAD = "finish_load"
    APPLY = "apply"
    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    EXTEND = "extend"
    SPEND = "spend"
    TAKE_LOTS = "take_lots"
    LEAD = "lead"
    SETTLED = "settled"
    TELL = "tell"
    READ = "read"
    LIST_HOLDS = "list_holds"
    UNLOAD = "unload"
    USED = "used"
    LOAD_MEMBER = "load_member"
    READ_MEMBER = "read_member"
    VOID_LOAD = "void_load"


LAYOUT: Final = 2
"""
Which keys and fields the scripts write, and what they mean: what the headers of `_account.lua` and `_holds.lua` say.

Raise it when a script of the release before would misread, or drop, what one of this release writes. Versions of one
layout serve beside each other; another layout is never adopted, and its shards begin a new epoch.
"""

FAMILY: Final = "creditgate_"
"""Every library's name begins so; then come the layout and the version."""

SHARED: Final = ("_account", "_deadlines", "_members", "_lots", "_holds", "_calls", "_spending", "_adoption")
"""Files that the verbs stand on, in the order in which they stand on each other."""

WHEN_FULL: Final = frozenset(Verb) - {
    Verb.BEGIN_LOAD,
    Verb.FINISH_LOAD,
    Verb.APPLY,
    Verb.RESERVE,
    Verb.SPEND,
    Verb.TAKE_LOTS,
}
"""Verbs that a Redis at its memory limit still runs: what pays for work already done, or frees memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One version of the gate's code."""

    name: str
    code: str

    def function(self, verb: Verb) -> str:
        """The name that FCALL takes for `verb`."""
        return self.name + "_" + verb


@cache
def library() -> Library:
    """
    The library of this release.

    Its name carries a digest of its code: another version is loaded beside it, never over it, and its volatile state
    starts empty.
    """
    return library_of(source())


def source() -> str:
    """The Lua files of this release, joined."""
    folder = resources.files("credits.reservations") / "lua"
    files = [*SHARED, *(verb.value for verb in Verb)]
    return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in files)


def library_of(lua: str) -> Library:
    """`lua`, which defines a function for each verb, as a library."""
    name = f"{FAMILY}{LAYOUT}_{hashlib.sha256(lua.encode()).hexdigest()[:10]}"
    functions = "\n".join(_registration(name, verb) for verb in Verb)
    return Library(name=name, code=f"#!lua name={name}\n{lua}\n{functions}\n")


def layout_of(name: str) -> int | None:
    """The layout of the library `name`; None if it is none of ours."""
    found = re.fullmatch(rf"{FAMILY}([0-9]+)_[0-9a-f]+", name)
    return int(found[1]) if found else None


def _registration(name: str, verb: Verb) -> str:
    flags = "'allow-oom'" if verb in WHEN_FULL else ""
    return f"redis.register_function{{function_name='{name}_{verb.value}', callback={verb.value}, flags={{{flags}}}}}"
