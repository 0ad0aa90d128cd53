"""What each guard of the scripts is for, as a check that passes with it and fails without."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from credits.reservations.keys import account_keys
from credits.reservations.model import Overage
from credits.reservations.scripts import Verb
from tests.support.clock import VirtualClock
from tests.support.gate import A_TYPE, TTL_MS, GateDriver, LotSpec

MAX = 2**53 - 1
DAY_MS = 86_400_000

Check = Callable[[GateDriver], None]


def stale_after_rollback(gate: GateDriver) -> None:
    gate.arm()
    gate.load(10)
    gate.client.hset(gate.keys.shard, "ep", "1")
    assert gate.reserve() == ("STALE",)


def stale_after_restart(gate: GateDriver) -> None:
    gate.load(10)
    gate.client.function_load(gate.code.code, replace=True)
    assert gate.reserve() == ("STALE",)


def token_must_be_the_last(gate: GateDriver) -> None:
    gate.begin_load("one")
    gate.clock.advance_ms(2_000)
    gate.begin_load("two")
    assert gate.finish_load([LotSpec(grant_id=1, amount=9)], token="one") == ("LOST_TOKEN",)


def credit_voids_load(gate: GateDriver) -> None:
    gate.begin_load()
    gate.apply(1, LotSpec(grant_id=2, amount=5))
    assert gate.finish_load([LotSpec(grant_id=1, amount=9)]) == ("LOST_TOKEN",)


def young_load_is_left_alone(gate: GateDriver) -> None:
    gate.begin_load("one")
    gate.clock.advance_ms(1_999)
    assert gate.begin_load("two") == ("LOADING",)


def old_load_is_not_waited_for(gate: GateDriver) -> None:
    gate.begin_load("one")
    gate.clock.advance_ms(2_000)
    assert gate.begin_load("two") == ("BEGUN",)


def unsettled_account_is_drained(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(4)
    gate.arm()
    assert gate.begin_load() == ("DRAIN",)


def credit_counts_once(gate: GateDriver) -> None:
    gate.load(10)
    gate.apply(1, LotSpec(grant_id=2, amount=5))
    gate.apply(1, LotSpec(grant_id=2, amount=5))
    assert gate.figures()[0] == 15


def credits_come_in_order(gate: GateDriver) -> None:
    gate.load(10)
    assert gate.apply(2, LotSpec(grant_id=2, amount=5)) == ("GAP",)


def hold_is_bound_to_its_content(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(1, fingerprint="aa")
    assert gate.reserve(2, fingerprint="bb") == ("CONFLICT",)


def spending_is_no_hold(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(1, hold="s1", fingerprint="aa")
    assert gate.reserve(1, hold="s1", fingerprint="aa") == ("CONFLICT",)


def spending_is_bound_to_its_content(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(1, fingerprint="aa")
    assert gate.spend(2, fingerprint="bb") == ("CONFLICT",)


def step_is_bound_to_its_content(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(5)
    gate.commit(1, final=False, fingerprint="aa")
    assert gate.commit(2, final=False, fingerprint="bb") == ("CONFLICT",)


def step_is_done_once(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(5)
    gate.commit(2, final=False)
    gate.commit(2, final=False)
    assert gate.figures() == (5, 3, 2, 0, 0)


def steps_are_bounded(gate: GateDriver) -> None:
    gate.load(1_000)
    gate.reserve(500)
    for number in range(256):
        gate.commit(1, op=f"c:{number}", final=False)
    assert gate.commit(1, op="c:256", final=False) == ("BAD",)


def hold_of_another_load_is_lost(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)
    record: Any = gate.client.hget(gate.keys.holds, "h1")
    gate.arm()
    gate.load(LotSpec(grant_id=2, amount=30))
    gate.client.hset(gate.keys.holds, "h1", record)
    assert gate.commit(20)[0] == "RESCUED"


def only_what_lots_have_is_adopted(gate: GateDriver) -> None:
    gate.load(30)
    gate.reserve(20)
    gate.arm()
    assert gate.load(19) == ("LOADED", "0")
    assert gate.figures() == (19, 0, 0, 0, 0)


def entry_counts_once(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(3, hold="s1")
    gate.spend(4, hold="s2")
    entry = (gate.journal_ids()[0], True)
    gate.settled(entry, entry)
    assert gate.figures() == (6, 0, 4, 0, 0)


def load_needs_the_whole_journal(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(4)
    gate.client.delete(gate.keys.journal)
    gate.client.hdel(gate.keys.shard, "u1")
    gate.client.delete(gate.keys.account)
    assert gate.begin_load() == ("STALE",)


def settling_needs_the_whole_journal(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(3, hold="s1")
    gate.client.delete(gate.keys.journal)
    gate.spend(4, hold="s2")
    assert gate.settle_all() == ("STALE",)


def entry_is_of_the_account_named(gate: GateDriver) -> None:
    other = GateDriver(client=gate.client, clock=gate.clock, code=gate.code, epoch=1, account_id=65, is_loading=False)
    other.load(10)
    other.spend(3)
    gate.load(10)
    gate.spend(3)
    first = gate.journal_ids()[0]
    with pytest.raises(redis.ResponseError):
        gate.settled((first, True))


def call_is_of_the_account_named(gate: GateDriver) -> None:
    gate.load(10)
    gate.client.copy(gate.keys.account, account_keys(65).account)
    with pytest.raises(redis.ResponseError):
        _spend_with_keys_of(gate, 65)


def _spend_with_keys_of(gate: GateDriver, account_id: int) -> None:
    stranger = GateDriver(
        client=gate.client, clock=gate.clock, code=gate.code, epoch=1, account_id=account_id, is_loading=False
    )
    names = stranger.keys
    verb_keys = (names.shard, names.account, names.lots, names.holds, names.due, names.journal)
    words = (1, gate.account_id, gate.clock(), "s1", "s:1", "aa", "spend", 1_000, "job", "", A_TYPE, 1)
    gate.call(Verb.SPEND, *words, keys=verb_keys)


def vanished(key: str) -> Check:
    def check(gate: GateDriver) -> None:
        gate.load(10, 10)
        gate.reserve(5)
        gate.client.delete(getattr(gate.keys, key))
        assert gate.release() == ("COLD",)

    return check


def refuses_amount(text: str) -> Check:
    def check(gate: GateDriver) -> None:
        gate.load(10)
        assert gate.reserve({A_TYPE: text}) == ("BAD",)  # type: ignore[dict-item]

    return check


def sum_is_bounded(gate: GateDriver) -> None:
    gate.load(MAX - 1)
    assert gate.apply(1, LotSpec(grant_id=2, amount=2)) == ("BAD",)


def loaded_sum_is_bounded(gate: GateDriver) -> None:
    assert gate.load(MAX, 1) == ("BAD",)


def unsettled_sum_is_bounded(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=MAX), LotSpec(grant_id=2, amount=5, credit_type="video"))
    gate.spend(MAX)
    assert gate.spend({"video": 1}, hold="s2") == ("BAD",)


def debt_is_bounded(gate: GateDriver) -> None:
    gate.load(debts={A_TYPE: MAX})
    assert gate.commit(1, overage=Overage.ALLOW_DEBT)[0] == "GONE"


def debt_comes_first(gate: GateDriver) -> None:
    gate.load(10, debts={A_TYPE: 4})
    assert gate.reserve(7) == ("INSUFFICIENT", A_TYPE, "7", "6")


def debt_comes_before_spending(gate: GateDriver) -> None:
    gate.load(10, debts={A_TYPE: 4})
    assert gate.spend(7) == ("INSUFFICIENT", A_TYPE, "7", "6")


def repaid_debt_was_owed(gate: GateDriver) -> None:
    gate.load(10, debts={A_TYPE: 4})
    assert gate.apply(1, LotSpec(grant_id=2, amount=1), repaid=5) == ("COLD",)


def all_types_or_none(gate: GateDriver) -> None:
    gate.load(10)
    assert gate.reserve({A_TYPE: 5, "video": 1})[0] == "INSUFFICIENT"


def _by_the_servers_clock(gate: GateDriver) -> GateDriver:
    """The same scripts with the server's time; the caller's clock is right."""
    seconds, _ = gate.client.time()  # type: ignore[misc]
    real = GateDriver(
        client=gate.client, clock=VirtualClock(int(seconds) * 1000), code=gate.code, is_virtual=False, epoch=gate.epoch
    )
    real.arm()
    return real


def lapsed_is_refused(*lots: LotSpec) -> Check:
    def check(gate: GateDriver) -> None:
        real = _by_the_servers_clock(gate)
        # By its caller the credits have an hour to go, by the server they lapsed 23 hours ago.
        real.clock.advance_ms(-DAY_MS)
        at = real.clock() + DAY_MS // 24
        real.load(*(LotSpec(grant_id=lot.grant_id, amount=lot.amount, expires_at_ms=at) for lot in lots))
        assert real.reserve(1)[0] == "INSUFFICIENT"

    return check


def lapsed_is_moved(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000))
    gate.clock.advance_ms(1_000)
    assert gate.figures() == (0, 0, 0, 0, 10)


def given_back_after_its_instant_has_lapsed(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000))
    gate.reserve(10)
    gate.clock.advance_ms(1_000)
    gate.release()
    assert gate.seen().figures[A_TYPE] == (0, 0, 0, 0, 10)


def time_does_not_go_back(gate: GateDriver) -> None:
    gate.load(10)
    made = gate.clock()
    gate.reserve(1)
    gate.clock.advance_ms(-DAY_MS)
    assert gate.reserve(1, hold="h2") == ("HELD", str(made + TTL_MS))


def server_ahead_frees_nothing(gate: GateDriver) -> None:
    real = _by_the_servers_clock(gate)
    real.clock.advance_ms(-DAY_MS)
    real.load(LotSpec(grant_id=1, amount=10, expires_at_ms=real.clock() + DAY_MS // 24))
    assert real.figures()[4] == 0


def deadline_is_by_the_earlier_clock(gate: GateDriver) -> None:
    real = _by_the_servers_clock(gate)
    real.clock.advance_ms(-DAY_MS)
    real.load(10)
    assert int(real.reserve(4)[1]) == real.clock() + 60_000 + TTL_MS


def caller_behind_ends_nothing_early(gate: GateDriver) -> None:
    real = _by_the_servers_clock(gate)
    real.clock.advance_ms(-DAY_MS)
    real.load(10)
    real.reserve(4)
    real.clock.advance_ms(DAY_MS)
    assert real.figures()[:2] == (6, 4)


def server_set_back_had_been_ahead(gate: GateDriver) -> None:
    real = _by_the_servers_clock(gate)
    real.load(10)
    # Set by a server that showed tomorrow, to a caller who had it right.
    now_ms = real.clock()
    real.reserve(4, ttl_ms=1)
    record = real.client.hget(real.keys.holds, "h1")
    state, due, *rest = str(record).split("|")
    real.client.hset(real.keys.holds, "h1", "|".join((state, f"{due}~{now_ms + 2 * DAY_MS}~{now_ms + DAY_MS}", *rest)))
    real.clock.advance_ms(1_000)
    time.sleep(0.003)
    assert real.figures()[:2] == (10, 0)


def overdue_holds_are_freed_before_a_refusal(gate: GateDriver) -> None:
    gate.load(40)
    for number in range(40):
        gate.reserve(1, hold=f"old{number}", ttl_ms=1_000)
    gate.clock.advance_ms(1_000)
    assert gate.reserve(40, hold="new")[0] == "HELD"


def overdue_holds_are_freed_before_spending_is_refused(gate: GateDriver) -> None:
    gate.load(40)
    for number in range(40):
        gate.reserve(1, hold=f"old{number}", ttl_ms=1_000)
    gate.clock.advance_ms(1_000)
    assert gate.spend(40)[0] == "COMMITTED"


def overdue_holds_are_freed_before_debt(gate: GateDriver) -> None:
    gate.load(10)
    gate.reserve(10, ttl_ms=1_000)
    gate.clock.advance_ms(1_000)
    assert gate.take_lots(10, 1, allow_debt=True) == ("TAKEN", "10", "0")


def own_hold_is_not_freed_by_its_commit(gate: GateDriver) -> None:
    gate.load(LotSpec(grant_id=1, amount=10, expires_at_ms=gate.clock() + 1_000))
    gate.reserve(10, ttl_ms=1_000)
    gate.clock.advance_ms(2_000)
    assert gate.commit(11, op="c:1", overage=Overage.IF_AVAILABLE)[0] == "INSUFFICIENT"
    assert gate.commit(10, op="c:2") == ("COMMITTED", "10", "0")


def command_takes_its_own_types_lots(gate: GateDriver) -> None:
    gate.load(10, 10, LotSpec(grant_id=3, amount=7, credit_type="video"))
    assert gate.take_lots(5, 1, credit_type="video") == ("TAKEN", "0", "0")


def used_account_stays(gate: GateDriver) -> None:
    gate.load(10)
    gate.spend(1)
    gate.clock.advance_ms(10 * DAY_MS)
    assert gate.unload() == ("BUSY",)


def nothing_is_below_zero(gate: GateDriver) -> None:
    gate.load(50)
    gate.spend(10)
    gate.client.hset(gate.keys.account, f"c:{A_TYPE}", f"40:0:5:0:0:{LotSpec(grant_id=1, amount=1).sort_key}")
    gate.settle_all()
    assert gate.read() == ("COLD",)


def no_version_adopts_uninvited(gate: GateDriver) -> None:
    assert gate.adopt() == ("STALE",)


def only_an_armed_version_hands_over(gate: GateDriver) -> None:
    gate.client.function_load(gate.code.code, replace=True)
    assert gate.handover() == ("STALE",)


def epochs_only_rise(gate: GateDriver) -> None:
    gate.arm(5)
    assert gate.arm(4) == ("OLD",)
