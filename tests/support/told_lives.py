"""Whole lives of subscriptions, drawn by Hypothesis: every turn that a plan can take, at every provider."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from credits.clock import from_iso
from credits.inbox.provider import SettledBy
from credits.simulation.account import Happened, ProviderAccount, Subscription
from credits.simulation.dialects import DIALECTS, Happening

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
IMAGES, TOKENS, VIDEOS = "image_generation", "tokens", "videos"
SHAPES: Final = {"stripe": (None, "2025-02-24.acacia", "2020-08-27")}
STARTS: Final = (
    "2026-01-31T09:00Z",
    "2026-02-28T00:00Z",
    "2028-01-29T23:30Z",
    "2026-03-15T02:30Z",
    "2026-10-01T12:00Z",
)
"""Last days, a leap year's February, changes of clocks."""

POLICIES: Final[dict[str, str]] = {
    "prorate": 'on_change = "prorate"',
    "add": 'on_change = "keep_and_add"\non_cancel = "end"\non_pause = "end"\non_trial_end = "keep_to_expiry"',
    "reset": 'on_change = "reset"\non_pause = "keep"\non_past_due = "keep"',
    "later": 'on_change = "at_renewal"\nzero_invoice = { coupon = "skip", balance = "skip" }',
    "mixed": 'on_change = { up = "prorate", down = "at_renewal" }\non_cancel = "end"',
    "turned": 'on_change = { up = "at_renewal", down = "reset" }\non_past_due = "keep"',
}
"""Of the two plans of each name, a small and a big one."""

SIZES: Final = {"small": (600, 2000, "day"), "big": (3000, 5000, "week")}
"""Images a period and seat, price in minor units, and how often tokens drip."""

TURN_HOUR_MS: Final = 2 * HOUR_MS
"""After the drips and expiries of the day: what a turn is late by leaves them behind it."""

TURN_DAYS: Final = (3, 10, 17, 24)
JOB_DAYS: Final = (2, 6, 13, 20, 26)
"""Days of a period. What a day's turn is late by is over by the next job."""


def product(policy: str, size: str, provider: str) -> str:
    """What sells a plan at a provider."""
    if provider == "lemonsqueezy":
        return str(500_000 + 10 * sorted(POLICIES).index(policy) + sorted(SIZES).index(size))
    return f"{'pri' if provider == 'paddle' else 'price'}_{policy}_{size}"


def configuration() -> str:
    """credits.toml of everything that these lives subscribe to."""
    types = f'[credit_types.{IMAGES}]\nname = "Images"\ncurrency = "USD"\n'
    types += f'[credit_types.{TOKENS}]\nname = "Tokens"\ncurrency = "USD"\n'
    types += f'[credit_types.{VIDEOS}]\nname = "Videos"\ncurrency = "USD"\n'
    tables = ['timezone = "Europe/Berlin"', types]
    for policy, said in POLICIES.items():
        for size, (images, _, every) in SIZES.items():
            key = f"{policy}_{size}"
            named = {
                "stripe_prices": product(policy, size, "stripe"),
                "lemonsqueezy_variants": product(policy, size, "lemonsqueezy"),
                "paddle_prices": product(policy, size, "paddle"),
            }
            sold = "\n".join(f'{name} = ["{value}"]' for name, value in named.items())
            tables += [
                f'[plans.{key}]\nname = "{key}"\n{sold}\n{said}',
                f"[plans.{key}.credits.{IMAGES}]\namount = {images}\nper_seat = true\ntrial = 50\n"
                'rollover = { cap = 200, periods = 2 }\nexpires = "period_end"',
                f"[plans.{key}.credits.{TOKENS}]\namount = {images // 10}\n"
                f'every = "{every}"\nexpires = "period_end+3d"',
                # What is left of these when all is told was never lost to time.
                f'[plans.{key}.credits.{VIDEOS}]\namount = {images}\nper_seat = true\nexpires = "never"',
            ]
    return "\n\n".join(tables) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Something that happens in a period, on one of its days."""

    kind: str
    period: int
    day: int
    number: int
    """Decides how much, how long or how many."""

    def at_ms(self, subscription: Subscription) -> int:
        return subscription.period_start_ms(self.period) + self.day * DAY_MS + TURN_HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Credits that are held and paid for, some hours later."""

    at_ms: int
    amount: int
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One account's life, as it was drawn."""

    provider: str
    api_version: str | None
    policy: str
    size: str
    start: str
    months: int
    quantity: int
    begins_with_trial: bool
    turns: tuple[Turn, ...]
    jobs: tuple[tuple[int, int, int, int], ...] = ()
    """(period, which of its days, how much in percent of a small plan, how many hours)."""

    def told(self, account: str, client_reference: str | None) -> "Told":
        """What happens in it, in the order in which it happens."""
        return _Teller(life=self, account=account, client_reference=client_reference).tell()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A life, and what the provider would send about it."""

    happened: tuple[Happened, ...]
    jobs: tuple[Job, ...]
    calm_ms: frozenset[int]
    """Instants before which nothing happened for hours."""
    end_ms: int


def batches(size: int, *, with_jobs: bool) -> st.SearchStrategy[list[Life]]:
    """So many lives that begin at one instant."""
    return st.sampled_from(STARTS).flatmap(
        lambda start: st.lists(_lives(start, with_jobs=with_jobs), min_size=size, max_size=size)
    )


def _lives(start: str, *, with_jobs: bool) -> st.SearchStrategy[Life]:
    """Any life of two to four periods."""

    def of(provider: str) -> st.SearchStrategy[Life]:
        months = st.integers(2, 4)
        return months.flatmap(
            lambda count: st.builds(
                Life,
                provider=st.just(provider),
                api_version=st.sampled_from(SHAPES.get(provider, (None,))),
                policy=st.sampled_from(sorted(POLICIES)),
                size=st.sampled_from(sorted(SIZES)),
                start=st.just(start),
                months=st.just(count),
                quantity=st.integers(1, 3),
                begins_with_trial=st.booleans(),
                turns=_turns(count),
                jobs=_jobs(count) if with_jobs else st.just(()),
            )
        )

    return st.sampled_from(sorted(DIALECTS)).flatmap(of)


def _turns(months: int) -> st.SearchStrategy[tuple[Turn, ...]]:
    slots = st.tuples(st.integers(0, months - 1), st.sampled_from(TURN_DAYS))
    kinds = st.tuples(st.sampled_from(sorted(TURNS)), st.integers(0, 5))
    return st.dictionaries(slots, kinds, max_size=5).map(
        lambda found: tuple(
            Turn(kind=kind, period=period, day=day, number=number)
            for (period, day), (kind, number) in sorted(found.items())
        )
    )


def _jobs(months: int) -> st.SearchStrategy[tuple[tuple[int, int, int, int], ...]]:
    job = st.tuples(
        st.integers(0, months - 1), st.sampled_from(JOB_DAYS), st.integers(5, 120), st.sampled_from([0, 1, 23])
    )
    return st.lists(job, max_size=6, unique_by=lambda one: one[:2]).map(lambda found: tuple(sorted(found)))


@dataclass(slots=True, kw_only=True)
class _Teller:
    """Lets a life happen at a simulated provider, turn by turn."""

    life: Life
    account: str
    client_reference: str | None
    paid: list[Happened] = field(default_factory=list)
    """What was charged, the newest last."""
    refunded: dict[str, int] = field(default_factory=dict)

    def tell(self) -> Told:
        life = self.life
        provider = ProviderAccount(
            provider=life.provider,
            account=self.account,
            api_version=life.api_version,
            client_reference=self.client_reference,
        )
        size = SIZES[life.size]
        subscription = provider.subscribe(
            f"{self.account}-s",
            product(life.policy, life.size, life.provider),
            price_minor=size[1] * life.quantity,
            at_ms=from_iso(life.start),
            quantity=life.quantity,
            begins_with_trial=life.begins_with_trial,
        )
        if not life.begins_with_trial:
            self.paid.append(provider.happened[-1])
        for period in range(life.months):
            if period:
                self._begin(provider, subscription)
            for turn in (one for one in life.turns if one.period == period):
                TURNS[turn.kind](self, provider, subscription, turn)
        provider.cancel(subscription, at_ms=subscription.period_start_ms(life.months - 1) + 26 * DAY_MS)
        provider.end(subscription)
        end_ms = subscription.period_start_ms(life.months) + 240 * DAY_MS
        return Told(
            happened=tuple(sorted(provider.happened, key=lambda one: one.at_ms)),
            jobs=tuple(self._job(subscription, *one) for one in life.jobs),
            calm_ms=frozenset(
                subscription.period_start_ms(period) + day * DAY_MS + 12 * HOUR_MS
                for period in range(life.months + 1)
                for day in JOB_DAYS
            )
            | {end_ms},
            end_ms=end_ms,
        )

    def _job(self, subscription: Subscription, period: int, day: int, percent: int, hours: int) -> Job:
        at_ms = subscription.period_start_ms(period) + day * DAY_MS + 12 * HOUR_MS
        return Job(at_ms=at_ms, amount=SIZES["small"][0] * percent // 100, hours=hours)

    def _begin(self, provider: ProviderAccount, subscription: Subscription) -> None:
        """The next period: paid, or failed and made up for a day or two later, or settled by something else."""
        turn = next(
            (one for one in self.life.turns if one.kind == "bad renewal" and one.period == subscription.period + 1),
            None,
        )
        if turn is None:
            self.paid.append(provider.renew(subscription))
        elif turn.number < 3:
            failed = provider.fail_payment(subscription)
            self.paid.append(
                provider.recover_payment(
                    subscription, at_ms=failed.at_ms + (1 + turn.number % 2) * DAY_MS + TURN_HOUR_MS
                )
            )
        else:
            settled = (SettledBy.COUPON, SettledBy.BALANCE, SettledBy.OUT_OF_BAND)[turn.number % 3]
            if self.life.provider == "lemonsqueezy":
                settled = SettledBy.COUPON
            provider.renew(subscription, settled_by=settled)

    # Each turn does what it can at this provider, and else nothing.

    def change(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        size = "big" if subscription.product_id.endswith(("small", "1")) else "small"
        self._change_to(provider, subscription, turn, size, subscription.quantity)

    def seats(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        size = "small" if subscription.product_id.endswith(("small", "1")) else "big"
        self._change_to(provider, subscription, turn, size, subscription.quantity + (1 if turn.number % 2 else -1))

    def _change_to(
        self, provider: ProviderAccount, subscription: Subscription, turn: Turn, size: str, quantity: int
    ) -> None:
        on_trial = self.life.begins_with_trial and turn.period == 0
        if quantity < 1 or on_trial:
            return
        changed = provider.change_plan(
            subscription,
            product(self.life.policy, size, self.life.provider),
            price_minor=SIZES[size][1] * quantity,
            at_ms=turn.at_ms(subscription),
            quantity=quantity,
            is_prorated=turn.number != 5,
        )
        if changed.what is Happening.PLAN_CHANGED and changed.events[-1].paid_minor > 0:
            self.paid.append(changed)

    def pause(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        at_ms = turn.at_ms(subscription)
        provider.pause(subscription, at_ms=at_ms)
        provider.resume(subscription, at_ms=at_ms + (1 + turn.number % 3) * DAY_MS + HOUR_MS)

    def purchase(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        name = f"{self.account}-pack-{turn.period}-{turn.day}"
        bought = provider.purchase(name, IMAGES, 100 + turn.number, paid_minor=999, at_ms=turn.at_ms(subscription))
        self.paid.append(bought)

    def refund(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        if not self.paid:
            return
        of = self.paid[-1 - turn.number % min(2, len(self.paid))]
        charge = of.events[-1]
        before = self.refunded.get(charge.payment, 0)
        minor = min(charge.paid_minor - before, charge.paid_minor * (2 + turn.number) // 7)
        at_ms = turn.at_ms(subscription)
        if minor < 1:
            return
        name = f"{self.account}-re-{turn.period}-{turn.day}"
        given = provider.refund(of, name, refunded_minor=minor, before_minor=before, at_ms=at_ms)
        if turn.number == 0 and provider.knows(Happening.REFUND_FAILED):
            provider.fail_refund(given, at_ms=at_ms + 2 * DAY_MS)
        else:
            self.refunded[charge.payment] = before + minor

    def dispute(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        if not self.paid or not provider.knows(Happening.DISPUTE_OPENED):
            return
        of = self.paid.pop()
        provider.open_dispute(of, at_ms=turn.at_ms(subscription))
        at_ms = turn.at_ms(subscription) + 2 * DAY_MS
        provider.close_dispute(of, is_won=turn.number % 2 == 0, at_ms=at_ms)

    def bad_renewal(self, provider: ProviderAccount, subscription: Subscription, turn: Turn) -> None:
        """Done when the period begins."""


TURNS: Final[dict[str, Callable[[_Teller, ProviderAccount, Subscription, Turn], Any]]] = {
    "change": _Teller.change,
    "seats": _Teller.seats,
    "pause": _Teller.pause,
    "purchase": _Teller.purchase,
    "refund": _Teller.refund,
    "dispute": _Teller.dispute,
    "bad renewal": _Teller.bad_renewal,
}
