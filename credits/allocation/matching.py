"""
Decide whose an order is that its provider lists without saying so. Pure.

An order of a product that only our checkouts sell was made by one of them, so its own quote is among all quotes of
that price from that time: paid or not, ours to see. A stranger who opens quotes can make that unclear, never theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from credits.pricing.likely import CLOCKS_MS

LATE_MS: Final = 30 * 60_000
"""Whoever has the page open when a checkout expires may still be let through."""

SETTLING_MS: Final = 15 * 60_000
"""By then whatever else was paid for a quote has been listed, too: two passes of the reconciliation."""


class Tie(StrEnum):
    """What binds an order to a quote of the same price."""

    REFERENCE = "the quote's reference on the order"
    PAYER = "the payer, who is known as the account's"
    NONE = "nothing but price and time"
    AGAINST = "the price, but another payer than the quote's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A quote that asked for the same before the order was paid, whatever has become of it since."""

    quote_id: str
    account: str
    what: str
    """What it sells: `100 image_generation`, `plan pro`."""
    is_unpaid: bool
    made_at_ms: int
    expires_at_ms: int | None
    tie: Tie

    def lived_at(self, paid_at_ms: int) -> bool:
        """Whether its checkout could be paid then."""
        ends_ms = self.made_at_ms if self.expires_at_ms is None else self.expires_at_ms + LATE_MS
        return self.made_at_ms - CLOCKS_MS <= paid_at_ms <= ends_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The order is that quote's."""

    chosen: Candidate
    tie: Tie


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Only one quote can be meant; it is believed once nothing else can turn up for it."""

    quote_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Somebody has to look."""

    reason: str


Verdict = Matched | Later | Unclear


def match(
    candidates: Sequence[Candidate],
    *,
    paid_at_ms: int,
    now_ms: int,
    believes_price: bool,
    other_orders: Callable[[Candidate], int],
) -> Verdict:
    """
    The quote of an order, by the strongest tie there is; `candidates` are all quotes alike, the newest first.

    By price and time alone only where `believes_price`, and only the one quote there is, unpaid, after its time, if
    no other order (`other_orders` counts them) can be its own.
    """
    living = [one for one in candidates if one.lived_at(paid_at_ms)]
    for tie in (Tie.REFERENCE, Tie.PAYER):
        tied = [one for one in living if one.tie is tie]
        if len({(one.account, one.what) for one in tied}) > 1:
            meant = ", ".join(f"{one.what} for {one.account}" for one in tied[:5])
            return Unclear(reason=f"{tie.value} fits several quotes: {meant}")
        if tied:
            # The unpaid one that was opened last; a checkout may also be paid twice.
            chosen = next((one for one in tied if one.is_unpaid), tied[0])
            return Matched(chosen=chosen, tie=tie)
    return _by_price(candidates, living, now_ms=now_ms, believes_price=believes_price, other_orders=other_orders)


def _by_price(
    candidates: Sequence[Candidate],
    living: Sequence[Candidate],
    *,
    now_ms: int,
    believes_price: bool,
    other_orders: Callable[[Candidate], int],
) -> Verdict:
    if not living:
        return Unclear(reason="no quote of that price was open when it was paid")
    if len(candidates) > 1:
        return Unclear(reason=f"{len(candidates)} quotes of that price may be meant, and nothing tells which")
    only = living[0]
    if only.tie is Tie.AGAINST:
        return Unclear(reason=f"the one quote of that price is {only.account}'s, and another person paid")
    if not believes_price:
        return Unclear(reason=f"only price and time point to {only.account}, which purchases.unnamed does not believe")
    if not only.is_unpaid:
        return Unclear(reason=f"the one quote of that price, {only.account}'s, was paid before")
    believed_ms = (only.expires_at_ms or only.made_at_ms) + LATE_MS + SETTLING_MS
    if now_ms < believed_ms:
        return Later(quote_id=only.quote_id, at_ms=believed_ms)
    others = other_orders(only)
    if others:
        return Unclear(
            reason=f"{only.account}'s quote is the only one of that price, and {others + 1} orders may be its own"
        )
    return Matched(chosen=only, tie=Tie.NONE)
