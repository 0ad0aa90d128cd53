"""The gate's keys read back into values, with everything re-added that must agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from credits.reservations import rules
from credits.reservations.keys import AccountKeys
from credits.reservations.model import HoldState
from tests.support.cluster import server_of


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An account as its keys have it, or as the twin has it."""

    sv: int
    lots: Mapping[str, tuple[str, int]]
    """(sort key, available) by lot; those that nothing is left of and nobody holds count like those never seen."""
    figures: Mapping[str, tuple[int, ...]]
    """Available (lapsed ones of this instant left out, debt not deducted), held, unsettled, debt, lapsed by type."""
    holds: Mapping[str, rules.Hold]
    journal: tuple[rules.Entry, ...]
    members: "Mapping[str, SeenMember]"
    """Those of whom anything is known, with their windows as of the last call."""


@dataclass(frozen=True, kw_only=True)
class SeenMember:
    """A member as the account's keys have it, or as the twin has it."""

    version: int | None
    """None: only what its holds have is known."""
    days: tuple[int, ...]
    months: tuple[int, ...]
    figures: Mapping[str, tuple[int, ...]]
    """Held, and committed this day, this month, in all, by type."""
    limits: Mapping[str, str]


def seen_by_twin(account: rules.Account) -> Seen:
    """The twin's account as `Seen`."""
    names = {lot.credit_type for lot in account.lots.values()} | set(account.debts)
    types = sorted(names | {item.credit_type for entry in account.journal for item in entry.items})
    figures = {
        name: (
            sum(lot.available for lot in account.lots.values() if lot.credit_type == name)
            - rules.lapsed(account, name, account.last_ms),
            rules.held(account, name),
            rules.unsettled(account, name),
            account.debts.get(name, 0),
            rules.lapsed(account, name, account.last_ms),
        )
        for name in types
    }
    return Seen(
        sv=account.sv,
        lots={name: (lot.sort_key, lot.available) for name, lot in account.lots.items() if lot.available},
        figures={name: sums for name, sums in figures.items() if any(sums)},
        holds=dict(account.holds),
        journal=account.journal,
        members=_members_of_twin(account),
    )


def _members_of_twin(account: rules.Account) -> dict[str, SeenMember]:
    holders = {hold.member for hold in account.holds.values() if hold.state is HoldState.HELD and hold.member}
    types = {lot.credit_type for lot in account.lots.values()}
    found = {}
    for member in holders | set(account.members):
        budget, at_ms = account.members.get(member), account.last_ms
        spent = {one.credit_type for one in budget.spent} if budget else set()
        known = types | spent | set(budget.before) if budget else types
        figures = {
            name: (rules.held_for(account, member, name), *(rules.used(budget, name, at_ms) if budget else (0, 0, 0)))
            for name in known
        }
        found[member] = SeenMember(
            version=budget.version if budget else None,
            days=rules.running(budget.days, at_ms) if budget else (),
            months=rules.running(budget.months, at_ms) if budget else (),
            figures={name: sums for name, sums in figures.items() if any(sums)},
            limits={name: text for name, text in budget.limits.items() if text} if budget else {},
        )
    return _known(found)


def read_keys(client: redis.Redis, k: AccountKeys, account_id: int) -> Seen:
    """
    Read an account's keys, written by nobody but the scripts and read by nothing they share, and check what must agree.

    Every counter is re-added from the lots, the holds and the journal; every size is counted.
    """
    fields, records, members, dues, lines, counts = _read_all(client, k)
    load, sv, _ = fields["m"].split("|")
    last, _, zn, hn, us = (int(word) for word in fields["w"].split("|"))
    holds = {name: read_record(text, load) for name, text in records.items()}
    journal = tuple(_entry(line) for _, line in lines if line["a"] == str(account_id))

    assert (zn, hn, hn) == (len(members), len(records), len(dues)), "sizes"
    assert int(counts["n"]) == len(lines), "entries in all"
    assert int(counts.get(f"u{account_id}", 0)) == len(journal), "entries of the account"
    assert {name: int(score) for name, score in dues} == {name: hold.due_at_ms for name, hold in holds.items()}
    lots, listed = _lots_of(fields), sorted(members)
    figures: dict[str, tuple[int, ...]] = {}
    for name, words in ((field[2:], value.split(":")) for field, value in fields.items() if field.startswith("c:")):
        sums, only = tuple(int(word) for word in words[:5]), words[5]
        own = {lot: (key, free) for lot, (owner, key, free) in lots.items() if owner == name}
        alive = {key for key, free in own.values() if int(key[4:13], 36) > last and free}
        assert listed_of(listed, name) == ([] if only else sorted(alive)), f"{name}: list of lots"
        assert not only or alive <= {only}, f"{name}: only lot"
        assert sums[0] == sum(free for key, free in own.values() if key in alive), f"{name}: available"
        assert sums[4] == sum(free for key, free in own.values() if key not in alive), f"{name}: lapsed"
        assert sums[1] == _held(holds, name), f"{name}: held"
        assert sums[2] == sum(one.amount for entry in journal for one in entry.items if one.credit_type == name)
        figures[name] = sums
    assert us == sum(sums[2] for sums in figures.values()), "unsettled of all types"
    assert min((amount for sums in figures.values() for amount in sums), default=0) >= 0
    assert max((amount for sums in figures.values() for amount in sums), default=0) <= 2**53 - 1
    return Seen(
        sv=int(sv),
        lots={name: (key, free) for name, (_, key, free) in lots.items() if free},
        figures={name: sums for name, sums in figures.items() if any(sums)},
        holds=holds,
        journal=journal,
        members=_members(fields, holds, last),
    )


def _members(fields: Mapping[str, str], holds: Mapping[str, rules.Hold], at_ms: int) -> dict[str, SeenMember]:
    """Members with the windows of an instant: the scripts begin a window when somebody asks."""
    found = {}
    for name, text in fields.items():
        if not name.startswith("b:"):
            continue
        version, day_words, month_words, items = text.split("|")
        days, months = _instants(day_words), _instants(month_words)
        began = [sum(start <= at_ms for start in starts[1:]) for starts in (days, months)]
        figures, limits = {}, {}
        for item in items.split(";") if items else []:
            kind, _, rest = item.partition("=")
            held, day, month, ever, limits[kind] = rest.split(",")
            figures[kind] = (int(held), 0 if began[0] else int(day), 0 if began[1] else int(month), int(ever))
            assert int(held) == sum(
                hold.items[kind].left
                for hold in holds.values()
                if hold.state is HoldState.HELD and hold.member == name[2:] and kind in hold.items
            ), f"{name}: held"
        found[name[2:]] = SeenMember(
            version=int(version) if version else None,
            days=days[began[0] :],
            months=months[began[1] :],
            figures={kind: sums for kind, sums in figures.items() if any(sums)},
            limits={kind: text for kind, text in limits.items() if text},
        )
    return _known(found)


def _known(members: Mapping[str, SeenMember]) -> dict[str, SeenMember]:
    """Without those who only have an open hold that is used up: the keys need not name them."""
    return {name: member for name, member in members.items() if member.version is not None or member.figures}


def _instants(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)


def listed_of(members: Iterable[str], credit_type: str) -> list[str]:
    """Sort keys of a type's listed lots."""
    return [key for name, _, key in (member.partition("|") for member in members) if name == credit_type]


def read_record(text: str, load: str) -> rules.Hold:
    """A hold's record; an open one must be of `load`."""
    state, deadline, made, of_load, fingerprint, items, steps, name = text.split("|", 7)
    due, *uncertain = (int(word) for word in deadline.split("~"))
    member = ""
    if name.startswith("\x1e"):
        _, member, name = name.split("\x1e", 2)
    assert state != "H" or of_load == load, "an open hold of another load"
    parsed = {}
    for part in items.split(";") if items else []:
        credit_type, _, rest = part.partition("=")
        left, _, lots = rest.partition(",")
        parsed[credit_type] = rules.Item(left=int(left), lots=_parts(lots))
    return rules.Hold(
        state=HoldState(state),
        due_at_ms=due,
        made_at_ms=int(made),
        fingerprint=fingerprint,
        name=name,
        items=parsed,
        steps=dict(step.split("=") for step in steps.split(";")) if steps else {},
        by_ms=uncertain[0] if uncertain else None,
        set_at_ms=uncertain[1] if uncertain else None,
        member=member,
    )


def _lots_of(fields: Mapping[str, str]) -> dict[str, tuple[str, str, int]]:
    """(type, sort key, available) by lot."""
    lots: dict[str, tuple[str, str, int]] = {}
    for field_name, value in fields.items():
        if field_name.startswith("L"):
            free, key, owner = value.split(":")
            lots[field_name[1:]] = (owner, key, int(free))
    for field_name, value in fields.items():
        words = value.split(":")
        if field_name.startswith("c:") and words[5]:
            lots[words[5][14:]] = (field_name[2:], words[5], int(words[0]))
    return lots


def _read_all(client: redis.Redis, k: AccountKeys) -> Any:
    with server_of(client, k.shard).pipeline(transaction=True) as pipeline:
        pipeline.hgetall(k.account)
        pipeline.hgetall(k.holds)
        pipeline.zrange(k.lots, 0, -1)
        pipeline.zrange(k.due, 0, -1, withscores=True)
        pipeline.xrange(k.journal)
        pipeline.hgetall(k.shard)
        return pipeline.execute()


def _entry(fields: Mapping[str, str]) -> rules.Entry:
    items = []
    for part in fields["i"].split(";"):
        credit_type, _, rest = part.partition("=")
        amount, debt, lots = rest.split(",")
        items.append(rules.Taken(credit_type=credit_type, amount=int(amount), debt=int(debt), lots=_parts(lots)))
    return rules.Entry(
        op=fields["op"],
        kind=fields["k"],
        fingerprint=fields["fp"],
        name=fields["r"],
        items=tuple(items),
        member=fields.get("m", ""),
        spent_at_ms=int(fields["t"]) if "t" in fields else None,
    )


def _held(holds: Mapping[str, rules.Hold], credit_type: str) -> int:
    opened = [hold for hold in holds.values() if hold.state is HoldState.HELD and credit_type in hold.items]
    assert all(sum(part for _, part in hold.items[credit_type].lots) == hold.items[credit_type].left for hold in opened)
    return sum(hold.items[credit_type].left for hold in opened)


def _parts(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((lot, int(part)) for lot, _, part in (one.partition(":") for one in text.split("+") if one))
