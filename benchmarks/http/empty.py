"""The yardstick: a Flask route under the same server that reads the body and answers as many bytes."""

from flask import Flask, Response, request

_ANSWER = b'{"account":"user_1","reservation_id":"r","state":"held","items":{"image_generation":1},"replayed":false}'


def make_app() -> Flask:
    """The application."""
    app = Flask(__name__, static_folder=None)

    @app.post("/v1/accounts/<account>/reservations")
    def reserve(**_names: str) -> Response:
        request.get_data()
        return Response(_ANSWER, 201, mimetype="application/json")

    @app.post("/v1/accounts/<account>/reservations/<name>/commit")
    def commit(**_names: str) -> Response:
        request.get_data()
        return Response(_ANSWER, 200, mimetype="application/json")

    @app.get("/healthz")
    def healthz() -> Response:
        return Response(b"ok")

    return app
