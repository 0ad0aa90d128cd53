"""The installation's own workers in the simulator: who grants, loads, settles, expires, claws back and sweeps."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from credits.ids import digest
from credits.ledger import service as ledger
from credits.ledger.model import DebitKind, GrantOrder, GrantSource
from credits.ledger.orders import order_command
from credits.reservations import store
from credits.reservations.commands import order_expiries, run_command
from credits.reservations.epochs import renew_epoch
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.protocol import apply_credits, load, on_account
from credits.reservations.scripts import Verb
from credits.reservations.settlement import settle
from credits.reservations.steps import Call, Pause, Sql, Steps
from credits.reservations.torture.actors import Scene, client, insist, spender
from credits.reservations.torture.world import TENANT, name_of


def granter(scene: Scene) -> Steps[None]:
    """Grant in SQL, then bring the credit to the gate."""
    rng, key, now_ms = scene.rng, f"grant {next(scene.serial)}", scene.runtime.clock()
    kind, amount = rng.choice(scene.credit_types), rng.randint(1, 60)
    order = GrantOrder(
        account=name_of(scene.account_id),
        credit_type=kind,
        amount=amount,
        key=key,
        fingerprint=digest(key),
        source=rng.choice(tuple(GrantSource)),
        source_ref=key,
        priority=rng.choice((1, 100, 100)),
        effective_at_ms=now_ms,
        expires_at_ms=rng.choice((None, None, None, now_ms + 200, now_ms + 3_000, now_ms + 90_000)),
        actor="simulator",
        reason="simulated",
    )
    posted = yield from insist(scene, lambda: _once(lambda c: ledger.grant(c, TENANT, order, now_ms=now_ms)))
    if posted is not None:
        scene.promises.granted[key] = (scene.account_id, kind, amount)
        scene.outcomes["grant"] += 1
        yield from apply_credits(scene.runtime, [scene.account_id])


def clawer(scene: Scene) -> Steps[None]:
    """Order a clawback of some lots, and see it done."""
    rng, op = scene.rng, f"clawback:{next(scene.serial)}"
    kind = rng.choice(scene.credit_types)
    snapshot: store.Snapshot | None = yield Sql(
        lambda c: store.read_snapshot(c, shard_of(scene.account_id), scene.account_id), is_read=True
    )
    lots = [int(lot.sort_key[14:], 36) for lot in (snapshot.lots if snapshot else ()) if lot.credit_type == kind]
    if not lots:
        return
    picked, allow_debt = rng.sample(lots, rng.randint(1, min(3, len(lots)))), rng.random() < 0.5
    if allow_debt:
        scene.promises.may_owe.add(op)
    yield from order_debit(
        scene,
        DebitKind.CLAWBACK,
        kind,
        amount=rng.randint(1, 25),
        grant_ids=picked,
        allow_debt=allow_debt,
        op=op,
        outcome="clawback ordered",
    )


def order_debit(
    scene: Scene,
    kind: DebitKind,
    credit_type: str,
    *,
    amount: int,
    grant_ids: Sequence[int],
    allow_debt: bool = False,
    op: str,
    outcome: str,
) -> Steps[None]:
    """Order in SQL that the gate takes or freezes credits of some lots, and see it done."""
    now_ms = scene.runtime.clock()

    def order(connection: Connection) -> bool:
        return order_command(
            connection,
            TENANT,
            scene.account_id,
            kind=kind,
            credit_type=credit_type,
            amount=amount,
            grant_ids=grant_ids,
            allow_debt=allow_debt,
            op=op,
            fingerprint=digest(op)[:32],
            actor="simulator",
            reason="simulated",
            now_ms=now_ms,
        )

    if (yield from insist(scene, lambda: _once(order))):
        scene.outcomes[outcome] += 1
        yield from sweep_commands(scene)


def expirer(scene: Scene) -> Steps[None]:
    """Order what has lapsed out of the ledger, and see it done."""
    now_ms = scene.runtime.clock()
    written = yield from insist(scene, lambda: _once(lambda c: order_expiries(c, now_ms=now_ms)))
    scene.outcomes["expiry ordered"] += written or 0
    yield from sweep_commands(scene)


def sweep_commands(scene: Scene) -> Steps[None]:
    """Carry out what was ordered and is not done."""
    orders: list[Any] = yield Sql(lambda c: [dict(row) for row in store.open_commands(c, limit=5)], is_read=True)
    for order in orders:
        yield from run_command(scene.runtime, order)
        scene.outcomes["command run"] += 1


def sweep_outbox(scene: Scene) -> Steps[None]:
    """Apply credits whose worker died."""
    found: list[int] = yield Sql(lambda c: sorted(store.accounts_with_pending_credits(c, limit=10)), is_read=True)
    yield from apply_credits(scene.runtime, found)


def settler(scene: Scene) -> Steps[None]:
    """Book what the journal has."""
    settled = yield from settle(scene.runtime, shard_of(scene.account_id))
    scene.outcomes["lines settled"] += settled


def loader(scene: Scene) -> Steps[None]:
    """Load an account that nobody asked for."""
    yield from load(scene.runtime, scene.account_id)


def epoch_manager(scene: Scene) -> Steps[None]:
    """Begin an epoch without need."""
    shard = shard_of(scene.account_id)
    yield from renew_epoch(scene.runtime, shard, scene.runtime.gate.epochs.get(shard, 0), is_needed=True)


def unloader(scene: Scene) -> Steps[None]:
    """Have an idle account forgotten."""
    keys = account_keys(scene.account_id)
    epoch = scene.runtime.gate.epochs.get(shard_of(scene.account_id), 0)
    named = (keys.shard, keys.account, keys.lots, keys.holds, keys.due)
    answer: list[str] = yield Call(Verb.UNLOAD, named, (epoch, scene.account_id, scene.runtime.clock(), 50))
    scene.outcomes[f"unload {answer[0]}"] += 1


def reader(scene: Scene) -> Steps[None]:
    """Look at an account's balances and holds."""
    runtime = scene.runtime
    args: tuple[str | int, ...] = (runtime.clock(), runtime.receipt_ms, *scene.credit_types)
    yield from on_account(runtime, scene.account_id, Verb.READ, args)
    yield Pause(5)
    yield from on_account(runtime, scene.account_id, Verb.LIST_HOLDS, (runtime.clock(), runtime.receipt_ms, 100, ""))


def _once(work: Callable[[Connection], Any]) -> Steps[Any]:
    return (yield Sql(work))


ROLES: Final[dict[str, tuple[Callable[[Scene], Steps[None]], int]]] = {
    "client": (client, 40),
    "spender": (spender, 10),
    "granter": (granter, 13),
    "settler": (settler, 12),
    "clawer": (clawer, 4),
    "expirer": (expirer, 5),
    "sweeper of commands": (sweep_commands, 3),
    "sweeper of credits": (sweep_outbox, 5),
    "loader": (loader, 4),
    "epoch manager": (epoch_manager, 1),
    "unloader": (unloader, 4),
    "reader": (reader, 4),
}
"""Every kind of actor, and how often it comes."""
