"""An allocation that a person has to look at. Permanent: none is tried again by itself."""

from credits.errors.tree import CreditsError, shown


class AllocationError(CreditsError):
    """A payment that cannot become credits until somebody changes something."""

    code = "allocation_failed"


class UnknownPriceError(AllocationError):
    code = "unknown_price"
    fix = (
        "Add the price to a plan in credits.toml (or to other_prices, if it earns no credits), "
        "restart the workers, then run `credits events retry`."
    )

    def __init__(self, product_id: str) -> None:
        super().__init__(f"price {shown(product_id)} belongs to no plan in credits.toml")
        self.product_id = product_id


class AmountMismatchError(AllocationError):
    """What was asked at the provider differs from the quote."""

    code = "amount_mismatch"
    fix = (
        "Compare both figures at the provider. To grant all the same, use `credits grant` with a reason "
        "and `credits events skip`; or refund the payment."
    )

    def __init__(self, quote_id: str, quoted: str, asked: str) -> None:
        super().__init__(f"quote {quote_id} was for {quoted}, the payment was for {asked}")
        self.quote_id = quote_id
        self.quoted = quoted
        self.asked = asked


class QuoteContradictedError(AllocationError):
    """A payment names a quote of ours and, beside it, something else than was quoted: somebody changed it."""

    code = "quote_contradicted"
    fix = (
        "Look at the payment with the provider: its metadata was changed after the checkout was made. Refund it; or "
        "grant by hand with `credits grant` and a reason and then `credits events skip`."
    )

    def __init__(self, quote_id: str, field: str, quoted: object, said: object) -> None:
        super().__init__(f"quote {quote_id} says {field} {shown(quoted)}, the payment says {shown(said)}")
        self.quote_id = quote_id
        self.field = field


class UnquotedPurchaseError(AllocationError):
    """A payment names credits and no quote of ours, and the configuration says that a person decides about those."""

    code = "unquoted_purchase"
    fix = (
        "Find out who made the checkout. Grant it with `credits grant` and a reason and then `credits events skip`; or "
        'set purchases.unquoted = "grant" in credits.toml, restart the workers and run `credits events retry`.'
    )


class FreePurchaseError(AllocationError):
    """A checkout cost nothing, and the configuration says that a person decides about those."""

    code = "free_purchase"
    fix = (
        'Grant it with `credits grant` and a reason and then `credits events skip`; or set purchases.free = "grant" '
        "in credits.toml, restart the workers and run `credits events retry`."
    )


class UnknownQuoteError(AllocationError):
    code = "unknown_quote"
    fix = "The payment names a quote this database does not have. Check which environment sold it, then attach or skip."

    def __init__(self, quote_id: str) -> None:
        super().__init__(f"there is no quote {shown(quote_id)}")
        self.quote_id = quote_id


class PaidUnknownError(AllocationError):
    """Money went back, and no event of the payment said how much had been paid: the share is not known."""

    code = "paid_unknown"
    fix = "Take the credits back by hand with `credits deduct`, then run `credits events skip`."

    def __init__(self, reversal: str) -> None:
        super().__init__(f"{reversal}: no event says how much was paid")


class ReversalCurrencyError(AllocationError):
    """A refund is in another currency than its payment: the share is not known."""

    code = "reversal_currency"
    fix = (
        "Compare payment and refund at the provider; take the credits back by hand with `credits deduct`, then run "
        "`credits events skip`."
    )

    def __init__(self, reversal: str, refunded: str, paid: str) -> None:
        super().__init__(f"{reversal} is in {refunded}, the payment was in {paid}")
