"""Many reservations or commits at once: one round trip for hundreds of them, an answer or an error for each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from credits.errors import CreditsError, GateUnavailableError, InvalidInputError
from credits.ids import given_or_new
from credits.reservations import answers
from credits.reservations.answers import Committed, Held
from credits.reservations.asks import Ask, Commit, committed, database_needed
from credits.reservations.epochs import renew_epoch
from credits.reservations.keys import account_keys, shard_of
from credits.reservations.member_loads import load_member
from credits.reservations.model import Answer, Durability
from credits.reservations.protocol import MAX_ROUNDS, Answered, load
from credits.reservations.service import Reservations
from credits.reservations.steps import run
from credits.reservations.turns import Taken

MAX_BATCH: Final = 10_000

_ROUND_TRIP: Final = 500
_AT_ONCE: Final = 2
_LEADERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What a caller reserves."""

    account: str
    items: Mapping[str, int]
    reservation_id: str | None = None
    """Made up if it is left out; then a repetition is another reservation."""
    ttl_s: float = 60
    member: str | None = None
    """For whom: its limits hold too."""


def reserve_many(gate: Reservations, wanted: Sequence[Reserve]) -> list[Held | CreditsError]:
    """Reserve each of `wanted` by itself, as `reserve` does; answers in the same order."""
    _check_size(wanted)
    asks: list[Ask | CreditsError] = []
    items: list[Mapping[str, int]] = []
    for one in wanted:
        name = given_or_new(one.reservation_id)
        try:
            ask, checked = gate.reserve_ask(
                one.account, one.items, reservation_id=name, ttl_s=one.ttl_s, member=one.member
            )
        except CreditsError as error:
            asks.append(error)
            items.append({})
        else:
            asks.append(ask)
            items.append(checked)
    found: list[Held | CreditsError] = []
    for number, (ask_or_error, answered) in enumerate(zip(asks, _call_all(gate, asks), strict=True)):
        if isinstance(answered, CreditsError):
            found.append(answered)
            continue
        if isinstance(ask_or_error, CreditsError):
            found.append(ask_or_error)
            continue
        try:
            account, name = wanted[number].account, ask_or_error.name
            whose = ask_or_error.member
            found.append(answers.held(account, name, items[number], answered.words, member=whose))
        except CreditsError as error:
            found.append(error)
    return found


def commit_many(
    gate: Reservations, commits: Sequence[Commit], *, durability: Durability
) -> list[Committed | CreditsError]:
    """Commit each by itself, as `commit` does; answers in the same order. All wait for the ledger together."""
    _check_size(commits)
    asks = [_ask_or_error(gate, one) for one in commits]
    answered = _call_all(gate, asks)
    taken: list[Taken | CreditsError | None] = [
        _taken(gate, ask, answer, durability) for ask, answer in zip(asks, answered, strict=True)
    ]
    _await_all(gate, [one for one in taken if isinstance(one, Taken)])
    found: list[Committed | CreditsError] = []
    for number, (ask, answer, one) in enumerate(zip(asks, answered, taken, strict=True)):
        if isinstance(answer, CreditsError):
            found.append(answer)
        elif isinstance(ask, CreditsError):
            found.append(ask)
        elif answer.words[0] == Answer.GONE:
            # Alone, for the ways there are around a lost hold.
            found.append(_commit_alone(gate, commits[number], durability))
        elif isinstance(one, CreditsError):
            found.append(one)
        else:
            found.append(_committed(ask, answer, one))
    return found


def _call_all(gate: Reservations, asks: Sequence[Ask | CreditsError]) -> list[Answered | CreditsError]:
    """Send every ask, and those again whose account had to be loaded or whose shard began a new epoch."""
    found: list[Answered | CreditsError] = [
        ask if isinstance(ask, CreditsError) else GateUnavailableError(f"account {ask.account_id} did not come to rest")
        for ask in asks
    ]
    left = [number for number, ask in enumerate(asks) if isinstance(ask, Ask)]
    for _ in range(MAX_ROUNDS):
        # While Redis works on one chunk, the next one is packed.
        chunks = list(_chunks(left))
        with ThreadPoolExecutor(_AT_ONCE) as at_once:
            left = [
                number
                for again in at_once.map(lambda chunk: _tried(gate, asks, chunk, found), chunks)
                for number in again
            ]
        if not left:
            break
    return found


def _tried(
    gate: Reservations, asks: Sequence[Ask | CreditsError], numbers: Sequence[int], found: list[Answered | CreditsError]
) -> list[int]:
    try:
        return _round_trip(gate, asks, numbers, found)
    except GateUnavailableError as error:
        for number in numbers:
            found[number] = error
        return []


def _round_trip(
    gate: Reservations, asks: Sequence[Ask | CreditsError], numbers: Sequence[int], found: list[Answered | CreditsError]
) -> list[int]:
    """One round trip; fills in what was answered, prepares what was not, and answers the numbers of the latter."""
    runtime, epochs = gate.runtime, gate.runtime.gate.epochs
    sent = [(number, ask) for number in numbers if isinstance(ask := asks[number], Ask)]
    used = [epochs.get(shard_of(ask.account_id), 0) for _, ask in sent]
    calls = [(ask.verb, _keys(ask.account_id), (epoch, *ask.args)) for (_, ask), epoch in zip(sent, used, strict=True)]
    again: list[int] = []
    stale: dict[int, int] = {}
    cold: dict[int, None] = {}
    unknown: dict[tuple[int, str], tuple[int, list[str]]] = {}
    for (number, ask), epoch, words in zip(sent, used, runtime.gate.call_many(calls), strict=True):
        if words is None:
            again.append(number)
        elif words[0] == Answer.STALE:
            stale[shard_of(ask.account_id)] = epoch
            again.append(number)
        elif words[0] == Answer.COLD:
            cold[ask.account_id] = None
            again.append(number)
        elif words[0] == Answer.MEMBER:
            unknown[ask.account_id, words[1]] = (epoch, words)
            again.append(number)
        else:
            found[number] = Answered(words, epoch)
    with database_needed():
        for shard, epoch in stale.items():
            run(runtime, renew_epoch(runtime, shard, epoch))
        for account_id in cold:
            run(runtime, load(runtime, account_id))
        for (account_id, _), (epoch, words) in unknown.items():
            run(runtime, load_member(runtime, account_id, epoch, words))
    return again


def _keys(account_id: int) -> tuple[str, ...]:
    keys = account_keys(account_id)
    return (keys.shard, keys.account, keys.lots, keys.holds, keys.due, keys.journal, keys.token)


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), _ROUND_TRIP):
        yield numbers[first : first + _ROUND_TRIP]


def _ask_or_error(gate: Reservations, commit: Commit) -> Ask | CreditsError:
    try:
        return gate.commit_ask(commit)
    except CreditsError as error:
        return error


def _taken(
    gate: Reservations, ask: Ask | CreditsError, answered: Answered | CreditsError, durability: Durability
) -> Taken | CreditsError | None:
    if isinstance(ask, CreditsError) or isinstance(answered, CreditsError):
        return None
    try:
        return gate.taken(ask, answered, durability)
    except CreditsError as error:
        return error


def _await_all(gate: Reservations, taken: Sequence[Taken]) -> None:
    """Wait for every shard's ledger entries, several shards at a time."""
    by_shard: defaultdict[int, list[Taken]] = defaultdict(list)
    for one in taken:
        by_shard[shard_of(one.account_id)].append(one)
    if len(by_shard) <= 1:
        gate.books.await_booked(taken)
        return
    with ThreadPoolExecutor(min(_LEADERS, len(by_shard))) as leaders:
        for _ in leaders.map(gate.books.await_booked, by_shard.values()):
            pass


def _commit_alone(gate: Reservations, commit: Commit, durability: Durability) -> Committed | CreditsError:
    try:
        return gate.commit(
            commit.account,
            commit.reservation_id,
            commit.items,
            step=commit.step,
            final=commit.final,
            overage=commit.overage,
            durability=durability,
            if_lost=commit.if_lost,
            member=commit.member,
        )
    except CreditsError as error:
        return error


def _committed(ask: Ask, answered: Answered, taken: Taken | None) -> Committed | CreditsError:
    try:
        return committed(ask, answered, taken)
    except CreditsError as error:
        return error


def _check_size(batch: Sequence[object]) -> None:
    if len(batch) > MAX_BATCH:
        raise InvalidInputError("batch", f"must have at most {MAX_BATCH} members, got {len(batch)}")
