"""The library over a database and a Redis of the test's own."""

from dataclasses import dataclass

from sqlalchemy import Engine

from credits.clock import system_clock_ms
from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.redis_client import open_redis
from credits.reservations.gate import Gate
from credits.reservations.scripts import Library, library
from credits.reservations.steps import GateRuntime
from tests.support.processes import PATIENCE_S

TYPE = "image_generation"
OTHER = "tokens"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One installation, seen from as many processes as a test likes."""

    engine: Engine
    redis_url: str
    catalogue: Catalogue
    ledger_wait_s: float = PATIENCE_S

    def process(
        self, *, tenant: Tenant = Tenant.SANDBOX, max_exposure: int = 2**53 - 1, code: Library | None = None
    ) -> Credits:
        """The library as another process has it: with connections and memories of its own."""
        return Credits(
            engine=self.engine,
            catalogue=self.catalogue,
            tenant=tenant,
            gate=self.gate(code),
            max_exposure=max_exposure,
        )

    def gate(self, code: Library | None = None) -> GateRuntime:
        """The gate's procedures, as another process runs them: of this release, or of the one that has `code`."""
        gate = Gate(open_redis(self.redis_url, max_connections=256), code=code or library())
        return GateRuntime(gate=gate, engine=self.engine, clock=system_clock_ms, ledger_wait_s=self.ledger_wait_s)


def figures(credits_: Credits, account: str, credit_type: str = TYPE) -> tuple[int, int, int, int, int]:
    """(balance, held, pending, available, debt)."""
    one = credits_.balances(account)[credit_type]
    return (one.balance, one.held, one.pending, one.available, one.debt)
