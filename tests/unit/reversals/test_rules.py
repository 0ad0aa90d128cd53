"""What refunds and disputes take from a payment's credits: tables, and what holds of every sequence."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.shortfall import Shortfall
from credits.reversals.model import (
    Dispute,
    DisputeState,
    LotState,
    PaidBack,
    Plan,
    Refund,
    RefundState,
    Step,
    Targets,
)
from credits.reversals.rules import disputed_minor, plan_for, refunded_minor, share, targets

OK, FAILED = RefundState.SUCCEEDED, RefundState.FAILED
OPEN, LOST, WON = DisputeState.OPEN, DisputeState.LOST, DisputeState.WON


def refund(amount_minor: int, state: RefundState = OK, *, is_counted: bool = True) -> Refund:
    return Refund(amount_minor=amount_minor, state=state, is_counted=is_counted)


def dispute(amount_minor: int, state: DisputeState) -> Dispute:
    return Dispute(amount_minor=amount_minor, state=state)


@pytest.mark.parametrize(
    ("refunds", "counted_minor", "minor"),
    [
        ([], 0, 0),
        ([refund(300), refund(200)], 0, 500),
        ([refund(300), refund(200)], 500, 500),
        ([refund(300)], 500, 500),
        ([], 500, 500),
        # One that failed is gone from the sum, whether or not the provider's count still has it.
        ([refund(300, FAILED)], 300, 0),
        ([refund(300, FAILED), refund(300)], 300, 300),
        ([refund(300, FAILED), refund(300)], 600, 300),
        # What no charge counts comes on top of what one does.
        ([refund(200, is_counted=False)], 300, 500),
    ],
)
def test_refunds_are_those_that_did_not_fail_and_those_that_are_only_counted(
    refunds: list[Refund], counted_minor: int, minor: int
) -> None:
    assert refunded_minor(PaidBack(paid_minor=1000, refunds=refunds, counted_minor=counted_minor)) == minor


@pytest.mark.parametrize(
    ("states", "returned_minor", "minor"),
    [
        ("lost lost", 0, 500),
        # Told by the one that was undone, by the money that came, or by both: it came back once.
        ("lost won", 0, 300),
        ("lost lost", 200, 300),
        ("lost won", 200, 300),
        ("won won", 200, 0),
        ("won won", 500, 0),
        # Money may come back of what nobody has told of yet.
        ("open open", 500, 0),
    ],
)
def test_money_that_came_back_of_several_disputes_counts_once_however_it_is_told(
    states: str, returned_minor: int, minor: int
) -> None:
    disputes = [dispute(m, DisputeState(state)) for m, state in zip((300, 200), states.split(), strict=True)]

    assert disputed_minor(PaidBack(paid_minor=1000, disputes=disputes, disputes_returned_minor=returned_minor)) == minor


@pytest.mark.parametrize(
    ("granted", "part_minor", "paid_minor", "credits"),
    [
        (100, 0, 1000, 0),
        (100, 300, 1000, 30),
        (100, 333, 1000, 34),
        (100, 1, 1000, 1),
        (100, 1000, 1000, 100),
        (100, 1500, 1000, 100),
        (1, 1, 1000, 1),
        (100, 5, 0, 100),
        (2**53 - 1, 2**53 - 2, 2**53 - 1, 2**53 - 2),
    ],
)
def test_a_share_is_rounded_up_and_the_whole_price_takes_exactly_all(
    granted: int,
    part_minor: int,
    paid_minor: int,
    credits: int,  # noqa: A002
) -> None:
    assert share(granted, part_minor, paid_minor) == credits


@pytest.mark.parametrize(
    ("refunds", "disputes", "clawed", "frozen"),
    [
        ([], [dispute(1000, OPEN)], 0, 100),
        ([], [dispute(1000, LOST)], 100, 0),
        ([], [dispute(1000, WON)], 0, 0),
        ([refund(300)], [dispute(1000, OPEN)], 30, 70),
        ([refund(300)], [dispute(1000, LOST)], 100, 0),
        ([refund(300)], [dispute(1000, WON)], 30, 0),
        ([refund(1000)], [dispute(1000, OPEN)], 100, 0),
        ([], [dispute(400, OPEN), dispute(400, LOST)], 40, 40),
    ],
)
def test_money_goes_back_once_whether_by_refund_or_dispute(
    refunds: list[Refund], disputes: list[Dispute], clawed: int, frozen: int
) -> None:
    back = PaidBack(paid_minor=1000, refunds=refunds, disputes=disputes)

    assert targets(100, back) == Targets(clawed=clawed, frozen=frozen)


@given(
    granted=st.integers(1, 10**6),
    paid_minor=st.integers(1, 10**6),
    refunds=st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(RefundState)), max_size=4),
    disputes=st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(DisputeState)), max_size=3),
    counted_minor=st.integers(0, 10**6),
    shuffle=st.randoms(use_true_random=False),
)
def test_targets_are_within_what_was_granted_in_proportion_and_in_any_order_the_same(
    granted: int,
    paid_minor: int,
    refunds: list[tuple[int, RefundState]],
    disputes: list[tuple[int, DisputeState]],
    counted_minor: int,
    shuffle: random.Random,
) -> None:
    back = PaidBack(
        paid_minor=paid_minor,
        refunds=[refund(*one) for one in refunds],
        disputes=[dispute(*one) for one in disputes],
        counted_minor=counted_minor,
    )
    wanted = targets(granted, back)
    gone_minor = refunded_minor(back) + sum(n for n, state in disputes if state is LOST)
    kept_minor = paid_minor - min(gone_minor, paid_minor)
    other = [*back.refunds], [*back.disputes]
    for one in other:
        shuffle.shuffle(one)

    assert 0 <= wanted.clawed <= wanted.clawed + wanted.frozen <= granted
    assert (granted - wanted.clawed) * paid_minor <= kept_minor * granted
    assert targets(granted, replace(back, refunds=other[0], disputes=other[1])) == wanted


LOT = LotState(granted=100, remaining=100, frozen=0)
NOTHING = Targets(clawed=0, frozen=0)


@pytest.mark.parametrize(
    ("lot", "wanted", "after", "plan"),
    [
        (LOT, Targets(clawed=0, frozen=0), None, Plan()),
        (LOT, Targets(clawed=30, frozen=0), None, Plan(step=Step.TAKE, amount=30)),
        (LOT, Targets(clawed=0, frozen=30), None, Plan(step=Step.FREEZE, amount=30)),
        # All of it is held: nothing is owed, and it is looked for again.
        (LOT, Targets(clawed=100, frozen=0), Step.TAKE, Plan(judged=100, is_waiting=True)),
        # Spent before: owed at once, without asking the gate for what is not there.
        (
            replace(LOT, remaining=0),
            Targets(clawed=100, frozen=0),
            None,
            Plan(step=Step.OWE, amount=100),
        ),
        # Lapsed unused: gone already.
        (replace(LOT, remaining=0, lapsed=100), Targets(clawed=100, frozen=0), None, Plan(judged=100)),
        (replace(LOT, remaining=0, lapsed=60), Targets(clawed=50, frozen=0), None, Plan(judged=50)),
        (replace(LOT, remaining=0, lapsed=60), Targets(clawed=100, frozen=0), None, Plan(step=Step.OWE, amount=40)),
        # A lost dispute takes what it froze, without the gate.
        (replace(LOT, frozen=100), Targets(clawed=100, frozen=0), None, Plan(judged=100, clawed_frozen=100)),
        (replace(LOT, frozen=100), Targets(clawed=0, frozen=0), None, Plan(unfrozen=100)),
        (replace(LOT, remaining=0, clawed=100), Targets(clawed=40, frozen=0), None, Plan(judged=40, restored=60)),
    ],
)
def test_a_lot_goes_step_by_step_to_its_target(lot: LotState, wanted: Targets, after: Step | None, plan: Plan) -> None:
    assert plan_for(lot, wanted, Shortfall.DEBT, after=after) == plan


def test_clamp_forgives_what_was_spent_and_takes_the_forgiveness_back_before_it_restores() -> None:
    lot = replace(LOT, remaining=0, clawed=40)

    forgiven = plan_for(lot, Targets(clawed=100, frozen=0), Shortfall.CLAMP)
    less = plan_for(replace(lot, forgiven=60), Targets(clawed=50, frozen=0), Shortfall.CLAMP)

    assert forgiven == Plan(forgiven=60, judged=100)
    assert less == Plan(forgiven=10, judged=50)


@dataclass
class World:
    """One lot in a ledger and a gate of a few lines, with what its payment's refunds and disputes ask for."""

    policy: Shortfall
    lot: LotState = LOT
    wanted: Targets = NOTHING
    free: int = 100
    held: int = 0
    spent: int = 0

    def settle(self) -> None:
        """Step by step, until nothing is left to do at this moment."""
        after: Step | None = None
        for _ in range(20):
            plan = plan_for(self.lot, self.wanted, self.policy, after=after)
            self.lot = replace(
                self.lot,
                remaining=self.lot.remaining + plan.restored - plan.clawed_frozen,
                frozen=self.lot.frozen - plan.clawed_frozen - plan.unfrozen,
                clawed=self.lot.clawed - plan.restored + plan.clawed_frozen,
                forgiven=plan.forgiven,
                judged=plan.judged,
            )
            self.free += plan.restored + plan.unfrozen
            if plan.step is None and not (plan.restored or plan.clawed_frozen or plan.unfrozen):
                return
            after = self._carry_out(plan) or after
        raise AssertionError(f"no end with {self}")

    def _carry_out(self, plan: Plan) -> Step | None:
        found = min(plan.amount, self.free)
        match plan.step:
            case Step.TAKE:
                self.free -= found
                self.lot = replace(self.lot, remaining=self.lot.remaining - found, clawed=self.lot.clawed + found)
            case Step.FREEZE:
                self.free -= found
                self.lot = replace(self.lot, frozen=self.lot.frozen + found)
            case Step.OWE:
                self.lot = replace(self.lot, clawed=self.lot.clawed + plan.amount)
            case None:
                pass
        return plan.step

    def spend_held(self, amount: int) -> None:
        amount = min(amount, self.held)
        self.held, self.spent = self.held - amount, self.spent + amount
        self.lot = replace(self.lot, remaining=self.lot.remaining - amount)

    def hold(self, amount: int) -> None:
        amount = min(amount, self.free)
        self.free, self.held = self.free - amount, self.held + amount

    def release(self, amount: int) -> None:
        amount = min(amount, self.held)
        self.held, self.free = self.held - amount, self.free + amount

    def lapse(self) -> None:
        self.lot = replace(self.lot, remaining=self.lot.remaining - self.free, lapsed=self.lot.lapsed + self.free)
        self.free = 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["want", "hold", "release", "spend", "lapse"]), st.integers(0, 100), st.integers(0, 100)),
    max_size=12,
)


@given(policy=st.sampled_from(Shortfall), steps=STEPS)
def test_no_sequence_of_holds_spends_and_lapses_escapes_a_clawback_or_is_charged_twice(
    policy: Shortfall, steps: list[tuple[str, int, int]]
) -> None:
    world = World(policy=policy)
    for word, first, second in steps:
        match word:
            case "want":
                world.wanted = Targets(clawed=first, frozen=min(second, 100 - first))
            case "hold":
                world.hold(first)
            case "release":
                world.release(first)
            case "spend":
                world.spend_held(first)
            case _:
                world.lapse()
        world.settle()
        lot = world.lot
        assert 0 <= lot.frozen <= lot.remaining
        assert 0 <= lot.clawed + lot.forgiven <= world.wanted.clawed
        assert lot.remaining + lot.clawed <= lot.granted
        assert lot.frozen <= world.wanted.frozen
    world.release(100)
    world.settle()

    lot = world.lot
    assert lot.clawed + lot.forgiven + lot.lapsed >= world.wanted.clawed
    assert policy is Shortfall.CLAMP or lot.forgiven == 0
    assert world.free == 0 or lot.frozen == world.wanted.frozen
    assert world.free + lot.frozen == lot.remaining
