"""What each guard of members' limits is for, as a check that passes with it and fails without."""

from typing import Any

from credits.reservations.model import Overage
from tests.support.gate import A_TYPE, HOUR_MS, TTL_MS, GateDriver

DAY_MS = 24 * HOUR_MS
MAX = 2**53 - 1


def _limited(gate: GateDriver, limits: str, *, amount: int = 1_000) -> GateDriver:
    gate.load(amount)
    assert gate.load_member("ada", limits) == ("LOADED",)
    return gate


def limit_is_kept(gate: GateDriver) -> None:
    _limited(gate, "d10")
    assert gate.reserve(11, member="ada")[:3] == ("LIMIT", "ada", A_TYPE)


def held_counts(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(6, hold="h1", member="ada")
    assert gate.reserve(5, hold="h2", member="ada")[0] == "LIMIT"


def committed_counts(gate: GateDriver) -> None:
    _limited(gate, "m10").spend(6, member="ada")
    assert gate.reserve(5, member="ada")[0] == "LIMIT"


def released_counts_no_more(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(10, hold="h1", member="ada")
    gate.release("h1")
    assert gate.reserve(10, hold="h2", member="ada")[0] == "HELD"


def day_begins_anew(gate: GateDriver) -> None:
    _limited(gate, "d10").spend(10, member="ada")
    gate.clock.advance_ms(DAY_MS)
    assert gate.reserve(10, member="ada")[0] == "HELD"


def month_begins_anew(gate: GateDriver) -> None:
    gate.load(1_000)
    began = gate.clock() - HOUR_MS
    gate.load_member(
        "ada", "m10", days=[began, began + 90 * DAY_MS], months=[began, began + DAY_MS, began + 9 * DAY_MS]
    )
    gate.spend(10, member="ada")
    gate.clock.advance_ms(DAY_MS)
    assert gate.reserve(10, member="ada")[0] == "HELD"


def days_beyond_the_calendar_are_asked_for(gate: GateDriver) -> None:
    gate.load(1_000)
    began = gate.clock() - HOUR_MS
    gate.load_member("ada", "d10", days=[began, began + DAY_MS], months=[began, began + 90 * DAY_MS])
    gate.clock.advance_ms(DAY_MS)
    assert gate.reserve(1, member="ada")[0] == "MEMBER"


def months_beyond_the_calendar_are_asked_for(gate: GateDriver) -> None:
    gate.load(1_000)
    began = gate.clock() - HOUR_MS
    gate.load_member("ada", "m10", days=[began, began + 90 * DAY_MS], months=[began, began + DAY_MS])
    gate.clock.advance_ms(DAY_MS)
    assert gate.reserve(1, member="ada")[0] == "MEMBER"


def calendar_does_not_go_back(gate: GateDriver) -> None:
    gate.load(1_000)
    began = gate.clock() - HOUR_MS
    months = [began, began + 90 * DAY_MS]
    gate.load_member("ada", "d10", days=[began, began + DAY_MS], months=months)
    gate.clock.advance_ms(2 * DAY_MS)
    gate.load_member("ada", "d10", days=[began - DAY_MS, began], months=months)
    assert gate.seen().members["ada"].days == (began + DAY_MS,)


def raise_ends(gate: GateDriver) -> None:
    _limited(gate, f"d10~50~{gate.clock() + 1_000}")
    assert gate.reserve(11, hold="h1", member="ada")[0] == "HELD"
    gate.clock.advance_ms(1_000)
    assert gate.reserve(1, hold="h2", member="ada")[0] == "LIMIT"


def member_is_of_this_load(gate: GateDriver) -> None:
    gate.load(1_000)
    load = gate.load_id()
    gate.unload()
    gate.load(1_000)
    assert gate.load_member("ada", "d10", load=load) == ("RELOADED",)


def later_load_forgets_no_usage(gate: GateDriver) -> None:
    _limited(gate, "d10").spend(6, member="ada")
    gate.load_member("ada", "d10", version=2)
    assert gate.reserve(5, member="ada")[0] == "LIMIT"


def older_limits_come_too_late(gate: GateDriver) -> None:
    gate.load(1_000)
    gate.load_member("ada", "d10", version=2)
    gate.load_member("ada", "d99", version=1)
    assert gate.reserve(11, member="ada")[0] == "LIMIT"


def charge_given_back_counts_no_more(gate: GateDriver) -> None:
    _limited(gate, "d10+m10+e10").spend(10, member="ada")
    gate.settled((gate.journal_ids()[0], True))
    assert gate.reserve(10, member="ada")[0] == "HELD"


def adopted_hold_counts(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(6, hold="h1", member="ada")
    gate.arm()
    gate.load(1_000)
    gate.load_member("ada", "d10")
    assert gate.reserve(5, hold="h2", member="ada")[0] == "LIMIT"


def hold_knows_whose_it_is(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(6, hold="h1", member="ada")
    gate.commit(6, hold="h1")
    assert gate.member_figures() == (0, 6, 6, 6)


def commit_above_its_hold_keeps_the_limit(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(6, hold="h1", member="ada")
    assert gate.commit(11, hold="h1", overage=Overage.IF_AVAILABLE)[0] == "LIMIT"


def spending_keeps_the_limit(gate: GateDriver) -> None:
    _limited(gate, "d10")
    assert gate.spend(11, member="ada")[0] == "LIMIT"


def overdue_holds_are_freed_before_the_limit_refuses(gate: GateDriver) -> None:
    _limited(gate, "d40")
    for number in range(40):
        gate.reserve(1, hold=f"old{number}", ttl_ms=1_000, member="ada")
    gate.clock.advance_ms(1_000)
    assert gate.reserve(40, hold="new", member="ada")[0] == "HELD"


def overdue_holds_are_freed_before_the_limit_refuses_spending(gate: GateDriver) -> None:
    _limited(gate, "d40")
    for number in range(40):
        gate.reserve(1, hold=f"old{number}", ttl_ms=1_000, member="ada")
    gate.clock.advance_ms(1_000)
    assert gate.spend(40, member="ada")[0] == "COMMITTED"


def overdue_holds_are_freed_before_the_limit_refuses_a_commit(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(5, hold="old", ttl_ms=1_000, member="ada")
    gate.reserve(5, hold="h1", ttl_ms=TTL_MS, member="ada")
    gate.clock.advance_ms(1_000)
    assert gate.commit(10, hold="h1", overage=Overage.IF_AVAILABLE)[0] == "COMMITTED"


def spending_is_in_the_window_it_is_counted_in(gate: GateDriver) -> None:
    """A Redis before this one had a clock that was ahead; the ledger has seen the next day begin."""
    gate.load(1_000)
    begins = gate.clock() + 5_000
    months = [begins - HOUR_MS, begins + 30 * DAY_MS]
    gate.load_member("ada", "d10", days=[begins, begins + DAY_MS], months=months)
    gate.spend(1, member="ada")
    [(_, line)] = _journal(gate)
    assert line["t"] == str(begins)


def _journal(gate: GateDriver) -> Any:
    return gate.client.xrange(gate.keys.journal)


def limit_is_an_amount(gate: GateDriver) -> None:
    gate.load(10)
    assert gate.load_member("ada", f"d{MAX + 1}") == ("BAD",)


def member_below_zero_is_loaded_again(gate: GateDriver) -> None:
    _limited(gate, "d10").reserve(5, member="ada")
    field = "b:ada"
    text = str(gate.client.hget(gate.keys.account, field))
    gate.client.hset(gate.keys.account, field, text.replace(f"{A_TYPE}=5,", f"{A_TYPE}=2,"))
    gate.release()
    assert gate.read() == ("COLD",)


def member_that_cannot_be_read_is_loaded_again(gate: GateDriver) -> None:
    _limited(gate, "d10")
    gate.client.hset(gate.keys.account, "b:ada", "nonsense")
    gate.reserve(1, member="ada")
    assert gate.read() == ("COLD",)
