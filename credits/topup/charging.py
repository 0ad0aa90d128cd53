"""Go on with one attempt: choose the card, charge it, write down the answer, hand over to the payer if need be."""

from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from credits.checkout.cards import (
    Charge,
    Charged,
    ChargeOrder,
    ChargePending,
    Declined,
    DeclineKind,
    NeverMade,
    SavedCard,
)
from credits.checkout.model import CheckoutRequest, Shop
from credits.checkout.service import open_checkout
from credits.db import snapshot, transaction
from credits.errors import CreditsError, DependencyError, ProviderKeyRefusedError
from credits.failpoints import failpoint
from credits.notifications.model import Kind
from credits.notifications.service import notify
from credits.pricing import store as purchases
from credits.topup import store
from credits.topup.model import IN_FLIGHT, AttemptState, Policy
from credits.topup.situations import charger_of
from credits.units import Money

FIRST_LOOK_MS: Final = 30_000
"""When a sweep goes on with an attempt of which its beginner has written down no answer."""

KEY_KNOWN_MS: Final = 20 * 3_600_000
"""How long the provider surely knows the idempotency key; after that its charges are searched instead."""

_PAUSES_MS: Final = (10_000, 30_000, 60_000, 300_000, 600_000)
_PENDING_MS: Final = 60_000
_HAND_OFF_MS: Final = 20 * 3_600_000
_CARD_LOOK_MS: Final = 3_600_000


def go_on(shop: Shop, charge_id: str) -> None:
    """
    Take an attempt as far as it goes now. Safe to repeat and to run at once: the provider sees one name.

    Raises nothing for what the provider says or fails to say: that is written down with when to ask again.
    """
    row = _row(shop, charge_id)
    if row is None:
        return
    if row["state"] == AttemptState.HANDED_OFF:
        _hand_off(shop, row)
        return
    if row["state"] not in IN_FLIGHT:
        with transaction(shop.engine) as connection:
            store.change_attempt(connection, row["id"], due_at_ms=None)
        return
    charge: Charge | CreditsError
    try:
        charge = _asked(shop, row)
    except (DependencyError, ProviderKeyRefusedError) as error:
        # Not known, or not heard: the attempt stays in flight, so that nothing is charged beside it.
        _ask_again(shop, row, str(error))
        return
    except CreditsError as error:
        charge = error
    failpoint("topup.charged")
    if _write_down(shop, row, charge):
        _hand_off(shop, _needed_row(shop, charge_id))


def look_at_card(shop: Shop, policy: Policy) -> bool:
    """
    Whether the card that was declined has been replaced at the provider; then the declines before count no more.

    Asked once an hour at the most.
    """
    now_ms = shop.clock()
    names = (shop.tenant, policy.account, policy.credit_type)
    with transaction(shop.engine) as connection:
        row = store.find_policy(connection, *names, for_update=True)
        newest = store.recent_attempts(connection, *names)[:1]
        if row is None or not is_look_due(row, now_ms):
            return False
        store.change_policy(connection, *names, card_looked_at_ms=now_ms)
        if not newest or newest[0]["state"] not in _BLOCKING:
            return False
        customers = _customers(connection, shop, policy.provider, policy.account, policy.customer_id)
    card = charger_of(shop, policy.provider).saved_card(customers, policy.payment_method) if customers else None
    if card is None or card.payment_method == newest[0]["payment_method"]:
        return False
    with transaction(shop.engine) as connection:
        return store.change_policy(connection, *names, confirmed_at_ms=shop.clock())


def is_look_due(policy: RowMapping, now_ms: int) -> bool:
    """Whether it is an hour since the provider was asked for the card."""
    return (policy["card_looked_at_ms"] or 0) + _CARD_LOOK_MS <= now_ms


_BLOCKING: Final = (AttemptState.DECLINED, AttemptState.HANDED_OFF)


def _asked(shop: Shop, row: RowMapping) -> Charge:
    charger = charger_of(shop, row["provider"])
    if row["payment_id"] is not None:
        return charger.charge_state(row["payment_id"])
    if row["payment_method"] is None:
        card = _card(shop, row)
        if card is None:
            return Declined(kind=DeclineKind.HARD, reason="no_payment_method")
        with transaction(shop.engine) as connection:
            store.choose_card(connection, row["id"], customer_id=card.customer_id, payment_method=card.payment_method)
        row = _needed_row(shop, row["charge_id"])
    failpoint("topup.card_chosen")
    return charger.charge_off_session(_order(row, now_ms=shop.clock()))


def _card(shop: Shop, row: RowMapping) -> SavedCard | None:
    with snapshot(shop.engine) as connection:
        policy = store.find_policy(connection, shop.tenant, row["account"], row["credit_type"])
        chosen = None if policy is None else policy["customer_id"]
        customers = _customers(connection, shop, row["provider"], row["account"], chosen)
    method = None if policy is None else policy["payment_method"]
    return charger_of(shop, row["provider"]).saved_card(customers, method) if customers else None


def _customers(connection: Connection, shop: Shop, provider: str, account: str, chosen: str | None) -> tuple[str, ...]:
    return (chosen,) if chosen is not None else store.customers_of(connection, shop.tenant, provider, account)


def _order(row: RowMapping, *, now_ms: int) -> ChargeOrder:
    """Out of the stored row alone, so that a repeat asks for the very same."""
    return ChargeOrder(
        charge_id=row["charge_id"],
        purchase_id=row["quote_id"],
        account=row["account"],
        title=f"Automatic top-up: {row['amount']} {row['credit_type']} credits",
        credit_type=row["credit_type"],
        amount=row["amount"],
        money=Money(amount_minor=row["cost_minor"], currency=row["currency"]),
        customer_id=row["customer_id"],
        payment_method=row["payment_method"],
        begun_at_ms=row["begun_at_ms"],
        may_exist=now_ms - row["begun_at_ms"] > KEY_KNOWN_MS,
    )


def _write_down(shop: Shop, row: RowMapping, answer: Charge | CreditsError) -> bool:
    """Keep the answer, unless the attempt is over meanwhile; True if the payer has to finish it."""
    now_ms = shop.clock()
    values = _values(answer, now_ms)
    with transaction(shop.engine) as connection:
        current = store.find_attempt(connection, shop.tenant, row["charge_id"], for_update=True)
        if current is None or current["ended_at_ms"] is not None:
            return False
        store.change_attempt(connection, current["id"], **values)
        is_over = values.get("ended_at_ms") is not None
        if is_over:
            purchases.note_refusal(connection, shop.tenant, current["quote_id"], reason=values["reason"], now_ms=now_ms)
        is_handed_off = values["state"] is AttemptState.HANDED_OFF
        if is_over and not is_handed_off:
            _tell(connection, shop, current, reason=values["reason"], finish_url=None)
    return is_handed_off


def _values(answer: Charge | CreditsError, now_ms: int) -> dict[str, Any]:
    """The columns of an attempt after `answer`."""
    over = {"ended_at_ms": now_ms, "due_at_ms": None}
    match answer:
        case Charged(payment_id=payment_id):
            return {"state": AttemptState.CHARGED, "payment_id": payment_id, "reason": "", "due_at_ms": None}
        case ChargePending(payment_id=payment_id):
            due = {"due_at_ms": now_ms + _PENDING_MS}
            return {"state": AttemptState.PENDING, "payment_id": payment_id, "reason": "", **due}
        case Declined(kind=DeclineKind.AUTHENTICATION as kind, reason=reason, payment_id=payment_id):
            named = {"kind": kind, "reason": reason, "payment_id": payment_id}
            return {"state": AttemptState.HANDED_OFF, **named, "ended_at_ms": now_ms, "due_at_ms": now_ms}
        case Declined(kind=kind, reason=reason, payment_id=payment_id):
            return {"state": AttemptState.DECLINED, "kind": kind, "reason": reason, "payment_id": payment_id, **over}
        case NeverMade():
            return {"state": AttemptState.LOST, "reason": "the provider never heard of it", **over}
        case CreditsError():
            return {"state": AttemptState.REFUSED, "reason": str(answer)[:500], **over}


def _ask_again(shop: Shop, row: RowMapping, why: str) -> None:
    pause_ms = _PAUSES_MS[min(row["tries"], len(_PAUSES_MS) - 1)]
    with transaction(shop.engine) as connection:
        store.change_attempt(
            connection, row["id"], tries=row["tries"] + 1, reason=why[:500], due_at_ms=shop.clock() + pause_ms
        )


def _hand_off(shop: Shop, row: RowMapping) -> None:
    """
    Give the payer a link: a checkout of the same credits, where the bank can ask what it wants to.

    The charge that the bank stopped is cancelled by then, so that the link is the only way to pay.
    """
    url, purchase_id = None, None
    if shop.clock() - (row["ended_at_ms"] or 0) < _HAND_OFF_MS:
        try:
            made, _ = open_checkout(shop, _finishing(row))
            url, purchase_id = made["checkout_url"], made["quote_id"]
        except DependencyError as error:
            _ask_again(shop, row, str(error))
            return
        except CreditsError as error:
            url, purchase_id = None, None
            reason = f"no link could be made: {error}"[:500]
            with transaction(shop.engine) as connection:
                store.change_attempt(connection, row["id"], reason=reason)
    failpoint("topup.handed_off")
    with transaction(shop.engine) as connection:
        store.change_attempt(connection, row["id"], finish_url=url, finish_purchase_id=purchase_id, due_at_ms=None)
        _tell(connection, shop, row, reason=row["reason"], finish_url=url)


def _finishing(row: RowMapping) -> CheckoutRequest:
    return CheckoutRequest(
        account=row["account"],
        provider=row["provider"],
        credit_type=row["credit_type"],
        amount=row["asked_amount"],
        currency=row["currency"],
        key=f"topup:{row['charge_id']}:finish",
    )


def _tell(connection: Connection, shop: Shop, row: RowMapping, *, reason: str, finish_url: str | None) -> None:
    notify(
        connection,
        shop.tenant,
        Kind.TOPUP_FAILED,
        key=row["charge_id"],
        account=row["account"],
        data={
            "credit_type": row["credit_type"],
            "amount": row["amount"],
            "cost_minor": row["cost_minor"],
            "currency": row["currency"],
            "reason": reason,
            "finish_url": finish_url,
        },
        now_ms=shop.clock(),
    )


def _row(shop: Shop, charge_id: str) -> RowMapping | None:
    with snapshot(shop.engine) as connection:
        return store.find_attempt(connection, shop.tenant, charge_id)


def _needed_row(shop: Shop, charge_id: str) -> RowMapping:
    row = _row(shop, charge_id)
    if row is None:
        raise LookupError(f"the attempt of charge {charge_id} is gone, and attempts are never deleted")
    return row
