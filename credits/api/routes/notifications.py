"""Routes of notifications: where they go, and how each delivery went. They are about the whole installation."""

from typing import Final

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.models import Nothing
from credits.api.notification_models import (
    DeliveriesQuery,
    DeliveryPage,
    DeliveryWithLog,
    DestinationBody,
    DestinationDeleted,
    DestinationFound,
    DestinationList,
    DestinationWithSecret,
    Pinged,
    ReasonBody,
    Retried,
    SecretBody,
)
from credits.errors import (
    ConfigError,
    DeliveryNotFoundError,
    DestinationNotFoundError,
    DestinationRefusedError,
    IdempotencyConflictError,
    SecretVersionError,
)

area = Area("Notifications", "Who is told what happens, by signed webhooks or mails, and how each delivery went.")

ALL: Final = "/v1/destinations"
ONE: Final = ALL + "/{destination}"
LOG: Final = "/v1/deliveries"
LINE: Final = LOG + "/{delivery}"

OPERATE: Final = (Scope.ADMIN,)
LOST: Final = (DestinationNotFoundError,)


@area.get(ALL, scopes=OPERATE, query=Nothing, answers={200: DestinationList})
def list_destinations(call: Call, _query: Nothing) -> Answer:
    """Every destination, the oldest first."""
    return Answer(body={"items": call.credits.destinations()})


@area.post(
    ALL,
    scopes=OPERATE,
    body=DestinationBody,
    answers={201: DestinationWithSecret, 200: DestinationWithSecret},
    errors=(DestinationRefusedError, IdempotencyConflictError, DestinationNotFoundError, ConfigError),
)
def create_destination(call: Call, body: DestinationBody) -> Answer:
    """
    Tell a URL or a mail address of what happens from now on. Answers the secret that signs what it is sent.

    Private networks are refused unless they are allowed. Once per key: 201 the first time, 200 after that.
    """
    made = call.credits.create_destination(
        body.url, kinds=body.kinds, key=call.name("key", body.key), reason=body.reason, actor=call.actor
    )
    return Answer(body=made, status=200 if made["replayed"] else 201)


@area.get(ONE, scopes=OPERATE, query=Nothing, answers={200: DestinationFound}, errors=LOST)
def find_destination(call: Call, _query: Nothing) -> Answer:
    """One destination, without its secret."""
    return Answer(body=call.credits.destination(call.path["destination"]))


@area.delete(ONE, scopes=OPERATE, body=ReasonBody, answers={200: DestinationDeleted}, errors=LOST)
def delete_destination(call: Call, body: ReasonBody) -> Answer:
    """Remove it; what is on its way to it ends, and what it was sent stays in the log for a month."""
    name = call.path["destination"]
    call.credits.delete_destination(name, reason=body.reason, actor=call.actor)
    return Answer(body={"destination": name, "deleted": True})


@area.put(
    ONE + "/secret",
    scopes=OPERATE,
    body=SecretBody,
    answers={200: DestinationWithSecret},
    errors=(DestinationNotFoundError, SecretVersionError, ConfigError),
)
def rotate_destination_secret(call: Call, body: SecretBody) -> Answer:
    """
    Rotate the secret, or read it: `version` is the number of the one that is wanted.

    With the next number there is a new one, and for a day the one before signs, too. Repeated, it rotates nothing more.
    """
    made = call.credits.rotate_destination_secret(
        call.path["destination"], version=body.version, reason=body.reason, actor=call.actor
    )
    return Answer(body=made)


@area.post(ONE + "/enable", scopes=OPERATE, body=ReasonBody, answers={200: DestinationFound}, errors=LOST)
def enable_destination(call: Call, body: ReasonBody) -> Answer:
    """Tell it again of what happens from now on."""
    return Answer(body=call.credits.enable_destination(call.path["destination"], reason=body.reason, actor=call.actor))


@area.post(ONE + "/disable", scopes=OPERATE, body=ReasonBody, answers={200: DestinationFound}, errors=LOST)
def disable_destination(call: Call, body: ReasonBody) -> Answer:
    """Tell it nothing more until it is enabled; what is on its way is dropped."""
    return Answer(body=call.credits.disable_destination(call.path["destination"], reason=body.reason, actor=call.actor))


@area.post(ONE + "/ping", scopes=OPERATE, body=Nothing, answers={200: Pinged}, errors=LOST)
def ping_destination(call: Call, _body: Nothing) -> Answer:
    """Send it a test, to it alone; with an Idempotency-Key once. The delivery tells how it went."""
    name = call.path["destination"]
    return Answer(body={"destination": name, "delivery": call.credits.ping_destination(name, key=call.idempotency_key)})


@area.post(ONE + "/retry", scopes=OPERATE, body=ReasonBody, answers={200: Retried}, errors=LOST, is_unnamed=True)
def retry_destination(call: Call, body: ReasonBody) -> Answer:
    """Send every dead delivery of it again, up to 1,000, under the same `webhook-id`."""
    name = call.path["destination"]
    count = call.credits.retry_deliveries(name, reason=body.reason, actor=call.actor)
    return Answer(body={"destination": name, "retried": count})


@area.get(LOG, scopes=OPERATE, query=DeliveriesQuery, answers={200: DeliveryPage})
def list_deliveries(call: Call, query: DeliveriesQuery) -> Answer:
    """What was sent where, newest first, and what came of it."""
    found = call.credits.deliveries(
        state=query.state, destination=query.destination, before_id=query.cursor, limit=query.limit
    )
    return Answer(body={"items": found, "next": found[-1]["id"] if len(found) == query.limit else None})


@area.get(LINE, scopes=OPERATE, query=Nothing, answers={200: DeliveryWithLog}, errors=(DeliveryNotFoundError,))
def find_delivery(call: Call, _query: Nothing) -> Answer:
    """One delivery with every attempt."""
    return Answer(body=call.credits.delivery(_delivery_id(call)))


@area.post(
    LINE + "/retry",
    scopes=OPERATE,
    body=ReasonBody,
    answers={200: DeliveryWithLog},
    errors=(DeliveryNotFoundError,),
    is_unnamed=True,
)
def retry_delivery(call: Call, body: ReasonBody) -> Answer:
    """Send it again within seconds, whatever became of it, under the same `webhook-id`."""
    return Answer(body=call.credits.retry_delivery(_delivery_id(call), reason=body.reason, actor=call.actor))


def _delivery_id(call: Call) -> int:
    text = call.path["delivery"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DeliveryNotFoundError(text)
    return int(text)
