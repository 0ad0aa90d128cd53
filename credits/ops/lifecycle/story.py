"""What happens in a life: a subscription from its first day to its last, drawn by a seed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from credits.config.catalogue import Catalogue
from credits.errors import InvalidInputError
from credits.simulation.account import Happened, ProviderAccount, Subscription
from credits.simulation.dialects import Happening

START_MS: Final = int(datetime(2026, 1, 31, 9, tzinfo=UTC).timestamp()) * 1000
"""The 31st, which most months do not have."""

DAY_MS: Final = 86_400_000
MOST_MONTHS: Final = 120
_JOB_DAYS: Final = (6, 16, 25)
"""Days of each period on which the account works. What a day's events may be late by is over by then."""
_PRICE_MINOR: Final = (2000, 5000)
_PACK_MINOR: Final = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose life it is to be."""

    plan: str
    upgrade: str | None
    """The plan it changes to; None: another one that the provider sells, if there is one."""
    provider: str
    api_version: str | None
    account: str
    months: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that the account pays for with credits."""

    at_ms: int
    key: str
    credit_type: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A whole life, before anybody was told of it."""

    happened: tuple[Happened, ...]
    jobs: tuple[Job, ...]
    end_ms: int
    left_out: tuple[str, ...]
    """What could not be part of it, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turns:
    """In which period each thing happens, if at all."""

    at: Mapping[str, int]

    def is_at(self, turn: str, period: int) -> bool:
        return self.at.get(turn) == period


def story(asked: Asked, catalogue: Catalogue, *, client_reference: str | None = None) -> Story:
    """
    The life that `asked.seed` draws; `client_reference` is the signed account, for providers that go by it.

    Raises UnknownPlanError for a plan that credits.toml does not have, InvalidInputError for one that has no product
    at the provider, and for months out of bounds.
    """
    if not 1 <= asked.months <= MOST_MONTHS:
        raise InvalidInputError("months", f"must be from 1 to {MOST_MONTHS}, got {asked.months}")
    fortune = Random(f"life {asked.seed}")  # noqa: S311
    first = _product(catalogue, asked.plan, asked.provider)
    other = _other(catalogue, asked)
    account = ProviderAccount(
        provider=asked.provider,
        account=asked.account,
        api_version=asked.api_version,
        client_reference=client_reference,
    )
    left_out = [] if other is not None else [f"an upgrade: no other plan is sold at {asked.provider}"]
    left_out += [f"a {name}: {asked.provider} has no events of it" for name in _missing(account)]
    turns = _turns(fortune, asked.months)
    name = f"life-{asked.seed}"
    subscription = account.subscribe(name, first, price_minor=_PRICE_MINOR[0], at_ms=START_MS)
    paid = account.happened[-1]
    for period in range(asked.months):
        if period:
            paid = _renewed(account, subscription, turns, period)
        if other is not None and turns.is_at("upgrade", period):
            at_ms = subscription.period_start_ms(period) + 10 * DAY_MS
            account.change_plan(subscription, other, price_minor=_PRICE_MINOR[1], at_ms=at_ms)
        _money_goes_back(account, subscription, turns, period, paid, fortune)
    account.cancel(subscription, at_ms=subscription.period_start_ms(asked.months - 1) + 20 * DAY_MS)
    account.end(subscription)
    _dispute(account, catalogue, turns, subscription, fortune)
    return Story(
        happened=tuple(sorted(account.happened, key=lambda one: one.at_ms)),
        jobs=_jobs(catalogue, asked, subscription, fortune),
        end_ms=subscription.period_start_ms(asked.months) + 45 * DAY_MS,
        left_out=tuple(left_out),
    )


def _turns(fortune: Random, months: int) -> _Turns:
    """Each thing in a period of its own, as far as the months go: in a short life some do not happen."""
    periods = list(range(1, months))
    fortune.shuffle(periods)
    names = ("purchase", "failure", "upgrade", "refund", "pause", "failed refund")
    return _Turns(at=dict(zip(names, periods, strict=False)))


def _missing(account: ProviderAccount) -> list[str]:
    wanted = {"dispute": Happening.DISPUTE_OPENED, "failed refund": Happening.REFUND_FAILED}
    return [name for name, what in wanted.items() if not account.knows(what)]


def _renewed(account: ProviderAccount, subscription: Subscription, turns: _Turns, period: int) -> Happened:
    if not turns.is_at("failure", period):
        return account.renew(subscription)
    failed = account.fail_payment(subscription)
    return account.recover_payment(subscription, at_ms=failed.at_ms + 3 * DAY_MS)


def _money_goes_back(
    account: ProviderAccount,
    subscription: Subscription,
    turns: _Turns,
    period: int,
    paid: Happened,
    fortune: Random,
) -> None:
    at_ms = subscription.period_start_ms(period) + 12 * DAY_MS
    minor = paid.events[-1].paid_minor
    part_minor = minor * fortune.randint(20, 60) // 100
    if turns.is_at("refund", period):
        account.refund(paid, f"refund-{period}", refunded_minor=part_minor, at_ms=at_ms)
    if turns.is_at("failed refund", period) and account.knows(Happening.REFUND_FAILED):
        given = account.refund(paid, f"refund-{period}", refunded_minor=part_minor, at_ms=at_ms)
        account.fail_refund(given, at_ms=at_ms + 8 * DAY_MS)
    if turns.is_at("pause", period):
        account.pause(subscription, at_ms=at_ms)
        account.resume(subscription, at_ms=at_ms + 8 * DAY_MS)


def _dispute(
    account: ProviderAccount, catalogue: Catalogue, turns: _Turns, subscription: Subscription, fortune: Random
) -> None:
    """A purchase beside the plan; where the provider tells of disputes, it is disputed a week later."""
    is_won, amount = fortune.random() < 0.5, fortune.randint(100, 400)
    period = turns.at.get("purchase", 0)
    credit_type = next(iter(catalogue.credit_types))
    at_ms = subscription.period_start_ms(period) + 3 * 3_600_000
    bought = account.purchase(f"{subscription.name}-pack", credit_type, amount, paid_minor=_PACK_MINOR, at_ms=at_ms)
    if account.knows(Happening.DISPUTE_OPENED):
        account.open_dispute(bought, at_ms=at_ms + 10 * DAY_MS)
        account.close_dispute(bought, is_won=is_won, at_ms=at_ms + 20 * DAY_MS)


def _jobs(catalogue: Catalogue, asked: Asked, subscription: Subscription, fortune: Random) -> tuple[Job, ...]:
    kinds = [(one.credit_type, one.amount) for one in catalogue.plan(asked.plan).credits]
    if not kinds:
        return ()
    made = []
    for period in range(asked.months):
        for day in _JOB_DAYS:
            credit_type, amount = fortune.choice(kinds)
            wanted = max(1, amount * fortune.randint(5, 45) // 100)
            at_ms = subscription.period_start_ms(period) + day * DAY_MS
            made.append(Job(at_ms=at_ms, key=f"job-{period}-{day}", credit_type=credit_type, amount=wanted))
    return tuple(made)


def _product(catalogue: Catalogue, plan: str, provider: str) -> str:
    product_ids = catalogue.plan(plan).product_ids.get(provider, ())
    if not product_ids:
        raise InvalidInputError("plan", f"plan {plan} has no product at {provider} in credits.toml; add one, or choose")
    return product_ids[0]


def _other(catalogue: Catalogue, asked: Asked) -> str | None:
    """The product to upgrade to: of the plan that is asked for, or of the one that hands out most."""
    if asked.upgrade is not None:
        return _product(catalogue, asked.upgrade, asked.provider)
    sold = [one for key, one in catalogue.plans.items() if key != asked.plan and one.product_ids.get(asked.provider)]
    sizes = {one.key: sum(part.amount for part in one.credits) for one in sold}
    best = max(sold, key=lambda one: sizes[one.key], default=None)
    return None if best is None else best.product_ids[asked.provider][0]
