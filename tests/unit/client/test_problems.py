"""An error goes over the wire and comes back as itself."""

import inspect
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from credits import errors
from credits.api.problems import problem_of
from credits.client.problems import ERROR_OF, error_of
from credits.errors import CreditsError, LimitExceeded, Shortage, UnexpectedAnswerError

SAMPLES: dict[str, Any] = {"status": 500, "maximum": 9, "amount": 7, "problems": {"a": "is wrong"}, "event_id": 7}
"""What an error is made of, where it is not text."""


ALL = sorted(errors.below(CreditsError), key=lambda error: error.__name__)


def sample(kind: type[CreditsError]) -> CreditsError:
    """An instance with all that it can carry."""
    if kind.__init__ is Exception.__init__ or kind.__init__ is CreditsError.__init__:
        return kind("what happened")
    arguments: list[Any] = []
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        if "Shortage" in str(parameter.annotation):
            arguments += [Shortage("tokens", 7, 3), Shortage("image_generation", 2, 0)]
        elif "LimitExceeded" in str(parameter.annotation):
            day = LimitExceeded(
                credit_type="tokens", per="day", limit=9, used=7, needed=3, ends_at_ms=1_800_000_000_000
            )
            arguments += [day, replace(day, per="ever", ends_at_ms=None)]
        elif parameter.name in SAMPLES:
            arguments.append(SAMPLES[parameter.name])
        else:
            arguments.append(500 if parameter.annotation in {int, "int"} else f"some {parameter.name}")
    return kind(*arguments)


def over_the_wire(error: CreditsError) -> CreditsError:
    with Flask(__name__).test_request_context():
        answer = problem_of(error)
    return error_of(answer.status_code, json.loads(answer.get_data()))


def data_of(error: CreditsError) -> dict[str, Any]:
    """What it carries, as JSON has it: a tuple comes back as a list, but for the shortages, which are ours."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(error).items()}


@pytest.mark.parametrize("kind", ALL)
def test_an_error_comes_back_with_its_class_its_words_its_fix_and_its_data(kind: type[CreditsError]) -> None:
    error = sample(kind)

    back = over_the_wire(error)

    assert (type(back), back.code, str(back), back.fix) == (kind, kind.code, str(error), kind.fix)
    assert data_of(back) == data_of(error)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_crosses_processes_as_it_is(kind: type[CreditsError]) -> None:
    error = sample(kind)

    back = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (type(back), str(back), vars(back)) == (kind, str(error), vars(error))


def test_every_error_is_in_the_table_by_its_code() -> None:
    assert sorted(ERROR_OF) == sorted(error.code for error in ALL)


def test_what_is_short_comes_back_as_shortages() -> None:
    back = over_the_wire(errors.InsufficientCreditsError(Shortage("tokens", 7, 3)))

    assert isinstance(back, errors.InsufficientCreditsError)
    assert back.shortages == (Shortage("tokens", 7, 3),)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (402, errors.InsufficientCreditsError),
        (403, errors.PermissionDeniedError),
        (422, errors.InvalidInputError),
        (503, errors.DependencyError),
        (500, UnexpectedAnswerError),
        (418, UnexpectedAnswerError),
    ],
)
def test_a_code_of_a_newer_server_stays_on_the_class_of_its_status(status: int, kind: type[CreditsError]) -> None:
    back = error_of(status, {"code": "from_the_future", "detail": "what happened", "fix": "Wait.", "budget": 7})

    assert (type(back), back.code, str(back), back.fix) == (kind, "from_the_future", "what happened", "Wait.")
    assert vars(back)["budget"] == 7


def test_what_an_older_server_leaves_out_is_empty_and_not_missing() -> None:
    insufficient = error_of(402, {"code": "insufficient_credits", "detail": "too few"})
    invalid = error_of(422, {"code": "invalid_input"})

    assert isinstance(insufficient, errors.InsufficientCreditsError)
    assert insufficient.shortages == ()
    assert isinstance(invalid, errors.InvalidInputError)
    assert (invalid.field, str(invalid)) == ("", "the server answered 422")
