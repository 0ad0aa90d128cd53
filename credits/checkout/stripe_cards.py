"""Charge saved cards at Stripe: one PaymentIntent per charge, confirmed while the payer is away."""

from collections.abc import Callable
from typing import Any, Final

import stripe

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
from credits.checkout.marks import ACCOUNT, AMOUNT, CREDIT_TYPE, KIND, QUOTE, TOPUP
from credits.errors import ProviderUnavailableError

HARD_DECLINES: Final = frozenset(
    {
        "card_not_supported",
        "currency_not_supported",
        "expired_card",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "lost_card",
        "merchant_blacklist",
        "new_account_information_available",
        "no_payment_method",
        "payment_method_not_available",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "stolen_card",
        "stop_payment_order",
        "testmode_decline",
        "transaction_not_allowed",
    }
)
"""Stripe's decline codes after which the same card must not be tried again."""

_AUTHENTICATION: Final = frozenset({"authentication_required", "authentication_not_handled"})
_NEEDS_THE_PAYER: Final = frozenset({"requires_action", "requires_confirmation", "requires_capture"})
_OVER: Final = frozenset({"succeeded", "processing"})
_LOOKED_THROUGH: Final = 100
_LOOKED_BACK_S: Final = 3_600
_CONFLICT: Final = 409


def decline_kind(code: str, advice: str | None) -> DeclineKind:
    """What a decline means: by Stripe's advice where there is one, else by its code; an unknown code is soft."""
    if code in _AUTHENTICATION:
        return DeclineKind.AUTHENTICATION
    if advice in {"do_not_try_again", "confirm_card_data"} or code in HARD_DECLINES:
        return DeclineKind.HARD
    return DeclineKind.SOFT


def intent_params(order: ChargeOrder) -> dict[str, Any]:
    """The PaymentIntent of an order. Pure: what depends on the moment would make a repeat another request."""
    return {
        "amount": order.money.amount_minor,
        "currency": order.money.currency.lower(),
        "customer": order.customer_id,
        "payment_method": order.payment_method,
        "payment_method_types": ["card"],
        "off_session": True,
        "confirm": True,
        "description": order.title,
        "metadata": {
            ACCOUNT: order.account,
            CREDIT_TYPE: order.credit_type,
            AMOUNT: str(order.amount),
            QUOTE: order.purchase_id,
            KIND: TOPUP,
        },
    }


class StripeCards:
    """A credits.checkout.cards.CardCharger over a client of Stripe's library; what it promises stands there."""

    def __init__(self, client: stripe.StripeClient, refusal: Callable[[stripe.StripeError], Exception]) -> None:
        self._client = client
        self._refusal = refusal

    def saved_card(self, customer_ids: tuple[str, ...], payment_method: str | None) -> SavedCard | None:
        try:
            return next((card for one in customer_ids if (card := self._card_of(one, payment_method))), None)
        except stripe.StripeError as error:
            raise self._refusal(error) from None

    def charge_off_session(self, order: ChargeOrder) -> Charge:
        try:
            if order.may_exist:
                return self._found(order)
            params: Any = intent_params(order)
            intent = self._client.v1.payment_intents.create(params, {"idempotency_key": order.charge_id})
            return self._judged(intent)
        except stripe.CardError as error:
            return self._declined(error)
        except stripe.IdempotencyError as error:
            return self._made_otherwise(order, error)
        except stripe.StripeError as error:
            raise self._refusal(error) from None

    def charge_state(self, payment_id: str) -> Charge:
        try:
            return self._judged(self._client.v1.payment_intents.retrieve(payment_id))
        except stripe.StripeError as error:
            raise self._refusal(error) from None

    def _card_of(self, customer_id: str, payment_method: str | None) -> SavedCard | None:
        if payment_method is not None:
            return SavedCard(customer_id=customer_id, payment_method=payment_method)
        customer: Any = self._client.v1.customers.retrieve(customer_id)
        if getattr(customer, "deleted", False):
            return None
        settings = getattr(customer, "invoice_settings", None)
        chosen = getattr(settings, "default_payment_method", None)
        if chosen is None:
            # Whoever pays at a checkout leaves a card and makes it nobody's default: the newest one counts.
            listed = self._client.v1.customers.payment_methods.list(customer_id, {"type": "card", "limit": 1})
            chosen = listed.data[0].id if listed.data else None
        if chosen is None:
            return None
        return SavedCard(customer_id=customer_id, payment_method=chosen if isinstance(chosen, str) else chosen.id)

    def _found(self, order: ChargeOrder) -> Charge:
        """Stripe forgets idempotency keys after a day; what was made it knows for ever."""
        since_s = order.begun_at_ms // 1000 - _LOOKED_BACK_S
        listed = self._client.v1.payment_intents.list(
            {"customer": order.customer_id, "created": {"gte": since_s}, "limit": _LOOKED_THROUGH}
        )
        for intent in listed.auto_paging_iter():
            if (intent.to_dict().get("metadata") or {}).get(QUOTE) == order.purchase_id:
                return self._judged(intent)
        return NeverMade()

    def _made_otherwise(self, order: ChargeOrder, error: stripe.StripeError) -> Charge:
        """The key is taken: by a call that is still at it, or by one that said something else. What it made counts."""
        found = NeverMade() if error.http_status == _CONFLICT else self._found(order)
        if isinstance(found, NeverMade):
            raise ProviderUnavailableError("stripe", "the charge is being made by another call") from None
        return found

    def _judged(self, intent: Any) -> Charge:
        match intent.status:
            case "succeeded":
                return Charged(payment_id=intent.id)
            case "processing":
                return ChargePending(payment_id=intent.id)
            case status if status in _NEEDS_THE_PAYER:
                return self._given_up(intent.id, "authentication_required")
            case "canceled":
                return Declined(kind=DeclineKind.SOFT, reason="canceled", payment_id=intent.id)
            case _:
                said = intent.last_payment_error
                code, advice = _code_of(said), getattr(said, "advice_code", None)
                if decline_kind(code, advice) is DeclineKind.AUTHENTICATION:
                    return self._given_up(intent.id, code)
                return Declined(kind=decline_kind(code, advice), reason=code, payment_id=intent.id)

    def _declined(self, error: stripe.CardError) -> Charge:
        said: Any = error.error
        intent = getattr(said, "payment_intent", None)
        code = _code_of(said) if said is not None else str(error.code or "card_declined")
        kind = decline_kind(code, getattr(said, "advice_code", None))
        payment_id = None if intent is None else str(intent.id)
        if kind is DeclineKind.AUTHENTICATION and payment_id is not None:
            return self._given_up(payment_id, code)
        return Declined(kind=kind, reason=code, payment_id=payment_id)

    def _given_up(self, payment_id: str, code: str) -> Charge:
        """
        Cancel what only the payer could finish, so that it can never be charged beside the link that we hand out.

        Who was faster than we are has paid.
        """
        try:
            intent = self._client.v1.payment_intents.cancel(payment_id)
        except stripe.InvalidRequestError:
            intent = self._client.v1.payment_intents.retrieve(payment_id)
        except stripe.StripeError as error:
            raise self._refusal(error) from None
        if intent.status in _OVER:
            return self._judged(intent)
        return Declined(kind=DeclineKind.AUTHENTICATION, reason=code, payment_id=payment_id)


def _code_of(said: Any) -> str:
    return str(getattr(said, "decline_code", None) or getattr(said, "code", None) or "card_declined")[:64]
