"""
Every guard of the scripts, taken out by a change of their text, is missed by a check of its own.

Each row is a guard: its name, the text that is it, what stands there without it, and the check.
"""

from typing import NamedTuple

import pytest
import redis

from credits.reservations.scripts import Library, library_of, source
from tests.gate import guard_checks as checks
from tests.gate.lead_guards import LEAD_GUARDS
from tests.gate.member_guards import MEMBER_GUARDS
from tests.support.clock import VirtualClock
from tests.support.gate import GateDriver, LotSpec

pytestmark = pytest.mark.simulator


class Guard(NamedTuple):
    """One guard, and how it shows that it is gone."""

    name: str
    text: str
    without: str
    check: checks.Check


SERVED = "current == epoch and armed[shard] == epoch"
GUARDS = [
    Guard("fence: the epoch key", SERVED, "armed[shard] == epoch", checks.stale_after_rollback),
    Guard("fence: the volatile table", SERVED, "current == epoch", checks.stale_after_restart),
    Guard(
        "epochs only rise",
        "if current and epoch <= tonumber(current) then return { 'OLD' } end",
        "",
        checks.epochs_only_rise,
    ),
    Guard(
        "handover: only by who is armed",
        "if not is_served(keys[1], args[1], redis.call('HGET', keys[1], 'ep')) then return { 'STALE' } end",
        "",
        checks.only_an_armed_version_hands_over,
    ),
    Guard(
        "adoption: only on a mark",
        "if s[1] ~= args[1] or s[2] ~= args[1] then",
        "if s[1] ~= args[1] then",
        checks.no_version_adopts_uninvited,
    ),
    Guard(
        "token",
        "if not held or string.match(held, '^(.*)|%d+$') ~= args[3] then return { 'LOST_TOKEN' } end",
        "",
        checks.token_must_be_the_last,
    ),
    Guard(
        "token: void by a credit",
        "if refusal[1] == 'COLD' then redis.call('DEL', k.token) end",
        "",
        checks.credit_voids_load,
    ),
    Guard(
        "token: its age", "now - tonumber(since) < 2000", "now - tonumber(since) < 0", checks.young_load_is_left_alone
    ),
    Guard(
        "token: its end",
        "now - tonumber(since) < 2000",
        "now - tonumber(since) < 4000",
        checks.old_load_is_not_waited_for,
    ),
    Guard("drain", "if tonumber(s[4] or '0') > 0 then return { 'DRAIN' } end", "", checks.unsettled_account_is_drained),
    Guard(
        "journal whole: load",
        "if redis.call('XLEN', k.journal) ~= tonumber(s[3] or '-1') then return { 'STALE' } end",
        "",
        checks.load_needs_the_whole_journal,
    ),
    Guard(
        "journal whole: settled",
        "if redis.call('XLEN', keys[2]) ~= tonumber(s[3] or '-1') then return { 'STALE' } end",
        "",
        checks.settling_needs_the_whole_journal,
    ),
    Guard("credits: once", "if sv <= a.sv then return leave(k, a, 'DUP') end", "", checks.credit_counts_once),
    Guard("credits: in order", "if sv > a.sv + 1 then return leave(k, a, 'GAP') end", "", checks.credits_come_in_order),
    Guard(
        "fingerprint: reserve",
        "known.state == 'S' or (known.fp ~= '' and known.fp ~= args[4])",
        "known.state == 'S'",
        checks.hold_is_bound_to_its_content,
    ),
    Guard(
        "fingerprint: another operation",
        "known.state == 'S' or (known.fp ~= '' and known.fp ~= args[4])",
        "(known.fp ~= '' and known.fp ~= args[4])",
        checks.spending_is_no_hold,
    ),
    Guard(
        "fingerprint: spend",
        "if known then return leave(k, a, step_fingerprint(known, args[5]) == args[6] and 'REPLAYED' or",
        "if known then return leave(k, a, 'REPLAYED' or",
        checks.spending_is_bound_to_its_content,
    ),
    Guard(
        "fingerprint: step",
        "fp == args[6] and 'REPLAYED' or 'CONFLICT'",
        "'REPLAYED'",
        checks.step_is_bound_to_its_content,
    ),
    Guard(
        "commit once",
        "if fp then return leave(k, a, fp == args[6] and 'REPLAYED' or 'CONFLICT') end",
        "",
        checks.step_is_done_once,
    ),
    Guard(
        "steps are bounded",
        "if count_steps(known) >= MAX_STEPS then return leave(k, a, 'BAD') end",
        "",
        checks.steps_are_bounded,
    ),
    Guard(
        "hold bound to its load",
        "r ~= nil and r.state == 'H' and r.load == a.load",
        "r ~= nil and r.state == 'H'",
        checks.hold_of_another_load_is_lost,
    ),
    Guard(
        "adoption: only what lots have",
        "if not have or have < tonumber(part) then return false end",
        "",
        checks.only_what_lots_have_is_adopted,
    ),
    Guard("XDEL counts once", "if entry and not ids[id] then", "if entry then", checks.entry_counts_once),
    Guard(
        "settled: the entry's own account",
        "if string.match(keys[first], ':(%d+)$') ~= account_id then error('an entry of another account') end",
        "",
        checks.entry_is_of_the_account_named,
    ),
    Guard(
        "calls: the account's own keys",
        "if account_id and string.match(k.account, ':(%d+)$') ~= account_id then",
        "if false then",
        checks.call_is_of_the_account_named,
    ),
    Guard("sizes: lots", "(a.zn > 0 and redis.call('ZCARD', k.lots) ~= a.zn)", "false", checks.vanished("lots")),
    Guard("sizes: holds", "redis.call('HLEN', k.holds) ~= a.hn or", "", checks.vanished("holds")),
    Guard("sizes: due", "or redis.call('ZCARD', k.due) ~= a.hn", "", checks.vanished("due")),
    Guard(
        "amounts: digits only (nan)",
        "#text > 16 or not string.find(text, '^[1-9]%d*$') then return nil",
        "#text > 16 then return nil",
        checks.refuses_amount("nan"),
    ),
    Guard(
        "amounts: digits only (hexadecimal)",
        "#text > 16 or not string.find(text, '^[1-9]%d*$') then return nil",
        "#text > 16 then return nil",
        checks.refuses_amount("0x10"),
    ),
    Guard(
        "amounts: digits to the end",
        "not string.find(text, '^[1-9]%d*$')",
        "not string.find(text, '^[1-9]%d*')",
        checks.refuses_amount("1e1"),
    ),
    Guard("amounts: at most 2^53 - 1", "if n > MAX then return nil end", "", checks.refuses_amount(str(2**53))),
    Guard(
        "sums: credits",
        "if c.av + c.hd + c.lp + c.us + kept > MAX then return leave(k, a, 'BAD') end",
        "",
        checks.sum_is_bounded,
    ),
    Guard(
        "sums: loads", "or one.sum + n > MAX then return nil end", "then return nil end", checks.loaded_sum_is_bounded
    ),
    Guard("sums: unsettled", "if total > MAX then return true end", "", checks.unsettled_sum_is_bounded),
    Guard(
        "sums: debt",
        "policy == 'allow_debt' and c.dt + extra - free <= MAX",
        "policy == 'allow_debt'",
        checks.debt_is_bounded,
    ),
    Guard(
        "debt before reserve",
        "local debt, found = kind(k, a, item.name).dt, nil",
        "local debt, found = 0, nil",
        checks.debt_comes_first,
    ),
    Guard(
        "debt before spending",
        "local takes, found = find(k, a, item.name, extra, c.dt)\n  local free = math.max(0, found - c.dt)",
        "local takes, found = find(k, a, item.name, extra, 0)\n  local free = math.max(0, found)",
        checks.debt_comes_before_spending,
    ),
    Guard("debt repaid was owed", "if repaid > c.dt then", "if false then", checks.repaid_debt_was_owed),
    Guard(
        "all types or none",
        "if #short > 0 then return leave(k, a, 'INSUFFICIENT', unpack(short)) end\n  local r =",
        "local r =",
        checks.all_types_or_none,
    ),
    Guard(
        "lapsed: the only lot",
        "if c.av == 0 or expiry(c.one) <= a.now then return {}, 0 end",
        "if c.av == 0 then return {}, 0 end",
        checks.lapsed_is_refused(LotSpec(grant_id=1, amount=10)),
    ),
    Guard(
        "lapsed: several lots",
        "if expiry(sort_key) > a.now then\n        local available",
        "if true then\n        local available",
        checks.lapsed_is_refused(LotSpec(grant_id=1, amount=10), LotSpec(grant_id=2, amount=10)),
    ),
    Guard("lapsed: moved", "if a.x > a.sure then return end", "if true then return end", checks.lapsed_is_moved),
    Guard(
        "lapsed: given back",
        "elseif expiry(sort_key) <= a.sure then\n      put_lot",
        "elseif false then\n      put_lot",
        checks.given_back_after_its_instant_has_lapsed,
    ),
    Guard(
        "clock: never back",
        "return math.max(now, last), math.max(sure, last)",
        "return now, sure",
        checks.time_does_not_go_back,
    ),
    Guard(
        "clock: nothing is ended beyond the caller's",
        "sure = math.min(now, said + SKEW_MS)",
        "sure = now",
        checks.server_ahead_frees_nothing,
    ),
    Guard(
        "deadlines: not by a server's clock that is ahead",
        "set_deadline(a, r, a.sure + ttl_ms, a.now + ttl_ms)",
        "set_deadline(a, r, a.now + ttl_ms, a.now + ttl_ms)",
        checks.deadline_is_by_the_earlier_clock,
    ),
    Guard(
        "deadlines: not by a caller's clock that is behind",
        "if not r.by or a.now >= r.by",
        "if true",
        checks.caller_behind_ends_nothing_early,
    ),
    Guard(
        "deadlines: a server set back had been ahead",
        "or r.set > a.now + SKEW_MS",
        "",
        checks.server_set_back_had_been_ahead,
    ),
    Guard(
        "reclaim before refuse: reserve",
        "    reclaim(k, a, receipt_ms, true)\n    short, over = plan_holds(k, a, items)",
        "    short, over = plan_holds(k, a, items)",
        checks.overdue_holds_are_freed_before_a_refusal,
    ),
    Guard(
        "reclaim before refuse: spend",
        "    reclaim(k, a, receipt_ms, true)\n    steps, short = plan_items(k, a, items, nil, 'if_available')",
        "",
        checks.overdue_holds_are_freed_before_spending_is_refused,
    ),
    Guard(
        "reclaim before debt",
        "  reclaim(k, a, receipt_ms, true)\n  local c = kind(k, a, name)",
        "  local c = kind(k, a, name)",
        checks.overdue_holds_are_freed_before_debt,
    ),
    Guard(
        "reclaim leaves the own hold",
        "reclaim(k, a, receipt_ms, true, args[4])",
        "reclaim(k, a, receipt_ms, true)",
        checks.own_hold_is_not_freed_by_its_commit,
    ),
    Guard(
        "lots: of their own type", "if owner ~= name then return nil end", "", checks.command_takes_its_own_types_lots
    ),
    Guard(
        "unload: nothing unsettled",
        "if a.hn > 0 or a.own_entries > 0 then",
        "if a.hn > 0 then",
        checks.used_account_stays,
    ),
    Guard(
        "nothing below zero",
        "if math.min(c.av, c.hd, c.us, c.dt, c.lp) < 0 then a.is_broken = true end",
        "",
        checks.nothing_is_below_zero,
    ),
    *(Guard(*row) for row in (*MEMBER_GUARDS, *LEAD_GUARDS)),
]


def _gate(client: redis.Redis, clock: VirtualClock, code: Library) -> GateDriver:
    driver = GateDriver(client=client, clock=clock, code=code)
    driver.arm()
    return driver


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_does_what_it_is_for(guard: Guard, client: redis.Redis, clock: VirtualClock) -> None:
    guard.check(_gate(client, clock, library_of(source())))


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_that_is_taken_out_is_missed(guard: Guard, client: redis.Redis, clock: VirtualClock) -> None:
    assert source().count(guard.text) == 1
    mutant = library_of(source().replace(guard.text, guard.without))

    with pytest.raises((AssertionError, pytest.fail.Exception, redis.ResponseError)):
        guard.check(_gate(client, clock, mutant))
