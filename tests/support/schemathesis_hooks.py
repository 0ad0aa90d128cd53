"""What a fuzzer has to know of the API beside its OpenAPI document: what an id is, and which names go together."""

from datetime import datetime
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi import stateful

from credits.api.endpoint import IDEMPOTENCY_KEY
from credits.api.fields import ID_FORMAT
from credits.api.notification_models import DESTINATION_FORMAT
from credits.errors import CreditsError
from credits.ids import checked_id

CREDITS: Final = 2**52
"""So many that a random amount is mostly one they have."""

RICH: Final = ("user_1", "a/b", "50%25off", "用户", " a ", " ")
"""Accounts that have credits when the fuzzer begins."""

_NAMES: Final = ("reservation_id", "key", "step")
_A_NAME: Final = "a-name"
_AHEAD: Final = "2999-01-01T00:00:00Z"

_PRINTABLE: Final = st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"])
_STORABLE: Final = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def is_id(text: str) -> bool:
    """Whether the API takes `text` for an id as it is."""
    try:
        return checked_id(text, "id") == text
    except CreditsError:
        return False


IDS: Final = st.sampled_from(RICH) | st.text(_PRINTABLE, min_size=1, max_size=20).filter(is_id)

schemathesis.openapi.format(ID_FORMAT, IDS)
# The years that the API takes; RFC 3339 has some before our era and a minute of 61 seconds.
INSTANTS: Final = st.datetimes(datetime(1971, 1, 1), datetime(9998, 12, 31)).map(lambda at: f"{at.isoformat()}Z")  # noqa: DTZ001

schemathesis.openapi.format("date-time", INSTANTS)
schemathesis.openapi.format(
    DESTINATION_FORMAT,
    st.sampled_from(["https://app.example.com/hooks", "https://example.com:8443/", "mailto:a@b.example"]),
)
schemathesis.openapi.format("creditgate-text", st.text(_STORABLE, max_size=50))


# The fuzzer begins no sequence with an account that no route has made. Here an account is whatever an app calls it.
stateful.is_likely_root_transition = lambda operation, _node, _produced: operation.method == "post"


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    """Called for each case that is generated in Python."""
    return made_valid(case)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Called by the command before each request, those of examples and of sequences included."""
    made_valid(case)


def made_valid(case: Any) -> Any:
    """
    `case` with what JSON Schema cannot say of a valid request made true; an invalid one as it is.

    A change is named in the body or in the header, not twice; 1.0, which JSON Schema takes for an integer, is none; and
    credits that are granted lapse in days to come.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive or not isinstance(case.body, dict):
        return case
    case.body = _with_ids(_with_integers(case.body))
    if isinstance(case.body.get("expires_at"), str):
        case.body["expires_at"] = max(case.body["expires_at"], _AHEAD)
    name = next((name for name in _NAMES if case.body.get(name) is not None), None)
    headers = case.headers if case.headers is not None else {}
    if name is not None:
        headers.pop(IDEMPOTENCY_KEY, None)
    else:
        headers.setdefault(IDEMPOTENCY_KEY, _A_NAME)
    case.headers = headers
    return case


def _with_ids(body: dict[str, Any]) -> dict[str, Any]:
    # Some of the fuzzer's sources, such as words it finds in our code, know nothing of formats.
    fields = (*_NAMES, "member", "account")
    return {
        name: _A_NAME if name in fields and isinstance(value, str) and not is_id(value) else value
        for name, value in body.items()
    }


def _with_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_integers(part) for name, part in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
