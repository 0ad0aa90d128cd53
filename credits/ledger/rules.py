"""Decisions of the ledger: what can be spent. Pure functions. (Which credits burn first is the gate's: `sort_key`.)"""

from collections.abc import Iterable

from credits.ledger.model import Lot


def spendable(lot: Lot, now_ms: int) -> int:
    """
    What may be taken from `lot` at `now_ms`.

    A lot lapses at its expiry instant itself, whether or not the sweep has written that down.
    """
    if lot.effective_at_ms > now_ms:
        return 0
    if lot.expires_at_ms is not None and lot.expires_at_ms <= now_ms:
        return 0
    return lot.remaining - lot.frozen


def available(lots: Iterable[Lot], debt: int, now_ms: int) -> int:
    """What can be spent at `now_ms`: the spendable part of every lot, less what the account owes; never below 0."""
    return max(0, sum(spendable(lot, now_ms) for lot in lots) - debt)
