"""The calls of the API as values: what is sent, and how the answer is read. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from credits.clock import from_iso, iso
from credits.ids import checked_id
from credits.ledger.model import Balance, Posted
from credits.reservations.answers import Committed, Held
from credits.reservations.model import Durability, HoldState, Overage
from credits.reservations.records import HoldRecord

T = TypeVar("T")

Row = dict[str, Any]
"""An entry or a grant as every face shows it in JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. Every one of them has a name in it, so that it may be sent again whatever became of the last try."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    patience_s: float | None = None
    """How long it may take with all its tries; None: as long as the client is told."""
    if_unknown: tuple[T, ...] = ()
    """The answer if nobody knows the hold (any more), as the library gives it. Empty: that is an error."""


def reserve(
    account: str, items: Mapping[str, int], *, reservation_id: str, ttl_s: float, member: str | None
) -> Call[Held]:
    """Hold credits. The answer of a hold made before says what became of it since."""

    def read(body: Any) -> Held:
        return Held(
            account=account,
            reservation_id=str(body["reservation_id"]),
            items=dict(items),
            expires_at_ms=from_iso(body["expires_at"]),
            state=HoldState[body["state"].upper()],
            replayed=bool(body["replayed"]),
            member=member,
        )

    body = {"reservation_id": reservation_id, "items": dict(items), "ttl_s": ttl_s, **given(member=member)}
    return Call(method="POST", path=_account(account, "reservations"), body=body, read=read)


def commit(
    account: str,
    reservation_id: str,
    items: Mapping[str, int] | None,
    *,
    step: str,
    final: bool,
    overage: Overage,
    durability: Durability,
    if_lost: Mapping[str, int] | None,
    member: str | None,
) -> Call[Committed]:
    """Pay for what was used of a hold."""
    body = {
        "step": step,
        "final": final,
        "overage": overage.value,
        "durability": durability.value,
        **given(items=_plain(items), if_lost=_plain(if_lost), member=member),
    }
    return Call(method="POST", path=_hold(account, reservation_id, "commit"), body=body, read=_committed)


def release(account: str, reservation_id: str) -> Call[bool]:
    """Give back what is still held."""
    path = _hold(account, reservation_id, "release")
    return Call(method="POST", path=path, body={}, read=lambda body: bool(body["released"]), if_unknown=(False,))


def extend(account: str, reservation_id: str, *, ttl_s: float) -> Call[int]:
    """Move a hold's deadline; answers it in ms."""
    return Call(
        method="POST",
        path=_hold(account, reservation_id, "extend"),
        body={"ttl_s": ttl_s},
        read=lambda body: from_iso(body["expires_at"]),
        # The next beat comes after a third of ttl_s, and one thread extends all holds of a process.
        patience_s=max(1.0, ttl_s / 6),
    )


def find(account: str, reservation_id: str) -> Call[HoldRecord | None]:
    """A hold by its name, one that ended included while Redis remembers it."""
    return Call(method="GET", path=_hold(account, reservation_id), read=_record, if_unknown=(None,))


def holds(account: str, *, limit: int) -> Call[list[HoldRecord]]:
    """Open holds, the soonest due first."""
    return Call(
        method="GET",
        path=_account(account, "reservations"),
        query={"limit": str(limit)},
        read=lambda body: [_record(one) for one in body["items"]],
    )


def spend(
    account: str, items: Mapping[str, int], *, key: str, durability: Durability, member: str | None
) -> Call[Committed]:
    """Reserve and commit in one step."""
    body = {"key": key, "items": dict(items), "durability": durability.value, **given(member=member)}
    return Call(method="POST", path=_account(account, "spends"), body=body, read=_committed)


def add(
    account: str, credit_type: str, amount: int, *, key: str, reason: str, expires_at_ms: int | None
) -> Call[Posted]:
    """Put credits in."""
    body = {"credit_type": credit_type, "amount": amount, "key": key, "reason": reason}
    more = given(expires_at=iso(expires_at_ms))
    return Call(method="POST", path=_account(account, "grants"), body={**body, **more}, read=_posted)


def deduct(account: str, credit_type: str, amount: int, *, key: str, reason: str) -> Call[Posted]:
    """Take credits out by hand."""
    body = {"credit_type": credit_type, "amount": amount, "key": key, "reason": reason}
    return Call(method="POST", path=_account(account, "deductions"), body=body, read=_posted)


def can_deduct(account: str, credit_type: str, amount: int) -> Call[bool]:
    """Whether so much is available."""
    return Call(
        method="GET",
        path=_account(account, "can-deduct"),
        query={"credit_type": credit_type, "amount": str(amount)},
        read=lambda body: bool(body["can_deduct"]),
    )


def balances(account: str, *, at_ms: int | None) -> Call[dict[str, Balance]]:
    """Balances per credit type, now or as of an instant."""
    return Call(
        method="GET",
        path=_account(account, "balances"),
        query=given(at=iso(at_ms)),
        read=lambda body: {kind: _balance(one) for kind, one in body["balances"].items()},
    )


def page(account: str, what: str, *, credit_type: str | None, before_id: int | None, limit: int) -> Call[list[Row]]:
    """A page of `entries` or `grants`, newest first."""
    cursor = None if before_id is None else str(before_id)
    return Call(
        method="GET",
        path=_account(account, what),
        query={"limit": str(limit), **given(credit_type=credit_type, cursor=cursor)},
        read=lambda body: list(body["items"]),
    )


def portal_link(
    account: str, *, ttl_s: int, return_url: str | None, locale: str | None, email: str | None
) -> Call[tuple[str, int]]:
    """A link to the hosted page, and until when it opens it. Nothing is stored: a repetition makes another one."""
    return Call(
        method="POST",
        path=_account(account, "portal-links"),
        body={"ttl_s": ttl_s, **given(return_url=return_url, locale=locale, email=email)},
        read=lambda body: (str(body["url"]), from_iso(body["expires_at"])),
    )


def embed_token(
    account: str, *, origins: Sequence[str], ttl_s: int, locale: str | None, email: str | None
) -> Call[tuple[str, int]]:
    """A token for the web components, and until when it is good. A repetition makes another one."""
    return Call(
        method="POST",
        path=_account(account, "embed-tokens"),
        body={"origins": list(origins), "ttl_s": ttl_s, **given(locale=locale, email=email)},
        read=lambda body: (str(body["token"]), from_iso(body["expires_at"])),
    )


def _account(account: str, what: str) -> str:
    return f"/v1/accounts/{segment(checked_id(account, 'account'))}/{what}"


def _hold(account: str, reservation_id: str, verb: str = "") -> str:
    name = segment(checked_id(reservation_id, "reservation_id"))
    return _account(account, f"reservations/{name}") + (f"/{verb}" if verb else "")


def segment(name: str) -> str:
    """A name as one segment of a path."""
    # Dots alone would be taken for "this folder" or "the one above" by everything on the way.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def given(**values: Any) -> dict[str, Any]:
    """Those of `values` that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _plain(items: Mapping[str, int] | None) -> dict[str, int] | None:
    return None if items is None else dict(items)


def _committed(body: Any) -> Committed:
    return Committed(
        reservation_id=str(body["reservation_id"]),
        durability=Durability(body["durability"]),
        is_pending=bool(body["is_pending"]),
        rescued=bool(body["rescued"]),
        replayed=bool(body["replayed"]),
    )


def _posted(body: Any) -> Posted:
    return Posted(
        account=body["account"],
        credit_type=body["credit_type"],
        key=body["key"],
        seq=body["seq"],
        amount=body["amount"],
        balance_after=body["balance_after"],
        replayed=bool(body["replayed"]),
    )


def _balance(body: Any) -> Balance:
    return Balance(
        balance=body["balance"],
        held=body["held"],
        pending=body["pending"],
        available=body["available"],
        debt=body["debt"],
    )


def _record(body: Any) -> HoldRecord:
    return HoldRecord(
        # What Redis calls it is no business of callers over HTTP.
        hold="",
        reservation_id=body["reservation_id"],
        member=body.get("member"),
        state=HoldState[body["state"].upper()],
        made_at_ms=from_iso(body["made_at"]),
        due_at_ms=from_iso(body["expires_at"]),
        left=dict(body["items"]),
        steps=body["commits"],
    )
