"""What allocation works with: the installation around it, and the one event in hand."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from credits.clock import Clock
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.inbox.model import ClaimedEvent
from credits.inbox.provider import Gap, Payload, Provider
from credits.notifications.service import Audience

Completer = Callable[[Payload, Collection[Gap]], Payload]
"""
Ask a provider's API for what its webhook leaves out, within an event's lease.

Raises ProviderUnavailableError, which is tried again, and ProviderRefusedError.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything a use case needs from outside, made once per process and passed in."""

    engine: Engine
    catalogue: Catalogue
    providers: Mapping[str, Provider]
    secret_key: str
    clock: Clock
    audience: Audience = field(default_factory=Audience)
    """Whether anybody wants to be told of what happens."""
    completers: Mapping[tuple[Tenant, str], Completer] = field(default_factory=dict)
    """By tenant and provider, where there is access to its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """One claimed event inside its transaction."""

    connection: Connection
    event: ClaimedEvent
    catalogue: Catalogue
    secret_key: str
    now_ms: int
    audience: Audience = field(default_factory=Audience)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    learnt: set[tuple[Tenant, str]] = field(default_factory=set)
    """Subjects that are known now and that other events may wait for; woken together before the transaction ends."""

    def learn(self, *subjects: str) -> None:
        """Let what waits for any of `subjects` be looked at again."""
        self.learnt.update((self.tenant, subject) for subject in subjects)

    @property
    def tenant(self) -> Tenant:
        return self.event.tenant

    @property
    def provider(self) -> str:
        return self.event.provider
