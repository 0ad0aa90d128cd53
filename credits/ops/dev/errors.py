"""Why `credits dev` does not start."""

from typing import ClassVar

from credits.errors import CreditsError


class CannotStartError(CreditsError):
    """Something outside stands in the way of starting. Nothing was started."""

    code: ClassVar[str] = "cannot_start"
    fix: ClassVar[str] = "Do what the message says, then start again."
