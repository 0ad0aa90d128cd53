"""Logs: one JSON object a line, with ids and codes, and no secret or personal datum in it, whoever wrote it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from credits.errors import MalformedPayloadError
from credits.log import get_logger, redact, set_up_logging

PRIVATE = [
    "whsec_abcDEF123",
    "sk_live_51HAbcdef",
    "rk_test_51HAbcdef",
    "ck_live_0a1b2c3d_0123456789abcdefghijklmnopqrstuvwxyz0123456",
    "ada@example.com",
    "ada.lovelace+x@mail.example.co.uk",
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
]
KEPT = [
    "evt_1Pgc6rB7WZ01zgkWNy0Cn5nw",
    "ls:order:10000000000001",
    "stripe:inv:in_1:si_1:1768478400",
    "2026-01-15T12:00:00.000Z",
    "user_1",
    "01945f3e-7a10-7cc0-8000-000000000000",
    "2 events are failed",
]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What this process logs while the test runs."""
    stream, handlers = io.StringIO(), logging.getLogger().handlers[:]
    set_up_logging("json", stream=stream)
    yield stream
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize("text", PRIVATE)
def test_secrets_and_personal_data_are_taken_out_of_any_text(text: str) -> None:
    assert redact(f"before {text} after") == "before [redacted] after"


def test_a_password_is_taken_out_of_an_address_and_the_rest_stays() -> None:
    assert redact("postgresql://app:s3cret@db:5432/x") == "postgresql://[redacted]@db:5432/x"


@pytest.mark.parametrize("text", KEPT)
def test_ids_codes_and_instants_are_kept(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", PRIVATE)
@pytest.mark.parametrize("wrap", [str, lambda t: [t], lambda t: {"in": {t: t}}, lambda t: {t}, ValueError])
def test_wherever_a_private_text_stands_in_a_line_it_is_taken_out(lines: io.StringIO, text: str, wrap: Any) -> None:
    get_logger("test").warning("something.happened", value=wrap(text))

    assert text not in lines.getvalue()
    assert json.loads(lines.getvalue())["event"] == "something.happened"


def test_what_libraries_log_is_redacted_too(lines: io.StringIO) -> None:
    logging.getLogger("a.library").warning("connecting to %s", "redis://:s3cret@cache/0")

    line = json.loads(lines.getvalue())
    assert line["event"] == "connecting to redis://[redacted]@cache/0"
    assert line["logger"] == "a.library"


def test_an_exception_is_logged_by_its_class_and_the_lines_it_passed(lines: io.StringIO) -> None:
    try:
        raise ValueError("duplicate row: name=Ada")
    except ValueError as error:
        get_logger("test").error("it.failed", exc_info=error)

    line = json.loads(lines.getvalue())
    assert line["error"] == "ValueError"
    assert "Ada" not in lines.getvalue()
    assert any("test_log.py" in frame for frame in line["trace"])


def test_an_error_of_ours_is_logged_with_its_message(lines: io.StringIO) -> None:
    get_logger("test").error("it.failed", exc_info=MalformedPayloadError("data.id is missing"))

    assert json.loads(lines.getvalue())["message"] == "data.id is missing"
