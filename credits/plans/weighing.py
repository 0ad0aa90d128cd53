"""
Decides how many credits go for money that changes of plan gave back. Pure functions.

The segments that the changes of one billing period split are one pool. What the changes ask for together goes of it: no
more than was handed out, nothing that lapsed unused, and nothing that a refund takes anyway. That is a sum, and so it
comes to the same in whatever order the changes, the payments and the refunds are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLot:
    """One lot of the pool."""

    grant_id: int
    granted: int
    """Less what was carried on into lots that count by themselves, and what changes of other periods took."""
    lapsed: int = 0
    """Ended unused, with nothing to be carried on of it; or went with its plan."""
    to_carry: int = 0
    """Of what ended unused: what is to be carried on, and is not yet."""
    wanted: int = 0
    """What refunds and disputes take of it."""
    clawed: int = 0
    """Of these: how many were taken already, or forgiven."""
    taken: int = 0
    """What was taken of it for the pool's changes."""
    reachable: int = 0
    """What is left of it, and not frozen."""

    @property
    def room(self) -> int:
        """What changes can take beside its refunds."""
        return max(0, self.granted - self.wanted)

    @property
    def free(self) -> int:
        """Of what lapsed: what stands for no credits that a refund would have taken."""
        return max(0, self.lapsed - max(0, min(self.wanted, self.granted) - self.clawed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the changes of one billing period split, of one credit type."""

    asked: int
    ordered: int
    """So far, less what was given back."""
    is_carried_out: bool
    """Whether the gate has done all that was ordered."""
    lots: Sequence[PoolLot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What is to be done about a pool."""

    to_yield: dict[int, int] = field(default_factory=dict)
    """By lot: what changes took of it and refunds want. It is theirs; do it, and weigh again what changes take."""
    to_order: int = 0
    to_give_back: int = 0
    not_to_carry: dict[int, int] = field(default_factory=dict)
    """By lot: how much less of it is to be carried on."""
    owed: int = 0
    """What is taken from elsewhere, or owed, as the pool's own credits were spent."""


def weigh(pool: Pool, *, anew: bool = False) -> Weighed:
    """
    How many credits to order now, or to give back as they turned out to be too many.

    `anew`: what was owed is given back as far as the pool has as much again, for it to be ordered once more.
    """
    to_yield = {lot.grant_id: lot.taken - lot.room for lot in pool.lots if lot.taken > lot.room}
    if to_yield and pool.is_carried_out:
        return Weighed(to_yield=to_yield)
    due = min(pool.asked, sum(lot.room for lot in pool.lots))
    free = sum(lot.free for lot in pool.lots)
    taken = sum(lot.taken for lot in pool.lots)
    elsewhere = max(0, pool.ordered - taken) if pool.is_carried_out else 0
    missing = max(0, due - free - pool.ordered)
    not_to_carry = spread(missing, {lot.grant_id: lot.to_carry for lot in pool.lots})
    to_order = missing - sum(not_to_carry.values())
    too_many = max(pool.ordered - due, elsewhere - max(0, due - free - taken))
    if anew:
        too_many = max(too_many, min(elsewhere, sum(lot.reachable for lot in pool.lots)))
    to_give_back = max(0, too_many) if not missing and pool.is_carried_out else 0
    return Weighed(
        to_order=to_order,
        to_give_back=to_give_back,
        not_to_carry=not_to_carry,
        owed=max(0, elsewhere - to_give_back),
    )


def spread(amount: int, room: Mapping[int, int]) -> dict[int, int]:
    """`amount` over what has room for it, in its order."""
    shares = {}
    for name, most in room.items():
        shares[name] = max(0, min(amount, most))
        amount -= shares[name]
    return shares
