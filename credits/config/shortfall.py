"""What credits.toml says about clawbacks that find too little."""

from enum import StrEnum


class Shortfall(StrEnum):
    """What becomes of the part of a clawback that was spent before: per credit type, in credits.toml."""

    DEBT = "debt"
    """The account owes it; the next grant repays it."""
    CLAMP = "clamp"
    """It is forgiven: the balance never falls below 0 for it."""
    BLOCK = "block"
    """It is owed, and nothing can be reserved until it is repaid or an operator says so."""
