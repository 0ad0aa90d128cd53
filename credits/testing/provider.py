"""A simulated provider's account beside a sandbox: what happens there is delivered here, as badly as you like."""

from dataclasses import dataclass, field

from credits.ops.lifecycle.sandbox import Sandbox
from credits.simulation.account import ProviderAccount
from credits.simulation.post import ORDERLY, Delivery, Disorder, Postman


@dataclass(kw_only=True)
class SimulatedProvider:
    """Let things happen to `account`, then deliver them."""

    sandbox: Sandbox
    account: ProviderAccount
    disorder: Disorder = ORDERLY
    _told: int = 0
    _postman: Postman | None = field(default=None, repr=False)

    def deliver(self, *, until_ms: int | None = None) -> list[Delivery]:
        """
        Deliver what happened since the last time and all that is still on its way, until then or to the end.

        The clock moves with it, and the workers process each event that arrives.
        """
        postman = self._at_work()
        for happened in self.account.happened[self._told :]:
            self.sandbox.store_quotes(happened.events)
            postman.send(*happened.events)
        self._told = len(self.account.happened)
        done: list[Delivery] = []
        while (due_ms := postman.next_at_ms) is not None and (until_ms is None or due_ms <= until_ms):
            done.append(postman.deliver_next())
            self.sandbox.work()
        if until_ms is not None:
            self.sandbox.clock.set_ms(max(until_ms, self.sandbox.clock()))
            self.sandbox.work()
        return done

    def _at_work(self) -> Postman:
        if self._postman is None:
            name = self.account.provider
            self._postman = Postman(
                provider=self.sandbox.providers[name],
                secret=self.sandbox.secret(name),
                target=self.sandbox.target(name),
                clock=self.sandbox.clock,
                disorder=self.disorder,
            )
        return self._postman
