"""
Use cases of what changes of plan ask for: order of the gate what is to go, and give back what turns out too much.

Weighed anew whenever more is told of a subscription or of its payments: safe to repeat, and in any order.
"""

from collections.abc import Container, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from credits.config.settings import Tenant
from credits.ids import digest
from credits.ledger import moves
from credits.ledger import store as ledger_store
from credits.ledger.locks import lock_accounts
from credits.ledger.model import DebitKind, GrantSource
from credits.ledger.moves import Move
from credits.ledger.orders import order_command
from credits.plans import asks_store, carries, periods_store, pools
from credits.plans.asks_store import Row
from credits.plans.pools import Split
from credits.plans.weighing import Weighed, spread, weigh
from credits.reversals import store as reversals

_LOOK_AGAIN_MS = 15_000


def weigh_all(
    connection: Connection, tenant: Tenant, provider: str, subscription_id: str, *, now_ms: int, anew: bool = False
) -> None:
    """
    Order what a subscription's changes ask for together, or give back, by credit type and billing period.

    `anew`: also give back what was owed where there is as much again by now, for it to be ordered once more.
    """
    asks = asks_store.asks_of(connection, tenant, provider, subscription_id)
    if not asks:
        return
    lock_accounts(connection, {ask["account_id"] for ask in asks})
    for pool in sorted({_pool_of(ask) for ask in asks}):
        split = pools.read_split(connection, [ask for ask in asks if _pool_of(ask) == pool])
        to_yield = weigh(split.pool).to_yield
        if to_yield:
            _yield_to_refunds(connection, split.asks, to_yield)
            again = asks_store.asks_of(connection, tenant, provider, subscription_id)
            split = pools.read_split(connection, [ask for ask in again if _pool_of(ask) == pool])
        _weigh(connection, tenant, split, now_ms=now_ms, anew=anew)


def _pool_of(ask: Row) -> tuple[str, int]:
    return ask["credit_type"], ask["end_ms"]


def _yield_to_refunds(connection: Connection, asks: Sequence[Row], to_yield: Mapping[int, int]) -> None:
    """Leave to refunds what they want of these lots and changes took. No credits move by it."""
    for grant_id, amount in to_yield.items():
        reversals.adopt(connection, grant_id, amount)
    shares = spread(sum(to_yield.values()), {number: ask["ordered"] for number, ask in enumerate(asks)})
    for number, share in shares.items():
        if share:
            asks_store.change_ask(connection, asks[number], ordered=asks[number]["ordered"] - share)


def _weigh(connection: Connection, tenant: Tenant, split: Split, *, now_ms: int, anew: bool) -> None:
    asks = split.asks
    weighed = weigh(split.pool, anew=anew)
    if weighed.to_order:
        _order(connection, tenant, split, weighed.to_order, now_ms=now_ms)
    if weighed.to_give_back:
        lots = list(_lots_to_return_to(connection, split, weighed.to_give_back, now_ms=now_ms))
        _give_back(connection, tenant, split, lots, now_ms=now_ms)
    carries.carry_less(connection, weighed.not_to_carry)
    is_look = any(ask["due_at_ms"] is not None and ask["due_at_ms"] <= now_ms for ask in asks)
    due_at_ms = _next_look_ms(split, weighed, now_ms, is_look=is_look)
    for ask in asks:
        if ask["due_at_ms"] != due_at_ms:
            asks_store.change_ask(connection, ask, due_at_ms=due_at_ms)


def _next_look_ms(split: Split, weighed: Weighed, now_ms: int, *, is_look: bool) -> int | None:
    """When to look what became of an order; and, of what was owed, when as much of the pool may lapse unused."""
    if weighed.to_order or not split.pool.is_carried_out:
        return now_ms + _LOOK_AGAIN_MS
    if not weighed.owed:
        return None
    if not is_look and any(lot.reachable for lot in split.pool.lots):
        # Of these, some may be going for another reason.
        return now_ms + _LOOK_AGAIN_MS
    lapses = [row["expires_at_ms"] + _LOOK_AGAIN_MS for row in split.rows if row["remaining"] and row["expires_at_ms"]]
    return min((at_ms for at_ms in lapses if at_ms > now_ms), default=None)


def _order(connection: Connection, tenant: Tenant, split: Split, amount: int, *, now_ms: int) -> None:
    left = amount
    for ask in split.asks:
        part = min(left, ask["asked"] - ask["ordered"])
        if part <= 0:
            continue
        left -= part
        number = ask["steps"] + 1
        op = asks_store.op_of(ask, number)
        order_command(
            connection,
            tenant,
            ask["account_id"],
            kind=DebitKind.RESET,
            credit_type=ask["credit_type"],
            amount=part,
            grant_ids=_own_first(connection, tenant, split, ask),
            # What is spent of them becomes a debt, which later credits repay. Bought credits are in no order's lots.
            allow_debt=True,
            op=op,
            fingerprint=digest(op)[:32],
            actor=f"provider:{ask['provider']}",
            reason=f"plan {ask['plan']}: money given back, {ask['key']}"[:500],
            now_ms=now_ms,
        )
        asks_store.change_ask(connection, ask, ordered=ask["ordered"] + part, steps=number)


def _own_first(connection: Connection, tenant: Tenant, split: Split, ask: Row) -> list[int]:
    """
    The lots to take from: the pool's, then the subscription's others.

    What an earlier segment left over, in its grace or for good, was paid for and stays if it can.
    """
    # What refunds take of a lot is theirs.
    full = {lot.grant_id for lot in split.pool.lots if lot.wanted and lot.taken >= lot.room}
    own = sorted(
        (row for row in split.rows if row["remaining"] and row["id"] not in full),
        key=lambda row: (row["source"] == GrantSource.ROLLOVER, row["plan"] != ask["plan"], row["id"]),
    )
    others = sorted(
        (
            lot
            for lot in periods_store.open_lots_of(connection, tenant, ask["provider"], ask["subscription_id"])
            if lot["credit_type"] == ask["credit_type"] and lot["grant_id"] not in split.ids
        ),
        key=lambda lot: (
            lot["plan"] != ask["plan"],
            lot["end_ms"] is not None and lot["end_ms"] <= ask["since_ms"],
            lot["grant_id"],
        ),
    )
    return [row["id"] for row in own] + [lot["grant_id"] for lot in others]


def _give_back(
    connection: Connection, tenant: Tenant, split: Split, lots: list[tuple[int, int]], *, now_ms: int
) -> None:
    # What was asked for and is no more goes first, then what was ordered last.
    for ask in sorted(split.asks, key=lambda ask: (ask["ordered"] > ask["asked"], ask["since_ms"]), reverse=True):
        ordered, number = ask["ordered"], ask["steps"]
        while lots and ordered:
            grant_id, part = lots.pop(0)
            if part <= 0:
                continue
            back = min(part, ordered)
            if back < part:
                lots.insert(0, (grant_id, part - back))
            ordered, number = ordered - back, number + 1
            op = asks_store.op_of(ask, number)
            move = Move(
                tenant=tenant,
                account_id=ask["account_id"],
                grant_id=grant_id,
                credit_type=ask["credit_type"],
                amount=back,
                key=f"{op}:{ask['credit_type']}",
                fingerprint=digest(op)[:32],
                actor=f"provider:{ask['provider']}",
                reason=f"plan {ask['plan']}: more was taken than is due by what is known now, {ask['key']}"[:500],
            )
            moves.give_back(connection, move, now_ms=now_ms)
            reversals.look_again(connection, grant_id, now_ms=now_ms)
        asks_store.change_ask(connection, ask, ordered=ordered, steps=number)


def _lots_to_return_to(connection: Connection, split: Split, amount: int, *, now_ms: int) -> Iterator[tuple[int, int]]:
    """
    (lot, how many): first what repays a debt, then what others had for what was owed, then what was taken of lots.

    A debt is repaid by whatever is given back. Where later credits have repaid it since, it is theirs.
    """
    ask = split.asks[0]
    _, debt, _ = ledger_store.read_balance(connection, ask["account_id"], ask["credit_type"])
    to_debt = min(amount, debt)
    if to_debt:
        yield split.rows[0]["id"], to_debt
    amount -= to_debt
    others = {grant_id: taken for grant_id, taken in split.taken.items() if grant_id not in split.ids}
    own = {lot.grant_id: lot.taken for lot in reversed(split.pool.lots)}
    owed = max(0, min(amount, split.pool.ordered - sum(others.values()) - sum(own.values()) - to_debt))
    amount -= owed
    repaid = pools.lots_that_repaid(connection, ask, now_ms=now_ms)
    yield from spread(owed, {**repaid, **_rooms(split, without=repaid)}).items()
    yield from spread(amount, {**dict(sorted(others.items(), reverse=True)), **own}).items()


def _rooms(split: Split, *, without: Container[int]) -> dict[int, int]:
    """What was used of the pool's lots; last of those that a refund asks of."""
    rows = sorted(split.rows, key=lambda row: (row["wanted"] > 0, -row["id"]))
    return {row["id"]: row["amount"] - row["remaining"] for row in rows if row["id"] not in without}
