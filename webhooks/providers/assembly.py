"""Put a provider together from its parts: a verifier, an envelope reader, a pure function per event type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from credits.config.settings import Tenant, WebhookSecret
from credits.errors import InvalidInputError, MalformedPayloadError
from credits.facts import Fact
from credits.inbox.provider import Delivery, Payload, SignedRequest, SignedWebhook, Simulation

Verifier = Callable[[SignedRequest, Sequence[WebhookSecret], float], frozenset[Tenant]]
EnvelopeReader = Callable[[Payload, bytes], Delivery]
Reader = Callable[[Payload], tuple[Fact, ...]]
Simulator = Callable[[Simulation], bytes]
Signer = Callable[[bytes, bytes, int], SignedWebhook]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledProvider:
    """A credits.inbox.provider.Provider out of functions and two tables; what each method promises stands there."""

    name: str
    verifier: Verifier
    envelope_reader: EnvelopeReader
    readers: Mapping[str, Reader]
    """By event type. A type that is not in it is kept as ignored."""
    simulators: Mapping[str, Simulator]
    """By event type."""
    signer: Signer

    def verify(self, request: SignedRequest, secrets: Sequence[WebhookSecret], now_s: float) -> frozenset[Tenant]:
        return self.verifier(request, secrets, now_s)

    def envelope(self, payload: Payload, body: bytes) -> Delivery:
        return self.envelope_reader(payload, body)

    def reads(self, event_type: str) -> bool:
        return event_type in self.readers

    def interpret(self, payload: Payload) -> tuple[Fact, ...]:
        # The body only matters to the id, and the id not to the meaning.
        event_type = self.envelope_reader(payload, b"").event_type
        if event_type not in self.readers:
            raise MalformedPayloadError(f"events of type {event_type!r} are not read here")
        return self.readers[event_type](payload)

    def event_types(self) -> tuple[str, ...]:
        return tuple(self.simulators)

    def simulate(self, simulation: Simulation) -> bytes:
        if simulation.event_type not in self.simulators:
            raise InvalidInputError(
                "event_type", f"must be one of {', '.join(self.simulators)}, got {simulation.event_type!r}"
            )
        return self.simulators[simulation.event_type](simulation)

    def sign(self, body: bytes, secret: bytes, at_s: int) -> SignedWebhook:
        return self.signer(body, secret, at_s)
