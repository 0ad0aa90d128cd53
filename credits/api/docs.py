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
<link rel="stylesheet" href="/docs/readable.css">
</head>
<body>
<div id="docs">
<noscript>This page needs JavaScript; <a href="/openapi.json">the document itself</a> does not.</noscript>
</div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_READABLE: Final = """:root { color-scheme: light; background: #fff; }
.swagger-ui .opblock.opblock-get .opblock-summary-method { background: #1d5fbf; }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #15703a; }
.swagger-ui .opblock.opblock-put .opblock-summary-method { background: #8f5200; }
.swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #b91c1c; }
.swagger-ui .opblock.opblock-patch .opblock-summary-method { background: #0f6a63; }
.swagger-ui .info .title small, .swagger-ui .info .title small.version-stamp { background: #4d5f66; }
.swagger-ui .info .title small.version-stamp { background: #4a6600; }
.swagger-ui .info .title small.version-stamp pre.version { background: none; }
.swagger-ui .info a, .swagger-ui a.link, .swagger-ui .info .link .url { color: #1d5fbf; }
.swagger-ui .btn.authorize { color: #15703a; border-color: #15703a; }
.swagger-ui .btn.authorize svg { fill: #15703a; }
.swagger-ui .btn.cancel { color: #b91c1c; border-color: #b91c1c; }
.swagger-ui .btn.execute { background: #1d5fbf; border-color: #1d5fbf; }
.swagger-ui .parameter__in, .swagger-ui .parameter__deprecated, .swagger-ui .prop-format { color: #555; }
.swagger-ui .parameter__name.required::after, .swagger-ui .parameter__name.required span { color: #b91c1c; }
@media (max-width: 40rem) {
  .swagger-ui .wrapper { padding: 0 .5rem; }
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-control, .swagger-ui .scheme-container .schemes { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; }
  .swagger-ui .opblock-body { overflow-x: auto; }
}
"""
"""Colours that can be read on what Swagger UI puts behind them, and a narrow screen."""

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
// What Swagger UI gives no name that is read aloud.
const NAMES = { "#servers": "Server", "textarea.body-param__text": "Body", "select.content-type": "Content type" };
new MutationObserver(function () {
  for (const [found, name] of Object.entries(NAMES)) {
    for (const one of document.querySelectorAll(found + ":not([aria-label])")) one.setAttribute("aria-label", name);
  }
}).observe(document.documentElement, { childList: true, subtree: true });
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

    @routes.get("/docs/readable.css")
    def readable() -> Response:
        return _answer(_READABLE, "text/css")

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
