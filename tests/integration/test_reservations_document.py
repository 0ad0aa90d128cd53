"""The Python in docs/reservations.md runs as it is printed."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONFIG_FILE
from tests.support.library import OTHER, TYPE, Shop, figures

DOCUMENT = Path(__file__).parents[2] / "docs" / "reservations.md"


def test_the_examples_run_as_they_are_printed(
    shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDITGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("CREDITGATE_REDIS_URL", shop.redis_url)
    monkeypatch.setenv("CREDITGATE_CONFIG", str(CONFIG_FILE))
    monkeypatch.setenv("CREDITGATE_TENANT", "sandbox")
    library = shop.process()
    library.add("user_1", TYPE, 10, key="a")
    library.add("user_1", OTHER, 100, key="b")
    names: dict[str, Any] = {"render": str.upper, "prompt": "a tower", "users": ["user_1", "user_2"]}

    for block in re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(block, names)  # noqa: S102

    assert figures(library, "user_1") == (9, 0, 0, 9, 0)
    assert figures(library, "user_1", OTHER) == (69, 0, 0, 69, 0)
    assert [type(answer).__name__ for answer in names["answers"]] == ["Committed", "HoldEndedError"]
    names["credits"].close()
