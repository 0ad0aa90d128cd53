"""What the library does with the gate: the half of `Credits` that spends."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from credits.config.catalogue import Catalogue
from credits.config.settings import Tenant
from credits.errors import CreditsError, GateUnavailableError
from credits.ids import given_or_new
from credits.ledger.model import Posted
from credits.reservations import batch
from credits.reservations import deduct as by_hand
from credits.reservations.answers import Committed
from credits.reservations.asks import Commit
from credits.reservations.batch import Reserve
from credits.reservations.courier import Courier
from credits.reservations.firsts import Firsts
from credits.reservations.hold import Hold, chosen, chosen_items, chosen_step
from credits.reservations.model import Durability, Overage
from credits.reservations.records import HoldRecord
from credits.reservations.service import Reservations
from credits.reservations.steps import GateRuntime
from credits.units import MAX_AMOUNT, checked_amount


class Spending:
    """Reserve, commit, spend and deduct for one tenant. Safe to share between threads; made once per process."""

    def __init__(
        self, *, gate: GateRuntime | None, catalogue: Catalogue, tenant: Tenant, max_exposure: int = MAX_AMOUNT
    ) -> None:
        self.catalogue = catalogue
        self.tenant = tenant
        self._gate = gate
        self._max_exposure = max_exposure

    @cached_property
    def reservations(self) -> Reservations:
        """The calls of the gate, one by one. Raises GateUnavailableError where there is no Redis to go to."""
        if self._gate is None:
            raise GateUnavailableError("this Credits was made without a Redis")
        return Reservations(
            runtime=self._gate,
            tenant=self.tenant,
            credit_types=tuple(self.catalogue.credit_types),
            max_exposure=self._max_exposure,
        )

    @cached_property
    def firsts(self) -> Firsts:
        """First answers, remembered for a while. Raises GateUnavailableError where there is no Redis to go to."""
        return Firsts(gate=self.reservations.runtime.gate, tenant=self.tenant)

    def reserve(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        reservation_id: str | None = None,
        ttl_s: float = 60,
        member: str | None = None,
        **amounts: int,
    ) -> Hold:
        """
        Hold credits for one job: `reserve("user_1", image_generation=1)`, several types at once all or none.

        Use it as a context manager: it is extended while the block runs, and what is not committed goes back when the
        block ends. Safe to repeat with the same `reservation_id`, from any process: the same hold again. Without one,
        each call is another reservation. `member` says for whom of the account; that one's limits hold, too.

        Raises:
            InsufficientCreditsError: one type at least is short; nothing is held.
            MemberLimitExceededError: it would pass a limit of the member; nothing is held.
            IdempotencyConflictError: the id was used before for other items.
            InvalidInputError: an amount, id, type or ttl_s is outside its bounds.
            GateUnavailableError: Redis did not answer; nothing is known to be held. Repeat it with the same id.
        """
        name, wanted = given_or_new(reservation_id), chosen_items(items, amounts) or {}
        held = self.reservations.reserve(account, wanted, reservation_id=name, ttl_s=ttl_s, member=member)
        return Hold(self.reservations, held, ttl_s=ttl_s)

    def commit(
        self,
        account: str,
        reservation_id: str,
        items: Mapping[str, int] | None = None,
        *,
        step: str | None = None,
        final: bool = True,
        overage: Overage | str = Overage.DENY,
        durability: Durability | str = Durability.LEDGER,
        **amounts: int,
    ) -> Committed:
        """Commit a hold by its name, from whatever process: as `hold.commit`, with its errors."""
        return self.reservations.commit(
            account,
            reservation_id,
            chosen_items(items, amounts),
            step=chosen_step(step, final=final),
            final=final,
            overage=chosen(Overage, overage, "overage"),
            durability=chosen(Durability, durability, "durability"),
        )

    def release(self, account: str, reservation_id: str) -> bool:
        """Give back a hold by its name, from whatever process; True if something was held. Safe to repeat."""
        return self.reservations.release(account, reservation_id)

    def spend(
        self,
        account: str,
        items: Mapping[str, int] | None = None,
        *,
        key: str,
        durability: Durability | str = Durability.LEDGER,
        member: str | None = None,
        **amounts: int,
    ) -> Committed:
        """
        Take credits in one step, for work that is done or costs a known amount. Once per key; errors as `reserve`.
        """
        wanted = chosen_items(items, amounts) or {}
        level = chosen(Durability, durability, "durability")
        return self.reservations.spend(account, wanted, key=key, durability=level, member=member)

    def deduct(
        self,
        account: str,
        credit_type: str,
        amount: int,
        *,
        key: str,
        reason: str = "",
        actor: str = "app",
        member: str | None = None,
    ) -> Posted:
        """
        Take credits out by hand, in burn order, and answer the ledger's entry. Once per key, for ever.

        It counts towards what `member` has used, and no limit of the member holds it up.

        Raises:
            InsufficientCreditsError: fewer are available; nothing was taken, and the key may be used again.
            IdempotencyConflictError: the key was used before for something else, by a grant by hand too.
            LedgerPendingError: taken, but the database does not answer; repeat it with the same key.
            GateUnavailableError: Redis did not answer; repeat it with the same key.
        """
        order = by_hand.deduction(
            account=account,
            credit_type=credit_type,
            amount=amount,
            key=key,
            actor=actor,
            reason=reason,
            member=member,
        )
        return by_hand.deduct(self.reservations, order)

    def can_deduct(self, account: str, credit_type: str, amount: int) -> bool:
        """Whether so much could be taken right now. It holds nothing: a moment later the answer may be another one."""
        known = self.catalogue.credit_type(credit_type).key
        return self.reservations.available(account, known) >= checked_amount(amount)

    def holds(self, account: str, *, limit: int = 100, after: tuple[int, str] | None = None) -> list[HoldRecord]:
        """An account's open holds, the soonest due first; `after`: (`due_at_ms`, `hold`) of one to go on behind."""
        return self.reservations.holds(account, limit=limit, after=after)

    def find_hold(self, account: str, reservation_id: str) -> HoldRecord | None:
        """A hold by its id. One that ended is found while Redis keeps its receipt, an hour if not set otherwise."""
        return self.reservations.find(account, reservation_id)

    def reserve_many(self, wanted: Sequence[Reserve]) -> list[Hold | CreditsError]:
        """
        Reserve up to 10,000 times in a few round trips; one hold or error each, in the same order.

        Each is by itself, as with `reserve`. The holds are extended only by those who enter them.
        """
        found = batch.reserve_many(self.reservations, wanted)
        return [
            held if isinstance(held, CreditsError) else Hold(self.reservations, held, ttl_s=one.ttl_s)
            for held, one in zip(found, wanted, strict=True)
        ]

    def commit_many(
        self, commits: Sequence[Commit], *, durability: Durability | str = Durability.LEDGER
    ) -> list[Committed | CreditsError]:
        """Commit up to 10,000 times in a few round trips and transactions; one answer or error each, in order."""
        level = chosen(Durability, durability, "durability")
        return batch.commit_many(self.reservations, commits, durability=level)

    @cached_property
    def _courier(self) -> Courier | None:
        return None if self._gate is None else Courier.over(self._gate)

    def close_gate(self) -> None:
        """Close the connections to Redis."""
        if self._gate is not None and self._courier is not None:
            self._gate.gate.client.close()
            self._courier.runtime.gate.client.close()

    def bring_credits(self, account: str) -> None:
        """
        Bring what an account was granted to the gate, now that SQL has committed it.

        Only whoever grants in a transaction of their own needs it, and only for speed: a sweep does it, too.
        """
        if self._courier is not None:
            self._courier.bring(lambda: self._ids_of(account))

    def bring_member_changes(self, account: str) -> None:
        """Tell the gate what SQL has committed about an account's members; a sweep does it, too."""
        if self._courier is not None:
            self._courier.bring_changes(lambda: self._ids_of(account))

    def _ids_of(self, account: str) -> list[int]:
        found = self.reservations.account_id(account)
        return [] if found is None else [found]
