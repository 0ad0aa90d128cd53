"""The gate against itself and against the ledger."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, text

from credits.db import snapshot, transaction
from credits.ops.audit.gate_view import LoadedAccount, ShardView, is_armed, loaded_accounts, read_shard
from credits.ops.audit.members import Disagreement, of_holds, of_ledger
from credits.ops.audit.model import Code, Finding, Report
from credits.redis_client import RedisClient

_SHARDS: Final = 64
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    """What the ledger says of some accounts, at one instant."""

    names: dict[int, tuple[str, str]]
    """(tenant, account)."""
    sv: dict[int, int]
    free: dict[tuple[int, str], int]
    """Balance less what is frozen."""
    credits: dict[int, list[tuple[int, str, int]]]
    """(number, type, amount) of credits that wait for the gate."""
    members: dict[int, list[Disagreement]]
    """What the gate counts for members of each account, where the ledger says otherwise."""
    booked: set[tuple[int, str]]
    """Lines of the journal that are entries, with their accounts: two shards may name their lines alike."""


def read_gate(engine: Engine, client: RedisClient, report: Report) -> None:
    """Add to `report` all that disagrees in the gate. Raises redis.RedisError if it does not answer."""
    loaded = loaded_accounts(client)
    with snapshot(engine) as connection:
        epochs = {row[0]: (row[1], row[2]) for row in connection.execute(text("SELECT id, epoch, owner FROM shards"))}
    for shard in range(_SHARDS):
        _read_shard(engine, client, report, shard, sorted(loaded.get(shard, ())), *epochs.get(shard, (0, None)))
    report.is_gate_read = True


def _read_shard(
    engine: Engine,
    client: RedisClient,
    report: Report,
    shard: int,
    account_ids: list[int],
    epoch: int,
    owner: str | None,
) -> None:
    view = read_shard(client, shard, [])
    # One that was used by a release without owners has none; one that nobody used has none of ours in Redis either.
    if view.owner and view.owner != owner and (owner or not epoch):
        report.findings.append(_of_shard(Code.GATE_OWNER, shard, "its database", owner or "none", view.owner))
        return
    report.journal_lines += view.length
    report.findings += _of_journal(engine, shard, view)
    # What an older epoch left, or a Redis that nobody believes, serves nobody: the next call loads it anew.
    if view.epoch != epoch or not is_armed(client, shard, epoch):
        if view.epoch == epoch and view.counted != view.length:
            report.findings.append(_of_shard(Code.JOURNAL_COUNT, shard, "lines", view.counted, view.length))
        return
    for first in range(0, len(account_ids), _AT_ONCE):
        some = read_shard(client, shard, account_ids[first : first + _AT_ONCE])
        with snapshot(engine) as connection:
            books = _read_books(connection, some.accounts)
        for account_id in some.unreadable_accounts:
            report.findings.append(_of_shard(Code.GATE_UNREADABLE, shard, f"account {account_id}", "a record", "none"))
        for account in some.accounts:
            if account.epoch != epoch:
                continue
            report.gate_accounts += 1
            report.findings += _against_itself(account, books, some)
            if list(_against_ledger(account, books)):
                # Between the two reads somebody may have been at work. While the account is locked, nobody is.
                report.findings += _again_locked(engine, client, shard, account.account_id, epoch)


def _of_journal(engine: Engine, shard: int, view: ShardView) -> Iterator[Finding]:
    for line_id in view.unreadable_lines:
        yield _of_shard(Code.JOURNAL_UNREADABLE, shard, f"line {line_id}", "a debit", "something else")
    owners = {line.account_id for line in view.lines}
    with snapshot(engine) as connection:
        known = set(_names(connection, owners))
    for line in view.lines:
        if line.account_id not in known or line.account_id % _SHARDS != shard:
            subject = f"line {line.journal_id}"
            yield _of_shard(Code.JOURNAL_ACCOUNT, shard, subject, f"an account of shard {shard}", str(line.account_id))


def _against_itself(account: LoadedAccount, books: _Books, view: ShardView) -> Iterator[Finding]:
    tenant, name = books.names.get(account.account_id, ("", f"#{account.account_id}"))

    def finding(code: Code, subject: str, expected: object, found: object) -> Finding:
        return Finding(
            code=code, tenant=tenant, account=name, subject=subject, expected=str(expected), found=str(found)
        )

    lots, holds = account.counted
    if account.sizes != (lots, holds, holds):
        yield finding(Code.GATE_SIZES, "lots, holds, due", (lots, holds, holds), account.sizes)
    for disagreement in of_holds(account.members, account.member_holds):
        yield finding(*disagreement)
    lines: Counter[str] = Counter()
    for line in account.lines:
        lines.update(line.taken)
    counted = view.counted_of.get(account.account_id, 0)
    if counted != len(account.lines):
        yield finding(Code.JOURNAL_COUNT, "lines of the account", counted, len(account.lines))
    for kind, figures in account.figures.items():
        # A type's only lot is named with the counters and stands in no list.
        in_lots = account.in_lots.get(kind, 0) + (figures.available if figures.only_lot else 0)
        if figures.available != in_lots:
            yield finding(Code.GATE_AVAILABLE, kind, in_lots, figures.available)
        if figures.held != account.in_holds.get(kind, 0):
            yield finding(Code.GATE_HELD, kind, account.in_holds.get(kind, 0), figures.held)
        if figures.unsettled != lines[kind]:
            yield finding(Code.GATE_UNSETTLED, kind, lines[kind], figures.unsettled)


def _against_ledger(account: LoadedAccount, books: _Books) -> Iterator[Finding]:
    number = account.account_id
    if number not in books.names:
        return
    tenant, name = books.names[number]
    if account.sv > books.sv[number]:
        yield Finding(
            code=Code.GATE_CREDITS,
            tenant=tenant,
            account=name,
            subject="credits applied",
            expected=f"at most {books.sv[number]}",
            found=str(account.sv),
        )
    for code, subject, wanted, found in books.members.get(number, ()):
        yield Finding(code=code, tenant=tenant, account=name, subject=subject, expected=str(wanted), found=str(found))
    types = set(account.figures) | {kind for owner, kind in books.free if owner == number}
    for kind in sorted(types):
        figures = account.figures.get(kind)
        says = figures.available + figures.held + figures.lapsed - figures.debt if figures else 0
        says += sum(line.taken.get(kind, 0) for line in account.lines if (number, line.journal_id) not in books.booked)
        later = sum(amount for sv, of, amount in books.credits.get(number, ()) if sv > account.sv and of == kind)
        expected = books.free.get((number, kind), 0) - later
        if says != expected:
            yield Finding(
                code=Code.GATE_LEDGER,
                tenant=tenant,
                account=name,
                subject=f"{kind}: available + held + lapsed - debt + not yet booked",
                expected=str(expected),
                found=str(says),
            )


def _again_locked(engine: Engine, client: RedisClient, shard: int, account_id: int, epoch: int) -> list[Finding]:
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT id FROM accounts WHERE id = :id FOR UPDATE"), {"id": account_id})
            # Credits that reach the gate leave the outbox without a lock on their account. Gone between the look at the
            # gate and the one at the ledger, they would count as neither waiting nor there.
            connection.execute(text("SELECT sv FROM outbox WHERE account_id = :id FOR UPDATE"), {"id": account_id})
        view = read_shard(client, shard, [account_id])
        books = _read_books(connection, view.accounts)
        return [
            finding
            for account in view.accounts
            if account.epoch == epoch
            for finding in _against_ledger(account, books)
        ]


def _read_books(connection: Connection, accounts: Iterable[LoadedAccount]) -> _Books:
    some = list(accounts)
    ids = [account.account_id for account in some]
    names = _names(connection, ids)
    balances = _rows(connection, "SELECT account_id, credit_type, balance FROM balances WHERE account_id IN :ids", ids)
    frozen = _rows(
        connection,
        "SELECT account_id, credit_type, SUM(frozen) FROM grants WHERE account_id IN :ids "
        "GROUP BY account_id, credit_type",
        ids,
    )
    free = {(owner, kind): int(balance) for owner, kind, balance in balances}
    for owner, kind, amount in frozen:
        free[owner, kind] = free.get((owner, kind), 0) - int(amount)
    credits_: dict[int, list[tuple[int, str, int]]] = {}
    for owner, sv, kind, amount in _rows(
        connection,
        "SELECT account_id, sv, credit_type, amount + debt_repaid FROM outbox WHERE account_id IN :ids",
        ids,
    ):
        credits_.setdefault(owner, []).append((sv, kind, amount))
    known_lines = _booked_lines(connection, some)
    return _Books(
        names={number: (tenant, name) for number, (tenant, name, _) in names.items()},
        sv={number: sv for number, (_, _, sv) in names.items()},
        free=free,
        credits=credits_,
        booked=known_lines,
        members={
            one.account_id: list(of_ledger(connection, one.account_id, one.members, one.member_lines, known_lines))
            for one in some
            if one.account_id in names
        },
    )


def _booked_lines(connection: Connection, accounts: list[LoadedAccount]) -> set[tuple[int, str]]:
    keys = [f"{line.op}:{kind}" for account in accounts for line in account.lines for kind in line.taken]
    booked = _rows(
        connection,
        "SELECT account_id, journal_id FROM entries WHERE tenant IN ('live', 'sandbox') AND key IN :ids",
        keys,
    )
    # A freeze makes no entry: its order says which line it was.
    booked += _rows(
        connection,
        "SELECT account_id, journal_id FROM commands WHERE kind = 'freeze' AND tenant IN ('live', 'sandbox') "
        "AND op IN :ids",
        [line.op for account in accounts for line in account.lines],
    )
    return {(row[0], row[1]) for row in booked}


def _names(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[str, str, int]]:
    rows = _rows(connection, "SELECT id, tenant, external_id, sv FROM accounts WHERE id IN :ids", list(ids))
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def _rows(connection: Connection, statement: str, ids: list[Any]) -> list[Any]:
    query = text(statement).bindparams(bindparam("ids", expanding=True))
    found: list[Any] = []
    for first in range(0, len(ids), 1000):
        found += connection.execute(query, {"ids": ids[first : first + 1000]}).all()
    return found


def _of_shard(code: Code, shard: int, subject: str, expected: object, found: object) -> Finding:
    return Finding(
        code=code, tenant="", account="", subject=f"shard {shard}, {subject}", expected=str(expected), found=str(found)
    )
