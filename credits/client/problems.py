"""Problems of the API turned back into the errors they were made from: the same classes as the library raises."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from credits import errors
from credits.clock import from_iso
from credits.errors import CreditsError, LimitExceeded, Shortage, UnexpectedAnswerError, with_message

ERROR_OF: Final[Mapping[str, type[CreditsError]]] = {error.code: error for error in errors.below(CreditsError)}
"""Every error by its stable code."""

NEAREST_OF: Final[Mapping[int, type[CreditsError]]] = {
    400: errors.InvalidInputError,
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    410: errors.HoldEndedError,
    413: errors.InvalidInputError,
    415: errors.InvalidInputError,
    422: errors.InvalidInputError,
    429: errors.DependencyError,
    502: errors.DependencyError,
    503: errors.DependencyError,
    504: errors.DependencyError,
}
"""By status: what a code that this version does not know is caught as. Anything else is unexpected."""

_NOT_DATA: Final = frozenset({"type", "title", "status", "detail", "instance", "args"})


def error_of(status: int, problem: Mapping[str, Any]) -> CreditsError:
    """
    The error that a problem+json stands for: its class by its code, with message, fix and all that it carries.

    A code that this version does not know stays as it is, on the class that its status stands for.
    """
    detail = str(problem.get("detail") or f"the server answered {status}")
    kind = ERROR_OF.get(str(problem.get("code"))) or NEAREST_OF.get(status, UnexpectedAnswerError)
    carried = {name: value for name, value in problem.items() if name not in _NOT_DATA and value is not None}
    if issubclass(kind, errors.InsufficientCreditsError | errors.HoldEndedError) or "shortages" in carried:
        carried["shortages"] = tuple(_shortages(carried.get("shortages")))
    if issubclass(kind, errors.MemberLimitExceededError):
        carried["exceeded"] = tuple(_exceeded(carried.get("exceeded")))
    if issubclass(kind, errors.InvalidInputError):
        carried.setdefault("field", "")
    if issubclass(kind, UnexpectedAnswerError):
        carried.setdefault("http_status", status)
    # `code` and `fix` are the class's own, unless a newer server has other words.
    own = {name: value for name, value in carried.items() if getattr(kind, name, None) != value}
    return with_message(kind, (detail,), own)


def _exceeded(value: object) -> Iterator[LimitExceeded]:
    for one in value if isinstance(value, list) else []:
        ends_at = one.get("ends_at")
        yield LimitExceeded(
            credit_type=str(one["credit_type"]),
            per=str(one["per"]),
            limit=int(one["limit"]),
            used=int(one["used"]),
            needed=int(one["needed"]),
            ends_at_ms=None if ends_at is None else from_iso(ends_at),
        )


def _shortages(value: object) -> Iterator[Shortage]:
    for one in value if isinstance(value, list) else []:
        yield Shortage(str(one["credit_type"]), int(one["needed"]), int(one["available"]))
