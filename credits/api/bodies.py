"""Bodies of requests: bounded before they are read, and strict JSON."""

from typing import Any, Final

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from credits.api.errors import BodyTooLargeError, MalformedBodyError, UnsupportedBodyError
from credits.errors import MalformedPayloadError
from credits.payload import parse

JSON: Final = "application/json"

MAX_API_BODY_BYTES: Final = 64 * 1024

_THROWN_AWAY_BYTES: Final = 1024 * 1024
"""A body of at most so many bytes is read to its end even if it is refused."""

_PIECE_BYTES: Final = 16 * 1024


def read_body(*, max_bytes: int) -> bytes | None:
    """
    The raw body; None if it is too large, whether or not it says so beforehand.

    What is a little too large is read to its end and thrown away: a connection that is closed on a caller who still
    writes loses the answer, and one that is kept must have no rest of a body before the next request.
    """
    # One byte more than is taken: a body in pieces is cut off at this limit without a word.
    request.max_content_length = max_bytes + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        _throw_away(request.content_length or 0)
        return None
    return None if len(body) > max_bytes else body


def _throw_away(left_bytes: int) -> None:
    """Read the rest of a body whose length was said, if that is not too much."""
    while 0 < left_bytes <= _THROWN_AWAY_BYTES:
        piece = request.environ["wsgi.input"].read(min(left_bytes, _PIECE_BYTES))
        left_bytes = left_bytes - len(piece) if piece else 0


def read_json() -> dict[str, Any]:
    """
    The fields of the request's body; none if it is empty.

    Raises BodyTooLargeError, UnsupportedBodyError, MalformedBodyError.
    """
    if request.content_encoding:
        raise UnsupportedBodyError(f"Content-Encoding {request.content_encoding[:40]!r} is not accepted")
    body = read_body(max_bytes=MAX_API_BODY_BYTES)
    if body is None:
        raise BodyTooLargeError(MAX_API_BODY_BYTES)
    if not body:
        return {}
    if request.mimetype != JSON:
        raise UnsupportedBodyError(f"Content-Type must be {JSON}, got {request.mimetype[:40]!r}")
    return fields_of(body)


def fields_of(body: bytes) -> dict[str, Any]:
    """The fields of a body in JSON; none if it is empty. Raises MalformedBodyError."""
    if not body:
        return {}
    try:
        return parse(body)
    except MalformedPayloadError as error:
        raise MalformedBodyError(str(error)) from None
