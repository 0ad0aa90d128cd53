"""The statement of a life: its entries by date and credit type, what became of the deliveries, and the audit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from credits.clock import iso
from credits.simulation.post import Delivery, Fate

_NOTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of the ledger, as a statement shows it."""

    at_ms: int
    credit_type: str
    kind: str
    amount: int
    balance_after: int
    debt_after: int
    key: str

    def as_json(self) -> dict[str, Any]:
        return {
            "at": iso(self.at_ms),
            "credit_type": self.credit_type,
            "kind": self.kind,
            "amount": self.amount,
            "balance_after": self.balance_after,
            "debt_after": self.debt_after,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything that came of a life. Two runs with the same seeds have the same, to the last letter."""

    account: str
    provider: str
    happened: Sequence[tuple[int, str]]
    """(when, in words)."""
    lines: Sequence[Line]
    deliveries: Sequence[Delivery]
    refused_jobs: Sequence[tuple[int, str]]
    left_out: Sequence[str]
    states: dict[str, int]
    """Events by the state in which they ended."""
    findings: Sequence[str]
    """What the audit found; empty: the books balance."""
    is_audited: bool

    @property
    def is_sound(self) -> bool:
        """Whether the books balance, and each event came to an end."""
        unfinished = {state for state in self.states if state not in {"done", "ignored"}}
        return self.is_audited and not self.findings and not unfinished

    @property
    def balances(self) -> dict[str, int]:
        """The last balance of each credit type."""
        return {line.credit_type: line.balance_after for line in self.lines}

    @property
    def fates(self) -> dict[str, int]:
        """How many attempts ended in which way, and how many events arrived after a later one."""
        counted = Counter(one.fate.value for one in self.deliveries)
        out_of_order = sum(one.is_out_of_order and one.fate is Fate.DELIVERED for one in self.deliveries)
        return {**{fate.value: counted[fate.value] for fate in Fate}, "out_of_order": out_of_order}

    def as_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "provider": self.provider,
            "happened": [{"at": iso(at_ms), "what": words} for at_ms, words in self.happened],
            "entries": [line.as_json() for line in self.lines],
            "balances": self.balances,
            "deliveries": self.fates,
            "events": self.states,
            "refused_jobs": [{"at": iso(at_ms), "what": words} for at_ms, words in self.refused_jobs],
            "left_out": list(self.left_out),
            "books_balance": self.is_sound,
            "findings": list(self.findings),
        }

    def as_text(self) -> Iterator[str]:
        """The statement's lines for people: what happened between the entries that came of it."""
        yield f"{self.account} at {self.provider}, on a virtual clock"
        yield f"{'when (UTC)':<17} {'credit type':<18} {'entry':<10} {'amount':>12} {'balance':>12}"
        happened = [(at_ms, 0, f"{_when(at_ms)}   {words}") for at_ms, words in (*self.happened, *self.refused_jobs)]
        entries = [(line.at_ms, 1, _row(line)) for line in self.lines]
        for _, _, text in sorted([*happened, *entries], key=lambda one: one[:2]):
            yield text
        yield ""
        yield "events sent    " + ", ".join(f"{number} {fate}" for fate, number in self.fates.items())
        yield "events ended   " + ", ".join(f"{number} {state}" for state, number in sorted(self.states.items()))
        yield "balances       " + ", ".join(f"{amount} {kind}" for kind, amount in sorted(self.balances.items()))
        for part in self.left_out:
            yield f"left out       {part}"
        yield from self._verdict()

    def _verdict(self) -> Iterator[str]:
        if self.is_sound:
            yield f"the books balance: {len(self.lines)} entries added up again, ledger and gate agree"
            return
        yield "the books do NOT balance" if self.findings else "not every event came to its end"
        for finding in self.findings[:_NOTED]:
            yield f"  {finding}"


def _row(line: Line) -> str:
    owed = f"  owes {line.debt_after}" if line.debt_after else ""
    return (
        f"{_when(line.at_ms):<17} {line.credit_type:<18} {line.kind:<10} "
        f"{line.amount:>+12} {line.balance_after:>12}{owed}"
    )


def _when(at_ms: int) -> str:
    return (iso(at_ms) or "")[:16].replace("T", " ")
