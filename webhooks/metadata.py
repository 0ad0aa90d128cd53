"""What we write on an object at a provider when we sell something, and read back from its events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credits.checkout.marks import ACCOUNT, AMOUNT, CREDIT_TYPE, QUOTE
from credits.ids import checked_id
from credits.inbox.provider import Simulation
from credits.units import parse_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Our own metadata; None for whatever is not there."""

    account: str | None = None
    credit_type: str | None = None
    amount: int | None = None
    quote_id: str | None = None


def read_metadata(values: object) -> Metadata:
    """
    Read our keys and pass over everybody else's.

    Providers send null or an empty list where there is no metadata: that says nothing, like an empty value.
    Raises InvalidInputError if one of our keys holds an amount or id outside its bounds.
    """
    if not isinstance(values, Mapping):
        return Metadata()
    amount = _given(values, AMOUNT)
    return Metadata(
        account=_id(values, ACCOUNT),
        credit_type=_id(values, CREDIT_TYPE),
        amount=None if amount is None else parse_amount(amount, AMOUNT),
        quote_id=_id(values, QUOTE),
    )


def write_metadata(simulation: Simulation) -> dict[str, str]:
    """The metadata that a checkout of ours would have put on the simulated object; values are text, as at providers."""
    values = {
        ACCOUNT: simulation.account,
        CREDIT_TYPE: simulation.credit_type,
        AMOUNT: simulation.amount,
        QUOTE: simulation.quote_id,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _id(values: Mapping[str, Any], name: str) -> str | None:
    value = _given(values, name)
    # Lemon Squeezy hands custom data on as it was given: an account that is a number stays a number.
    return None if value is None else checked_id(str(value) if type(value) is int else value, name)


def _given(values: Mapping[str, Any], name: str) -> object:
    value = values.get(name)
    return None if value == "" else value
