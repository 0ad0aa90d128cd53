"""Failing seeds as lines of a file: kept when they are found, replayed for ever after."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from credits.reservations.torture.model import Fault, Finding, Setup


@dataclass(frozen=True, slots=True)
class KeptSeed:
    """A run that failed once."""

    seed: int
    setup: Setup


def keep(file: Path, finding: Finding, setup: Setup) -> None:
    """Append a failing run to `file`."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{finding.seed} {describe(setup)}  # {' '.join(finding.message.split())[:150]}\n")


def kept(file: Path) -> Iterator[KeptSeed]:
    """The runs of `file`; what follows a # is for people."""
    for line in file.read_text("utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield KeptSeed(int(words[0]), _read(words[1:]))


def describe(setup: Setup) -> str:
    """A setup as `kept` reads it, and as the options of the command are named."""
    faults = "all" if setup.faults == frozenset(Fault) else ",".join(sorted(setup.faults))
    return (
        f"accounts={setup.accounts} types={setup.credit_types} length={setup.steps}"
        f" strikes={setup.strike_chance} faults={faults}"
        + (f" members={setup.members}" if setup.members else "")
        + (" disputes=1" if setup.disputes else "")
    )


def faults_of(text: str) -> frozenset[Fault]:
    """`all`, `none`, or names of faults with commas between. Raises ValueError for another name."""
    if text in {"all", "none"}:
        return frozenset(Fault) if text == "all" else frozenset()
    return frozenset(Fault(name.strip()) for name in text.split(","))


def _read(words: list[str]) -> Setup:
    said = dict(word.split("=", 1) for word in words)
    return Setup(
        accounts=int(said["accounts"]),
        credit_types=int(said["types"]),
        steps=int(said["length"]),
        strike_chance=float(said["strikes"]),
        faults=faults_of(said["faults"]),
        members=int(said.get("members", 0)),
        disputes=said.get("disputes") == "1",
    )
