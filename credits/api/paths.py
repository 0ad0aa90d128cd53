"""Ids in paths: each segment is decoded by itself, so that an id may have any character, `/` and `%` included."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from werkzeug.routing import BaseConverter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

API_PREFIX: Final = "/v1/"

_IS_ITS_OWN_CODE: Final = re.compile(r"[A-Za-z0-9_.~/-]*", re.ASCII)
"""A path that is the same encoded and decoded."""


class SegmentConverter(BaseConverter):
    """One segment of a path as it was sent. What is no UTF-8 becomes lone surrogates, which no id may have."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value, errors="surrogateescape")

    def to_url(self, value: str) -> str:
        return quote(value, safe="")


def with_encoded_paths(app: "WSGIApplication") -> "WSGIApplication":
    """
    `app` with the paths of the API as they were sent, not yet decoded.

    WSGI hands paths over decoded, and then `a%2Fb` (one id) and `a/b` (two segments) are the same. gunicorn, Werkzeug
    and uWSGI pass on the path as sent beside it; under a server that does not, an id cannot have a `/`.
    """

    def with_path_as_sent(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(API_PREFIX):
            environ["PATH_INFO"] = _encoded_path(environ)
        return app(environ, start_response)

    return with_path_as_sent


def _encoded_path(environ: "WSGIEnvironment") -> str:
    path: str = environ.get("PATH_INFO", "")
    sent: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if (sent == path or not sent) and _IS_ITS_OWN_CODE.fullmatch(path):
        return path
    decoded = path.encode("latin-1", "replace")
    if not sent.startswith("/"):
        # The form that a proxy is asked in: with scheme and host in front.
        sent = urlsplit(sent).path
    path = sent.partition("?")[0].partition("#")[0].removeprefix(environ.get("SCRIPT_NAME", ""))
    if unquote_to_bytes(path.encode("latin-1", "replace")) == decoded:
        return path
    # No server that tells, or something in front of us rewrote the path: its word counts.
    return quote(decoded, safe="/")
