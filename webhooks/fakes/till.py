"""A checkout page as it is shown: what is bought, where it stands, what can be done about it. No provider's words."""

from dataclasses import dataclass
from typing import Final

from credits.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """Something that can be done: by a payer, or by fate."""

    action: str
    label: str
    hint: str = ""
    is_main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """One checkout page."""

    provider: str
    seller: str
    title: str
    total: str
    lines: tuple[tuple[str, str], ...]
    """Below the total: words and sums."""
    state: str
    state_text: str
    is_open: bool
    """Whether it can be paid now; then a promotion and a tax may be chosen."""
    buttons: tuple[Button, ...]
    """For the payer, while it is open."""
    fate: tuple[Button, ...]
    """What else may happen to it: for whoever tries things out."""
    cancel_url: str | None
    marks: tuple[tuple[str, str], ...]
    """What we wrote on it."""
    message: str = ""
    links: tuple[tuple[str, str], ...] = ()
    """Words and addresses: what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a payer adds: a promotion in per cent off, a tax in per cent on top, another address than was filled in."""

    off_percent: int = 0
    tax_percent: int = 0
    email: str = ""

    def discount_minor(self, price_minor: int) -> int:
        return price_minor * self.off_percent // 100

    def tax_minor(self, price_minor: int) -> int:
        return (price_minor - self.discount_minor(price_minor)) * self.tax_percent // 100

    def total_minor(self, price_minor: int) -> int:
        return price_minor - self.discount_minor(price_minor) + self.tax_minor(price_minor)


PERCENTS: Final = (0, 10, 20, 50, 100)


def read_extras(form: "dict[str, str]") -> Extras:
    """The extras of a posted form. Raises InvalidInputError for what the page does not offer."""
    values = {}
    for name in ("off_percent", "tax_percent"):
        text = form.get(name, "0")
        if text not in {str(percent) for percent in PERCENTS}:
            raise InvalidInputError(name, f"must be one of {PERCENTS}, got {text[:20]!r}")
        values[name] = int(text)
    return Extras(**values, email=form.get("email", "")[:200])
