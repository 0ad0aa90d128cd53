"""What a caller may ask of the gate, and the names and digests under which it is asked. Pure functions."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final

from credits.config.settings import Tenant
from credits.errors import InvalidInputError, UnknownCreditTypeError
from credits.errors.tree import shown
from credits.ids import checked_id, digest
from credits.reservations.model import Overage
from credits.units import checked_amount

MAX_TYPES: Final = 16
MIN_TTL_S: Final = 1
MAX_TTL_S: Final = 86_400
MAX_EXTENSION_S: Final = 7 * 86_400
"""A hold ends this long after it was made, however often it is extended."""


def checked_items(
    items: Mapping[str, int], known: Collection[str], *, smallest: int = 1, field: str = "items"
) -> dict[str, int]:
    """
    The amounts per credit type, each within its bounds.

    Raises InvalidInputError, InvalidAmountError or UnknownCreditTypeError.
    """
    # Most are dictionaries, and asking an abstract class takes longer.
    if type(items) is not dict and not isinstance(items, Mapping):
        raise InvalidInputError(field, f'must be amounts by credit type, such as {{"tokens": 20}}, got {shown(items)}')
    if not 1 <= len(items) <= MAX_TYPES:
        raise InvalidInputError(field, f"must name 1 to {MAX_TYPES} credit types, got {len(items)}")
    checked = {}
    for kind, amount in items.items():
        if kind not in known:
            raise UnknownCreditTypeError(kind, ", ".join(known), field=field)
        checked[kind] = checked_amount(amount, f"{field}.{kind}", smallest=smallest)
    return checked


def checked_ttl_ms(ttl_s: float, field: str = "ttl_s") -> int:
    """A hold's time to live in ms. Raises InvalidInputError outside 1 s to 24 h."""
    if type(ttl_s) not in {int, float} or not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise InvalidInputError(field, f"must be a number from {MIN_TTL_S} to {MAX_TTL_S} seconds, got {shown(ttl_s)}")
    return round(ttl_s * 1000)


# A commit asks for what its reservation asked for a moment ago, and amounts are few: they are remembered for a while.
@lru_cache(maxsize=4_096)
def hold_name(tenant: Tenant, account_id: int, reservation_id: str) -> str:
    """A hold as Redis knows it: a digest of tenant, account and the caller's id, so that no spelling reaches a key."""
    return digest(tenant.value, account_id, reservation_id)[:32]


def fingerprint(*content: object) -> str:
    """What a call asked for, digested: the same name with another fingerprint is a conflict."""
    return digest(*content)[:32]


def checked_member(member: object) -> str | None:
    """For whom an account spends, in normal form; None for nobody. Raises InvalidIdError."""
    return None if member is None else checked_id(member, "member")


def content_of(items: Mapping[str, int], member: str | None) -> str:
    """The fingerprint of what is to be reserved or spent, and for whom."""
    return _content_of(tuple(sorted(items.items())), member)


def content_of_commit(items: Mapping[str, int] | None, *, final: bool, overage: Overage) -> str:
    """The fingerprint of a commit: of what was sent, without anything derived, so that a repetition finds the same."""
    return _content_of_commit(None if items is None else tuple(sorted(items.items())), final, overage.value)


@lru_cache(maxsize=1_024)
def step_name(step: str) -> str:
    """A step of a hold as Redis knows it."""
    return digest(step)[:12]


@lru_cache(maxsize=4_096, typed=True)
def _content_of(items: tuple[tuple[str, int], ...], member: str | None) -> str:
    whose = () if member is None else (("member", member),)
    return fingerprint(*items, *whose)


@lru_cache(maxsize=4_096, typed=True)
def _content_of_commit(items: tuple[tuple[str, int], ...] | None, final: bool, overage: str) -> str:
    return fingerprint("all" if items is None else list(items), final, overage)


def flat(items: Mapping[str, int]) -> Iterator[str | int]:
    """Items as the scripts take them: type, amount, type, amount."""
    for kind, amount in items.items():
        yield kind
        yield amount
