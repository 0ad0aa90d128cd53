"""Signed webhooks of any kind, for the sandbox or for an app of your own."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from credits.errors import InvalidInputError, UnknownProviderError
from credits.inbox.provider import Provider, SignedWebhook, Simulation
from credits.ops.lifecycle.sandbox import Sandbox


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Makes a provider's webhooks at the time of the sandbox's clock, and posts them to the sandbox's receiver."""

    sandbox: Sandbox
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self, provider: str, event_type: str, **said: Any) -> int:
        """
        Post one webhook and let the workers process it; answers the receiver's HTTP status.

        `said` are fields of `credits.inbox.provider.Simulation`, such as account, payment, credit_type, amount,
        product_id, subscription, period, paid_minor. The same `delivery` is the same event again. The quote that
        `quote_id` names is stored: at Paddle nothing else says what was bought.
        """
        status = self.sandbox.target(provider).post(self.signed(provider, event_type, **said))
        self.sandbox.work()
        return status

    def signed(self, provider: str, event_type: str, *, secret: bytes | None = None, **said: Any) -> SignedWebhook:
        """The webhook alone, signed with the sandbox's secret or with yours: headers and body to post anywhere."""
        found = self._provider(provider)
        if event_type not in found.event_types():
            raise InvalidInputError(
                "event_type", f"{provider} is simulated with {', '.join(found.event_types())}; got {event_type[:80]!r}"
            )
        now_ms = self.sandbox.clock()
        number = next(self._numbers)
        about = {"payment": f"payment-{number}", "account": None, "at_ms": now_ms, "started_at_ms": now_ms}
        whole: dict[str, Any] = {**about, "delivery": f"delivery-{number}", **said}
        if whole["account"] is not None:
            whole.setdefault("client_reference", self.sandbox.reference(provider, whole["account"]))
        simulation = Simulation(event_type=event_type, **whole)
        self.sandbox.store_quotes([simulation])
        body = found.simulate(simulation)
        return found.sign(body, secret or self.sandbox.secret(provider), now_ms // 1000)

    def _provider(self, name: str) -> Provider:
        found = self.sandbox.providers.get(name)
        if found is None:
            raise UnknownProviderError(name, sorted(self.sandbox.providers))
        return found
