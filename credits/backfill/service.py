"""Look through what a provider has, and put what no webhook told us into the inbox. Repeating it adds nothing."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection, Engine

from credits.backfill.model import DAY_MS, FoundEvent, Listing, Tally
from credits.backfill.store import Cursor, keep_cursor, read_cursor
from credits.clock import Clock
from credits.config.settings import Tenant
from credits.db import snapshot, transaction
from credits.inbox import store
from credits.inbox.model import EventState, NewEvent
from credits.inbox.provider import Provider
from credits.payload import MAX_BODY_BYTES, parse

OVERLAP_MS: Final = DAY_MS
"""What a provider shows late, or dates a little back, is seen by the pass after."""

FIRST_LOOK_MS: Final = 7 * DAY_MS
"""How far the first pass of a new installation looks back; `credits backfill` looks further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One provider of one tenant, ready to be looked through."""

    engine: Engine
    tenant: Tenant
    provider: Provider
    listing: Listing
    clock: Clock
    every_ms: int = 0
    """How long after the beginning of a pass the workers begin the next one."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a search came to."""

    since_ms: int
    kinds: dict[str, Tally] = field(default_factory=dict)
    event_ids: list[int] = field(default_factory=list)
    """The rows of the inbox that are new."""
    is_complete: bool = False
    """False: time was up; the next one goes on from here."""


Open = Callable[[], AbstractContextManager[Connection]]
Tell = Callable[[str, Tally], None]


def backfill(search: Search, *, since_ms: int, opened: Open, tell: Tell = lambda _kind, _tally: None) -> Report:
    """
    Look through everything since then; each page is one transaction of `opened`, which a dry run rolls back.

    Raises ProviderUnavailableError or ProviderRefusedError; what was found before is in the inbox.
    """
    report = Report(since_ms=since_ms)
    for kind in search.listing.kinds:
        token: str | None = None
        while True:
            # The provider is asked before the transaction begins.
            page = search.listing.page(kind, since_ms=since_ms, token=token, now_ms=search.clock())
            with opened() as connection:
                _take_in(search, connection, kind, page.events, report)
            tell(kind, report.kinds[kind])
            if page.next_token is None:
                break
            token = page.next_token
    report.is_complete = True
    return report


def reconcile(search: Search, *, until_ms: int | None = None, tell: Tell = lambda _kind, _tally: None) -> Report:
    """
    Look through what happened since the last pass, a day's overlap included; go on where one was cut off.

    At `until_ms` it stops after a page. Its place is kept with each page, so a kill costs at most that page.
    """
    with snapshot(search.engine) as connection:
        cursor = read_cursor(connection, search.tenant, search.provider.name)
    if cursor.pass_began_ms is None:
        now_ms = search.clock()
        since_ms = cursor.looked_until_ms - OVERLAP_MS if cursor.looked_until_ms else now_ms - FIRST_LOOK_MS
        cursor = replace(cursor, pass_began_ms=now_ms, pass_since_ms=since_ms, kind=search.listing.kinds[0])
    report = Report(since_ms=cursor.pass_since_ms or 0)
    while cursor.kind is not None and (until_ms is None or search.clock() < until_ms):
        kind = cursor.kind
        page = search.listing.page(kind, since_ms=report.since_ms, token=cursor.token, now_ms=search.clock())
        cursor = _after(cursor, search.listing.kinds, page.next_token)
        with transaction(search.engine) as connection:
            _take_in(search, connection, kind, page.events, report)
            keep_cursor(connection, search.tenant, search.provider.name, cursor)
        tell(kind, report.kinds[kind])
    report.is_complete = cursor.kind is None
    return report


def is_due(search: Search) -> bool:
    """Whether a pass is under way, or the last one began so long ago that the next one is due."""
    with snapshot(search.engine) as connection:
        cursor = read_cursor(connection, search.tenant, search.provider.name)
    return cursor.pass_began_ms is not None or search.clock() - cursor.looked_until_ms >= search.every_ms


def _after(cursor: Cursor, kinds: tuple[str, ...], next_token: str | None) -> Cursor:
    """Where the pass goes on after a page; after the last one it is over, and everything before it was looked at."""
    if next_token is not None:
        return replace(cursor, token=next_token)
    rest = kinds[kinds.index(cursor.kind) + 1 :] if cursor.kind in kinds else ()
    if rest:
        return replace(cursor, kind=rest[0], token=None)
    return Cursor(looked_until_ms=cursor.pass_began_ms or 0)


def _take_in(search: Search, connection: Connection, kind: str, events: Sequence[FoundEvent], report: Report) -> None:
    tally = report.kinds.setdefault(kind, Tally())
    for found in events:
        tally.found += 1
        body = json.dumps(found.body, ensure_ascii=False).encode()
        if len(body) > MAX_BODY_BYTES:
            tally.too_large += 1
            continue
        event = _new_event(search, found, body)
        if event.state is EventState.IGNORED:
            # Nobody asked for it, and it moves nothing: a webhook of its kind is kept, a listing of all of them is not.
            tally.unread += 1
            continue
        if event.tenant is not search.tenant:
            tally.other_mode += 1
            continue
        receipt = store.insert_event(connection, event)
        if receipt is None:
            tally.known += 1
            continue
        tally.new += 1
        report.event_ids.append(receipt.id)


def _new_event(search: Search, found: FoundEvent, body: bytes) -> NewEvent:
    delivery = search.provider.envelope(parse(body), body)
    is_read = search.provider.reads(delivery.event_type)
    return NewEvent(
        tenant=delivery.tenant or search.tenant,
        provider=search.provider.name,
        provider_account=delivery.provider_account,
        endpoint=search.tenant,
        event_id=found.event_id,
        event_type=delivery.event_type,
        body=body,
        state=EventState.RECEIVED if is_read else EventState.IGNORED,
        code=None if is_read else "unread_type",
        detail=None if is_read else f"events of type {delivery.event_type} move no credits",
        occurred_at_ms=delivery.occurred_at_ms,
        received_at_ms=search.clock(),
    )
