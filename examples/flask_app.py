"""
A Flask app whose views pay for themselves: 402 if the account cannot, 503 if credits cannot be asked for.

    flask --app examples.flask_app run --port 5001
    curl -X POST 'http://127.0.0.1:5001/images?user=user_1&prompt=a+cat'
"""

from collections.abc import Iterator

from flask import Flask, Response, request

from credits.integrations.flask import current_job, spends_credits

app = Flask(__name__)


def signed_in_user() -> str:
    """Whoever is asking. Your app knows it from its session; never take it from the request as this example does."""
    return request.args.get("user", "nobody")


@app.post("/images")
@spends_credits(image_generation=1, account=lambda _: signed_in_user())
def make_image() -> dict[str, str] | tuple[dict[str, str], int]:
    """One image, one credit, paid once the answer is 2xx."""
    if not request.args.get("prompt"):
        return {"error": "say what to draw"}, 400
    return {"image": f"an image of {request.args['prompt']}"}


@app.post("/stories")
@spends_credits(tokens=200, account=lambda _: signed_in_user())
def write_story() -> Response:
    """Streamed, and paid by the word; a reader who leaves pays for what was written until then."""

    def words() -> Iterator[str]:
        for number, word in enumerate(["Once", "upon", "a", "time", "there", "was", "a", "ledger", "."], start=1):
            current_job().spent = {"tokens": number}
            yield word + " "

    return Response(words(), content_type="text/plain")
