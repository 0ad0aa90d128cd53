"""Who sets members' limits in the simulator, and sees to it that the gate hears of them."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

from credits.audit_log import Act
from credits.errors import InvalidInputError
from credits.members import service as members
from credits.members import store
from credits.members.model import MemberLimit, Per
from credits.reservations.member_changes import bring_changes
from credits.reservations.member_names import gate_name
from credits.reservations.protocol import on_account
from credits.reservations.scripts import Verb
from credits.reservations.steps import Sql, Steps
from credits.reservations.torture.actors import Scene, insist
from credits.reservations.torture.world import TENANT, ZONES, name_of

_ACT: Final = Act(actor="simulator", reason="simulated")


def limiter(scene: Scene) -> Steps[None]:
    """Set, raise or remove a limit, or move the account to another zone; then tell the gate, if one lives so long."""
    rng, account, now_ms = scene.rng, name_of(scene.account_id), scene.runtime.clock()
    member, kind, per = rng.choice(scene.members), rng.choice(scene.credit_types), rng.choice(tuple(Per))
    amount, fate, until_ms = rng.randint(0, 40), rng.random(), now_ms + rng.choice((300, 5_000, 3_600_000))
    zone = rng.choice(tuple(ZONES))

    def change(connection: Connection) -> str:
        if fate < 0.05:
            members.set_time_zone(connection, TENANT, account, zone, _ACT, now_ms=now_ms)
            return "zone set"
        if fate < 0.15:
            members.remove_limits(connection, TENANT, account, member, _ACT, now_ms=now_ms)
            return "limit removed"
        if fate < 0.35:
            return _raised(
                lambda: members.raise_limit(
                    connection,
                    TENANT,
                    account,
                    MemberLimit(member=member, credit_type=kind, per=per, amount=amount + 41),
                    _ACT,
                    until_ms=until_ms,
                    now_ms=now_ms,
                )
            )
        limit = MemberLimit(member=member, credit_type=kind, per=per, amount=amount)
        members.set_limit(connection, TENANT, account, limit, _ACT, now_ms=now_ms)
        return "limit set"

    done = yield from insist(scene, lambda: _once(change))
    scene.outcomes[done or "limit unknown"] += 1
    yield from bring_changes(scene.runtime, scene.account_id)


def _raised(work: Callable[[], object]) -> str:
    try:
        work()
    except InvalidInputError:
        # There is none, or it is above that already; nothing was written.
        return "limit not raised"
    return "limit raised"


def sweep_changes(scene: Scene) -> Steps[None]:
    """Tell the gate what died with its bringer."""
    found: list[int] = yield Sql(lambda c: sorted(store.accounts_with_changes(c, limit=10)), is_read=True)
    for account_id in found:
        yield from bring_changes(scene.runtime, account_id)


def looker(scene: Scene) -> Steps[None]:
    """Ask what a member has used."""
    words = (scene.runtime.clock(), scene.runtime.receipt_ms, gate_name(scene.rng.choice(scene.members)))
    answer = yield from on_account(scene.runtime, scene.account_id, Verb.READ_MEMBER, words)
    scene.outcomes[f"member {answer[0]}"] += 1


def _once(work: Callable[[Connection], Any]) -> Steps[Any]:
    return (yield Sql(work))


MEMBER_ROLES: Final[dict[str, tuple[Callable[[Scene], Steps[None]], int]]] = {
    "limiter": (limiter, 8),
    "sweeper of changes": (sweep_changes, 3),
    "looker": (looker, 3),
}
"""As ROLES of the staff, for runs with members."""
