"""Something we depend on is away. Transient: tried again by itself."""

from credits.errors.tree import CreditsError


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
