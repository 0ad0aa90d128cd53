"""The scripts and their readable twin do the same, whatever they are asked in whatever order."""

import os
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from credits.reservations import rules
from credits.reservations.model import Answer, HoldState, Overage
from credits.reservations.scripts import library
from credits.reservations.torture.world import SERVER_CLOCK_KEY, with_simulated_time
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.gate import RECEIPT_MS, GateDriver, LotSpec, Words
from tests.support.gate_keys import seen_by_twin

pytestmark = pytest.mark.simulator

EXAMPLES = int(os.environ.get("CREDITGATE_TWIN_EXAMPLES", "200"))
TYPES = ("image", "image_hd", "video")
HOLDS = tuple(f"h{number}" for number in range(24))

credit_types = st.sampled_from(TYPES)
sizes = st.sampled_from([1, 2, 5, 8, 13, 21, 34, 10**14, 2**53 - 1])
items = st.dictionaries(credit_types, st.integers(1, 9), min_size=1, max_size=2)
used = st.one_of(st.just({}), st.dictionaries(credit_types, st.integers(0, 11), max_size=2))
ttls = st.sampled_from([1_000, 30_000, 600_000])
turns = st.integers(0, 9_999)
"""Picks a hold: mostly one that is there."""
members = st.sampled_from(["", "", "ada", "ada", "b%C3%B6b"])
limits = st.dictionaries(
    credit_types,
    st.sampled_from(["d5", "d12+m20", "e30", "m0", "d3~15~{soon}+e60~90~{soon}", "d9007199254740991"]),
    max_size=2,
)
used_before = st.dictionaries(
    credit_types, st.tuples(st.integers(0, 3), st.integers(3, 6), st.integers(6, 9)), max_size=1
)
fingerprints = st.sampled_from(["aa", "aa", "aa", "bb"])
expiries = st.one_of(st.none(), st.integers(1, 400_000).map(lambda ms: NOON_MS + ms))


class TwinMachine(RuleBasedStateMachine):
    """One account; each rule asks the scripts and the twin the same, and the whole state is compared."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.clock = VirtualClock()
        self.gate = self.new_gate()
        self.gate.arm()
        self.grants = 0
        self.ops = 0
        self.twin = rules.Account(sv=0, last_ms=self.clock())

    @initialize(lots=st.lists(st.tuples(credit_types, st.sampled_from([8, 30, 200]), expiries), min_size=1, max_size=8))
    def start(self, lots: list[tuple[str, int, int | None]]) -> None:
        specs = [self.new_lot(credit_type, amount, expires, 1) for credit_type, amount, expires in lots]
        lots_of_twin = {lot.name: _twin_lot(lot) for lot in specs}
        self.twin = rules.Account(sv=0, last_ms=self.moment(0).sure_ms, lots=lots_of_twin)
        assert self.gate.load(*specs) == ("LOADED", "0")

    def check(self, asked: Words, told: tuple[rules.Account, tuple[str, ...]]) -> None:
        """The scripts' answer and keys against the twin's."""
        before_ms, (self.twin, answer) = self.twin.last_ms, told
        if asked[0] == Answer.MEMBER:
            # Which load it is only the gate knows.
            assert asked[2] == self.gate.load_id()
            asked = (*asked[:2], asked[3])
        self.twin = rules.at_time(self.twin, self.moment())
        # A call that changed nothing leaves no trace of its time either.
        written: Any = self.client.hget(self.gate.keys.account, "w")
        last_ms = int(written.partition("|")[0])
        assert last_ms in {before_ms, self.twin.last_ms}
        self.twin = replace(self.twin, last_ms=last_ms)
        assert asked == tuple(str(word) for word in answer)
        assert self.gate.seen() == seen_by_twin(self.twin)

    def new_gate(self) -> GateDriver:
        return GateDriver(client=self.client, clock=self.clock)

    def moment(self, last_ms: int | None = None) -> rules.Moment:
        now = self.clock()
        return rules.moment(self.twin.last_ms if last_ms is None else last_ms, server_ms=now, caller_ms=now)

    def pick(self, turn: int) -> str:
        opened = sorted(name for name, hold in self.twin.holds.items() if hold.state is HoldState.HELD)
        names = opened if opened and turn % 4 else [*sorted(self.twin.holds), *HOLDS]
        return names[turn % len(names)]

    def request(self, hold: str, op: str, fingerprint: str, name: str = "job 1", member: str = "") -> rules.Request:
        return rules.Request(hold=hold, op=op, fingerprint=fingerprint, name=name, receipt_ms=RECEIPT_MS, member=member)

    def booked_debt(self, credit_type: str) -> int:
        """What the ledger knows of a debt, and a grant can repay: not what the journal still has."""
        items = [item for entry in self.twin.journal for item in entry.items if item.credit_type == credit_type]
        return self.twin.debts.get(credit_type, 0) - sum(item.debt for item in items)

    def new_lot(self, credit_type: str, amount: int, expires_at_ms: int | None, priority: int) -> LotSpec:
        self.grants += 1
        return LotSpec(
            grant_id=self.grants,
            amount=amount,
            credit_type=credit_type,
            expires_at_ms=expires_at_ms,
            priority=priority,
            is_paid=self.grants % 2 == 0,
        )

    @rule(credit_type=credit_types, amount=sizes, expires=expiries, priority=st.integers(1, 2), repays=st.booleans())
    def apply(self, credit_type: str, amount: int, expires: int | None, priority: int, repays: bool) -> None:
        repaid = min(amount, self.booked_debt(credit_type)) if repays else 0
        lot = self.new_lot(credit_type, amount - repaid, expires, priority)
        sv = self.twin.sv + 1
        told = rules.apply(
            self.twin,
            sv,
            credit_type,
            kept=lot.amount,
            repaid=repaid,
            lot=lot.name,
            sort_key=lot.sort_key,
            at=self.moment(),
        )
        self.check(self.gate.apply(sv, lot, repaid=repaid), told)

    @rule(
        hold=st.sampled_from(HOLDS),
        wanted=items,
        fingerprint=fingerprints,
        ttl_ms=ttls,
        member=members,
    )
    def reserve(self, hold: str, wanted: dict[str, int], fingerprint: str, ttl_ms: int, member: str) -> None:
        request = self.request(hold, "", fingerprint, member=member)
        told = rules.reserve(self.twin, self.moment(), request, ttl_ms, wanted)
        asked = self.gate.reserve(wanted, hold=hold, fingerprint=fingerprint, ttl_ms=ttl_ms, member=member)
        self.check(asked, told)
        self.learn(asked)

    @rule(
        turn=turns,
        wanted=used,
        step=st.sampled_from("xyz"),
        fingerprint=fingerprints,
        final=st.booleans(),
        overage=st.sampled_from(Overage),
        member=members,
    )
    def commit(
        self,
        turn: int,
        wanted: dict[str, int],
        step: str,
        fingerprint: str,
        final: bool,
        overage: Overage,
        member: str,
    ) -> None:
        hold = self.pick(turn)
        op = f"c:{hold}:{step}"
        told = rules.commit(
            self.twin,
            self.moment(),
            self.request(hold, op, fingerprint, member=member),
            wanted,
            is_final=final,
            overage=overage,
        )
        asked = self.gate.commit(
            wanted, hold=hold, op=op, fingerprint=fingerprint, final=final, overage=overage, member=member
        )
        self.check(asked, told)
        self.learn(asked)

    @rule(turn=turns)
    def release(self, turn: int) -> None:
        hold = self.pick(turn)
        self.check(self.gate.release(hold), rules.release(self.twin, self.moment(), hold, RECEIPT_MS))

    @rule(turn=turns, ttl_ms=st.sampled_from([1_000, 90_000]))
    def extend(self, turn: int, ttl_ms: int) -> None:
        hold = self.pick(turn)
        told = rules.extend(self.twin, self.moment(), hold, ttl_ms, 200_000)
        self.check(self.gate.extend(hold, ttl_ms=ttl_ms, longest_ms=200_000), told)

    @rule(
        hold=st.sampled_from(["h1", "s1", "s2", "s3", "s4", "s5", "s6"]),
        wanted=items,
        fingerprint=fingerprints,
        kind=st.sampled_from(["spend", "deduct"]),
        member=members,
    )
    def spend(self, hold: str, wanted: dict[str, int], fingerprint: str, kind: str, member: str) -> None:
        request = self.request(hold, f"s:{hold}", fingerprint, member=member)
        told = rules.spend(self.twin, self.moment(), request, kind, wanted)
        asked = self.gate.spend(wanted, hold=hold, fingerprint=fingerprint, kind=kind, member=member)
        self.check(asked, told)
        self.learn(asked)

    def learn(self, asked: Words) -> None:
        """A member that the gate asks for may spend a little, or it would ask for ever."""
        if asked[0] == Answer.MEMBER:
            self.load_member(asked[1], 1, {"image": "d20+m30"}, {"image": (1, 2, 3)}, 0)

    @rule(
        member=st.sampled_from(["ada", "b%C3%B6b", "eve"]),
        version=st.integers(1, 4),
        told_limits=limits,
        before=used_before,
        late_ms=st.sampled_from([0, 0, 100_000]),
    )
    def load_member(
        self,
        member: str,
        version: int,
        told_limits: dict[str, str],
        before: dict[str, tuple[int, int, int]],
        late_ms: int,
    ) -> None:
        """Days have 45 s here, months 200 s; whoever reads them may be a little late to tell."""
        now_ms = self.clock() - late_ms
        days = [now_ms - now_ms % 45_000 + 45_000 * day for day in range(4)]
        months = [now_ms - now_ms % 200_000 + 200_000 * month for month in range(3)]
        said = {name: text.format(soon=now_ms + 30_000) for name, text in told_limits.items()}
        budget = rules.Budget(
            version=version,
            days=tuple(days),
            months=tuple(months),
            limits=said,
            before=before,
            first_day_ms=days[0],
            first_month_ms=months[0],
        )
        asked = self.gate.load_member(member, said, used=before, version=version, days=days, months=months)
        self.check(asked, rules.load_member(self.twin, self.moment(), member, budget))

    @rule(member=st.sampled_from(["ada", "b%C3%B6b"]))
    def read_member(self, member: str) -> None:
        asked, at = self.gate.read_member(member), self.moment()
        account, _ = rules.reclaim(self.twin, at, RECEIPT_MS)
        if asked[0] == Answer.MEMBER:
            self.check(asked, (account, (Answer.MEMBER, member, str(at.sure_ms))))
            return
        self.check(asked, (account, asked))
        seen = self.gate.seen().members[member]
        figures = {asked[at]: tuple(map(int, asked[at + 1 : at + 5])) for at in range(6, len(asked), 5)}
        assert {name: sums for name, sums in figures.items() if any(sums)} == seen.figures
        assert asked[1:6] == (
            self.gate.load_id(),
            str(at.sure_ms),
            str(seen.version),
            *map(str, (seen.days[1], seen.months[1])),
        )

    @rule(
        credit_type=credit_types,
        wanted=sizes,
        allow_debt=st.booleans(),
        hold=st.sampled_from(["t1", "t2", "t3", "s1"]),
        data=st.data(),
    )
    def take_lots(self, credit_type: str, wanted: int, allow_debt: bool, hold: str, data: st.DataObject) -> None:
        lots = data.draw(st.lists(st.integers(1, max(1, self.grants)), max_size=3))
        request = self.request(hold, f"t:{hold}", "dd", "lapsed")
        told = rules.take_lots(
            self.twin,
            self.moment(),
            request,
            "expire",
            credit_type,
            wanted,
            allow_debt=allow_debt,
            lots=[LotSpec(grant_id=number, amount=1).name for number in lots],
        )
        asked = self.gate.take_lots(
            wanted, *lots, credit_type=credit_type, allow_debt=allow_debt, hold=hold, fingerprint="dd"
        )
        self.check(asked, told)

    @rule(refunds=st.lists(st.sampled_from([False, False, True]), max_size=4))
    def settle(self, refunds: list[bool]) -> None:
        ids = self.gate.journal_ids()
        chosen = list(zip(ids, refunds, strict=False))
        if not chosen:
            # A settlement of nothing looks at no account.
            return
        told = rules.settle(self.twin, (is_refund for _, is_refund in chosen))
        # Named twice, an entry still counts once.
        self.check(self.gate.settled(*chosen, *chosen), told)

    @rule()
    def read(self) -> None:
        self.check(self.gate.read(*TYPES), rules.read(self.twin, self.moment(), RECEIPT_MS, TYPES))

    @rule(ms=st.sampled_from([1, 500, 1_000, 30_000, 60_000, 200_000, RECEIPT_MS]))
    def wait(self, ms: int) -> None:
        self.clock.advance_ms(ms)

    @precondition(lambda self: not self.twin.journal)
    @rule(data=st.data())
    def reload(self, data: st.DataObject) -> None:
        """A restart that kept the keys: a new epoch, and the ledger says what there is; it may say less than before."""
        # What the clocks showed before a load is forgotten with what was loaded.
        account, at = self.twin, self.moment(0)
        specs = [self._surviving(name, lot, data) for name, lot in account.lots.items()]
        lots = [lot for lot in specs if lot.amount]
        self.gate.arm()
        fresh = rules.Account(
            sv=account.sv,
            last_ms=at.sure_ms,
            lots={lot.name: _twin_lot(lot) for lot in lots},
            debts=account.debts,
        )
        told = rules.load(fresh, account.holds, at, RECEIPT_MS)
        self.check(self.gate.load(*lots, debts=account.debts, sv=account.sv), told)

    def _surviving(self, name: str, lot: rules.Lot, data: st.DataObject) -> LotSpec:
        held = sum(
            part
            for hold in self.twin.holds.values()
            if hold.state == "H"
            for item in hold.items.values()
            for held_lot, part in item.lots
            if held_lot == name
        )
        remaining = lot.available + held
        key = lot.sort_key
        return LotSpec(
            grant_id=int(name, 36),
            amount=data.draw(st.sampled_from([remaining, remaining, remaining // 2])),
            credit_type=lot.credit_type,
            priority=int(key[:4], 36),
            expires_at_ms=None if key[4:13] == "z" * 9 else int(key[4:13], 36),
            is_paid=key[13] == "1",
        )


class SkewedTwinMachine(TwinMachine):
    """The same where the scripts ask the server for the time, and its clock and the callers' go wrong."""

    def __init__(self) -> None:
        self.now_ms, self.server_off_ms, self.caller_off_ms, self.seen_ms, self.wrong_ms = NOON_MS, 0, 0, 0, 0
        super().__init__()

    def new_gate(self) -> GateDriver:
        code = with_simulated_time(library())
        gate = GateDriver(client=self.client, clock=self.clock, code=code, is_virtual=False)
        self.tell()
        return gate

    def tell(self) -> None:
        seconds, ms = divmod(self.now_ms + self.server_off_ms, 1000)
        self.client.hset(SERVER_CLOCK_KEY, mapping={"s": seconds, "us": ms * 1000})
        self.clock.set_ms(self.now_ms + self.caller_off_ms)

    def moment(self, last_ms: int | None = None) -> rules.Moment:
        server_ms = self.now_ms + self.server_off_ms
        if server_ms < self.seen_ms - rules.SKEW_MS:
            self.wrong_ms = self.seen_ms
        self.seen_ms = server_ms
        last_ms = self.twin.last_ms if last_ms is None else last_ms
        return rules.moment(last_ms, server_ms=server_ms, caller_ms=self.clock(), wrong_ms=self.wrong_ms)

    @rule(ms=st.sampled_from([1, 500, 1_000, 30_000, 60_000, 200_000, RECEIPT_MS]))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.tell()

    @rule(server_off_ms=st.sampled_from([0, 0, 50_000, 200_000, 3_600_000, -100_000]))
    def set_server_clock(self, server_off_ms: int) -> None:
        self.server_off_ms = server_off_ms
        self.tell()

    @rule(caller_off_ms=st.sampled_from([0, 0, 1_500, -70_000, -300_000, 3_600_000, -3_600_000]))
    def be_called_by_another(self, caller_off_ms: int) -> None:
        self.caller_off_ms = caller_off_ms
        self.tell()


def _twin_lot(lot: LotSpec) -> rules.Lot:
    return rules.Lot(credit_type=lot.credit_type, sort_key=lot.sort_key, available=lot.amount)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [TwinMachine, SkewedTwinMachine])
def test_the_scripts_and_their_twin_agree_on_every_answer_and_the_whole_state(
    kind: type[TwinMachine], client: redis.Redis
) -> None:
    machine = type("Machine", (kind,), {"client": client})

    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None))
