"""What only a real server can show: bodies that come in pieces, and requests that break off."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from credits.db import open_engine, snapshot
from credits.inbox.tables import events
from credits.payload import MAX_BODY_BYTES
from tests.support.installation import Installation, signed_purchase
from tests.support.processes import PATIENCE_S

PIECE = b" " * 8192


@pytest.fixture
def database_kind() -> str:
    """What is shown here is the server's doing, whatever the database."""
    return "sqlite"


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    """A receiver under gunicorn; its broker is down."""
    with Installation(tmp_path / "run", database_url=database_url, broker_url="redis://127.0.0.1:1/0") as running:
        running.start_receiver()
        yield running


def test_a_body_in_pieces_is_read_whole_and_counted_as_it_comes(installation: Installation, database_url: str) -> None:
    webhook = signed_purchase("payment-1")
    length = len(webhook.body)
    pieces = [webhook.body[start : start + 100] for start in range(0, length, 100)]
    endless = [PIECE] * (MAX_BODY_BYTES // len(PIECE) + 1)

    whole = post_in_pieces(installation, pieces, dict(webhook.headers))
    too_large = post_in_pieces(installation, endless, dict(webhook.headers))

    assert (whole, too_large) == (200, 413)
    assert stored(database_url) == 1


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(installation: Installation) -> None:
    with socket.create_connection(("127.0.0.1", installation.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_after_a_body_that_is_too_large_the_connection_goes_on(installation: Installation) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=PATIENCE_S)
    webhook = signed_purchase("payment-1")
    statuses = []
    for body in (b" " * (MAX_BODY_BYTES + 500_000), webhook.body):
        connection.request("POST", "/webhooks/fake", body, dict(webhook.headers))
        answer = connection.getresponse()
        statuses.append(answer.status)
        answer.read()
    connection.close()

    assert statuses == [413, 200]


def test_a_body_that_breaks_off_writes_nothing_and_the_next_one_is_served(
    installation: Installation, database_url: str
) -> None:
    webhook = signed_purchase("payment-1")
    headers = "".join(f"{name}: {value}\r\n" for name, value in webhook.headers.items())
    with socket.create_connection(("127.0.0.1", installation.port), timeout=PATIENCE_S) as connection:
        head = f"POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Length: {len(webhook.body)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + webhook.body[:50])

    after = installation.post(webhook)

    assert after.status == 200
    assert stored(database_url) == 1


def post_in_pieces(installation: Installation, pieces: list[bytes], headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/webhooks/fake", body=iter(pieces), headers=headers, encode_chunked=True)
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        # It has answered and hung up before the end.
        return connection.getresponse().status
    finally:
        connection.close()


def stored(database_url: str) -> int:
    engine = open_engine(database_url)
    with snapshot(engine) as connection:
        count: int = connection.execute(select(func.count()).select_from(events)).scalar_one()
    engine.dispose()
    return count


def test_what_the_server_refuses_by_itself_is_a_problem_too(installation: Installation) -> None:
    refused = {
        b"GET /v1/accounts/" + b"x" * 9_000 + b"/balances HTTP/1.1\r\nHost: x\r\n\r\n": (414, "url_too_long"),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 9_000 + b"\r\n\r\n": (431, "headers_too_large"),
        b"GET /healthz HTTP/1.1\r\n" + b"A: 1\r\n" * 101 + b"\r\n": (431, "headers_too_large"),
        b"GET  /healthz  HTTP/1.1\r\nHost: x\r\n\r\n": (400, "malformed_request"),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n A: 1\r\n\r\n": (400, "malformed_request"),
    }

    problems = [refusal_of(installation, request) for request in refused]

    assert [(problem["status"], problem["code"]) for problem in problems] == list(refused.values())
    assert all(problem["detail"] and problem["fix"] for problem in problems)


def refusal_of(installation: Installation, request: bytes) -> dict[str, Any]:
    """The problem that a request is answered, which has its answer's status."""
    with socket.create_connection(("127.0.0.1", installation.port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        problem: dict[str, Any] = json.loads(answer.read())
    assert (answer.status, answer.headers["Content-Type"]) == (problem["status"], "application/problem+json")
    return problem
