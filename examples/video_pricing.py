"""A price calculator. credits.toml names it as `examples.video_pricing:video_price`."""

from decimal import Decimal

PRICE_PER_SECOND = Decimal("0.05")
TEAM_PRICE_PER_SECOND = Decimal("0.04")


def video_price(amount: int, plan: str | None) -> Decimal:
    """
    What `amount` seconds of video cost, in the credit type's currency.

    `plan` is the key of the buyer's plan, None without one. The plan's discount is taken off afterwards.
    Teams have their own price, and from the 3601st second on everybody pays half.
    """
    rate = TEAM_PRICE_PER_SECOND if plan == "team" else PRICE_PER_SECOND
    first_hour = min(amount, 3600)
    return rate * first_hour + rate / 2 * (amount - first_hour)
