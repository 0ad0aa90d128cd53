"""The receiver: verify on raw bytes, one insert, answer. Nothing is written for what nobody signed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, RowMapping, select
from werkzeug.test import TestResponse

from credits.config.settings import Settings, Tenant, WebhookSecret
from credits.db import open_engine, snapshot
from credits.inbox.model import EventState
from credits.inbox.tables import events
from credits.ops.migrate import downgrade, migrate
from credits.payload import MAX_BODY_BYTES
from tests.support.clock import VirtualClock
from tests.support.pace import Pace
from tests.support.pipeline import Pipeline
from tests.support.webhooks import simulation
from webhooks.app import create_app, ring_workers
from webhooks.doorbell import Doorbell
from webhooks.providers import REGISTRY

SIMULATED = {"fake": "purchase.paid", "stripe": "checkout.session.completed", "lemonsqueezy": "order_created"}
HEADER = {"fake": "fake-signature", "stripe": "Stripe-Signature", "lemonsqueezy": "X-Signature"}
STAMPED = ["fake", "stripe"]


class Bell(Doorbell):
    """Remembers who was rung for, and sends nothing."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.rung: list[int] = []

    def ring(self, event_id: int) -> None:
        self.rung.append(event_id)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def client(settings: Settings, engine: Engine, bell: Bell, clock: VirtualClock) -> FlaskClient:
    return client_of(settings, engine, bell, clock)


def client_of(settings: Settings, engine: Engine, bell: Doorbell, clock: VirtualClock) -> FlaskClient:
    return create_app(settings, engine=engine, doorbell=bell, clock=clock, registry=CollectorRegistry()).test_client()


@pytest.mark.parametrize("provider", SIMULATED)
def test_a_signed_webhook_is_stored_whole_and_the_workers_are_told(
    client: FlaskClient, engine: Engine, bell: Bell, provider: str
) -> None:
    body = a_body(provider)

    answer = post(client, provider, body)

    (event,) = stored(engine)
    assert (answer.status_code, answer.json) == (200, {"status": "received", "event": event["id"]})
    assert (event["provider"], event["tenant"], event["state"]) == (provider, Tenant.SANDBOX, EventState.RECEIVED)
    assert bytes(event["body"]) == body
    assert bell.rung == [event["id"]]


@pytest.mark.parametrize("provider", SIMULATED)
def test_every_configured_secret_is_tried(
    settings: Settings, engine: Engine, bell: Bell, clock: VirtualClock, provider: str
) -> None:
    new = WebhookSecret(tenant=Tenant.SANDBOX, value=b"the new one")
    secrets = {provider: (*settings.secrets_of(provider), new)}
    client = client_of(replace(settings, webhook_secrets=secrets), engine, bell, clock)

    answers = [
        post(client, provider, a_body(provider, delivery="old"), secret=f"{provider}_test_secret".encode()),
        post(client, provider, a_body(provider, delivery="new"), secret=new.value),
    ]

    assert [answer.status_code for answer in answers] == [200, 200]


BAD_SIGNATURES: list[bytes | None] = [
    None,
    b"",
    b"t=,v1=",
    b"t=1",
    b"v1=00",
    b"t=1,t=2,v1=00",
    b"\xff\xfe not ascii",
    "t=1768478400,v1=käse".encode(),
    b"t=99999999999999999999,v1=00",
    b"0" * 64,
    b"0" * 100_000,
    b",,,===,,,",
]


@pytest.mark.parametrize("provider", SIMULATED)
@pytest.mark.parametrize("signature", BAD_SIGNATURES, ids=range(len(BAD_SIGNATURES)))
def test_anything_wrong_with_a_signature_is_400_and_nothing_is_written(
    client: FlaskClient, engine: Engine, provider: str, signature: bytes | None
) -> None:
    headers = {} if signature is None else {HEADER[provider]: signature.decode("latin-1")}

    answer = client.post(f"/webhooks/{provider}", data=a_body(provider), headers=headers)

    assert_problem(answer, 400, "bad_signature")
    assert stored(engine) == []


@pytest.mark.parametrize("provider", SIMULATED)
def test_a_body_changed_after_it_was_signed_is_400(client: FlaskClient, engine: Engine, provider: str) -> None:
    body = a_body(provider)
    headers = signed_headers(provider, body)

    answer = client.post(f"/webhooks/{provider}", data=body + b" ", headers=headers)

    assert_problem(answer, 400, "bad_signature")
    assert stored(engine) == []


@pytest.mark.parametrize("provider", STAMPED)
@pytest.mark.parametrize(("age_s", "status"), [(300, 200), (301, 400), (-300, 200), (-301, 400), (10**9, 400)])
def test_a_signature_is_taken_within_five_minutes_of_now_in_both_directions(
    client: FlaskClient, clock: VirtualClock, provider: str, age_s: int, status: int
) -> None:
    answer = post(client, provider, a_body(provider), at_s=clock() // 1000 - age_s)

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"{", "not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "no finite number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "40 digits"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "deep"),
        (b'{"type": "purchase.paid", "created": 1}', "id"),
        (b'{"id": "e\\u0000vt", "type": "purchase.paid", "created": 1}', "id"),
        (b'{"id": "\\ud800", "type": "purchase.paid", "created": 1}', "id"),
        (b'{"id": "' + b"e" * 256 + b'", "type": "purchase.paid", "created": 1}', "id"),
        (b'{"id": "evt", "type": "' + b"t" * 101 + b'", "created": 1}', "type"),
        (b'{"id": "evt", "type": ["purchase.paid"], "created": 1}', "type"),
        (b'{"id": "evt", "type": "purchase.paid", "created": 1e3}', "created"),
        (b'{"id": "evt", "type": "purchase.paid", "created": 1, "livemode": 7}', "livemode"),
    ],
    ids=str,
)
def test_a_signed_body_that_no_provider_would_send_is_400_and_says_why(
    client: FlaskClient, engine: Engine, body: bytes, why: str
) -> None:
    answer = post(client, "fake", body)

    assert_problem(answer, 400, "malformed_payload")
    assert why in answer.get_json()["detail"]
    assert stored(engine) == []


@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy"])
@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"data": []}', b'{"meta": 1, "data": {"object": 2}, "type": 3}'])
def test_odd_signed_bodies_are_400_at_every_provider(client: FlaskClient, provider: str, body: bytes) -> None:
    assert_problem(post(client, provider, body), 400, "malformed_payload")


@pytest.mark.parametrize("provider", SIMULATED)
def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(
    client: FlaskClient, engine: Engine, provider: str
) -> None:
    too_large = post(client, provider, b" " * (MAX_BODY_BYTES + 1))
    largest = post(client, provider, padded(a_body(provider), MAX_BODY_BYTES))

    assert_problem(too_large, 413, "body_too_large")
    assert largest.status_code == 200
    assert len(stored(engine)) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_body_is_415(client: FlaskClient, encoding: str) -> None:
    body = a_body("fake")

    answer = client.post(
        "/webhooks/fake", data=body, headers={**signed_headers("fake", body), "Content-Encoding": encoding}
    )

    assert_problem(answer, 415, "content_encoding")


def test_a_provider_that_is_not_there_is_404_and_a_get_is_405(client: FlaskClient) -> None:
    assert_problem(client.post("/webhooks/nobody", data=b"{}"), 404, "unknown_provider")
    assert_problem(client.post("/webhooks/", data=b"{}"), 404, "not_found")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = client.open("/webhooks/stripe", method=method)
        assert_problem(answer, 405, "method_not_allowed")
        assert "POST" in answer.headers["Allow"]


def test_a_provider_without_a_secret_is_503(
    settings: Settings, engine: Engine, bell: Bell, clock: VirtualClock
) -> None:
    client = client_of(replace(settings, webhook_secrets={}), engine, bell, clock)

    answer = post(client, "stripe", a_body("stripe"))

    assert_problem(answer, 503, "no_secret")
    assert answer.headers["Retry-After"] == "60"
    assert stored(engine) == []


@pytest.mark.parametrize(
    "url", ["postgresql://postgres@127.0.0.1:1/nowhere", "sqlite:////nowhere/at/all.sqlite3"], ids=["pg", "sqlite"]
)
def test_with_the_database_down_the_provider_is_asked_to_come_again(
    settings: Settings, bell: Bell, clock: VirtualClock, url: str
) -> None:
    client = client_of(settings, open_engine(url), bell, clock)

    answer = post(client, "stripe", a_body("stripe"))
    ready = client.get("/readyz")
    alive = client.get("/healthz")

    assert_problem(answer, 503, "database_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert bell.rung == []
    assert_problem(ready, 503, "database_unavailable")
    assert alive.status_code == 200


def test_a_receiver_whose_tables_are_not_migrated_is_not_ready_until_they_are(
    settings: Settings, empty_database_url: str, bell: Bell, clock: VirtualClock
) -> None:
    migrate(empty_database_url)
    downgrade(empty_database_url, revision="base")
    client = client_of(settings, open_engine(empty_database_url), bell, clock)

    before = client.get("/readyz")
    migrate(empty_database_url)
    after = client.get("/readyz")

    assert_problem(before, 503, "not_ready")
    assert "credits migrate" in before.get_json()["detail"]
    assert after.get_json() == {"status": "ok", "alarms": []}


def test_with_the_broker_down_webhooks_are_answered_at_once(
    settings: Settings, engine: Engine, clock: VirtualClock
) -> None:
    # Nothing listens on port 1.
    client = client_of(settings, engine, ring_workers("redis://127.0.0.1:1/0"), clock)

    with Pace() as pace:
        statuses = [post(client, "fake", a_body("fake", delivery=str(number))).status_code for number in range(10)]

    assert statuses == [200] * 10
    assert pace.fair_s < 3
    assert {event["state"] for event in stored(engine)} == {EventState.RECEIVED}


def test_an_event_of_the_other_mode_is_kept_as_rejected_and_never_processed(
    client: FlaskClient, engine: Engine, bell: Bell, pipeline: Pipeline
) -> None:
    body = a_body("stripe", tenant=Tenant.SANDBOX)

    answer = post(client, "stripe", body, secret=b"stripe_live_secret")
    pipeline.process()

    (event,) = stored(engine)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "rejected")
    assert (event["state"], event["code"], event["endpoint"]) == (EventState.REJECTED, "mode_mismatch", Tenant.LIVE)
    assert bell.rung == []
    assert pipeline.posted() == set()


def test_a_rejected_event_does_not_stand_in_the_way_of_the_same_event_at_its_own_endpoint(
    client: FlaskClient, engine: Engine
) -> None:
    body = a_body("stripe", tenant=Tenant.SANDBOX)

    post(client, "stripe", body, secret=b"stripe_live_secret")
    answer = post(client, "stripe", body)

    assert answer.get_json()["status"] == "received"
    assert [event["state"] for event in stored(engine)] == [EventState.REJECTED, EventState.RECEIVED]


def test_an_invoice_that_has_no_id_yet_is_kept_and_moves_nothing(client: FlaskClient, engine: Engine) -> None:
    """`invoice.upcoming` has no id (sync-engine #121)."""
    upcoming = json.loads(a_body("stripe", "invoice.paid")) | {"type": "invoice.upcoming"}
    del upcoming["data"]["object"]["id"]

    answer = post(client, "stripe", json.dumps(upcoming).encode())

    assert (answer.status_code, [event["state"] for event in stored(engine)]) == (200, [EventState.IGNORED])


def test_a_type_that_nobody_reads_is_kept_as_ignored(client: FlaskClient, engine: Engine, bell: Bell) -> None:
    answer = post(client, "stripe", a_body("stripe", "customer.created"))

    (event,) = stored(engine)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ignored")
    assert (event["state"], event["code"]) == (EventState.IGNORED, "unread_type")
    assert bell.rung == []


def test_a_duplicate_of_an_event_that_is_not_done_rings_again_and_of_a_done_one_does_not(
    client: FlaskClient, engine: Engine, bell: Bell, pipeline: Pipeline
) -> None:
    body = a_body("fake")
    first = post(client, "fake", body).get_json()
    second = post(client, "fake", body).get_json()
    pipeline.process()

    third = post(client, "fake", body)

    (event,) = stored(engine)
    assert (first["status"], second["status"], third.get_json()["status"]) == ("received", "duplicate", "duplicate")
    assert third.status_code == 200
    assert bell.rung == [event["id"]] * 2
    assert (event["deliveries"], event["state"]) == (3, EventState.DONE)
    assert pipeline.balance("user_1") == 100


def test_headers_of_any_kind_do_no_harm(client: FlaskClient, engine: Engine) -> None:
    body = a_body("fake")
    odd = {"X-Long": "x" * 10_000, "X-Latin": "käse", "Content-Type": "text/plain; charset=utf-7", "X-Empty": ""}

    answer = client.post("/webhooks/fake", data=body, headers={**signed_headers("fake", body), **odd})

    assert answer.status_code == 200
    assert bytes(stored(engine)[0]["body"]) == body


def a_body(provider: str, event_type: str | None = None, **changes: Any) -> bytes:
    return REGISTRY[provider].simulate(simulation(event_type or SIMULATED[provider], **changes))


def signed_headers(
    provider: str, body: bytes, *, secret: bytes | None = None, at_s: int | None = None
) -> Mapping[str, str]:
    stamp_s = VirtualClock().now_ms // 1000 if at_s is None else at_s
    return REGISTRY[provider].sign(body, secret or f"{provider}_test_secret".encode(), stamp_s).headers


def post(
    client: FlaskClient, provider: str, body: bytes, *, secret: bytes | None = None, at_s: int | None = None
) -> TestResponse:
    return client.post(
        f"/webhooks/{provider}", data=body, headers=signed_headers(provider, body, secret=secret, at_s=at_s)
    )


def padded(body: bytes, size: int) -> bytes:
    """The same JSON, with white space up to `size` bytes."""
    return json.dumps(json.loads(body)).encode().ljust(size)


def stored(engine: Engine) -> list[RowMapping]:
    with snapshot(engine) as connection:
        return list(connection.execute(select(events).order_by(events.c.id)).mappings())


def assert_problem(answer: TestResponse, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["code"] == code
    assert answer.get_json()["status"] == status
