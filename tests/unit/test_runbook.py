"""The runbook knows every state and every reason that an operator can meet."""

import re
from pathlib import Path

import pytest

from credits import errors
from credits.inbox.model import EventState
from credits.inbox.rules import FIXES

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")

CODES = sorted(
    {*FIXES, errors.DependencyError.code, errors.BalanceLimitError.code, errors.UnknownProviderError.code}
    | {error.code for error in errors.AllocationError.__subclasses__()}
)


@pytest.mark.parametrize("state", EventState)
def test_it_says_what_to_do_about_every_state(state: EventState) -> None:
    section = RUNBOOK.partition("### States")[2].partition("\n### ")[0]

    assert re.search(rf"^\| [^|]*`{state}`", section, flags=re.MULTILINE)


@pytest.mark.parametrize("code", CODES)
def test_it_says_what_to_do_about_every_code(code: str) -> None:
    section = RUNBOOK.partition("### Codes")[2].partition("\n## ")[0]

    assert re.search(rf"^\| [^|]*`{code}`", section, flags=re.MULTILINE)
