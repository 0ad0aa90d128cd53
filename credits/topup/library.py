"""The part of the library that tops up: what an owner agrees to, and why a card was charged or not."""

from collections.abc import Mapping
from typing import Any

from credits.checkout.model import Shop
from credits.config.catalogue import CreditType
from credits.db import snapshot, transaction
from credits.errors import InvalidInputError, TopupCapTooSmallError, TopupNotFoundError
from credits.ids import checked_id, checked_payer_id
from credits.pricing.money import checked_currency
from credits.topup import service, store
from credits.topup.model import Policy
from credits.topup.rules import decide
from credits.topup.shown import topup_json
from credits.topup.situations import asked_price, charger_of, situation_of
from credits.units import MAX_AMOUNT, checked_amount


class Topups:
    """Automatic top-ups of one tenant. Safe to share between threads."""

    shop: Shop

    def set_topup(
        self,
        account: str,
        credit_type: str,
        *,
        threshold: int,
        monthly_cap_minor: int,
        amount: int | None = None,
        target: int | None = None,
        currency: str | None = None,
        provider: str | None = None,
        customer_id: str | None = None,
        payment_method: str | None = None,
    ) -> Mapping[str, Any]:
        """
        Charge the account's saved card for `amount` credits, or up to `target`, when fewer than `threshold` are there.

        Never more than `monthly_cap_minor` in a calendar month (UTC). Setting it again says that it is right as it is:
        a card that was declined before is tried again. Nothing is charged by this call; a sweep does, seconds later.

        Raises:
            InvalidInputError: something is outside its bounds, or not for sale; it names the field.
            TopupNotSoldByError: the provider cannot charge a saved card.
        """
        kind = self.shop.catalogue.credit_type(checked_id(credit_type, "credit_type"))
        policy = Policy(
            account=checked_payer_id(account, "account"),
            credit_type=kind.key,
            provider=charger_of(self.shop, provider).name,
            is_on=True,
            threshold=checked_amount(threshold, "threshold"),
            **_wanted(threshold, amount, target),
            cap_minor=_checked_cap(monthly_cap_minor),
            currency=_currency(kind, currency),
            confirmed_at_ms=self.shop.clock(),
            customer_id=None if customer_id is None else checked_id(customer_id, "customer_id"),
            payment_method=None if payment_method is None else checked_id(payment_method, "payment_method"),
        )
        # A target is bought from nothing at the most, debts aside.
        _, money = asked_price(self.shop, policy, policy.amount or policy.target or 0)
        if money.amount_minor > policy.cap_minor:
            raise TopupCapTooSmallError(money.amount_minor, str(money), money.currency)
        with transaction(self.shop.engine) as connection:
            store.put_policy(connection, self.shop.tenant, policy, now_ms=self.shop.clock())
        return self.topup(account, credit_type)

    def topup(self, account: str, credit_type: str) -> Mapping[str, Any]:
        """
        What is agreed for one credit type, what would be decided now and why, and the last attempts.

        Raises TopupNotFoundError.
        """
        name, now_ms = checked_id(account, "account"), self.shop.clock()
        with snapshot(self.shop.engine) as connection:
            row = store.find_policy(connection, self.shop.tenant, name, checked_id(credit_type, "credit_type"))
            if row is None:
                raise TopupNotFoundError(name, credit_type)
            policy = store.policy_of(row)
            situation, attempts = situation_of(connection, self.shop, policy, cost_minor=None, now_ms=now_ms)
        return topup_json(row, situation, decide(policy, situation, now_ms=now_ms), attempts)

    def topups(self, account: str) -> list[Mapping[str, Any]]:
        """Every automatic top-up of an account, those that are off included."""
        name = checked_id(account, "account")
        with snapshot(self.shop.engine) as connection:
            rows = store.list_policies(connection, self.shop.tenant, name)
        return [self.topup(name, row["credit_type"]) for row in rows]

    def stop_topup(self, account: str, credit_type: str) -> Mapping[str, Any]:
        """
        Charge nothing more. What is in flight is finished: its money may be taken already.

        Safe to repeat. Raises TopupNotFoundError.
        """
        self._change(account, credit_type, is_on=0, decision=None, reason=None, until_ms=None)
        return self.topup(account, credit_type)

    def retry_topup(self, account: str, credit_type: str) -> Mapping[str, Any]:
        """
        Forget the declines before and decide at once; charges if there is a shortage and nothing is in flight.

        Raises TopupNotFoundError.
        """
        self._change(account, credit_type, confirmed_at_ms=self.shop.clock(), decision=None, reason=None, until_ms=None)
        service.consider(self.shop, checked_id(account, "account"), credit_type)
        return self.topup(account, credit_type)

    def _change(self, account: str, credit_type: str, **values: Any) -> None:
        name, kind = checked_id(account, "account"), checked_id(credit_type, "credit_type")
        with transaction(self.shop.engine) as connection:
            if not store.change_policy(connection, self.shop.tenant, name, kind, **values):
                raise TopupNotFoundError(name, kind)


def _wanted(threshold: int, amount: int | None, target: int | None) -> dict[str, int | None]:
    if (amount is None) == (target is None):
        raise InvalidInputError("amount", "give it or target, and not both: so many credits, or up to so many")
    if amount is not None:
        return {"amount": checked_amount(amount, "amount"), "target": None}
    if checked_amount(target, "target") <= threshold:
        raise InvalidInputError("target", f"must be above the threshold of {threshold}")
    return {"amount": None, "target": target}


def _checked_cap(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_AMOUNT:
        raise InvalidInputError(
            "monthly_cap_minor",
            f"must be from 1 to {MAX_AMOUNT} in the currency's smallest unit, got {str(value)[:40]}",
        )
    return value


def _currency(kind: CreditType, asked: str | None) -> str:
    return kind.price_list(None if asked is None else checked_currency(asked)).currency
