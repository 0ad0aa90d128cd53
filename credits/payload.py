"""Strict JSON: what two parsers could read differently is refused before it is stored."""

import json
import math
from typing import Any, Final, NoReturn

from credits.errors import MalformedPayloadError

MAX_BODY_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32


def parse(body: bytes) -> dict[str, Any]:
    """
    Parse a webhook's body.

    Raises MalformedPayloadError for anything but a UTF-8 JSON object nested at most 32 deep, for NaN, Infinity and what
    overflows to it, for a name that stands twice in one object, and for whole numbers of more than 40 digits.
    """
    try:
        text = body.decode("utf-8")
        payload = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedPayloadError(f"the body is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedPayloadError(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise MalformedPayloadError(f"the body is nested deeper than {MAX_DEPTH}") from None
    if not isinstance(payload, dict):
        raise MalformedPayloadError(f"the body must be a JSON object, got {type(payload).__name__}")
    # It cannot be deeper than there are brackets, and few bodies have as many.
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(payload) > MAX_DEPTH:
        raise MalformedPayloadError(f"the body is nested deeper than {MAX_DEPTH}")
    return payload


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise MalformedPayloadError("a name stands twice in one object")
    return names


def _no_constant(name: str) -> NoReturn:
    raise MalformedPayloadError(f"{name} is no JSON number")


def _short_int(text: str) -> int:
    if len(text) > 40:
        raise MalformedPayloadError("a number has more than 40 digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedPayloadError(f"{text[:40]} is no finite number")
    return number


def _depth(value: object) -> int:
    deepest = 0
    level = [value]
    while level:
        deepest += 1
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if deepest > MAX_DEPTH:
            break
    return deepest


# One for all: `json.loads` makes one for each text that it is given with hooks.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_pairs, parse_constant=_no_constant, parse_int=_short_int, parse_float=_finite
)
