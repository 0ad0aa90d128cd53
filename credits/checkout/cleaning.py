"""A provider's message as others may read it: short, in one line, and without anything that opens a door."""

import re
from typing import Final

_SECRETS: Final = re.compile(
    # Keys of Stripe and Paddle, whole or with stars in them; tokens such as Lemon Squeezy's; whatever follows "Bearer".
    r"\b(?:sk|rk|pk|whsec|ek|ck|pdl)_[A-Za-z0-9_*.…-]{4,}|eyJ[A-Za-z0-9._-]{10,}|(?<=Bearer )\S+",
    re.ASCII,
)
_MAX_LENGTH: Final = 300


def cleaned(message: object, *secrets: str) -> str:
    """`message` without `secrets` and without what looks like one; never empty."""
    text = str(message)
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = " ".join("".join(char if char.isprintable() else " " for char in _SECRETS.sub("[key]", text)).split())
    return text[:_MAX_LENGTH] or "no message"
