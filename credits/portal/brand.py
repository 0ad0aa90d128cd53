"""How the hosted page looks: the name, colour and logo of credits.toml, and colours that can be read on one another."""

from typing import Final

from credits.config.faces import PortalRules

_LIGHT: Final = 0.179
"""The relative luminance above which black stands out more than white (WCAG 2: both have the same contrast there)."""


def colours_css(brand: PortalRules) -> str:
    """The brand's colour for buttons, and shades of it for links that stand out on white and on black."""
    red, green, blue = _parts(brand.colour)
    on_white, on_black = (_until_readable(red, green, blue, towards) for towards in (0.0, 1.0))
    return (
        f":root {{ --brand: {brand.colour}; --on-brand: {on_colour(brand.colour)}; --link: {on_white}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --link: {on_black}; }} }}\n"
    )


def on_colour(colour: str) -> str:
    """Black or white: what can be read on the colour."""
    return "#000" if luminance(*_parts(colour)) > _LIGHT else "#fff"


def _parts(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def luminance(red: int, green: int, blue: int) -> float:
    """The relative luminance of a colour, from 0 to 1 (WCAG 2.2)."""
    linear = [
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _until_readable(red: int, green: int, blue: int, towards: float) -> str:
    """The colour mixed with black (0) or white (1) until it has a contrast of 5 on the opposite."""
    for step in range(21):
        share = step / 20
        mixed = [round(value + (255 * towards - value) * share) for value in (red, green, blue)]
        own = luminance(mixed[0], mixed[1], mixed[2])
        # The card's background is a little away from white, and from black.
        contrast = (own + 0.05) / (0.012 + 0.05) if towards else (0.91 + 0.05) / (own + 0.05)
        if contrast >= 5:
            break
    return "#" + "".join(f"{value:02x}" for value in mixed)
