"""What cannot be sold, priced or paid for."""

from credits.errors.inputs import InvalidInputError
from credits.errors.tree import CreditsError, shown


class TopupCapTooSmallError(InvalidInputError):
    """One top-up would cost more than may be charged in a month."""

    code = "topup_cap_below_cost"
    fix = "Set a cap of at least what one top-up costs, or buy fewer each time."

    def __init__(self, cost_minor: int, cost: str, currency: str) -> None:
        super().__init__("monthly_cap_minor", f"must be at least {cost_minor}: one top-up costs {cost}")
        self.cost_minor = cost_minor
        self.currency = currency


class AmountNotForSaleError(InvalidInputError):
    """No price is declared for this amount. The message names the bound."""

    code = "amount_not_for_sale"

    def __init__(self, credit_type: str, amount: int, reason: str) -> None:
        super().__init__("amount", f"{amount} {credit_type}: {reason}")
        self.credit_type = credit_type
        self.amount = amount


class NoPriceError(InvalidInputError):
    """These credits have no price in that currency. The message lists those in which they have one."""

    code = "no_price"
    fix = "Ask for one of the currencies that the message lists, or add [credit_types.<key>.prices.<currency>]."

    def __init__(self, credit_type: str, currency: str, known: str) -> None:
        super().__init__("currency", f"{credit_type} has no price in {shown(currency)}; it has prices in: {known}")
        self.credit_type = credit_type
        self.currency = currency


class ReturnUrlError(InvalidInputError):
    """Nobody may be sent to this address after a checkout."""

    code = "return_url_refused"
    fix = "Add the host to allowed_hosts of [checkout] in credits.toml, or send people to one that is there."


class NotSoldByError(InvalidInputError):
    """This provider cannot sell it here. The message says why, and what it can."""

    code = "not_sold_by_provider"
    fix = "Choose another provider, or configure this one: docs/selling.md says which variables it needs."


class TopupNotSoldByError(NotSoldByError):
    """This provider cannot charge a saved card."""

    code = "topup_not_offered_by_provider"
    fix = "Name a provider that can charge a saved card: stripe, with STRIPE_API_KEY set."


class TopupNotFoundError(CreditsError):
    code = "topup_not_found"
    fix = "Set one with `credits topup set`, or PUT /v1/accounts/{account}/topups/{credit_type}."

    def __init__(self, account: str, credit_type: str) -> None:
        super().__init__(f"account {shown(account)} has no automatic top-up of {shown(credit_type)}")
        self.account = account
        self.credit_type = credit_type


class PurchaseNotFoundError(CreditsError):
    code = "purchase_not_found"
    fix = "List the purchases with `credits purchases list`."

    def __init__(self, purchase_id: str) -> None:
        super().__init__(f"there is no purchase {shown(purchase_id)}")
        self.purchase_id = purchase_id


class CheckoutExpiredError(CreditsError):
    """The quote behind this key is over, and its checkout was never handed out. Nothing was charged."""

    code = "checkout_expired"
    fix = "Make a new checkout with a new key."


class PriceCalculatorError(CreditsError):
    """An installation's own calculator raised, hung, or answered what is no price. Nothing was sold."""

    code = "price_calculator_failed"
    fix = "Mend the function that price_calculator names in credits.toml, and start the programs again."

    def __init__(self, calculator: str, amount: int, reason: str) -> None:
        super().__init__(f"{calculator}({amount}) {reason}")
        self.calculator = calculator
        self.amount = amount


class ProviderRefusedError(CreditsError):
    """A payment provider understood what we asked for and said no. Nothing was charged."""

    code = "provider_refused"
    fix = "Do what the provider's message says; the same key may be used again."

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(f"{provider}: {message}")
        self.provider = provider


class ProviderKeyRefusedError(ProviderRefusedError):
    """A payment provider does not accept our API key, or not for this."""

    code = "provider_key_refused"
    fix = "Compare the provider's API key in the environment with its dashboard: mode, permissions, revoked or not."


class UnknownPromoCodeError(InvalidInputError):
    code = "unknown_promo_code"
    fix = "List the codes with `credits promo list`, or make it with `credits promo create`."

    def __init__(self, code: str) -> None:
        super().__init__("code", f"there is no promo code {shown(code)}")


class PromoCodeRefusedError(InvalidInputError):
    """A promo code has expired or is used up. Nothing was changed."""

    code = "promo_code_refused"
    fix = "Use another code; `credits promo list` shows how often each was used, and until when it works."

    def __init__(self, promo_code: str, reason: str) -> None:
        super().__init__("code", f"promo code {promo_code} {reason}")
