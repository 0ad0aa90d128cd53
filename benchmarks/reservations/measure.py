"""The measurements: every contender in turn, round after round, so that a busy moment of the machine hits all."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from benchmarks.reservations.contenders import OURS, PAIRS, SPENDS, WAITING, ContenderError, Row
from benchmarks.reservations.stage import Stage

ACCOUNTS: Final = ("hot", "many")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One contender's round."""

    per_s: float
    client_cpu_us: float
    """Of all client processes, an operation."""
    server_cpu_us: float
    """Of the Redis server, an operation; 0 where there is none."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Under which circumstances a table was measured."""

    work: str
    processes: int
    accounts: str


Table = dict[str, Round]
"""The medians by the label of the row."""


def tables(stage: Stage, *, processes: Sequence[int], rounds: int, seconds: float) -> dict[Setting, Table]:
    """Every table: what is done, by how many client processes, on one account or many."""
    found: dict[Setting, Table] = {}
    for work, rows in (("reserve + commit", PAIRS), ("spend", SPENDS)):
        for accounts in ACCOUNTS:
            for count in processes:
                setting = Setting(work=work, processes=count, accounts=accounts)
                found[setting] = interleaved(stage, rows, setting, rounds=rounds, seconds=seconds)
    setting = Setting(work="reserve + commit, 64 waiting threads", processes=1, accounts="hot")
    found[setting] = interleaved(stage, WAITING, setting, rounds=rounds, seconds=max(1.0, seconds))
    return found


def interleaved(stage: Stage, rows: Iterable[Row], setting: Setting, *, rounds: int, seconds: float) -> Table:
    """The median of `rounds` rounds of each row."""
    taken: dict[str, list[Round]] = {}
    for number in range(rounds):
        for row in rows:
            if row.subject in stage.clients:
                try:
                    taken.setdefault(row.label, []).append(one_round(stage, row, setting, number, seconds=seconds))
                except ContenderError as error:
                    stage.drop(row.subject, str(error))
    return {label: _median(found) for label, found in taken.items() if found}


def one_round(
    stage: Stage, row: Row, setting: Setting, number: int, *, seconds: float, rate: float | None = None
) -> Round:
    """Let a contender work for some seconds, flat out or at `rate` a second for each process."""
    before = _server_cpu_s(stage, row)
    answer = stage.clients[row.subject].ask(
        {
            "do": "round",
            "name": f"{setting.work}-{setting.processes}-{setting.accounts}-{row.label}-{row.threads}-{number}-{rate}",
            "variant": row.variant,
            "processes": setting.processes,
            "threads": row.threads,
            "accounts": setting.accounts,
            "settles": row.settles,
            "seconds": seconds,
            "rate": rate,
        }
    )
    count, server_cpu_s = answer["operations"], _server_cpu_s(stage, row) - before
    stage.clients[row.subject].ask({"do": "drain"})
    if "reserve" not in row.variant:
        stage.spent[row.subject] += count
    return Round(
        per_s=count / answer["wall_s"],
        client_cpu_us=answer["cpu_s"] / count * 1e6,
        server_cpu_us=server_cpu_s / count * 1e6,
        p50_ms=answer["p50_ms"],
        p99_ms=answer["p99_ms"],
    )


def paced_reserve(stage: Stage, *, rounds: int, seconds: float) -> Round:
    """One process reserving at half of what it can do flat out, on many accounts."""
    row = Row(label="reserve at half load", subject=OURS.subject, variant="reserve")
    setting = Setting(work="reserve", processes=1, accounts="many")
    flat_out = one_round(stage, row, setting, -1, seconds=seconds).per_s
    return _median(
        [one_round(stage, row, setting, number, seconds=seconds, rate=flat_out / 2) for number in range(rounds)]
    )


def check(stage: Stage) -> None:
    """Each contender's own books must say what it was made to spend. Raises AssertionError."""
    for name, client in list(stage.clients.items()):
        spent = client.ask({"do": "check"})["spent"]
        assert spent is None or spent == stage.spent[name], f"{name}: {spent} booked, {stage.spent[name]} spent"


def _server_cpu_s(stage: Stage, row: Row) -> float:
    server = stage.servers.get(row.subject)
    if server is None:
        return 0.0
    info = server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _median(found: Sequence[Round]) -> Round:
    return Round(**{name: median(getattr(each, name) for each in found) for name in asdict(found[0])})
