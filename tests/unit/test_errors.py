"""Every error has a code of its own, says what to do, and has a status over HTTP."""

import pytest

from credits import errors
from credits.api import errors as of_requests
from credits.api.problems import status_of
from credits.errors import CreditsError

OF_REQUESTS = [one for one in vars(of_requests).values() if isinstance(one, type) and issubclass(one, CreditsError)]
ALL = sorted({*errors.below(CreditsError), *OF_REQUESTS} - {CreditsError}, key=lambda error: error.__name__)


@pytest.mark.parametrize("error", ALL)
def test_an_error_has_a_status_over_http(error: type[CreditsError]) -> None:
    assert 400 <= status_of(error) <= 599


@pytest.mark.parametrize("error", ALL)
def test_an_error_says_what_to_do(error: type[CreditsError]) -> None:
    is_only_a_parent = bool(error.__subclasses__())

    assert error.fix != CreditsError.fix or is_only_a_parent


def test_no_two_errors_have_one_code() -> None:
    codes = [error.code for error in ALL]

    assert sorted(set(codes)) == sorted(codes)
