"""One tree of errors. Each leaf has a stable `code`, carries its data as attributes, and says what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class CreditsError(Exception):
    """Base of every error Creditgate raises on purpose."""

    code: ClassVar[str] = "error"
    fix: ClassVar[str] = "Read the message; it names what was wrong."
    """What to do about it, shown to the person who has to."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross processes: Celery pickles them. A constructor that makes the message of parts cannot be repeated.
        return with_message, (type(self), self.args, vars(self))


# ── Input that can never be right ────────────────────────────────────────────────────────────────────────


class InvalidInputError(CreditsError):
    """Something a caller sent is outside its bounds. The message names the field, the bound and the value."""

    code = "invalid_input"
    fix = "Send a value inside the bound that the message names."

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InvalidAmountError(InvalidInputError):
    code = "invalid_amount"

    def __init__(self, field: str, value: object, maximum: int) -> None:
        super().__init__(field, f"must be a whole number from 1 to {maximum}, got {_short(value)}")
        self.maximum = maximum


class InvalidSumError(InvalidInputError):
    """A sum of money as people type it cannot be read."""

    code = "invalid_sum"
    fix = "Write a sum such as 20 or 20.50."

    def __init__(self, field: str, value: str, currency: str) -> None:
        super().__init__(field, f"must be a sum in {currency}, such as 20 or 20.50; got {_short(value)}")
        self.currency = currency


class TopupCapTooSmallError(InvalidInputError):
    """One top-up would cost more than may be charged in a month."""

    code = "topup_cap_below_cost"
    fix = "Set a cap of at least what one top-up costs, or buy fewer each time."

    def __init__(self, cost_minor: int, cost: str, currency: str) -> None:
        super().__init__("monthly_cap_minor", f"must be at least {cost_minor}: one top-up costs {cost}")
        self.cost_minor = cost_minor
        self.currency = currency


class InvalidCurrencyError(InvalidInputError):
    code = "invalid_currency"

    def __init__(self, value: object) -> None:
        super().__init__("currency", f"must be a three-letter ISO 4217 code in capitals, got {_short(value)}")


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
        super().__init__("currency", f"{credit_type} has no price in {_short(currency)}; it has prices in: {known}")
        self.credit_type = credit_type
        self.currency = currency


class InvalidIdError(InvalidInputError):
    code = "invalid_id"


class UnknownCreditTypeError(InvalidInputError):
    code = "unknown_credit_type"
    fix = "Declare the credit type in credits.toml, or use one that is declared there."

    def __init__(self, credit_type: str, known: object) -> None:
        super().__init__("credit_type", f"{_short(credit_type)} is not declared; declared are: {known}")
        self.credit_type = credit_type


class DestinationRefusedError(InvalidInputError):
    """Notifications may not go to this URL."""

    code = "destination_refused"
    fix = "Use an https:// URL of a public host, or allow its network in CREDITGATE_NOTIFY_NETWORKS."

    def __init__(self, reason: str) -> None:
        super().__init__("url", reason)


class UnknownPlanError(InvalidInputError):
    code = "unknown_plan"
    fix = "Declare the plan in credits.toml, or use one that is declared there."

    def __init__(self, plan: str, known: object) -> None:
        super().__init__("plan", f"{_short(plan)} is not declared; declared are: {known}")
        self.plan = plan


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
        super().__init__(f"account {_short(account)} has no automatic top-up of {_short(credit_type)}")
        self.account = account
        self.credit_type = credit_type


class PurchaseNotFoundError(CreditsError):
    code = "purchase_not_found"
    fix = "List the purchases with `credits purchases list`."

    def __init__(self, purchase_id: str) -> None:
        super().__init__(f"there is no purchase {_short(purchase_id)}")
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
        super().__init__("code", f"there is no promo code {_short(code)}")


class PromoCodeRefusedError(InvalidInputError):
    """A promo code has expired or is used up. Nothing was changed."""

    code = "promo_code_refused"
    fix = "Use another code; `credits promo list` shows how often each was used, and until when it works."

    def __init__(self, promo_code: str, reason: str) -> None:
        super().__init__("code", f"promo code {promo_code} {reason}")


class ConfigError(CreditsError):
    """The configuration or the environment is wrong; `problems` lists every finding by key."""

    code = "config_invalid"
    fix = "Run `credits config check`: it lists every problem by key and reason."

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems.items()))
        self.problems = dict(problems)


# ── The ledger refuses ───────────────────────────────────────────────────────────────────────────────────


class IdempotencyConflictError(CreditsError):
    """A key was used before, for other content. Nothing was changed."""

    code = "idempotency_conflict"
    fix = "Use a new key for a new request; repeat an old key only with the same content."

    def __init__(self, key: str, first: str, now: str) -> None:
        super().__init__(f"key {key!r} was used before for {first}; now it came with {now}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Shortage:
    """One credit type of which there is too little."""

    credit_type: str
    needed: int
    available: int


class InsufficientCreditsError(CreditsError):
    """The account holds fewer available credits than were asked for. Nothing was changed."""

    code = "insufficient_credits"
    fix = "Buy or grant credits, then try again; the same key may be used."

    def __init__(self, *shortages: Shortage) -> None:
        super().__init__(
            "; ".join(f"{one.credit_type}: {one.needed} needed, {one.available} available" for one in shortages)
        )
        self.shortages = shortages


@dataclass(frozen=True, slots=True)
class LimitExceeded:
    """One limit that would be passed."""

    credit_type: str
    per: str
    """day, month or ever"""
    limit: int
    used: int
    """Committed in the window, and held now."""
    needed: int
    ends_at_ms: int | None
    """When the window ends and the limit begins anew; None: never."""


class MemberLimitExceededError(CreditsError):
    """A member has used up what its account lets it spend. Nothing was changed, whatever the account has."""

    code = "member_limit_exceeded"
    fix = "Wait for the window's end, ask for less, or raise the limit with `credits members raise`."

    def __init__(self, member: str, *exceeded: LimitExceeded) -> None:
        super().__init__(
            f"member {_short(member)}: "
            + "; ".join(
                f"{one.needed} {one.credit_type} needed, {max(0, one.limit - one.used)} left of {one.limit} "
                + ("for ever" if one.per == "ever" else f"per {one.per}")
                for one in exceeded
            )
        )
        self.member = member
        self.exceeded = exceeded


class AccountBlockedError(CreditsError):
    """The account owes credits that were refunded after they were spent, and may reserve nothing meanwhile."""

    code = "account_blocked"
    fix = "Repay the debt with the next purchase or grant; or let an operator run `credits accounts unblock`."

    def __init__(self, account: str, credit_type: str, debt: int, reason: str) -> None:
        super().__init__(f"account {account} is blocked: it owes {debt} {credit_type}, {reason}")
        self.account = account
        self.credit_type = credit_type
        self.debt = debt
        self.reason = reason


class BalanceLimitError(CreditsError):
    """A grant would lift a balance above the bound that every part of the system can count to."""

    code = "balance_limit"
    fix = "Grant less; no account may hold more than 2^53 − 1 credits of a type."


# ── Callers of the API ───────────────────────────────────────────────────────────────────────────────────


class AuthenticationError(CreditsError):
    """No key, or none that is valid now. It does not say which, so that nobody can probe for keys."""

    code = "unauthenticated"
    fix = "Send `Authorization: Bearer <key>` with a key that is neither expired nor revoked."


class PassExpiredError(AuthenticationError):
    """A link, session or token of ours whose time is over. Nobody changed it: where it leads back to can be trusted."""

    code = "pass_expired"
    fix = "Ask the app's server for a new one; docs/pages.md says how long each lasts."

    def __init__(self, return_url: str | None) -> None:
        super().__init__("it is over")
        self.return_url = return_url


class PermissionDeniedError(CreditsError):
    """The key is valid, but not for this."""

    code = "permission_denied"
    fix = "Use a key that has the scope named in the message."

    def __init__(self, *scopes: str) -> None:
        super().__init__(f"this needs the scope {' or '.join(repr(scope) for scope in scopes)}")
        self.scopes = scopes


# ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


class SignatureError(CreditsError):
    """The request was not signed by anybody who knows one of our secrets, or too long ago."""

    code = "bad_signature"
    fix = "Compare the endpoint's signing secret at the provider with the one in the environment."


class MalformedPayloadError(CreditsError):
    """A body is not what the provider documents. The message names the field."""

    code = "malformed_payload"
    fix = "Look at the body with `credits events show`; attach or skip the event, or report the new shape."


class IncompletePayloadError(CreditsError):
    """A webhook leaves out a part that decides about credits, and that only the provider's API can tell."""

    code = "incomplete_payload"
    fix = (
        "Set the provider's API key (STRIPE_API_KEY, in the sandbox STRIPE_TEST_API_KEY), restart the workers and run "
        "`credits events retry EVENT`; until then the event grants nothing, and is kept."
    )


class UnknownProviderError(CreditsError):
    code = "unknown_provider"
    fix = "Use one of the providers that the message lists."

    def __init__(self, provider: str, known: object) -> None:
        super().__init__(f"there is no provider {_short(provider)}; known are: {known}")
        self.provider = provider


class EventNotFoundError(CreditsError):
    code = "event_not_found"
    fix = "List the events with `credits events list`."

    def __init__(self, event_id: int) -> None:
        super().__init__(f"there is no event {event_id}")
        self.event_id = event_id


class DestinationNotFoundError(CreditsError):
    code = "destination_not_found"
    fix = "List the destinations with `credits destinations list`."

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no destination {_short(name)}")
        self.name = name


class DeliveryNotFoundError(CreditsError):
    code = "delivery_not_found"
    fix = "List the deliveries with `credits deliveries list`; the log reaches 30 days back."

    def __init__(self, delivery: object) -> None:
        super().__init__(f"there is no delivery {_short(delivery)}")


class SecretVersionError(CreditsError):
    """A destination's secret was asked for that is neither the present one nor the next. Nothing was changed."""

    code = "secret_version_conflict"
    fix = "Read the destination; ask for its `secret_version`, or for one more to rotate it."

    def __init__(self, name: str, present: int, wanted: int | None) -> None:
        super().__init__(f"version: {name} has secret {present}, asked for was {wanted}")


class EventActionError(CreditsError):
    """An operator's action does not fit the event's state. Nothing was changed."""

    code = "event_action_refused"
    fix = "Look at the event's state with `credits events show`."


class LeaseLostError(CreditsError):
    """Another worker took the event over while this one was at it; this one's work was rolled back."""

    code = "lease_lost"
    fix = "Nothing to do: the worker that holds the lease finishes the event."


# ── An allocation that a person has to look at (permanent: no retry by itself) ────────────────────────────


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
        super().__init__(f"price {_short(product_id)} belongs to no plan in credits.toml")
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
        super().__init__(f"quote {quote_id} says {field} {_short(quoted)}, the payment says {_short(said)}")
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
        super().__init__(f"there is no quote {_short(quote_id)}")
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


# ── Something we depend on is away (transient: tried again by itself) ─────────────────────────────────────


class HoldEndedError(CreditsError):
    """The hold is over (expired, released, lost with a Redis) and its credits are gone. Nothing was charged."""

    code = "hold_ended"
    fix = "Reserve again; extend holds while their jobs run, or reserve with a longer ttl_s."

    def __init__(self, message: str, *shortages: Shortage) -> None:
        super().__init__(message)
        self.shortages = shortages


class DependencyError(CreditsError):
    """A server we need did not answer in time. Safe to try again."""

    code = "dependency_unavailable"
    fix = "Check that the database and Redis are up; the work is tried again by itself."


class ProviderUnavailableError(DependencyError):
    """A payment provider did not answer, or failed. The call is safe to repeat with the same key."""

    code = "provider_unavailable"
    fix = "Repeat the call with the same key: it finds the checkout that was made, or makes it."

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(f"{provider}: {message}")
        self.provider = provider


class GateUnavailableError(DependencyError):
    """Redis did not answer, or is being reloaded. The call is safe to repeat with the same key."""

    code = "gate_unavailable"
    fix = "Check that Redis is up; repeat the call with the same key."


class LedgerPendingError(DependencyError):
    """The gate took the credits, and the ledger has not answered yet. Asked again or not, they are taken once."""

    code = "ledger_pending"
    fix = "Repeat the call with the same key: it answers once the ledger has it. Check that the database is up."


# ── Clients of the API ───────────────────────────────────────────────────────────────────────────────────


class UnexpectedAnswerError(CreditsError):
    """What answered was no Creditgate, or said something that this version of the client cannot read."""

    code = "unexpected_answer"
    fix = "Check CREDITGATE_URL, and what stands between client and server; then compare the versions of both."

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


def with_message(kind: type[CreditsError], args: tuple[Any, ...], data: Mapping[str, Any]) -> CreditsError:
    """An error as it was made elsewhere, with its words and all that it carries, without asking its constructor."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


def _short(value: object) -> str:
    """`value` as a message may show it: whole if short, cut if somebody sent a megabyte."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
