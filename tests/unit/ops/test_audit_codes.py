"""The runbook knows what to do about everything that the audit may find."""

import re
from pathlib import Path

import pytest

from credits.ops.audit.model import Code

RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", Code)
def test_it_says_what_to_do_about_every_disagreement(code: Code) -> None:
    section = RUNBOOK.partition("## The audit disagrees")[2].partition("\n## ")[0]

    assert re.search(rf"^\| [^|]*`{code}`", section, flags=re.MULTILINE)
