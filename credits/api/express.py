"""
The short way of the API's plain POSTs: those of a known path, with a JSON body of a told length.

They are what an app sends all day, and Flask's way from a request to its view and back takes as long as holding the
credits. Whatever is not plain goes Flask's way, where everything about it is decided; the answers are the same.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from flask import Flask, Response
from werkzeug.exceptions import ClientDisconnected

from credits.api.bodies import JSON, MAX_API_BODY_BYTES, fields_of
from credits.api.dispatch import Api, Asked, as_json
from credits.api.endpoint import Answer, Endpoint
from credits.api.paths import API_PREFIX
from credits.api.problems import SECURITY_HEADERS
from credits.errors import CreditsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_NOT_PLAIN: Final = ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "QUERY_STRING")
_HEADERS: Final = [("Content-Type", JSON), *SECURITY_HEADERS.items()]
_STATUS: Final = {status.value: f"{status.value} {status.phrase.upper()}" for status in HTTPStatus}

_Route = tuple[Endpoint, re.Pattern[str]]
"""A route, and the path of it with a group for each variable segment, which is not empty."""


class ExpressLane:
    """Answers plain POSTs of the API; whatever else comes is handed on."""

    def __init__(
        self,
        app: Flask,
        api: Api,
        endpoints: Iterable[Endpoint],
        *,
        answer_error: Callable[[Exception], Response],
        others: "WSGIApplication",
    ) -> None:
        self._app, self._api, self._answer_error, self._others = app, api, answer_error, others
        self._routes: defaultdict[tuple[int, str], list[_Route]] = defaultdict(list)
        """By the number of slashes and what is behind the last, which is fixed."""
        for endpoint in endpoints:
            front, _, last = endpoint.path.rpartition("/")
            if endpoint.method == "POST" and not last.startswith("{"):
                self._routes[front.count("/"), last].append((endpoint, _pattern(endpoint.path)))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        found = self._route_of(path) if path.startswith(API_PREFIX) and path.isascii() and _is_plain(environ) else None
        if found is None:
            return self._others(environ, start_response)
        endpoint, names = found
        asked = Asked(
            path=names,
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            idempotency_key=environ.get("HTTP_IDEMPOTENCY_KEY"),
            fields=lambda: fields_of(_body_of(environ)),
        )
        try:
            answer = self._api.carry_out(endpoint, asked)
        # As Flask does: what nobody foresaw is an answer, too, and stands in the log.
        except Exception as error:  # noqa: BLE001
            return self._refused(error, asked)(environ, start_response)
        return _answered(answer, start_response)

    def _route_of(self, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        front, _, last = path.rpartition("/")
        found = None
        for endpoint, pattern in self._routes.get((front.count("/"), last), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                if found is not None:
                    # Which of two is meant is for Flask's map to say.
                    return None
                found = endpoint, match.groupdict()
        if found is not None and "%" in path:
            return found[0], {name: unquote(text, errors="surrogateescape") for name, text in found[1].items()}
        return found

    def _refused(self, error: Exception, asked: Asked) -> Response:
        with self._app.app_context():
            try:
                if isinstance(error, CreditsError):
                    return self._api.refuse(error, asked.path)
                raise error
            except Exception as other:  # noqa: BLE001
                return self._answer_error(other)


def _pattern(path: str) -> re.Pattern[str]:
    """
    The path of a route, with a group for each of its variable segments.

    What stands in none of them is nothing that a pattern reads differently.
    """
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


def _is_plain(environ: "WSGIEnvironment") -> bool:
    length: str = environ.get("CONTENT_LENGTH", "")
    return (
        environ.get("REQUEST_METHOD") == "POST"
        and environ.get("CONTENT_TYPE") == JSON
        and length.isascii()
        and length.isdigit()
        and len(length) < 10
        and int(length) <= MAX_API_BODY_BYTES
        and not any(environ.get(name) for name in _NOT_PLAIN)
    )


def _body_of(environ: "WSGIEnvironment") -> bytes:
    length = int(environ["CONTENT_LENGTH"])
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) != length:
        raise ClientDisconnected
    return body


def _answered(answer: Answer, start_response: "StartResponse") -> list[bytes]:
    text = as_json(answer)
    start_response(_STATUS[answer.status], [*_HEADERS, ("Content-Length", str(len(text)))])
    return [text]
