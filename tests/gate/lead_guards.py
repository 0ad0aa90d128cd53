"""The guards of leading a settlement, as rows of test_guards: name, text, what stands there without it, check."""

from collections.abc import Callable
from typing import Final

from tests.support.gate import GateDriver


def leading_needs_the_whole_journal(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(3, hold="s1")
    gate.client.delete(gate.keys.journal)
    assert gate.lead("one") == ("STALE",)


def one_leads_at_a_time(gate: GateDriver) -> None:
    assert gate.lead("one") == ("LEADING", "0")
    assert gate.lead("two") == ("LED", "0-0")
    assert gate.lead("one") == ("LEADING", "0")
    gate.tell("one")
    assert gate.lead("two") == ("LEADING", "1")


def lease_ends(gate: GateDriver) -> None:
    gate.lead("one", lease_ms=300)
    gate.clock.advance_ms(300)
    assert gate.lead("two") == ("LEADING", "0")


def lease_ends_under_a_clock_set_back(gate: GateDriver) -> None:
    gate.lead("one", lease_ms=300)
    gate.clock.advance_ms(-10_000)
    assert gate.lead("two") == ("LEADING", "0")


LEAD_GUARDS: Final[list[tuple[str, str, str, Callable[[GateDriver], None]]]] = [
    (
        "lead: the whole journal",
        "if tonumber(s[3] or '-1') ~= redis.call('XLEN', keys[2]) then return { 'STALE' } end",
        "",
        leading_needs_the_whole_journal,
    ),
    ("lead: one at a time", "if led[1] and led[1] ~= who and left_ms > 0", "if false", one_leads_at_a_time),
    ("lead: for a while", "and left_ms > 0 and", "and", lease_ends),
    ("lead: a clock set back", "and left_ms <= lease_ms", "", lease_ends_under_a_clock_set_back),
]
