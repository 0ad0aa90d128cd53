"""
The use cases of automatic top-ups: begin an attempt, go on with it, sweep.

An attempt is a row before anybody is asked for money, and the provider is asked under its name: killed or cut off
anywhere, whoever goes on finds the same charge. While a row is in flight, no other one can be stored beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.checkout.model import Shop
from credits.checkout.shown import price_kept
from credits.clock import Clock
from credits.db import is_unavailable, snapshot, transaction
from credits.errors import CreditsError, InvalidInputError, PriceCalculatorError
from credits.failpoints import failpoint
from credits.ids import digest, new_id
from credits.log import get_logger
from credits.notifications.model import Kind
from credits.notifications.service import notify
from credits.pricing.model import Price
from credits.pricing.store import NewPurchase, insert_purchase
from credits.topup import charging, store
from credits.topup.model import AttemptState, Blocked, Charge, Decision, Policy, Reason, Wait
from credits.topup.rules import month_start_ms
from credits.topup.situations import asked_price, decided
from credits.units import Money

_AT_ONCE: Final = 200
# A quote of a checkout runs out; that of a charge is good for as long as anybody may ask about it.
_QUOTE_MS: Final = 30 * 86_400_000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupRuntime:
    """Everything that sweeping needs from outside: a shop for each tenant."""

    shops: Sequence[Shop]
    clock: Clock


def sweep(runtime: TopupRuntime, *, until_ms: int) -> int:
    """
    Go on with what is in flight, and begin what is missing, until nothing is due or the clock passes `until_ms`.

    Answers how many attempts it began. Safe to run in any number of processes at once, and to be killed.
    """
    begun = 0
    for shop in runtime.shops:
        _finish(shop)
        with snapshot(shop.engine) as connection:
            due = store.due_attempts(connection, shop.tenant, now_ms=runtime.clock(), limit=_AT_ONCE)
        for row in due:
            if runtime.clock() < until_ms:
                _one(row, charging.go_on, shop, row["charge_id"])
        begun += _begin_missing(runtime, shop, until_ms=until_ms)
        _finish(shop)
    return begun


def consider(shop: Shop, account: str, credit_type: str) -> Decision:
    """
    Decide about one policy, and carry it out if that is to charge.

    The price is asked between two decisions: a calculator is somebody else's code, and may take its time. The second
    decision is made under the policy's lock, and what it says is what happens.
    """
    _finish(shop)
    now_ms = shop.clock()
    with snapshot(shop.engine) as connection:
        row = store.find_policy(connection, shop.tenant, account, credit_type)
        if row is None:
            return Blocked(Reason.OFF)
        policy = store.policy_of(row)
        decision = decided(connection, shop, policy, cost_minor=None, now_ms=now_ms)
    match decision:
        case Charge(amount=amount):
            return _begin(shop, row, policy, amount)
        case Wait() | Blocked():
            _note(shop, row, decision)
            return decision


def _begin_missing(runtime: TopupRuntime, shop: Shop, *, until_ms: int) -> int:
    begun, after_id = 0, 0
    while runtime.clock() < until_ms:
        with snapshot(shop.engine) as connection:
            low = store.low_policies(connection, shop.tenant, after_id=after_id, limit=_AT_ONCE)
        for row in low:
            decision = _one(row, consider, shop, row["account"], row["credit_type"])
            begun += isinstance(decision, Charge)
            if isinstance(decision, Blocked) and charging.is_look_due(row, runtime.clock()):
                _one(row, charging.look_at_card, shop, store.policy_of(row))
        if len(low) < _AT_ONCE:
            break
        after_id = low[-1]["id"]
    return begun


def _begin(shop: Shop, seen: RowMapping, policy: Policy, amount: int) -> Decision:
    try:
        offered, money = asked_price(shop, policy, amount)
    except (InvalidInputError, PriceCalculatorError) as error:
        _note(shop, seen, Blocked(Reason.NOT_FOR_SALE), detail=str(error))
        return Blocked(Reason.NOT_FOR_SALE)
    charge_id, quote_id = new_id(), new_id()
    now_ms = shop.clock()
    with transaction(shop.engine) as connection:
        row = store.find_policy(connection, shop.tenant, policy.account, policy.credit_type, for_update=True)
        if row is None or store.policy_of(row) != policy:
            return Wait(Reason.IN_FLIGHT)  # It was changed meanwhile: the next sweep decides anew.
        decision = decided(connection, shop, policy, cost_minor=money.amount_minor, now_ms=now_ms)
        if decision == Charge(amount):
            quote = _quote(policy, offered, money, quote_id=quote_id, charge_id=charge_id, now_ms=now_ms)
            insert_purchase(connection, shop.tenant, quote, now_ms=now_ms)
            store.insert_attempt(connection, shop.tenant, _attempt(connection, shop, policy, quote, charge_id, now_ms))
    failpoint("topup.begun")
    if isinstance(decision, Charge) and decision != Charge(amount):
        return Wait(Reason.IN_FLIGHT)  # The balance moved meanwhile, and with it the amount and its price.
    _note(shop, seen, decision)
    if isinstance(decision, Charge):
        charging.go_on(shop, charge_id)
    return decision


def _quote(policy: Policy, offered: Price, money: Money, *, quote_id: str, charge_id: str, now_ms: int) -> NewPurchase:
    return NewPurchase(
        quote_id=quote_id,
        request_key=f"topup:{charge_id}",
        fingerprint=digest("topup", charge_id),
        provider=policy.provider,
        account=policy.account,
        credit_type=policy.credit_type,
        amount=offered.credits,
        bonus=offered.bonus,
        asked=money,
        price=price_kept(offered),
        success_url="",
        cancel_url="",
        expires_at_ms=now_ms + _QUOTE_MS,
    )


def _attempt(
    connection: Connection, shop: Shop, policy: Policy, quote: NewPurchase, charge_id: str, now_ms: int
) -> dict[str, Any]:
    newest = store.recent_attempts(connection, shop.tenant, policy.account, policy.credit_type)[:1]
    if quote.asked is None:
        raise ValueError(f"a top-up charges a price, and quote {quote.quote_id} has none")
    return {
        "account": policy.account,
        "credit_type": policy.credit_type,
        "seq": newest[0]["seq"] + 1 if newest else 1,
        "charge_id": charge_id,
        "quote_id": quote.quote_id,
        "provider": policy.provider,
        "amount": quote.amount,
        "asked_amount": (quote.amount or 0) - (quote.bonus or 0),
        "cost_minor": quote.asked.amount_minor,
        "currency": quote.asked.currency,
        "state": AttemptState.OPEN,
        "begun_at_ms": now_ms,
        "due_at_ms": now_ms + charging.FIRST_LOOK_MS,
    }


def _finish(shop: Shop) -> None:
    with snapshot(shop.engine) as connection:
        is_any = store.is_any_finished(connection, shop.tenant)
    if is_any:
        with transaction(shop.engine) as connection:
            store.finish_granted(connection, shop.tenant, now_ms=shop.clock())


def _note(shop: Shop, seen: RowMapping, decision: Decision, *, detail: str = "") -> None:
    """Keep a decision that is not the one before for whoever asks why, and tell it where it is told."""
    word, reason, until_ms = shown(decision)
    if (seen["decision"], seen["reason"], seen["until_ms"]) == (word, reason.value, until_ms):
        return
    now_ms = shop.clock()
    with transaction(shop.engine) as connection:
        store.change_policy(
            connection,
            shop.tenant,
            seen["account"],
            seen["credit_type"],
            decision=word,
            reason=reason.value,
            until_ms=until_ms,
            detail=detail[:500],
            decided_at_ms=now_ms,
        )
        if reason in _TOLD:
            period = month_start_ms(now_ms) if reason is Reason.MONTHLY_CAP else seen["confirmed_at_ms"]
            notify(
                connection,
                shop.tenant,
                Kind.TOPUP_FAILED,
                key=f"{seen['id']}:{reason.value}:{period}",
                account=seen["account"],
                data={"credit_type": seen["credit_type"], "reason": reason.value, "finish_url": None},
                now_ms=now_ms,
            )


def shown(decision: Decision) -> tuple[str, Reason, int | None]:
    """A decision as it is stored: its word, its reason, until when."""
    match decision:
        case Charge():
            return "charge", Reason.SHORTAGE, None
        case Wait(reason=reason, until_ms=until_ms):
            return "wait", reason, until_ms
        case Blocked(reason=reason):
            return "blocked", reason, None


_TOLD: Final = frozenset({Reason.MONTHLY_CAP, Reason.CAP_TOO_SMALL, Reason.NOT_FOR_SALE, Reason.REFUNDED})
"""Reasons that are told to destinations; a declined card is told with its attempt."""


def _one(row: RowMapping, run: Callable[..., Any], *args: Any) -> Any:
    """One account's trouble delays nobody else's top-up. A database that is away ends the sweep."""
    try:
        return run(*args)
    except CreditsError as error:
        log.warning("topup.failed", account=row["account"], credit_type=row["credit_type"], error=str(error))
        return None
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("topup.failed", account=row["account"], credit_type=row["credit_type"])
        return None
