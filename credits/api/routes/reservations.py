"""Routes of reservations: hold credits, commit what was used, give the rest back."""

from collections.abc import Mapping
from typing import Any, Final

from credits.api.endpoint import Answer, Area, Call
from credits.api.errors import ReservationNotFoundError
from credits.api.keys import Scope
from credits.api.models import (
    CommitBody,
    Commitment,
    ExtendBody,
    Extension,
    HoldsQuery,
    Nothing,
    Release,
    Reservation,
    ReservationFound,
    ReservationPage,
    ReserveBody,
    SpendBody,
)
from credits.clock import iso
from credits.errors import (
    AccountBlockedError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    MemberLimitExceededError,
    UnknownCreditTypeError,
)
from credits.ids import new_id
from credits.reservations.answers import Committed
from credits.reservations.checks import checked_items
from credits.reservations.hold import FINAL_STEP
from credits.reservations.model import HoldState
from credits.reservations.records import HoldRecord, hold_json

area = Area("Reservations", "Hold credits before a job, pay for what it used.")

ALL: Final = "/v1/accounts/{account}/reservations"
ONE: Final = ALL + "/{reservation_id}"

RESERVE = (Scope.RESERVE,)
LOOK = (Scope.READ, Scope.RESERVE)
REFUSED = (IdempotencyConflictError, InsufficientCreditsError, MemberLimitExceededError, UnknownCreditTypeError)
# A blocked account gets no more credits; what it holds can still be paid with.
NEW_REFUSED = (*REFUSED, AccountBlockedError)


@area.post(ALL, scopes=RESERVE, body=ReserveBody, answers={201: Reservation, 200: Reservation}, errors=NEW_REFUSED)
def reserve(call: Call, body: ReserveBody) -> Answer:
    """
    Hold credits for one job, of all types in `items` or of none.

    201 the first time; 200 with the same hold, in whatever state it is, when the request is repeated. A refusal for
    lack of credits is not remembered: after a top-up the same request may succeed.
    """
    name = call.name("reservation_id", body.reservation_id) or new_id()
    held = call.credits.reservations.reserve(
        call.account, body.items, reservation_id=name, ttl_s=body.ttl_s, member=body.member
    )
    return Answer(
        status=200 if held.replayed else 201,
        body={
            "account": call.account,
            "reservation_id": name,
            "state": held.state.name.lower(),
            "items": dict(held.items),
            "expires_at": iso(held.expires_at_ms),
            "member": held.member,
            "replayed": held.replayed,
        },
    )


@area.get(ALL, scopes=LOOK, query=HoldsQuery, answers={200: ReservationPage})
def list_reservations(call: Call, query: HoldsQuery) -> Answer:
    """An account's open holds, the soonest due first, in pages."""
    found = call.credits.holds(call.account, limit=query.limit + 1, after=query.cursor)
    page = found[: query.limit]
    return Answer(
        body={
            "account": call.account,
            "items": [_found(call.account, record) for record in page],
            "next": f"{page[-1].due_at_ms}-{page[-1].hold}" if len(found) > len(page) else None,
        }
    )


@area.get(ONE, scopes=LOOK, query=Nothing, answers={200: ReservationFound}, errors=(ReservationNotFoundError,))
def find_reservation(call: Call, _query: Nothing) -> Answer:
    """
    A reservation by its id.

    One that ended is found while Redis keeps its receipt: an hour, if not set otherwise.
    """
    return Answer(body=_found(call.account, _record(call)))


@area.post(
    ONE + "/commit",
    scopes=RESERVE,
    body=CommitBody,
    answers={200: Commitment},
    errors=(*REFUSED, HoldEndedError),
)
def commit(call: Call, body: CommitBody) -> Answer:
    """
    Pay for what was used: all that is held, or `items`. The rest goes back.

    With `"final": false` the rest stays held, and `step` names this part. Repeated with the same step it answers as
    the first time. A hold that is over is paid from what is available, if that suffices: the answer then says
    `rescued`; otherwise 410, and nothing is charged.
    """
    gate = call.credits.reservations
    if_lost = None if body.if_lost is None else checked_items(body.if_lost, gate.credit_types, field="if_lost")
    committed = gate.commit(
        call.account,
        call.path["reservation_id"],
        body.items,
        step=_step(call, body),
        final=body.final,
        overage=body.overage,
        durability=body.durability,
        if_lost=if_lost,
        member=body.member,
    )
    return _committed(call.account, committed)


@area.post(ONE + "/release", scopes=RESERVE, body=Nothing, answers={200: Release}, errors=(ReservationNotFoundError,))
def release(call: Call, _body: Nothing) -> Answer:
    """
    Give back what a hold still has.

    Repeated, it answers the same. A hold that ended in another way stays as it is: `released` is then false.
    """
    name = call.path["reservation_id"]
    was_open = call.credits.reservations.release(call.account, name)
    released = was_open or _record(call).state is HoldState.RELEASED
    return Answer(body={"account": call.account, "reservation_id": name, "released": released})


@area.post(
    ONE + "/extend",
    scopes=RESERVE,
    body=ExtendBody,
    answers={200: Extension},
    errors=(HoldEndedError,),
    is_unnamed=True,
)
def extend(call: Call, body: ExtendBody) -> Answer:
    """
    Move a hold's deadline to `ttl_s` from now, never nearer.

    Repeated, it answers the deadline there is then; with an Idempotency-Key, what it answered first. A hold ends seven
    days after it was made, however often it is extended.
    """
    name = call.path["reservation_id"]
    due_ms = call.credits.reservations.extend(call.account, name, ttl_s=body.ttl_s)
    return Answer(body={"account": call.account, "reservation_id": name, "expires_at": iso(due_ms)})


@area.post(
    "/v1/accounts/{account}/spends", scopes=RESERVE, body=SpendBody, answers={200: Commitment}, errors=NEW_REFUSED
)
def spend(call: Call, body: SpendBody) -> Answer:
    """
    Take credits in one step, for work that is done or costs a known amount. Once per key.

    A refusal for lack of credits is not remembered: the key may be used again.
    """
    key = call.needed_name("key", body.key)
    committed = call.credits.reservations.spend(
        call.account, body.items, key=key, durability=body.durability, member=body.member
    )
    return _committed(call.account, committed)


def _step(call: Call, body: CommitBody) -> str:
    """
    The name of a commit among those of its reservation.

    A final one needs none: it ends the hold, so there is one of them. Were it named by the Idempotency-Key, a client
    that repeats it under a new key would pay twice.
    """
    if body.final:
        return FINAL_STEP if body.step is None else body.step
    step = call.name("step", body.step)
    if step is None:
        raise InvalidInputError("step", 'must name this part of the job, for example "page-1", if "final" is false')
    return step


def _record(call: Call) -> HoldRecord:
    name = call.path["reservation_id"]
    record = call.credits.find_hold(call.account, name)
    if record is None:
        raise ReservationNotFoundError(name)
    return record


def _found(account: str, record: HoldRecord) -> dict[str, Any]:
    return {"account": account, **hold_json(record)}


def _committed(account: str, committed: Committed) -> Answer:
    body: Mapping[str, Any] = {
        "account": account,
        "reservation_id": committed.reservation_id,
        "durability": committed.durability.value,
        "is_pending": committed.is_pending,
        "rescued": committed.rescued,
        "replayed": committed.replayed,
    }
    return Answer(body=body)
