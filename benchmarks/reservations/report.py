"""Tables for people: each figure beside the yardstick's, and what we aim at beside what was measured."""

from collections.abc import Iterable, Iterator, Mapping

from benchmarks.reservations.contenders import BARE, CAREFUL, ESCROWMINT, LEDGER, OURS, SETTLED, USUAL
from benchmarks.reservations.measure import Round, Setting, Table
from benchmarks.reservations.scale import Cost
from benchmarks.reservations.touches import Touches

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
    return _aim_lines(_aims(tables, alone, paced))


def scale_of(costs: Mapping[str, Cost]) -> str:
    """What a reservation and its commit cost in each situation, beside the first."""
    first = next(iter(costs.values()))
    lines = ["a reservation and its commit (redis)", f"  {'':44}{'µs':>7}{'ratio':>7}{'Redis µs':>10}{'ratio':>7}"]
    lines += [
        f"  {name:44}{cost.wall_us:7.0f}{cost.wall_us / first.wall_us:7.2f}"
        f"{cost.server_us:10.0f}{cost.server_us / first.server_us:7.2f}"
        for name, cost in costs.items()
    ]
    rest = list(costs.items())[1:]
    aims = ((f"{name} / nothing else", 1.2, cost.wall_us / first.wall_us, True) for name, cost in rest)
    return "\n".join([*lines, _aim_lines(aims)])


def memory_of(found: Mapping[str, float]) -> str:
    """Bytes of Redis, and what is aimed at."""
    aims = [
        ("bytes of an idle account", 300.0, found["bytes_an_idle_account"], True),
        ("bytes of an open hold, the only one of its account", 600.0, found["bytes_an_open_hold"], True),
        ("bytes of an open hold, one of thousands", 600.0, found["bytes_an_open_hold_among_many"], True),
    ]
    rest = f"a finished hold {found['bytes_a_finished_hold']:.0f} bytes, a further lot {found['bytes_a_lot']:.0f}"
    return f"{_aim_lines(aims)}\n  {rest}"


def touches_of(found: Touches) -> str:
    """First touches after a wipe, and what is aimed at."""
    share = 100 * found.within_10_ms
    return "\n".join(
        [
            f"{found.accounts:,} accounts touched first after a wipe, 200 a second: p50 {found.p50_ms:.1f} ms, "
            f"p99 {found.p99_ms:.1f} ms, longest {found.max_ms:.1f} ms",
            _aim_lines(
                [
                    ("first touches served within 10 ms, in percent", 99.0, share, False),
                    ("SQL snapshots for an account", 1.0, found.snapshots / found.accounts, True),
                ]
            ),
        ]
    )


def _aim_lines(aims: Iterable[tuple[str, float, float, bool]]) -> str:
    lines = ["aims", f"  {'':66}{'aim':>10}{'measured':>10}"]
    for text, aim, found, is_at_most in aims:
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
