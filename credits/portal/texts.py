"""The page's words by language, and numbers, dates and money as people of a locale write them."""

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import format_decimal, format_percent

from credits.pricing.money import written
from credits.units import Money

LANGUAGES: Final = ("en", "de")
_LONGEST_TAG: Final = 35

_DAY_AND_TIME: Final = ((format_date, "medium"), (format_time, "short"))


@dataclass(frozen=True, slots=True)
class Words:
    """Everything a page says, in one locale and time zone."""

    locale: str
    zone: str = "UTC"

    @property
    def language(self) -> str:
        """The language of the words; numbers and dates follow the whole locale."""
        language = self.locale.partition("_")[0]
        return language if language in LANGUAGES else LANGUAGES[0]

    @property
    def is_right_to_left(self) -> bool:
        return Locale.parse(self.language).character_order == "right-to-left"

    def __call__(self, name: str, **values: object) -> str:
        """The sentence `name`; a word that has no translation is shown by its name."""
        return _texts(self.language).get(name, name).format(**values)

    def has(self, name: str) -> bool:
        """Whether there is a sentence `name`: providers have words of their own for what they tell."""
        return name in _texts(self.language)

    def kinds_called(self, text: str) -> tuple[str, ...]:
        """The kinds of entries in whose words `text` is, as people read them in the history."""
        said = {name: words for name, words in _texts(self.language).items() if name.startswith("kind_")}
        return tuple(name.removeprefix("kind_") for name, words in said.items() if text.casefold() in words.casefold())

    def number(self, value: int) -> str:
        return str(format_decimal(value, locale=_known(self.locale)))

    def percent(self, share: Decimal) -> str:
        return str(format_percent(share, format="#,##0.##%", locale=_known(self.locale)))

    def money(self, amount_minor: int | None, currency: str | None) -> str:
        if amount_minor is None or currency is None:
            return ""
        return written(Money(amount_minor=amount_minor, currency=currency), self.locale)

    def date(self, at_ms: int) -> str:
        return str(format_date(self._local(at_ms), format="long", locale=_known(self.locale)))

    def short_date(self, at_ms: int) -> str:
        return str(format_date(self._local(at_ms), format="medium", locale=_known(self.locale)))

    def instant(self, at_ms: int) -> str:
        """Day and minute; `iso` has the second."""
        local = self._local(at_ms)
        day, time = (how(local, format=form, locale=_known(self.locale)) for how, form in _DAY_AND_TIME)
        return str(get_datetime_format("medium", locale=_known(self.locale))).replace("'", "").format(time, day)

    def iso(self, at_ms: int) -> str:
        """For the `datetime` attribute."""
        return self._local(at_ms).isoformat(timespec="seconds")

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(ZoneInfo(self.zone))


def chosen_locale(wanted: str | None, accepted: Iterable[str], default: str) -> str:
    """The locale of a visitor: as the link says, else the browser's first that we have words for, else the default."""
    if wanted is not None:
        return wanted
    listed = [tag.replace("-", "_") for tag in accepted]
    known = [tag for tag in listed if tag.partition("_")[0] in LANGUAGES]
    found = negotiate_locale(known, known) if known else None
    try:
        return str(Locale.parse(found)) if found else default
    except ValueError:
        return default


def first_locale(*tags: str | None, default: str) -> str:
    """The first of `tags` that names a locale, as `de`, `de-AT` or `de_AT`; else the default."""
    for tag in tags:
        with suppress(ValueError, UnknownLocaleError):
            if tag:
                return str(Locale.parse(tag[:_LONGEST_TAG].replace("-", "_")))
    return default


@lru_cache(maxsize=64)
def _known(locale: str) -> Locale:
    # Babel would read the name anew for each number on a page.
    return Locale.parse(locale)


@cache
def _texts(language: str) -> dict[str, str]:
    text = (resources.files("credits.portal") / "texts" / f"{language}.toml").read_text("utf-8")
    return {name: str(value) for name, value in tomllib.loads(text).items()}
