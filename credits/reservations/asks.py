"""What is asked of the gate, and what its answer comes to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from credits.db import is_unavailable
from credits.errors import CreditsError, GateUnavailableError, IdempotencyConflictError
from credits.reservations.answers import Committed
from credits.reservations.model import Answer, Durability, Overage
from credits.reservations.protocol import Answered
from credits.reservations.scripts import Verb
from credits.reservations.turns import Taken

TAKEN: Final = frozenset({Answer.COMMITTED, Answer.RESCUED, Answer.REPLAYED})
"""Answers that say that the gate has taken the credits, now or before."""


class Commit(NamedTuple):
    """What a caller commits."""

    account: str
    reservation_id: str
    items: Mapping[str, int] | None = None
    """What was used (0 allowed); None: all that is held."""
    step: str = "final"
    """Names this commit among those of the reservation."""
    final: bool = True
    """Whether the rest returns; otherwise it stays held for further steps."""
    overage: Overage = Overage.DENY
    if_lost: Mapping[str, int] | None = None
    """What `items=None` comes to where the hold is gone and cannot say."""
    member: str | None = None
    """Whose it was, where the hold is gone and cannot say."""


class Ask(NamedTuple):
    """One call of the gate, ready to be sent."""

    account_id: int
    name: str
    verb: Verb
    args: tuple[str | int, ...]
    op: str = ""
    content: str = ""
    member: str | None = None


def committed(ask: Ask, answered: Answered, taken: Taken | None) -> Committed:
    """What a commit came to. Raises IdempotencyConflictError if its key had booked something else long ago."""
    if taken is not None and taken.fingerprint is not None:
        check_content(ask, taken.fingerprint)
    is_booked = taken is not None and taken.is_booked
    return Committed(
        reservation_id=ask.name,
        durability=Durability.LEDGER if is_booked else Durability.REDIS,
        is_pending=taken is not None and not is_booked,
        rescued=answered.words[0] == Answer.RESCUED,
        replayed=answered.words[0] == Answer.REPLAYED,
    )


@contextmanager
def database_needed() -> Iterator[None]:
    """Say of a database that is away what is said of Redis: the call is safe to repeat."""
    try:
        yield
    except CreditsError:
        raise
    # A driver's error has no class of ours; whether the server was there can be known of it.
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise GateUnavailableError(f"the database did not answer ({type(error).__name__})") from error


def check_content(ask: Ask, booked: str) -> None:
    """Raise IdempotencyConflictError if the ledger has other content under the key than was asked for now."""
    if booked != ask.content:
        raise IdempotencyConflictError(ask.name, first="other content", now="this")
