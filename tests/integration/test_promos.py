"""Promo codes are never used more often than they say; welcome credits come once per account."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from credits.config.catalogue import WelcomeCredits
from credits.db import snapshot, transaction
from credits.errors import InvalidInputError, PromoCodeRefusedError, UnknownPromoCodeError
from credits.promos import service
from credits.promos.service import PromoCode
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.ledger import assert_ledger_is_sound
from tests.support.pipeline import Pipeline


def make(pipeline: Pipeline, **said: Any) -> None:
    told = {"max_uses": None, "per_account": 1, "expires_at_ms": None, "credits_days": None, **said}
    promo = PromoCode(code="HELLO", credit_type="image_generation", amount=25, **told)
    with transaction(pipeline.runtime.engine) as connection:
        service.create(connection, pipeline.tenant, promo, now_ms=NOON_MS)


def test_a_code_is_redeemed_once_per_account_whoever_repeats_it(pipeline: Pipeline) -> None:
    make(pipeline)

    first, again = (pipeline.credits.redeem("user_1", code) for code in ("HELLO", " hello "))

    assert (first.replayed, again.replayed, pipeline.balance("user_1")) == (False, True, 25)


def test_however_many_redeem_at_once_a_code_is_never_used_more_often_than_it_says(pipeline: Pipeline) -> None:
    make(pipeline, max_uses=5)

    def redeem(number: int) -> bool:
        try:
            pipeline.credits.redeem(f"user_{number % 12}", "HELLO")
        except PromoCodeRefusedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(redeem, range(24)))

    given = [pipeline.balance(f"user_{number}") for number in range(12)]
    assert sorted(given) == [0] * 7 + [25] * 5
    with snapshot(pipeline.runtime.engine) as connection:
        assert service.redemptions_of(connection, pipeline.tenant, "HELLO") == 5
    assert_ledger_is_sound(pipeline.runtime.engine)


def test_a_code_may_be_redeemed_several_times_under_keys_of_their_own(pipeline: Pipeline) -> None:
    make(pipeline, per_account=2)
    for key in ("a", "b", "a"):
        pipeline.credits.redeem("user_1", "HELLO", key=key)

    with pytest.raises(PromoCodeRefusedError, match="2 times"):
        pipeline.credits.redeem("user_1", "HELLO", key="c")
    assert pipeline.balance("user_1") == 50


def test_an_expired_or_unknown_code_is_refused_and_its_credits_last_as_said(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    make(pipeline, expires_at_ms=NOON_MS + 10, credits_days=1)
    pipeline.credits.redeem("user_1", "HELLO")
    clock.advance_ms(10)

    with pytest.raises(PromoCodeRefusedError, match="expired"):
        pipeline.credits.redeem("user_2", "HELLO")
    with pytest.raises(UnknownPromoCodeError):
        pipeline.credits.redeem("user_2", "NOBODY")
    with pytest.raises(InvalidInputError):
        pipeline.credits.redeem("user_2", "no spaces")
    assert pipeline.credits.grants("user_1")[0]["expires_at_ms"] == NOON_MS + 86_400_000


def test_a_new_customer_is_welcomed_once(pipeline: Pipeline) -> None:
    welcome = (WelcomeCredits(credit_type="image_generation", amount=10),)
    ours = pipeline.with_catalogue(replace(pipeline.runtime.catalogue, welcome=welcome))

    for number in range(3):
        ours.receive("purchase.paid", payment=f"p{number}", delivery=f"d{number}")
    ours.credits.welcome("user_1")
    ours.credits.welcome("user_2")

    assert (ours.balance("user_1"), ours.balance("user_2")) == (310, 10)
