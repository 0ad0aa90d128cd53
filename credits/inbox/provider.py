"""What a payment provider has to be for us: a name, a verifier, and readers that turn its JSON into facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from credits.config.settings import Tenant, WebhookSecret
from credits.facts import Fact

Payload = Mapping[str, Any]
"""A webhook's body, parsed by credits.payload.parse: strict JSON whose top is an object."""

# Providers stamp a signature with the second it was made; this much clock difference is forgiven, both ways.
SIGNATURE_TOLERANCE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What a signature covers. Header names in lower case, values as the bytes that came over the wire."""

    headers: Mapping[str, bytes]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The envelope of one webhook: enough to store it once, nothing about its meaning."""

    event_id: str
    """The provider's id of the event; where it has none, a hash of the body. A redelivery has the same."""
    event_type: str
    tenant: Tenant | None
    """The mode the event itself names; None where it names none (then the endpoint's counts)."""
    provider_account: str = ""
    """The connected account it is about, where the provider has such; `""` for our own."""
    occurred_at_ms: int | None = None


class Gap(StrEnum):
    """What a webhook may leave out that decides about credits, and that its provider's API can tell."""

    LINES = "lines"
    """The rest of an invoice's lines."""
    OUT_OF_BAND = "out_of_band"
    """Whether it was paid past the provider."""


class SettledBy(StrEnum):
    """What settled a simulated invoice."""

    CARD = "card"
    COUPON = "coupon"
    """Over everything: nothing is left to pay."""
    BALANCE = "balance"
    """The customer's, at the provider."""
    OUT_OF_BAND = "out_of_band"
    """Money that the provider never saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLine:
    """One line of a simulated invoice: what a subscription costs for a while, or what a change of it gives back."""

    product_id: str
    amount_minor: int
    start_ms: int
    end_ms: int
    quantity: int = 1
    is_proration: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a simulated webhook shall say. A provider's `simulate` fills in everything else deterministically."""

    event_type: str
    payment: str
    """Names the payment. All events simulated with one payment are about one object at the provider."""
    account: str | None
    credit_type: str | None = None
    amount: int | None = None
    quote_id: str | None = None
    product_id: str | None = None
    """Price or variant of the plan."""
    subscription: str | None = None
    period: int = 0
    """Which billing period of the subscription, 0 is the first."""
    paid_minor: int = 1000
    """What is asked for the payment or period, all seats together."""
    quantity: int = 1
    """Of the plan: its seats."""
    begins_with_trial: bool = False
    """Whether the subscription's first period is a trial, which costs nothing."""
    settled_by: SettledBy = SettledBy.CARD
    currency: str = "USD"
    api_version: str | None = None
    client_reference: str | None = None
    status: str | None = None
    """Of the subscription or the dispute, in the provider's words; None: as its event type has it most of the time."""
    cancels_at_period_end: bool = False
    invoice: str | None = None
    """Names an invoice that bills something else than the period by itself, such as a change."""
    lines: tuple[SimulatedLine, ...] = ()
    """Of the invoice; empty: one line for the whole period."""
    refund: str | None = None
    """Names the refund; None: the only one of its payment."""
    refunded_minor: int | None = None
    """What this refund gives back; None: all that is left."""
    refunded_before_minor: int = 0
    tenant: Tenant = Tenant.SANDBOX
    at_ms: int
    """The simulated present: event time and signature time."""
    started_at_ms: int
    """When the simulated subscription began."""
    delivery: str
    """Names the event: the same name gives the same event id, another name another event of the payment."""

    @property
    def is_on_trial(self) -> bool:
        """Whether its period is the trial."""
        return self.begins_with_trial and self.period == 0

    @property
    def asked_minor(self) -> int:
        """What the simulated invoice is over before any coupon."""
        return 0 if self.is_on_trial and not self.lines else self.paid_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWebhook:
    """A webhook ready to be posted."""

    headers: Mapping[str, str]
    body: bytes


class Provider(Protocol):
    """One payment provider. Its methods do no I/O and read no clock."""

    @property
    def name(self) -> str:
        """As in the URL `/webhooks/<name>` and in the variables that hold its secrets."""
        ...

    def verify(self, request: SignedRequest, secrets: Sequence[WebhookSecret], now_s: float) -> frozenset[Tenant]:
        """
        The tenants whose secret signed the raw body; never empty.

        Every secret and every signature in the header is tried, in constant time each.
        Raises SignatureError, and nothing else, for anything wrong with the signature.
        """
        ...

    def envelope(self, payload: Payload, body: bytes) -> Delivery:
        """Read the envelope. Raises MalformedPayloadError if it has no type."""
        ...

    def reads(self, event_type: str) -> bool:
        """Whether events of this type may mean something to credits; the others are kept as ignored."""
        ...

    def interpret(self, payload: Payload) -> tuple[Fact, ...]:
        """
        The facts the event states; pure, and the same for every API version. Never empty.

        Raises MalformedPayloadError if a field that decides about credits is missing or of another kind, and
        InvalidInputError if metadata names an amount or id outside its bounds.
        """
        ...

    def event_types(self) -> tuple[str, ...]:
        """Every event type that `simulate` can make."""
        ...

    def simulate(self, simulation: Simulation) -> bytes:
        """The body of a realistic webhook that says what `simulation` asks for."""
        ...

    def sign(self, body: bytes, secret: bytes, at_s: int) -> SignedWebhook:
        """Sign `body` as the provider would."""
        ...
