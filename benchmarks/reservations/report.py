"""Tables for people: each figure beside the yardstick's, and what we aim at beside what was measured."""

from collections.abc import Iterator, Mapping

from benchmarks.reservations.contenders import BARE, CAREFUL, ESCROWMINT, LEDGER, OURS, SETTLED, USUAL
from benchmarks.reservations.measure import Round, Setting, Table

Tables = Mapping[Setting, Table]


def table_of(setting: Setting, table: Table) -> str:
    """One table: operations a second, relative to its first row, and what they cost."""
    first = next(iter(table.values()))
    lines = [
        f"{setting.work}, {setting.processes} client process(es), {_accounts(setting.accounts)}",
        f"  {'':27}{'per s':>9}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'client µs':>11}{'Redis µs':>10}",
    ]
    for label, row in table.items():
        lines.append(
            f"  {label:27}{row.per_s:9.0f}{row.per_s / first.per_s:8.2f}{row.p50_ms:9.2f}{row.p99_ms:9.2f}"
            f"{row.client_cpu_us:11.0f}{row.server_cpu_us:10.0f}"
        )
    return "\n".join(lines)


def aims_of(tables: Tables, alone: Mapping[str, float], paced: Round | None) -> str:
    """What we aim at, and what this run came to."""
    lines = ["aims", f"  {'':66}{'aim':>10}{'measured':>10}"]
    for text, aim, found, is_at_most in _aims(tables, alone, paced):
        is_met = found <= aim if is_at_most else found >= aim
        sign = "≤" if is_at_most else "≥"
        lines.append(f"  {text:66}{sign + ' ' + f'{aim:g}':>10}{found:10.2f}  {'' if is_met else 'missed'}".rstrip())
    return "\n".join(lines)


def _aims(tables: Tables, alone: Mapping[str, float], paced: Round | None) -> Iterator[tuple[str, float, float, bool]]:
    for setting, table in tables.items():
        if setting.work == "reserve + commit":
            yield from _aims_of_pairs(setting, table)
        elif "waiting" in setting.work and {LEDGER.label, CAREFUL.label} <= table.keys():
            ratio = table[LEDGER.label].per_s / table[CAREFUL.label].per_s
            yield "ledger, 64 waiting threads / careful PostgreSQL", 3.0, ratio, False
    for name, aim, text in (
        ("reserve_many_per_s", 20_000.0, "reserve_many, one process, a second"),
        ("settled_per_s", 8_000.0, "settlement, one worker, commits a second"),
    ):
        if name in alone:
            yield text, aim, alone[name], False
    if paced is not None:
        yield "reserve at half load, p99 in ms", 3.0, paced.p99_ms, True


def _aims_of_pairs(setting: Setting, table: Table) -> Iterator[tuple[str, float, float, bool]]:
    where = f"{setting.processes} process(es), {_accounts(setting.accounts)}"
    for ours, other, aim in (
        (OURS, BARE, 0.7),
        (OURS, ESCROWMINT, 1.3),
        (SETTLED, BARE, 0.45),
        (SETTLED, ESCROWMINT, 0.9),
    ):
        if {ours.label, other.label} <= table.keys():
            ratio = table[ours.label].per_s / table[other.label].per_s
            yield f"{ours.label[11:]} / {other.label}: {where}", aim, ratio, False
    if setting.processes == 8 and setting.accounts == "hot" and LEDGER.label in table:
        for other, aim in ((CAREFUL, 2.0), (USUAL, 20.0)):
            if other.label in table:
                ratio = table[LEDGER.label].per_s / table[other.label].per_s
                yield f"ledger / {other.label}: {where}", aim, ratio, False
    if setting.processes == 1 and {OURS.label, BARE.label} <= table.keys():
        ours, bare = table[OURS.label], table[BARE.label]
        yield f"client CPU of a pair / two empty EVALSHA: {where}", 1.0, ours.client_cpu_us / bare.client_cpu_us, True
        yield f"Redis's CPU of a pair, µs: {where}", 130.0, ours.server_cpu_us, True


def _accounts(accounts: str) -> str:
    return "one hot account" if accounts == "hot" else "many accounts"
