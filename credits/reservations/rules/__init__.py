"""
What the gate's scripts do to one loaded account, as pure functions: the readable twin of `lua/*.lua`.

Each takes the account as it was and answers the account as it is then, with the words of the script. The scripts keep
counters; here they are sums. A test drives both and compares after every call.
"""

from credits.reservations.rules.account import (
    SKEW_MS,
    Account,
    Budget,
    Entry,
    Hold,
    Item,
    Lot,
    Moment,
    Request,
    Spent,
    Taken,
    Words,
    at_time,
    available,
    held,
    lapsed,
    moment,
    unsettled,
)
from credits.reservations.rules.holds import extend, load, read, reclaim, release, reserve
from credits.reservations.rules.members import held_for, load_member, running, used
from credits.reservations.rules.spending import apply, commit, settle, spend, take_lots

__all__ = [
    "SKEW_MS",
    "Account",
    "Budget",
    "Entry",
    "Hold",
    "Item",
    "Lot",
    "Moment",
    "Request",
    "Spent",
    "Taken",
    "Words",
    "apply",
    "at_time",
    "available",
    "commit",
    "extend",
    "held",
    "held_for",
    "lapsed",
    "load",
    "load_member",
    "moment",
    "read",
    "reclaim",
    "release",
    "reserve",
    "running",
    "settle",
    "spend",
    "take_lots",
    "unsettled",
    "used",
]
