"""gunicorn's worker, whose own refusals are problems, too: of requests that never come to the application."""

import json
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from credits.api import errors as of_requests
from credits.api.problems import SECURITY_HEADERS, internal_error, problem_body, status_of
from credits.errors import CreditsError

_REFUSALS: Final[tuple[CreditsError, ...]] = (of_requests.UrlTooLongError(), of_requests.HeadersTooLargeError())


class ProblemWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Answers what it refuses by itself as the API answers everything."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Called by gunicorn for a request that it cannot read, and for an application that broke down."""
        super().handle_error(req, _Client(client), addr, exc)


class _Client:
    """A connection on which gunicorn's page of an error becomes a problem."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def sendall(self, page: bytes) -> None:
        """Send the problem that stands for `page`."""
        self._connection.sendall(as_problem(page))


def as_problem(page: bytes) -> bytes:
    """The answer that stands for a page of gunicorn's. It says nothing of the request: who reads it has sent it."""
    first, _, _ = page.partition(b"\r\n")
    status = int(first.split(b" ", 2)[1])
    body = json.dumps(_problem(status)).encode()
    headers = {"Content-Type": "application/problem+json", "Content-Length": len(body), "Connection": "close"}
    lines = [first.decode("latin-1"), *(f"{name}: {value}" for name, value in {**headers, **SECURITY_HEADERS}.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _problem(status: int) -> dict[str, Any]:
    if status == 500:
        return internal_error()
    error = next((one for one in _REFUSALS if status_of(type(one)) == status), of_requests.MalformedRequestError())
    return problem_body(status, error.code, str(error), fix=error.fix)
