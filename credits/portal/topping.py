"""Automatic top-up on the page: what the owner agrees to, and why the card was charged or not."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from credits.checkout.cards import CardCharger
from credits.engine import Credits
from credits.errors import CreditsError, InvalidInputError, InvalidSumError
from credits.portal.buying import chosen_amount
from credits.portal.texts import Words
from credits.portal.view import offers
from credits.pricing.money import decimals_of, plain

WAYS: Final = ("amount", "target")
ACTIONS: Final = ("set", "off")
"""Buy so many each time, or as many as fill it up to so many."""

_FIELDS: Final = ("threshold", "way", "amount", "cap")
_SHOWN_AS: Final = {"target": "amount", "monthly_cap_minor": "cap"}

_SPACES: Final = str.maketrans("", "", " \u00a0\u202f'’")


def can_top_up(library: Credits) -> bool:
    """Whether anybody here can charge a saved card."""
    sellers = library.shop.sellers
    return any(isinstance(sellers[name], CardCharger) for name in sellers)


def chosen_money(text: str, currency: str, field: str) -> int:
    """A sum as people type it, `20`, `20.5` or `20,50`, in the currency's smallest unit."""
    digits = text.translate(_SPACES).replace(",", ".")
    places = decimals_of(currency)
    try:
        amount = Decimal(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else None
    except InvalidOperation:
        amount = None
    minor = None if amount is None else amount.scaleb(places)
    if minor is None or minor != minor.to_integral_value() or not 1 <= minor <= 10**12:
        raise InvalidSumError(field, text[:40], currency)
    return int(minor)


def cards(
    library: Credits, account: str, words: Words, *, sent: Mapping[str, str] | None = None, wrong: Mapping[str, str]
) -> list[dict[str, Any]]:
    """
    For every credit type that is for sale: what is agreed, and how it stands.

    A form that was refused is shown as it was filled in, with what is `wrong` by field.
    """
    agreed = {one["credit_type"]: one for one in library.topups(account)}
    shown = [_card(library, offer.kind, agreed.get(offer.kind.key), words) for offer in offers(library)]
    return [
        {**card, **{name: sent.get(name, "") for name in _FIELDS}, "wrong": wrong}
        if sent is not None and sent.get("type") == card["kind"].key
        else card
        for card in shown
    ]


def wrong_field(error: InvalidInputError) -> str:
    """The field of the page's form that an error is about."""
    return _SHOWN_AS.get(error.field, error.field)


def save(library: Credits, account: str, form: Mapping[str, str]) -> None:
    """Do what a form of the page says: switch it on as it is filled in, or off."""
    credit_type = form.get("type", "")
    action = form.get("action", "")
    if action not in ACTIONS:
        raise InvalidInputError("action", f"must be one of {', '.join(ACTIONS)}, got {action[:40]!r}")
    if action == "off":
        library.stop_topup(account, credit_type)
        return
    currency = library.catalogue.credit_type(credit_type).currency
    way = form.get("way", WAYS[0])
    if way not in WAYS:
        raise InvalidInputError("way", f"must be one of {', '.join(WAYS)}, got {way[:40]!r}")
    wanted = chosen_amount(form.get("amount", ""))
    library.set_topup(
        account,
        credit_type,
        threshold=chosen_amount(form.get("threshold", ""), "threshold"),
        amount=wanted if way == "amount" else None,
        target=wanted if way == "target" else None,
        monthly_cap_minor=chosen_money(form.get("cap", ""), currency, "cap"),
    )


def _card(library: Credits, kind: Any, agreed: Mapping[str, Any] | None, words: Words) -> dict[str, Any]:
    if agreed is None:
        fresh = {"way": WAYS[0], "threshold": "", "amount": "", "cap": "", "status": None, "link": None}
        return {"kind": kind, "is_on": False, "wrong": {}, **fresh}
    way = WAYS[0] if agreed["target"] is None else WAYS[1]
    currency = agreed["currency"]
    return {
        "kind": kind,
        "wrong": {},
        "is_on": agreed["is_on"],
        "threshold": agreed["threshold"],
        "way": way,
        "amount": agreed[way],
        "cap": plain(Decimal(agreed["monthly_cap_minor"]).scaleb(-decimals_of(currency))),
        "cost": _cost(library, agreed, words),
        "spent": words.money(agreed["spent_this_month_minor"], currency),
        "status": words(f"topup_{agreed['reason']}"),
        "link": agreed["finish_url"],
    }


def _cost(library: Credits, agreed: Mapping[str, Any], words: Words) -> str | None:
    if agreed["amount"] is None:
        return None
    try:
        price = library.price(
            agreed["credit_type"], agreed["amount"], account=agreed["account"], currency=agreed["currency"]
        )
    except CreditsError:
        return None
    return words.money(price.money.amount_minor, price.currency)
