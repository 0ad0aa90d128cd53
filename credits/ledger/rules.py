"""Decisions of the ledger: which credits burn first, and what can be spent. Pure functions."""

from collections.abc import Iterable, Sequence

from credits.ledger.model import PAID_SOURCES, Lot, Take

_NEVER_MS = 2**63


def burn_order(lots: Iterable[Lot]) -> list[Lot]:
    """Lower priority number first, then soonest expiry, then free before paid, then oldest."""
    return sorted(
        lots,
        key=lambda lot: (
            lot.priority,
            _NEVER_MS if lot.expires_at_ms is None else lot.expires_at_ms,
            lot.source in PAID_SOURCES,
            lot.grant_id,
        ),
    )


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


def take(lots: Sequence[Lot], debt: int, amount: int, now_ms: int) -> tuple[Take, ...] | None:
    """Take `amount` from `lots` in burn order; None if fewer are available. Credits that cover a debt stay."""
    if available(lots, debt, now_ms) < amount:
        return None
    takes: list[Take] = []
    missing = amount
    for lot in burn_order(lots):
        part = min(missing, spendable(lot, now_ms))
        if part > 0:
            takes.append(Take(grant_id=lot.grant_id, amount=part))
            missing -= part
        if missing == 0:
            break
    return tuple(takes)
