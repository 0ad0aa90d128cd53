"""The receiver: verify, store, answer. It knows nothing of credits."""

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, request
from prometheus_client import Counter
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from credits.api.bodies import read_body
from credits.api.problems import problem
from credits.clock import Clock
from credits.config.settings import Settings, Tenant
from credits.db import is_unavailable, single_statements
from credits.errors import MalformedPayloadError, SignatureError
from credits.failpoints import failpoint
from credits.inbox import store
from credits.inbox.model import FINISHED, EventState, NewEvent, Receipt
from credits.inbox.provider import Delivery, Provider, SignedRequest
from credits.log import get_logger
from credits.payload import MAX_BODY_BYTES, parse
from webhooks.doorbell import Doorbell

RECEIVED = Counter("creditgate_webhooks_total", "Webhooks answered, by what came of them", ["provider", "result"])

log = get_logger(__name__)


def receiver(
    *, engine: Engine, settings: Settings, providers: Mapping[str, Provider], doorbell: Doorbell, clock: Clock
) -> Blueprint:
    """`POST /webhooks/<provider>` over these parts."""
    routes = Blueprint("webhooks", __name__)

    @routes.post("/webhooks/<name>")
    def receive(name: str) -> Response:
        provider = providers.get(name)
        if provider is None:
            return problem(
                404, "unknown_provider", f"there is no provider {name[:40]!r}; known are: {sorted(providers)}"
            )
        answer = _receive(provider, engine=engine, settings=settings, doorbell=doorbell, now_ms=clock())
        RECEIVED.labels(provider=name, result=answer.headers.get("Creditgate-Result", "error")).inc()
        return answer

    return routes


def _receive(provider: Provider, *, engine: Engine, settings: Settings, doorbell: Doorbell, now_ms: int) -> Response:
    secrets = settings.secrets_of(provider.name)
    if not secrets:
        return problem(503, "no_secret", f"no signing secret for {provider.name} is configured", retry_after_s=60)
    if request.content_encoding:
        return problem(415, "content_encoding", "send the body without a content encoding")
    body = read_body(max_bytes=MAX_BODY_BYTES)
    if body is None:
        return problem(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        signers = provider.verify(_signed_request(body), secrets, now_ms / 1000)
        payload = parse(body)
        delivery = _checked(provider.envelope(payload, body))
    except (SignatureError, MalformedPayloadError) as error:
        log.warning("webhook.refused", provider=provider.name, code=error.code, reason=str(error))
        return problem(400, error.code, str(error))
    event = _new_event(provider, delivery, signers, body, now_ms)
    failpoint("receiver.before_store")
    try:
        receipt = _store(engine, event)
    # Whatever the database says, the provider keeps the event and sends it again.
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("webhook.not_stored", provider=provider.name, event_id=event.event_id, error=type(error).__name__)
        return problem(503, "database_unavailable", "the event could not be stored; send it again", retry_after_s=5)
    failpoint("receiver.after_store")
    if receipt.state not in FINISHED:
        doorbell.ring(receipt.id)
    log.info(
        "webhook.stored",
        provider=provider.name,
        inbox_id=receipt.id,
        event_id=event.event_id,
        type=event.event_type,
        tenant=event.tenant.value,
        state=receipt.state.value,
        new=receipt.is_new,
    )
    return _answer(event, receipt)


def _signed_request(body: bytes) -> SignedRequest:
    # WSGI hands headers over as latin-1 text; the signature was made over bytes.
    headers = {name.lower(): value.encode("latin-1", "replace") for name, value in request.headers.items()}
    return SignedRequest(headers=headers, body=body)


def _checked(delivery: Delivery) -> Delivery:
    """Refuse an envelope that the inbox has no room for, before it becomes a database error."""
    for name, text, longest in (
        ("event id", delivery.event_id, 255),
        ("event type", delivery.event_type, 100),
        ("account", delivery.provider_account, 64),
    ):
        if len(text) > longest or not text.isprintable():
            raise MalformedPayloadError(f"the {name} must have at most {longest} characters, all printable")
    return delivery


def _new_event(
    provider: Provider, delivery: Delivery, signers: frozenset[Tenant], body: bytes, now_ms: int
) -> NewEvent:
    """The row to store. An event whose own mode is not its endpoint's is kept, but never processed."""
    tenant = delivery.tenant or min(signers)
    endpoint = tenant if tenant in signers else min(signers)
    state, code, detail = EventState.RECEIVED, None, None
    if tenant not in signers:
        state, code = EventState.REJECTED, "mode_mismatch"
        detail = f"a {tenant.value} event was signed with the secret of the {endpoint.value} endpoint"
    elif not provider.reads(delivery.event_type):
        state, code = EventState.IGNORED, "unread_type"
        detail = f"events of type {delivery.event_type} move no credits"
    return NewEvent(
        tenant=tenant,
        provider=provider.name,
        provider_account=delivery.provider_account,
        endpoint=endpoint,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        body=body,
        state=state,
        code=code,
        detail=detail,
        occurred_at_ms=delivery.occurred_at_ms,
        received_at_ms=now_ms,
    )


def _store(engine: Engine, event: NewEvent) -> Receipt:
    """One insert, committed. A connection that died unnoticed in the pool is worth a second try; the insert is safe."""
    for last_try in (False, True):
        try:
            with single_statements(engine) as connection:
                return store.insert_event(connection, event) or store.count_delivery(connection, event)
        except DBAPIError as error:
            if last_try or not error.connection_invalidated:
                raise
    raise AssertionError("the loop above returns or raises")


def _answer(event: NewEvent, receipt: Receipt) -> Response:
    result = event.state.value if receipt.is_new else "duplicate"
    answer = jsonify(status=result, event=receipt.id)
    answer.headers["Creditgate-Result"] = result
    return answer
