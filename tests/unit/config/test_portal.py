"""`[portal]` and `[notifications]` of credits.toml: what is wrong is told by key and reason."""

from pathlib import Path
from typing import Any

import pytest

from credits.config.findings import Report
from credits.config.load import read_catalogue
from credits.portal.brand import colours_css, luminance

TYPES: dict[str, Any] = {"tokens": {"name": "Tokens", "currency": "USD"}}


def problems(folder: Path, **tables: Any) -> dict[str, str]:
    report = Report()
    read_catalogue({"credit_types": TYPES, **tables}, folder, report)
    return dict(report.findings().problems)


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ({"colour": "blue"}, "portal.colour", "#1f5fbf"),
        ({"colour": "#12345"}, "portal.colour", "#1f5fbf"),
        ({"logo": "nothing.png"}, "portal.logo", "not there"),
        ({"logo": "logo.exe"}, "portal.logo", "must be a"),
        ({"logo": "large.png"}, "portal.logo", "at most 20480 bytes"),
        ({"name": ""}, "portal.name", "1 to 200"),
        ({"color": "#123456"}, "portal.color", "colour"),
    ],
)
def test_a_page_that_would_look_wrong_is_a_problem(
    tmp_path: Path, table: dict[str, Any], key: str, reason: str
) -> None:
    (tmp_path / "large.png").write_bytes(b"x" * 20_481)

    found = problems(tmp_path, portal=table)

    assert reason in found[key]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"low_balance": {"gold": 5}}, "notifications.low_balance.gold"),
        ({"low_balance": {"tokens": 0}}, "notifications.low_balance"),
        ({"lapse_notice_days": 0}, "notifications.lapse_notice_days"),
        ({"lapse_notice_days": True}, "notifications.lapse_notice_days"),
    ],
)
def test_a_notice_that_could_not_be_given_is_a_problem(tmp_path: Path, table: dict[str, Any], key: str) -> None:
    assert any(name.startswith(key) for name in problems(tmp_path, notifications=table))


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#1f5fbf", "#ffff00", "#777777", "#ff0000"])
def test_whatever_the_brand_s_colour_texts_on_it_and_links_in_it_can_be_read(tmp_path: Path, colour: str) -> None:
    report = Report()
    rules = read_catalogue({"credit_types": TYPES, "portal": {"colour": colour}}, tmp_path, report).portal

    css = colours_css(rules)
    values = [part.split(";")[0].strip() for part in css.split(":") if part.strip().startswith("#")]
    brand, on_brand, on_white, on_black = values

    assert _contrast(brand, on_brand) >= 4.5
    assert _contrast(on_white, "#f6f8fa") >= 4.5
    assert _contrast(on_black, "#161b22") >= 4.5


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return luminance(*(int(digits[at : at + 2], 16) for at in (0, 2, 4)))
