"""How an app tests what it does with credits. Run it where Creditgate is installed: `pytest examples/testing`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from credits.errors import InsufficientCreditsError
from credits.simulation.post import BAD
from credits.testing import assert_books_balance

DAY_MS = timedelta(days=1) // timedelta(milliseconds=1)


def render(purse, account, *, works=True):
    """The app's job: it costs five credits, if it works."""
    with purse.reserve(account, images=5) as hold:
        if works:
            hold.commit()


def test_a_purchase_can_be_spent(credits_library, credits_webhook, credits_sandbox):
    bought = {"account": "ada", "credit_type": "images", "amount": 10, "payment": "p1"}
    assert credits_webhook("stripe", "checkout.session.completed", **bought) == 200
    assert credits_webhook("stripe", "checkout.session.completed", **bought) == 200

    render(credits_library, "ada")
    render(credits_library, "ada", works=False)

    assert credits_library.balances("ada")["images"].available == 5
    assert_books_balance(credits_sandbox)


def test_nobody_works_without_credits(credits_library):
    with pytest.raises(InsufficientCreditsError):
        render(credits_library, "nobody")


@pytest.mark.parametrize("seed", range(3))
def test_a_renewal_is_credited_once_however_badly_it_is_told(credits_provider, credits_library, credits_sandbox, seed):
    stripe = credits_provider("stripe", "ada", disorder=replace(BAD, seed=seed))
    subscription = stripe.account.subscribe("s1", "price_pro", price_minor=2000, at_ms=credits_sandbox.clock())
    renewal = stripe.account.renew(subscription)

    stripe.deliver(until_ms=renewal.at_ms + 3 * DAY_MS)

    assert credits_library.balances("ada")["images"].available == 1000
    assert_books_balance(credits_sandbox)


def test_a_period_ends_when_the_clock_says_so(credits_webhook, credits_library, credits_clock, credits_sandbox):
    paid = {"account": "ada", "subscription": "s1", "product_id": "price_pro", "paid_minor": 2000}
    credits_webhook("stripe", "invoice.paid", **paid)
    assert credits_library.balances("ada")["images"].available == 1000

    credits_clock.advance_ms(32 * DAY_MS)
    credits_sandbox.work()

    assert credits_library.balances("ada")["images"].available == 0
    assert_books_balance(credits_sandbox)
