"""What we write on every object at a provider when we sell something; webhooks.metadata reads it back."""

from typing import Final

ACCOUNT: Final = "creditgate_account"
CREDIT_TYPE: Final = "creditgate_credit_type"
AMOUNT: Final = "creditgate_amount"
QUOTE: Final = "creditgate_quote"
KIND: Final = "creditgate_kind"
"""How we sold: by a checkout page, or by charging a saved card."""

REFERENCE: Final = "creditgate_reference"
"""The account, signed, for providers where a payer can write beside it: `credits.client_reference("user_1")`."""
RETURN_URL: Final = "creditgate_return_url"
"""Where the payer goes after paying, for providers that take no such address."""

CHECKOUT: Final = "checkout"
TOPUP: Final = "topup"
