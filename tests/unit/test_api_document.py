"""docs/api.md has every error that the API answers, with its status and what to do, and no other."""

import re
from pathlib import Path

from credits.api.keys import Scope
from credits.api.openapi import documented_errors
from credits.api.problems import status_of
from credits.api.routes import ENDPOINTS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_table_of_errors_is_that_of_the_code() -> None:
    table = DOCUMENT.partition("## Errors")[2]

    found = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    rows = {(int(status), code, fix) for status, code, fix in found}

    assert rows == {(status_of(error), error.code, error.fix) for error in documented_errors(ENDPOINTS)}


def test_every_scope_is_explained() -> None:
    section = DOCUMENT.partition("## Keys")[2].partition("\n## ")[0]

    assert [scope for scope in Scope if f"| `{scope.value}` |" not in section] == []


def test_every_post_says_how_it_is_named() -> None:
    section = DOCUMENT.partition("## Names")[2].partition("\n## ")[0]
    last_parts = {endpoint.path.rsplit("/", 1)[1] for endpoint in ENDPOINTS if endpoint.has_body}

    assert [part for part in last_parts if f"/{part}`" not in section] == []
