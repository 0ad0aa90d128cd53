"""The receiver's yardstick: a Flask route that stores the body it is sent and does nothing else."""

import os
import time

from flask import Flask, Response, jsonify, request
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table

from credits.db import RowId, open_engine, transaction

metadata = MetaData()
rows = Table(
    "rows",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
)


def make_app() -> Flask:
    """The application, over the same engine with the same settings as the receiver's: its commits are as durable."""
    engine = open_engine(os.environ["CREDITGATE_DATABASE_URL"], pool_size=16)
    app = Flask(__name__, static_folder=None)

    @app.post("/webhooks/stripe")
    def store() -> Response:
        now_ms = time.time_ns() // 1_000_000
        with transaction(engine) as connection:
            connection.execute(rows.insert().values(body=request.get_data(), received_at_ms=now_ms))
        return jsonify(status="received")

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    return app
