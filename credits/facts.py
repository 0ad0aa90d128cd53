"""Facts: what a provider's event says, in words that no provider owns. Readers make them, rules decide about them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from credits.errors import MalformedPayloadError
from credits.units import Money

MAX_KEY_LENGTH: Final = 255
"""The longest name of a payment that the ledger keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Every hint at whose payment it is. Which one counts is decided in one place, credits.allocation.payer."""

    account: str | None = None
    """The account in our own metadata on the object: our server wrote it."""
    client_reference: str | None = None
    """A reference that the payer may have edited; it counts only if it is signed (credits.ids.signed_reference)."""
    customer_id: str | None = None
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a listing tells of a payment in place of our own custom data, which it leaves out."""

    is_ours: bool
    """Whether it is of the product that our checkouts sell credits by."""
    email: str | None = None
    """As the payer gave it: a proof of nothing by itself."""
    title: str | None = None
    """What the payer read; it may carry the quote's reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasePaid:
    """Credits were bought and the money is there (or a 100 % promotion made it nothing)."""

    key: str
    """Names what was paid for, for ever: `stripe:cs:<session>`, `ls:order:<id>`. Several events may carry it."""
    payer: Payer
    credit_type: str | None = None
    amount: int | None = None
    """Credits, from our metadata; None where the quote or an operator has to say it."""
    quote_id: str | None = None
    product_id: str | None = None
    """The price or variant, where the event names it."""
    asked: Money | None = None
    """The price before discounts and added taxes: what a quote is compared with."""
    paid: Money | None = None
    """What was really charged, discounts taken off and taxes added."""
    also_known_as: tuple[str, ...] = ()
    """Other names of the same payment (`stripe:pi:…`, `stripe:in:…`), by which refunds and disputes find it."""
    listed: Listed | None = None
    """Set where the provider listed it without our custom data: then its quote is looked for."""
    occurred_at_ms: int

    def __post_init__(self) -> None:
        _refuse_long(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasePending:
    """A checkout is complete but its money is still on the way. Nothing is granted yet."""

    key: str
    reason: str
    quote_id: str | None = None

    def __post_init__(self) -> None:
        _refuse_long(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseVoided:
    """A checkout expired, or its delayed payment failed. Nothing is granted."""

    key: str
    reason: str
    quote_id: str | None = None
    is_expired: bool = False
    """Nobody went through it in time; otherwise a payment was tried and failed."""

    def __post_init__(self) -> None:
        _refuse_long(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSeen:
    """A subscription as the provider saw it at one moment. It grants nothing by itself."""

    subscription_id: str
    payer: Payer
    product_ids: tuple[str, ...] = ()
    """The prices or variants subscribed to; empty where the event does not say."""
    status: str | None = None
    """In the provider's words; an open set."""
    quantity: int | None = None
    period_start_ms: int | None = None
    period_end_ms: int | None = None
    first_period_ms: tuple[int, int] | None = None
    """Start and end of the first paid period, where the event shows it: the length of the ones after it, for
    providers whose invoices carry no period."""
    trial_end_ms: int | None = None
    trial_key: str | None = None
    """Names the trial it is in, where invoices tell nothing of trials: then the sight earns its credits."""
    is_first: bool = False
    """Whether this is how the subscription began."""
    is_paused: bool = False
    is_unpaid: bool = False
    """An invoice of it is past due."""
    ended: bool = False
    stamp_ms: int
    """When the provider changed it last. Of two sights the later one counts; of two with one stamp the higher rank."""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerLinked:
    """The provider's customer belongs to this payer."""

    payer: Payer
    quote_id: str | None = None
    """The quote of the checkout by which a subscription began."""
    key: str = ""
    """Names that checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """One settled line of a subscription's invoice."""

    key: str
    """`stripe:inv:<invoice>:<item>:<period start>`, `ls:subinv:<id>`, of a proration `stripe:inv:<invoice>:<line>`."""
    product_id: str | None
    """None where the invoice does not say: then the stored subscription does."""
    period_start_ms: int | None
    period_end_ms: int | None
    quantity: int | None = None
    amount: Money
    """Before discounts and taxes. Negative in a proration that gives unused time back, and there alone."""
    is_proration: bool = False
    """The difference that a change in the middle of a period makes, not a period of its own."""
    is_trial: bool = False
    """It says of itself that it is a trial's; of other lines over nothing, their subscription may say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPaid:
    """A subscription's invoice was settled: its lines earn their plans' credits for their periods."""

    key: str
    payer: Payer
    lines: tuple[PlanLine, ...]
    total: Money
    """What was asked, after discounts."""
    is_from_balance: bool = False
    """The customer's balance at the provider paid all of it."""
    is_out_of_band: bool | None = False
    """All that was due was paid past the provider; None where its API alone can tell."""
    is_cut_off: bool = False
    """It has more lines than are told here."""
    subtotal: Money | None = None
    """What all of its lines come to, where it is cut off."""
    is_change: bool = False
    """It charges a change of plan and has no lines that say how: its one line is what was charged on balance."""
    is_initial: bool = False
    """It is the subscription's first; said by providers whose invoices name no product."""
    also_known_as: tuple[str, ...] = ()
    occurred_at_ms: int


class RefundStatus(StrEnum):
    """How far a refund has come, as far as it matters to credits."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It did not go through, or was called off: the payment stands."""
    RETURNED = "returned"
    """It went through, and its money came back to us: the payment stands again."""


class ReversalKind(StrEnum):
    """The two ways in which money goes back."""

    REFUND = "refund"
    DISPUTE = "dispute"


class DisputeStatus(StrEnum):
    """How far a dispute has come. An inquiry is none."""

    OPEN = "open"
    LOST = "lost"
    WON = "won"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSeen:
    """One refund, by its own id. Several events tell of it."""

    ref: str
    """`stripe:refund:<id>`: its credits are taken back once."""
    names: tuple[str, ...]
    """The payment, as far as the event names it."""
    amount: Money | None
    """None: the whole payment."""
    status: RefundStatus
    is_counted: bool = True
    """Whether the provider's own count of what was refunded (RefundsCounted) has it in."""

    def __post_init__(self) -> None:
        _refuse_long(self.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundsCounted:
    """What all refunds of a payment add up to so far, without their ids."""

    names: tuple[str, ...]
    refunded: Money
    charged: Money
    """What the payment was over, by the same event."""

    @property
    def ref(self) -> str:
        return f"{self.names[0]}:refunded:{self.refunded.amount_minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeSeen:
    """A payer's bank wants a payment back, or has decided about it."""

    ref: str
    """`stripe:dp:<id>`: it freezes, takes and restores credits once."""
    names: tuple[str, ...]
    amount: Money | None
    """None: the whole payment."""
    status: DisputeStatus

    def __post_init__(self) -> None:
        _refuse_long(self.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyReturned:
    """
    Money that had gone back of a payment came to us again, told by an id of its own and without saying which.

    The refunds or disputes that it undoes may themselves be shown as undone; it then says the same once more.
    """

    ref: str
    names: tuple[str, ...]
    amount: Money
    undoes: ReversalKind

    def __post_init__(self) -> None:
        _refuse_long(self.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNamed:
    """Several names mean one payment. It grants nothing by itself; refunds and disputes find their way by it."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToDo:
    """The event was understood and moves no credits."""

    reason: str


Fact = (
    PurchasePaid
    | PurchasePending
    | PurchaseVoided
    | SubscriptionSeen
    | CustomerLinked
    | PlanPaid
    | RefundSeen
    | RefundsCounted
    | DisputeSeen
    | MoneyReturned
    | PaymentNamed
    | NothingToDo
)


def _refuse_long(key: str) -> None:
    # SQLite would keep it all the same, PostgreSQL refuses it.
    if len(key) > MAX_KEY_LENGTH:
        raise MalformedPayloadError(f"the payment's key must have at most {MAX_KEY_LENGTH} characters, got {len(key)}")
