"""`/openapi.json`, and `/docs` to read it and try it out: all from this server, nothing from anybody else's."""

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, send_from_directory

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles its elements one by one; beside that nothing is inline, and nobody else is asked for anything."""

_FILES: Final = {
    "swagger-ui.css": "css",
    "swagger-ui-bundle.js": "js",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Creditgate API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<main id="docs">
<noscript>This page needs JavaScript; <a href="/openapi.json">the document itself</a> does not.</noscript>
</main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START: Final = """window.addEventListener("load", function () {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    tryItOutEnabled: true,
    persistAuthorization: false,
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
  });
});
"""


def docs_routes(document: Callable[[], dict[str, Any]]) -> Blueprint:
    """The document, made when somebody first asks for it, and the page that shows it."""
    routes = Blueprint("docs", __name__)
    folder = _swagger_folder()

    @cache
    def text() -> str:
        return json.dumps(document(), ensure_ascii=False, indent=1)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return _answer(text(), "application/json")

    @routes.get("/docs")
    def docs() -> Response:
        answer = _answer(_PAGE, "text/html")
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @routes.get("/docs/start.js")
    def start() -> Response:
        return _answer(_START, "text/javascript")

    @routes.get("/docs/<name>")
    def file(name: str) -> Response:
        return send_from_directory(folder / _FILES.get(name, "css"), name, max_age=3600)

    return routes


def _answer(text: str, mimetype: str) -> Response:
    return Response(text, mimetype=mimetype, headers={"X-Content-Type-Options": "nosniff"})


def _swagger_folder() -> Path:
    """Swagger UI as the package `flask-openapi-swagger` brings it; its code is not needed."""
    spec = find_spec("flask_openapi_swagger")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package flask-openapi-swagger, which has the files of the docs page")
    return Path(spec.origin).parent / "templates" / "swagger"
