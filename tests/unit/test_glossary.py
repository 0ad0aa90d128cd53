"""The glossary knows the words that operators meet."""

import re
from pathlib import Path

from credits.inbox.model import EventState

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def test_every_state_of_an_event_is_explained_and_no_other() -> None:
    section = GLOSSARY.read_text(encoding="utf-8").partition("### States of an event")[2].partition("\n## ")[0]

    explained = re.findall(r"^\| \*\*(\w+)\*\*", section, flags=re.MULTILINE)

    assert sorted(explained) == sorted(EventState)


def test_a_word_has_one_meaning() -> None:
    words = re.findall(r"^\| \*\*([\w ]+)\*\*", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert len(words) > 50
    assert sorted({word for word in words if words.count(word) > 1}) == []
