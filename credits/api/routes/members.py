"""Routes of members: what each of an account may spend, and how far that is used up."""

from typing import Any, Final

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.member_models import (
    MemberFound,
    MemberLimitBody,
    MemberPage,
    MemberRaiseBody,
    MembersQuery,
    Removal,
    TimeZoneBody,
    TimeZoneSet,
)
from credits.api.models import Nothing
from credits.errors import UnknownCreditTypeError
from credits.members.model import Member, member_json

area = Area("Members", "Who spends an account's credits, and how much each may.")

ALL: Final = "/v1/accounts/{account}/members"
ONE: Final = ALL + "/{member}"
LIMITS: Final = ONE + "/limits"
LIMIT: Final = LIMITS + "/{credit_type}/{per}"
RAISE: Final = LIMIT + "/raise"
ZONE: Final = "/v1/accounts/{account}/time-zone"

LOOK = (Scope.READ, Scope.RESERVE)
SET = (Scope.GRANT,)
OPERATE = (Scope.ADMIN,)
"""What an operator decides, and no app by itself."""


@area.get(ALL, scopes=LOOK, query=MembersQuery, answers={200: MemberPage})
def list_members(call: Call, query: MembersQuery) -> Answer:
    """Members that have a limit or have spent, by name: what each may spend, and has used."""
    found = call.credits.members(call.account, after=query.cursor or "", limit=query.limit + 1)
    page = found[: query.limit]
    following = page[-1].member if len(found) > len(page) else None
    return Answer(body={"account": call.account, "items": [member_json(one) for one in page], "next": following})


@area.get(LIMITS, scopes=LOOK, query=Nothing, answers={200: MemberFound})
def find_member(call: Call, _query: Nothing) -> Answer:
    """
    A member's limits, and what it has used of them.

    A name that nobody has used yet is a member without limits: it may spend what the account has.
    """
    return _found(call, call.credits.member(call.account, call.path["member"]))


@area.put(LIMIT, scopes=SET, body=MemberLimitBody, answers={200: MemberFound}, errors=(UnknownCreditTypeError,))
def set_member_limit(call: Call, body: MemberLimitBody) -> Answer:
    """
    Set what a member may spend of a credit type per `day`, per `month`, or for `ever`.

    It takes the place of the limit of the same type and window, raised or not. Repeated, it changes nothing.
    """
    path = call.path
    call.credits.set_member_limit(
        call.account,
        path["member"],
        path["credit_type"],
        body.amount,
        per=path["per"],
        actor=call.actor,
        reason=body.reason,
    )
    return _found(call, call.credits.member(call.account, path["member"]))


@area.put(RAISE, scopes=OPERATE, body=MemberRaiseBody, answers={200: MemberFound}, errors=(UnknownCreditTypeError,))
def raise_member_limit(call: Call, body: MemberRaiseBody) -> Answer:
    """
    Raise a limit until an instant, for a reason; then it is again what it was.

    It takes the place of a raise that was there. Repeated, it changes nothing.
    """
    path = call.path
    call.credits.raise_member_limit(
        call.account,
        path["member"],
        path["credit_type"],
        body.amount,
        per=path["per"],
        until_ms=body.until,
        reason=body.reason,
        actor=call.actor,
    )
    return _found(call, call.credits.member(call.account, path["member"]))


@area.put(ZONE, scopes=OPERATE, body=TimeZoneBody, answers={200: TimeZoneSet})
def set_time_zone(call: Call, body: TimeZoneBody) -> Answer:
    """
    Set whose midnight begins the days and months of an account's limits. UTC until it is set.

    What was used in the window that runs is counted anew by the new zone.
    """
    is_new = call.credits.set_time_zone(call.account, body.time_zone, actor=call.actor, reason=body.reason)
    return Answer(body={"account": call.account, "time_zone": body.time_zone, "replayed": not is_new})


@area.delete(LIMIT, scopes=SET, body=Nothing, answers={200: Removal}, errors=(UnknownCreditTypeError,))
def remove_member_limit(call: Call, _body: Nothing) -> Answer:
    """Remove a limit. Repeated, it removes none."""
    path = call.path
    removed = call.credits.remove_member_limits(
        call.account, path["member"], path["credit_type"], per=path["per"], actor=call.actor
    )
    if not removed:
        # What was set for a type that is not declared any more can be removed; a type that never was is a mistake.
        call.credits.catalogue.credit_type(path["credit_type"])
    return Answer(body={"account": call.account, "member": path["member"], "removed": removed})


def _found(call: Call, member: Member) -> Answer:
    body: dict[str, Any] = {"account": call.account, **member_json(member)}
    return Answer(body=body)
