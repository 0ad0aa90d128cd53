"""Errors over HTTP: RFC 9457 problems with a stable code. The one place that knows which error is which status."""

from dataclasses import asdict, is_dataclass
from typing import Any, Final

from flask import Response, jsonify
from pydantic import BaseModel, ValidationError

from credits import errors
from credits.api import errors as of_requests
from credits.clock import iso
from credits.db import is_unavailable

STATUS_OF: Final[dict[type[errors.CreditsError], int]] = {
    errors.InvalidInputError: 422,
    errors.IdempotencyConflictError: 409,
    errors.InsufficientCreditsError: 402,
    errors.MemberLimitExceededError: 403,
    errors.AccountBlockedError: 403,
    errors.BalanceLimitError: 409,
    errors.HoldEndedError: 410,
    errors.SignatureError: 400,
    errors.MalformedPayloadError: 400,
    errors.IncompletePayloadError: 502,
    errors.UnknownProviderError: 404,
    errors.EventNotFoundError: 404,
    errors.DestinationNotFoundError: 404,
    errors.DeliveryNotFoundError: 404,
    errors.SecretVersionError: 409,
    errors.EventActionError: 409,
    of_requests.BodyTooLargeError: 413,
    of_requests.UnsupportedBodyError: 415,
    of_requests.MalformedBodyError: 400,
    of_requests.MalformedRequestError: 400,
    of_requests.UrlTooLongError: 414,
    of_requests.HeadersTooLargeError: 431,
    of_requests.UnknownFieldError: 422,
    of_requests.MissingFieldError: 422,
    of_requests.ReservationNotFoundError: 404,
    of_requests.RateLimitedError: 429,
    errors.AuthenticationError: 401,
    errors.PermissionDeniedError: 403,
    errors.PurchaseNotFoundError: 404,
    errors.TopupNotFoundError: 404,
    errors.CheckoutExpiredError: 410,
    errors.PriceCalculatorError: 502,
    errors.ProviderRefusedError: 422,
    errors.ProviderKeyRefusedError: 502,
    errors.ConfigError: 501,
    errors.LeaseLostError: 503,
    errors.AllocationError: 409,
    errors.DependencyError: 503,
    errors.UnexpectedAnswerError: 502,
}
"""Status by error; a leaf that is not listed has its nearest listed ancestor's."""

SECURITY_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_PAUSE_S: Final = 5


def status_of(error: type[errors.CreditsError]) -> int:
    """The HTTP status of an error of ours."""
    return next(STATUS_OF[ancestor] for ancestor in error.__mro__ if ancestor in STATUS_OF)


def problem(status: int, code: str, detail: str, *, retry_after_s: int | None = None, **extra: Any) -> Response:
    """A problem+json answer."""
    return _answer(problem_body(status, code, detail, **extra), retry_after_s=retry_after_s)


def problem_body(status: int, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The members of a problem."""
    return {"type": f"about:blank#{code}", "code": code, "status": status, "detail": detail, **extra}


def internal_error() -> dict[str, Any]:
    """The members of what nobody foresaw: it says nothing about our insides."""
    return problem_body(
        500,
        "internal_error",
        "something went wrong on our side; it is in the log",
        fix="Send the request again under the same name; if it fails again, look for the error in the server's log.",
    )


def _answer(body: dict[str, Any], *, retry_after_s: int | None = None) -> Response:
    response = jsonify(body)
    response.status_code = body["status"]
    response.content_type = "application/problem+json"
    response.headers.update(SECURITY_HEADERS)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def problem_of(error: Exception, **extra: Any) -> Response:
    """The answer to an error that reached the edge of a request. What nobody foresaw says nothing about our insides."""
    if isinstance(error, errors.CreditsError):
        status = status_of(type(error))
        more = {**_data_of(error), **extra}
        answer = problem(
            status, error.code, str(error), fix=error.fix, retry_after_s=_retry_after_s(error, status), **more
        )
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if is_unavailable(error):
        away = errors.DependencyError
        return problem(503, away.code, "the database is unavailable; try again", fix=away.fix, retry_after_s=_PAUSE_S)
    return _answer(internal_error())


def invalid_fields(error: ValidationError, model: type[BaseModel]) -> errors.CreditsError:
    """
    The first of pydantic's findings as an error of ours.

    Only what the fields' own checks cannot find comes from pydantic: a field too many, or one too few.
    """
    finding = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in finding["loc"])
    match finding["type"]:
        case "missing":
            return of_requests.MissingFieldError(field)
        case "extra_forbidden":
            return of_requests.UnknownFieldError(field, ", ".join(model.model_fields) or "none")
        case _:
            return errors.InvalidInputError(field, finding["msg"])


def _data_of(error: errors.CreditsError) -> dict[str, Any]:
    """All that an error carries, for programs: the clients make the same error of it again."""
    return {name: _shown(value) for name, value in vars(error).items() if name != "retry_after_s"}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        # A caller's own megabyte is not sent back.
        return value[:200]
    if isinstance(value, tuple) and all(is_dataclass(one) for one in value):
        return [_row(asdict(one)) for one in value]
    return value


def _row(data: dict[str, Any]) -> dict[str, Any]:
    instants = {name for name in data if name.endswith("_at_ms")}
    plain = {name: value for name, value in data.items() if name not in instants}
    return plain | {name.removesuffix("_ms"): iso(data[name]) for name in instants}


def _retry_after_s(error: errors.CreditsError, status: int) -> int | None:
    told: int | None = getattr(error, "retry_after_s", None)
    return _PAUSE_S if told is None and status == 503 else told
