"""Answers of the API as bytes: JSON that every reader reads the same."""

import json

import pytest

from credits.api.dispatch import as_json
from credits.api.endpoint import Answer


def test_an_answer_has_no_blanks_and_letters_as_they_are() -> None:
    answer = Answer(body={"account": "ünü", "items": {"tokens": 2**53 - 1}, "member": None, "replayed": False})

    assert (
        as_json(answer)
        == '{"account":"ünü","items":{"tokens":9007199254740991},"member":null,"replayed":false}'.encode()
    )


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_text_that_is_no_utf_8_is_answered_as_it_was_brought(text: str) -> None:
    assert json.loads(as_json(Answer(body={"reason": text}))) == {"reason": text}
