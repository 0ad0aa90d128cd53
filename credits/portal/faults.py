"""What is wrong with what a visitor typed, in their own words: the bound, and nothing of our fields and insides."""

from credits.engine import Credits
from credits.errors import (
    AmountNotForSaleError,
    CreditsError,
    InvalidAmountError,
    InvalidIdError,
    InvalidInputError,
    InvalidSumError,
    NoPriceError,
    TopupCapTooSmallError,
)
from credits.portal.texts import Words


def told(error: CreditsError, library: Credits, words: Words) -> str:
    """A sentence to stand beside the field, in the visitor's language."""
    match error:
        case AmountNotForSaleError():
            return _not_for_sale(error, library, words)
        case NoPriceError():
            return _no_price(error, library, words)
        case InvalidAmountError():
            return words("whole_number", example=words.number(100))
        case InvalidSumError():
            return words("a_sum", currency=error.currency)
        case TopupCapTooSmallError():
            return words("topup_cap_at_least", price=words.money(error.cost_minor, error.currency))
        case InvalidInputError() if error.field == "target":
            return words("topup_above_threshold")
        case InvalidIdError() if error.field == "account":
            return words("not_for_sale")
        # Nothing that our forms send; the sentences of errors are for whoever writes programs.
        case InvalidInputError():
            return words("not_understood")
        case _:
            return words("did_not_work")


def _not_for_sale(error: AmountNotForSaleError, library: Credits, words: Words) -> str:
    kind = library.catalogue.credit_types.get(error.credit_type)
    if kind is None:
        return words("not_for_sale")
    if kind.pricing is None:
        amounts = ", ".join(words.number(pack.amount) for pack in kind.packs)
        return words("amount_packs", amounts=amounts) if amounts else words("not_for_sale")
    if error.amount < kind.minimum_amount:
        return words("amount_at_least", amount=words.number(kind.minimum_amount))
    if error.amount > kind.largest_amount:
        return words("amount_at_most", amount=words.number(kind.largest_amount))
    return words("amount_not_for_sale")


def _no_price(error: NoPriceError, library: Credits, words: Words) -> str:
    kind = library.catalogue.credit_types[error.credit_type]
    return words("no_price_in", currency=error.currency, known=", ".join((kind.currency, *kind.prices)))
