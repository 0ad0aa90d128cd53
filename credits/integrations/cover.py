"""Credits for a job whose own hold is over: held under another name, paid under the job's."""

from collections.abc import Mapping

from credits.errors import CreditsError, HoldEndedError, MemberLimitExceededError
from credits.log import get_logger
from credits.reservations.answers import Committed, Held
from credits.reservations.hold import Hold
from credits.reservations.model import Durability, HoldState, Overage
from credits.reservations.records import HoldRecord

log = get_logger(__name__)


def covered(ended: Hold, cover: Hold, *, ttl_s: float) -> Hold:
    """
    `ended` as an open hold again: its credits are those of `cover`, its charges keep their names.

    So the job is charged once, whatever an earlier run of it has committed or still commits.
    """
    held = Held(
        account=ended.account,
        reservation_id=ended.reservation_id,
        items=ended.items,
        expires_at_ms=cover.expires_at_ms,
        state=HoldState.HELD,
        # An earlier run may have committed parts.
        replayed=True,
        member=ended.member,
    )
    return Hold(_Covered(ended, cover), held, ttl_s=ttl_s)


class _Covered:
    """The calls of a covered hold: charges go to the one that ended, everything else to its cover."""

    def __init__(self, ended: Hold, cover: Hold) -> None:
        self._ended = ended
        self._cover = cover

    def commit(
        self,
        _account: str,
        _reservation_id: str,
        items: Mapping[str, int] | None = None,
        /,
        *,
        step: str = "final",
        final: bool = True,
        overage: Overage = Overage.DENY,
        durability: Durability = Durability.LEDGER,
        if_lost: Mapping[str, int] | None = None,  # noqa: ARG002 - the one that ended works it out by itself
        member: str | None = None,  # noqa: ARG002 - the one that ended knows whose it is
    ) -> Committed:
        def pay() -> Committed:
            return self._ended.commit(items, step=step, final=final, overage=overage, durability=durability)

        try:
            committed = pay()
        except (HoldEndedError, MemberLimitExceededError):
            if self._cover.is_over:
                raise
            # What is available beside the cover, to the account or its member, does not suffice: now it is needed.
            self._cover.release()
            committed = pay()
        if final:
            self._uncover()
        return committed

    def release(self, _account: str, _reservation_id: str) -> bool:
        return self._cover.release()

    def extend(self, _account: str, _reservation_id: str, *, ttl_s: float) -> int:
        return self._cover.extend(ttl_s)

    def find(self, _account: str, _reservation_id: str) -> HoldRecord | None:
        # Asked for the steps of a hold that is gone; `commit` leaves that to the one that ended.
        return None

    def _uncover(self) -> None:
        if self._cover.is_over:
            return
        try:
            self._cover.release()
        except CreditsError as error:
            # The job is paid, and the deadline frees the cover.
            log.warning("hold.not_released", reservation=self._cover.reservation_id, code=error.code)
