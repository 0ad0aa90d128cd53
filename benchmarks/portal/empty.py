"""The yardstick: a Flask route under the same server that answers as many bytes as the page has."""

from flask import Flask, Response

_BYTES = 8_000


def make_app() -> Flask:
    """The application."""
    app = Flask(__name__, static_folder=None)
    page = b"x" * _BYTES

    @app.get("/portal/")
    @app.get("/portal/history")
    def show() -> Response:
        return Response(page, mimetype="text/html")

    @app.get("/healthz")
    def healthz() -> Response:
        return Response(b"ok")

    return app
