"""Disputes in the simulator: the gate freezes lots; the ledger sets free, takes for good, or gives back."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, select

from credits.ids import digest
from credits.ledger import moves
from credits.ledger.locks import lock_accounts
from credits.ledger.model import DebitKind
from credits.ledger.moves import Move
from credits.ledger.tables import entries, entry_lots, grants
from credits.reservations.protocol import apply_credits
from credits.reservations.steps import Sql, Steps
from credits.reservations.torture.actors import Scene
from credits.reservations.torture.staff import order_debit
from credits.reservations.torture.world import TENANT


def freezer(scene: Scene) -> Steps[None]:
    """Order that some of a lot is frozen, and see it done."""
    rng, op = scene.rng, f"freeze:{next(scene.serial)}"
    lot: Any = yield Sql(lambda c: _a_lot(c, scene, grants.c.remaining > grants.c.frozen), is_read=True)
    if lot is None:
        return
    yield from order_debit(
        scene,
        DebitKind.FREEZE,
        lot.credit_type,
        amount=rng.randint(1, lot.remaining - lot.frozen),
        grant_ids=[lot.id],
        op=op,
        outcome="freeze ordered",
    )


def thawer(scene: Scene) -> Steps[None]:
    """Set free, or take for good, some of what is frozen; then bring it to the gate."""
    key, is_won, share = f"thaw {next(scene.serial)}", scene.rng.random() < 0.7, scene.rng.random()
    now_ms = scene.runtime.clock()

    def thaw(connection: Connection) -> bool:
        lock_accounts(connection, [scene.account_id])
        lot = _a_lot(connection, scene, grants.c.frozen > 0)
        if lot is None:
            return False
        move = _move(scene, lot.id, lot.credit_type, max(1, int(lot.frozen * share)), key)
        (moves.unfreeze if is_won else moves.claw_frozen)(connection, move, now_ms=now_ms)
        return True

    if (yield from _once(thaw)):
        scene.outcomes["unfreeze" if is_won else "frozen taken"] += 1
        yield from apply_credits(scene.runtime, [scene.account_id])


def restorer(scene: Scene) -> Steps[None]:
    """Undo what a clawback took of a lot, once, and bring it to the gate."""
    now_ms, luck = scene.runtime.clock(), scene.rng.random()

    def restore(connection: Connection) -> bool:
        lock_accounts(connection, [scene.account_id])
        query = select(entry_lots.c.grant_id, entry_lots.c.amount, entries.c.id, entries.c.credit_type).join(entries)
        taken = connection.execute(
            query.where(entries.c.account_id == scene.account_id, entries.c.kind == DebitKind.CLAWBACK).order_by(
                entries.c.id, entry_lots.c.grant_id
            )
        ).all()
        if not taken:
            return False
        one = taken[int(luck * len(taken))]
        key = f"restore:{one.id}:{one.grant_id}"
        if connection.execute(select(entries.c.id).where(entries.c.key == key)).first() is not None:
            return False
        moves.give_back(connection, _move(scene, one.grant_id, one.credit_type, -one.amount, key), now_ms=now_ms)
        return True

    if (yield from _once(restore)):
        scene.outcomes["restore"] += 1
        yield from apply_credits(scene.runtime, [scene.account_id])


def _a_lot(connection: Connection, scene: Scene, *conditions: Any) -> Any:
    """One of the account's lots, the choice of the run's own dice; None if there is none."""
    lots = connection.execute(
        select(grants).where(grants.c.account_id == scene.account_id, *conditions).order_by(grants.c.id)
    ).all()
    return scene.rng.choice(lots) if lots else None


def _move(scene: Scene, grant_id: int, credit_type: str, amount: int, key: str) -> Move:
    return Move(
        tenant=TENANT,
        account_id=scene.account_id,
        grant_id=grant_id,
        credit_type=credit_type,
        amount=amount,
        key=key,
        fingerprint=digest(key),
        actor="simulator",
        reason="simulated",
    )


def _once(work: Callable[[Connection], Any]) -> Steps[Any]:
    return (yield Sql(work))


FREEZING_ROLES: Final[dict[str, tuple[Callable[[Scene], Steps[None]], int]]] = {
    "freezer": (freezer, 3),
    "thawer": (thawer, 5),
    "restorer": (restorer, 2),
}
"""Who disputes, and how often they come."""
