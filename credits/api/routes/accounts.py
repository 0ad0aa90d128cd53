"""Routes that read an account: balances, entries, grants."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import RowMapping

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.models import (
    Balances,
    BalancesQuery,
    CanDeduct,
    CanDeductQuery,
    EntryPage,
    GrantPage,
    PageQuery,
)
from credits.engine import balances_json
from credits.ledger.shown import entry_json, grant_json

area = Area("Accounts", "What an account has, and how it came to that.")

READ = (Scope.READ,)


@area.get("/v1/accounts/{account}/balances", scopes=READ, query=BalancesQuery, answers={200: Balances})
def read_balances(call: Call, query: BalancesQuery) -> Answer:
    """
    Balances of an account.

    Now: from the ledger and the gate, with what is held, pending and available. With `at`: as of that instant, from
    the ledger. An account that never had credits has none.
    """
    return Answer(body=balances_json(call.account, call.credits.balances(call.account, at_ms=query.at)))


@area.get("/v1/accounts/{account}/entries", scopes=READ, query=PageQuery, answers={200: EntryPage})
def read_entries(call: Call, query: PageQuery) -> Answer:
    """The account's ledger, newest first, in pages."""
    return _page(call.credits.entries, call.account, query, entry_json)


@area.get("/v1/accounts/{account}/grants", scopes=READ, query=PageQuery, answers={200: GrantPage})
def read_grants(call: Call, query: PageQuery) -> Answer:
    """The account's lots with what remains of each, newest first, in pages."""
    return _page(call.credits.grants, call.account, query, grant_json)


@area.get(
    "/v1/accounts/{account}/can-deduct",
    scopes=(Scope.READ, Scope.RESERVE),
    query=CanDeductQuery,
    answers={200: CanDeduct},
)
def can_deduct(call: Call, query: CanDeductQuery) -> Answer:
    """
    Whether so many credits could be taken now.

    It holds nothing: a moment later the answer may be another one. Reserve to be sure.
    """
    found = call.credits.can_deduct(call.account, query.credit_type, query.amount)
    asked: Mapping[str, Any] = {"credit_type": query.credit_type, "amount": query.amount}
    return Answer(body={"account": call.account, **asked, "can_deduct": found})


def _page(
    read: Callable[..., list[RowMapping]],
    account: str,
    query: PageQuery,
    as_json: Callable[[RowMapping], dict[str, Any]],
) -> Answer:
    """One page; `next` is the cursor of the page after it, null on the last one."""
    rows = read(account, credit_type=query.credit_type, before_id=query.cursor, limit=query.limit + 1)
    page = rows[: query.limit]
    return Answer(
        body={
            "account": account,
            "items": [as_json(row) for row in page],
            "next": str(page[-1]["id"]) if len(rows) > len(page) else None,
        }
    )
