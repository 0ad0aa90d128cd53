"""`.env.example` documents what the settings read, and nothing else."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from credits.config.settings import load_settings

ROOT = Path(__file__).parents[3]
SECRETS = re.compile(r"[A-Z]+(_TEST)?_WEBHOOK_SECRETS")


class _Recorder(Mapping[str, str]):
    """An environment in which nothing is set, and that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _settings_read() -> set[str]:
    environment = _Recorder()
    load_settings(environment, Path())
    return environment.asked


def test_every_variable_that_the_settings_read_is_documented() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    explained = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    read = _settings_read()

    assert len(read) > 5
    assert [name for name in sorted(read) if name not in example] == []
    assert [name for name in sorted(read) if f"`{name}`" not in explained] == []


def test_every_variable_in_the_example_is_one_that_is_read() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^# ([A-Z_]+)=", example, flags=re.MULTILINE))

    assert {name for name in named if not SECRETS.fullmatch(name)} <= _settings_read()
