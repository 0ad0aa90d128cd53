"""Buying on the page: what a form asks for, what it costs, and the checkout it opens."""

from collections.abc import Mapping
from typing import Any

from credits.checkout.quotes import PURCHASE_ID
from credits.engine import Credits
from credits.errors import CreditsError, InvalidAmountError, InvalidInputError
from credits.ids import digest
from credits.portal.faults import told
from credits.portal.texts import Words
from credits.pricing.model import Price
from credits.pricing.money import rounded, to_minor
from credits.units import MAX_AMOUNT


def chosen_amount(text: str, field: str = "amount") -> int:
    """A whole number as people type it: with spaces, points or commas between the thousands."""
    digits = "".join(char for char in text if char not in " \u00a0\u202f.,'’_")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 16 or not 1 <= int(digits) <= MAX_AMOUNT:
        raise InvalidAmountError(field, text[:40], MAX_AMOUNT)
    return int(digits)


def asked_price(library: Credits, account: str, sent: Mapping[str, str], words: Words) -> dict[str, Any] | None:
    """What a form's choice costs, written for people; `error` says why it has no price. None if it chose nothing."""
    credit_type = sent.get("type")
    if not credit_type:
        return None
    try:
        amount = chosen_amount(sent.get("amount", ""))
        price = library.price(credit_type, amount, account=account, currency=sent.get("currency") or None)
    except CreditsError as error:
        return {"error": told(error, library, words)}
    plan = None if price.plan is None else library.catalogue.plan(price.plan).name
    return {
        "error": None,
        "total": words.money(price.money.amount_minor, price.currency),
        "list_total": words.money(_list_minor(price), price.currency) if price.discount else None,
        "discount": words("discount", percent=words.percent(price.discount), plan=plan) if price.discount else None,
        "bonus": words("bonus", amount=words.number(price.bonus)) if price.bonus else None,
        "credits": words.number(price.credits),
    }


def buy(
    library: Credits, account: str, form: Mapping[str, str], *, back_url: str, email: str | None
) -> Mapping[str, Any]:
    """
    Open the checkout that a form asks for.

    A form that is sent twice (a double click, the back button) opens one checkout: its key names the form and what was
    chosen in it, so that another choice on the same form is another checkout.
    """
    request_key = form.get("request_key", "")[:64]
    if not request_key:
        raise InvalidInputError("request_key", "is missing; load the page again")
    chosen: dict[str, Any] = (
        {"plan": form["plan"]}
        if form.get("plan")
        else {
            "credit_type": form.get("type", ""),
            "amount": chosen_amount(form.get("amount", "")),
            "currency": form.get("currency") or None,
        }
    )
    provider = form.get("provider", "")
    key = f"portal:{digest(account, request_key, provider, email, *sorted(chosen.items()))[:48]}"
    back = f"{back_url}/{PURCHASE_ID}"
    return library.checkout(
        account, provider=provider, key=key, success_url=back, cancel_url=back, email=email, **chosen
    )


def _list_minor(price: Price) -> int:
    return to_minor(rounded(price.list_total, price.currency), price.currency)
