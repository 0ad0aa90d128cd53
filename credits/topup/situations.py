"""Read what a decision rests on, and make it."""

from sqlalchemy import Connection, RowMapping

from credits.checkout.cards import CardCharger
from credits.checkout.model import Shop
from credits.checkout.prices import price
from credits.errors import InvalidInputError, TopupNotSoldByError
from credits.ledger import service as ledger
from credits.pricing.model import Price
from credits.topup import store
from credits.topup.model import Decision, Policy, Situation
from credits.topup.rules import decide, month_start_ms
from credits.units import Money


def charger_of(shop: Shop, provider: str | None) -> CardCharger:
    """The seller of that name, or the first that can charge a saved card. Raises TopupNotSoldByError."""
    able = {name: seller for name in shop.sellers if isinstance(seller := shop.sellers[name], CardCharger)}
    if provider is None and able:
        return next(iter(able.values()))
    if provider is None or provider not in able:
        listed = ", ".join(able) or "none here"
        raise TopupNotSoldByError(
            "provider", f"{(provider or 'no provider')[:40]!r} cannot charge a saved card; those that can: {listed}"
        )
    return able[provider]


def situation_of(
    connection: Connection, shop: Shop, policy: Policy, *, cost_minor: int | None, now_ms: int
) -> tuple[Situation, list[RowMapping]]:
    """
    What a decision rests on, and the attempts behind it.

    Attempts are read before the balance: one that is over has brought its credits by then.
    """
    names = (shop.tenant, policy.account, policy.credit_type)
    rows = store.recent_attempts(connection, *names)
    held = ledger.balances(connection, shop.tenant, policy.account, now_ms=now_ms).get(policy.credit_type)
    since_ms = month_start_ms(now_ms)
    situation = Situation(
        # What is owed is missing, too.
        available=0 if held is None else held.available or min(0, held.balance),
        attempts=tuple(store.attempt_of(row) for row in rows),
        spent_minor=store.spent_minor(connection, *names, currency=policy.currency, since_ms=since_ms),
        cost_minor=cost_minor,
        is_account_blocked=store.is_account_blocked(connection, shop.tenant, policy.account),
        reversed_at_ms=store.last_reversal_ms(connection, shop.tenant, policy.account),
    )
    return situation, rows


def decided(connection: Connection, shop: Shop, policy: Policy, *, cost_minor: int | None, now_ms: int) -> Decision:
    """Whether to charge now, as the caller's transaction sees it."""
    situation, _ = situation_of(connection, shop, policy, cost_minor=cost_minor, now_ms=now_ms)
    return decide(policy, situation, now_ms=now_ms)


def asked_price(shop: Shop, policy: Policy, amount: int) -> tuple[Price, Money]:
    """
    What a top-up costs the account, and what the provider is to charge.

    Raises InvalidInputError if the amount is not for sale, PriceCalculatorError if the installation's code failed.
    """
    offered = price(shop, policy.credit_type, amount, account=policy.account, currency=policy.currency)
    money = shop.sellers[policy.provider].chargeable(offered.money)
    if money.amount_minor == 0:
        raise InvalidInputError("amount", f"{amount} {policy.credit_type} cost nothing: there is nothing to charge")
    return offered, money
