"""The guards of members' limits, as rows of test_guards: name, text, what stands there without it, check."""

from collections.abc import Callable
from typing import Final

from tests.gate import member_guard_checks as checks
from tests.support.gate import GateDriver

MEMBER_GUARDS: Final[list[tuple[str, str, str, Callable[[GateDriver], None]]]] = [
    ("limit", "if more > limit - used then", "if false then", checks.limit_is_kept),
    ("limit: what is held", "math.min(MAX, item.hd + item[window])", "item[window]", checks.held_counts),
    ("limit: what was spent", "math.min(MAX, item.hd + item[window])", "item.hd", checks.committed_counts),
    ("limit: of spending", "args[7] == 'spend' and member or ''", "''", checks.spending_keeps_the_limit),
    (
        "limit: above a hold",
        "args[8] ~= 'allow_debt' and member or ''",
        "''",
        checks.commit_above_its_hold_keeps_the_limit,
    ),
    (
        "held: reserved",
        "    hold_for(k, a, member, item.name, item.amount)\n",
        "",
        checks.held_counts,
    ),
    (
        "held: given back",
        "      hold_for(k, a, r.member, name, -item.left)\n",
        "",
        checks.released_counts_no_more,
    ),
    ("held: adopted", "      hold_for(k, a, r.member, name, n)\n", "", checks.adopted_hold_counts),
    (
        "spent",
        "  spend_for(k, a, member, step.name, step.amount, step.from_hold)\n",
        "",
        checks.committed_counts,
    ),
    (
        "spent: given back",
        "if member then unspend_for",
        "if false then unspend_for",
        checks.charge_given_back_counts_no_more,
    ),
    ("whose a hold is", "known and known.member or args[11]", "args[11]", checks.hold_knows_whose_it_is),
    (
        "window: day",
        "for _, item in pairs(b.items) do item.d = 0 end",
        "",
        checks.day_begins_anew,
    ),
    (
        "window: month",
        "for _, item in pairs(b.items) do item.m = 0 end",
        "",
        checks.month_begins_anew,
    ),
    (
        "calendar: days",
        "return #b.days > 1 and #b.months > 1",
        "return #b.months > 1",
        checks.days_beyond_the_calendar_are_asked_for,
    ),
    (
        "calendar: months",
        "return #b.days > 1 and #b.months > 1",
        "return #b.days > 1",
        checks.months_beyond_the_calendar_are_asked_for,
    ),
    (
        "calendar: never back",
        "(#known == 1 and said[1] > known[1])",
        "#known == 1",
        checks.calendar_does_not_go_back,
    ),
    (
        "window: of the ledger",
        "return math.max(a.sure, b.days[1], b.months[1])",
        "return a.sure",
        checks.spending_is_in_the_window_it_is_counted_in,
    ),
    ("raise: its end", "raised and a.now < tonumber(until_ms)", "raised", checks.raise_ends),
    (
        "member: of this load",
        "if args[4] ~= a.load then return leave(k, a, 'RELOADED') end",
        "",
        checks.member_is_of_this_load,
    ),
    (
        "member: usage is told once",
        "if is_first then item.d, item.m, item.e",
        "if true then item.d, item.m, item.e",
        checks.later_load_forgets_no_usage,
    ),
    (
        "member: the later version",
        "if is_first or version >= tonumber(b.version) then",
        "if true then",
        checks.older_limits_come_too_late,
    ),
    (
        "member: limits are amounts",
        "if not number or not amount_or_zero(number) then return false end",
        "",
        checks.limit_is_an_amount,
    ),
    (
        "member: nothing below zero",
        "if math.min(item.hd, item.d, item.m, item.e) < 0 then a.is_broken = true end",
        "",
        checks.member_below_zero_is_loaded_again,
    ),
    (
        "member: readable",
        "  if not version then\n    a.is_broken = true\n    return b\n  end",
        "  if not version then return b end",
        checks.member_that_cannot_be_read_is_loaded_again,
    ),
    (
        "reclaim before limit: reserve",
        "if #short + #over > 0 and not is_all_reclaimed then\n    -- Credits",
        "if #short > 0 and not is_all_reclaimed then\n    -- Credits",
        checks.overdue_holds_are_freed_before_the_limit_refuses,
    ),
    (
        "reclaim before limit: spend",
        "if #short + #over > 0 and not is_all_reclaimed then\n    reclaim",
        "if #short > 0 and not is_all_reclaimed then\n    reclaim",
        checks.overdue_holds_are_freed_before_the_limit_refuses_spending,
    ),
    (
        "reclaim before limit: commit",
        "if #short + #over > 0 then\n    -- What",
        "if #short > 0 then\n    -- What",
        checks.overdue_holds_are_freed_before_the_limit_refuses_a_commit,
    ),
]
