"""The gate's keys as an auditor reads them: raw values of Redis, taken apart by hand."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from credits.ops.audit.members import CountedMember, MemberLine, plain_name, read_member
from credits.redis_client import RedisClient, masters_of, node_of


class UnreadableError(Exception):
    """A value that is not what the gate writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a journal: what one op took, by credit type (all, and of that debt)."""

    journal_id: str
    op: str
    account_id: int
    taken: dict[str, int]
    member: str = ""
    at: int = 0
    """When, of members' lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The gate's counters of one credit type."""

    available: int
    held: int
    unsettled: int
    debt: int
    lapsed: int
    only_lot: str


@dataclass(slots=True, kw_only=True)
class LoadedAccount:
    """One account as it stands in Redis, all of it read at one instant."""

    account_id: int
    epoch: int
    sv: int
    counted: tuple[int, int]
    """How many lots and hold records the gate says there are."""
    sizes: tuple[int, int, int]
    """How many members the lots, the hold records and the due list have."""
    figures: dict[str, Figures]
    in_lots: dict[str, int]
    """Σ available of the lots in the list, by type."""
    in_holds: dict[str, int]
    """Σ of what open holds of this load have, by type."""
    lines: list[Line]
    members: dict[str, CountedMember]
    member_holds: dict[tuple[str, str], int]
    """Σ of what members' open holds of this load have, by member and type."""
    member_lines: list[MemberLine]


@dataclass(slots=True)
class ShardView:
    """One shard, and some of its accounts, at one instant."""

    epoch: int = 0
    owner: str = ""
    """Of which database it says it is; empty if it does not."""
    counted: int = 0
    length: int = 0
    counted_of: dict[int, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    unreadable_lines: list[str] = field(default_factory=list)
    accounts: list[LoadedAccount] = field(default_factory=list)
    unreadable_accounts: list[int] = field(default_factory=list)


def loaded_accounts(client: RedisClient) -> dict[int, list[int]]:
    """The accounts that have a key in Redis, by shard. A scan: what comes or goes meanwhile may be in it or not."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for server in masters_of(client):
        for key in server.scan_iter(match="cg:{*}:account:*", count=1000):
            tag, _, account_id = str(key).rpartition(":account:")
            found[int(tag.removeprefix("cg:{").removesuffix("}"))].append(int(account_id))
    return found


def read_shard(client: RedisClient, shard: int, account_ids: list[int]) -> ShardView:
    """A shard and these accounts of it, read in one transaction of Redis."""
    tag = f"cg:{{{shard}}}:"
    pipeline = node_of(client, f"{tag}shard").pipeline(transaction=True)
    pipeline.hgetall(f"{tag}shard")
    pipeline.get(f"{tag}owner")
    pipeline.xlen(f"{tag}journal")
    pipeline.xrange(f"{tag}journal")
    for account_id in account_ids:
        pipeline.hgetall(f"{tag}account:{account_id}")
        pipeline.zrange(f"{tag}lots:{account_id}", 0, -1)
        pipeline.hgetall(f"{tag}holds:{account_id}")
        pipeline.zcard(f"{tag}due:{account_id}")
    about, owner, length, lines, *rest = pipeline.execute()
    view = ShardView(epoch=int(about.get("ep", 0)), owner=owner or "", counted=int(about.get("n", 0)), length=length)
    view.counted_of = {int(name[1:]): int(count) for name, count in about.items() if name[0] == "u" and count != "0"}
    for line_id, fields in lines:
        try:
            view.lines.append(_line(line_id, fields))
        except (KeyError, ValueError, UnreadableError):
            view.unreadable_lines.append(line_id)
    for number, account_id in enumerate(account_ids):
        values, lots, holds, due = rest[4 * number : 4 * number + 4]
        # Without its first field an account is not loaded, whatever else is left of it.
        if "m" not in values:
            continue
        try:
            view.accounts.append(_account(account_id, values, lots, holds, due, view.lines))
        except (KeyError, ValueError, UnreadableError):
            view.unreadable_accounts.append(account_id)
    return view


def is_armed(client: RedisClient, shard: int, epoch: int) -> bool:
    """Whether any library in this Redis serves the shard in this epoch; if none does, nobody is answered from it."""
    tag = f"cg:{{{shard}}}:"
    server = node_of(client, f"{tag}shard")
    libraries: Any = server.function_list(library="creditgate_*")
    for library in libraries:
        name = library[library.index("library_name") + 1] if isinstance(library, list) else library["library_name"]
        answer: Any = server.fcall(f"{name}_settled", 2, f"{tag}shard", f"{tag}journal", epoch, 0)
        if answer[0] != "STALE":
            return True
    return False


def _line(line_id: str, fields: dict[str, str]) -> Line:
    taken: dict[str, int] = {}
    for item in fields["i"].split(";"):
        credit_type, numbers = item.split("=")
        amount, debt, lots = numbers.split(",")
        parts = sum(_whole(part.split(":")[1]) for part in lots.split("+") if part)
        if credit_type in taken or parts + _whole(debt) != _whole(amount) or _whole(amount) == 0:
            raise ValueError(item)
        taken[credit_type] = _whole(amount)
    if fields["k"] not in {"spend", "deduct", "expire", "clawback", "reset", "freeze"}:
        raise ValueError(fields["k"])
    journal_id = f"{_whole(fields['e'])}-{line_id}"
    return Line(
        journal_id=journal_id,
        op=fields["op"],
        account_id=_whole(fields["a"]),
        taken=taken,
        member=plain_name(fields.get("m", "")),
        at=_whole(fields.get("t", "0")),
    )


def _account(
    account_id: int, values: dict[str, str], lots: list[str], holds: dict[str, str], due: int, lines: list[Line]
) -> LoadedAccount:
    load, sv, _ = values["m"].split("|")
    _, _, lots_counted, holds_counted, _ = values["w"].split("|")
    figures = {name[2:]: _figures(text) for name, text in values.items() if name.startswith("c:")}
    in_lots: defaultdict[str, int] = defaultdict(int)
    for member in lots:
        credit_type, sort_key = member.split("|")
        in_lots[credit_type] += _whole(values[f"L{sort_key[14:]}"].split(":")[0])
    in_holds: defaultdict[str, int] = defaultdict(int)
    member_holds: defaultdict[tuple[str, str], int] = defaultdict(int)
    counted = [read_member(name, text) for name, text in values.items() if name.startswith("b:")]
    own_lines = [line for line in lines if line.account_id == account_id]
    for record in holds.values():
        state, _, _, hold_load, _, items, _, name = record.split("|", 7)
        member = plain_name(name.split("\x1e")[1]) if name.startswith("\x1e") else ""
        if state == "H" and hold_load == load:
            for item in filter(None, items.split(";")):
                credit_type, left = item.split("=")
                in_holds[credit_type] += _whole(left.split(",")[0])
                if member:
                    member_holds[member, credit_type] += _whole(left.split(",")[0])
    return LoadedAccount(
        account_id=account_id,
        epoch=_whole(load.split(".")[0]),
        sv=_whole(sv),
        counted=(_whole(lots_counted), _whole(holds_counted)),
        sizes=(len(lots), len(holds), due),
        figures=figures,
        in_lots=dict(in_lots),
        in_holds=dict(in_holds),
        lines=own_lines,
        members={one.name: one for one in counted},
        member_holds=dict(member_holds),
        member_lines=[
            MemberLine(line.journal_id, line.member, line.at, line.taken) for line in own_lines if line.member
        ],
    )


def _figures(text: str) -> Figures:
    available, held, unsettled, debt, lapsed, only_lot = text.split(":")
    return Figures(
        available=_whole(available),
        held=_whole(held),
        unsettled=_whole(unsettled),
        debt=_whole(debt),
        lapsed=_whole(lapsed),
        only_lot=only_lot,
    )


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UnreadableError(text)
    return int(text)
