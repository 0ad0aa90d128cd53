"""From a checkout to credits, at the fakes of all providers: paid, declined, late, expired, twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from credits.config.settings import Settings
from tests.support.api import assert_problem
from tests.support.databases import ON_SQLITE
from tests.support.market import Market, market

PROVIDERS = pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy", "paddle"])


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


@PROVIDERS
def test_what_is_paid_at_a_checkout_becomes_exactly_the_quoted_credits(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider, amount=500)

    back = shop.click(made["checkout_url"], "pay")

    assert back.headers["Location"] == "https://app.example.com/thanks"
    assert (made["state"], made["amount"], made["bonus"], made["total_minor"]) == ("open", 550, 50, 4000)
    bought = shop.purchase(made)
    assert (bought["state"], bought["paid_minor"], bought["account"]) == ("credited", 4000, "user_1")
    assert shop.pipeline.balance("user_1") == 550


@ON_SQLITE
@PROVIDERS
def test_a_promotion_and_a_tax_change_what_is_paid_and_not_what_is_granted(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)

    shop.click(made["checkout_url"], "pay", off_percent=20, tax_percent=10)

    assert (shop.purchase(made)["state"], shop.purchase(made)["paid_minor"]) == ("credited", 880)
    assert shop.pipeline.balance("user_1") == 100


@ON_SQLITE
@PROVIDERS
def test_a_promotion_of_100_percent_is_granted_as_the_configuration_says(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)

    shop.click(made["checkout_url"], "pay", off_percent=100)

    assert (shop.purchase(made)["state"], shop.purchase(made)["paid_minor"]) == ("credited", 0)
    assert shop.pipeline.balance("user_1") == 100


@ON_SQLITE
@PROVIDERS
def test_a_declined_card_grants_nothing_and_leaves_the_checkout_open(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)

    page = shop.click(made["checkout_url"], "decline")

    assert "declined" in page.text
    assert shop.purchase(made)["state"] == "open"
    assert shop.pipeline.balance("user_1") == 0


@PROVIDERS
def test_a_delayed_payment_is_pending_until_its_money_arrives(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)
    shop.click(made["checkout_url"], "pay_later")
    between = (shop.purchase(made)["state"], shop.pipeline.balance("user_1"))

    shop.click(shop.order_url() if provider == "lemonsqueezy" else made["checkout_url"], "arrive")

    assert between == ("pending", 0)
    assert (shop.purchase(made)["state"], shop.pipeline.balance("user_1")) == ("credited", 100)


@ON_SQLITE
@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy"])
def test_a_delayed_payment_that_fails_grants_nothing(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)
    shop.click(made["checkout_url"], "pay_later")

    shop.click(made["checkout_url"] if provider == "stripe" else shop.order_url(), "bounce")

    assert (shop.purchase(made)["state"], shop.pipeline.balance("user_1")) == ("failed", 0)


@ON_SQLITE
@pytest.mark.parametrize("provider", ["stripe", "paddle"])
def test_a_checkout_that_expires_is_expired_and_cannot_be_paid(shop: Market, provider: str) -> None:
    made = shop.checkout(provider=provider)

    shop.click(made["checkout_url"], "expire")
    late = shop.click(made["checkout_url"], "pay")

    assert "That is over" in late.text
    assert (shop.purchase(made)["state"], shop.pipeline.balance("user_1")) == ("expired", 0)


@ON_SQLITE
def test_a_session_is_paid_once_however_many_tabs_show_it(shop: Market) -> None:
    made = shop.checkout()

    shop.click(made["checkout_url"], "pay")
    second = shop.click(made["checkout_url"], "pay")

    assert "That is over" in second.text
    assert shop.pipeline.balance("user_1") == 100


def test_a_quote_that_lemon_squeezy_lets_be_paid_twice_is_granted_for_each_payment(shop: Market) -> None:
    made = shop.checkout(provider="lemonsqueezy")

    for _ in range(2):
        shop.click(made["checkout_url"], "pay")

    first, second = shop.rows()
    assert shop.pipeline.balance("user_1") == 200
    assert (first["quote_id"], first["state"]) == (made["purchase_id"], "credited")
    assert (second["quote_id"], second["same_quote_as"], second["state"]) == (None, made["purchase_id"], "credited")
    assert {first["key"], second["key"]} == {f"ls:order:{order['id']}" for order in shop.orders()}
    assert len(shop.caller.get("/v1/purchases", account="user_1").get_json()["items"]) == 2


@PROVIDERS
def test_a_plan_is_subscribed_to_by_a_checkout_and_its_discount_counts_from_then_on(
    shop: Market, provider: str
) -> None:
    before = shop.caller.get("/v1/prices", credit_type="image_generation", amount=100, account="user_1").get_json()
    made = shop.checkout(provider=provider, plan="pro")

    shop.click(made["checkout_url"], "pay")

    after = shop.caller.get("/v1/prices", credit_type="image_generation", amount=100, account="user_1").get_json()
    assert shop.purchase(made)["state"] == "subscribed"
    assert shop.pipeline.balance("user_1") == 1000
    assert (before["total"], before["plan"]) == ("10.00", None)
    assert (after["total"], after["plan"], after["discount"], after["list_total"]) == ("9.00", "pro", "0.10", "10.00")
    assert shop.checkout(provider=provider)["total_minor"] == 900


@ON_SQLITE
def test_a_refund_and_a_dispute_arrive_as_events(shop: Market) -> None:
    made = shop.checkout()
    shop.click(made["checkout_url"], "pay")

    for action in ("refund_half", "dispute", "lose"):
        shop.click(made["checkout_url"], action)

    types = {event["type"] for event in shop.store.all("stripe", "event")}
    assert types >= {"refund.created", "charge.refunded", "charge.dispute.created", "charge.dispute.closed"}
    assert shop.store.all("stripe", "refund")[0]["amount"] == 500


def test_a_purchase_says_what_became_of_its_money(shop: Market) -> None:
    made = {name: shop.checkout(name) for name in ("kept", "part", "whole", "open", "lost", "won")}
    for one in made.values():
        shop.click(one["checkout_url"], "pay")
    fates = {"part": ["refund_half"], "whole": ["refund_half", "refund"], "open": ["dispute"]}
    fates |= {"lost": ["dispute", "lose"], "won": ["dispute", "win"]}
    for name, actions in fates.items():
        for action in actions:
            shop.click(made[name]["checkout_url"], action)

    found = {name: shop.purchase(one) for name, one in made.items()}
    library = shop.pipeline.credits

    sums = {name: (one["state"], one["refunded_minor"], one["disputed_minor"]) for name, one in found.items()}
    assert sums == {
        "kept": ("credited", 0, 0),
        "part": ("partly_refunded", 500, 0),
        "whole": ("refunded", 1000, 0),
        "open": ("disputed", 0, 1000),
        "lost": ("disputed", 0, 1000),
        "won": ("credited", 0, 0),
    }
    of_state = {name: [one["account"] for one in library.purchases(state=name)] for name in ("credited", "disputed")}
    assert of_state == {"credited": ["won", "kept"], "disputed": ["lost", "open"]}
    assert [one["account"] for one in library.purchases(state="credited", limit=1)] == ["won"]


# ── Over HTTP ────────────────────────────────────────────────────────────────────────────────────────────


@ON_SQLITE
def test_a_price_says_what_it_is_made_of(shop: Market) -> None:
    query = {"credit_type": "image_generation", "amount": 500}

    dollars = shop.caller.get("/v1/prices", **query).get_json()
    euros = shop.caller.get("/v1/prices", **query, currency="EUR").get_json()

    assert (dollars["rule"], dollars["total"], dollars["credits"], dollars["formatted"]) == (
        "pack",
        "40.00",
        550,
        "$40.00",
    )
    assert (euros["rule"], euros["total"], euros["currency"], euros["per_unit"]) == ("volume", "45.00", "EUR", "0.09")
    assert euros["slab"] == {"from": 1, "to": None, "price_per_unit": "0.09"}


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"amount": 4}, "amount_not_for_sale", "at least 5"),
        ({"amount": 100_001}, "amount_not_for_sale", "at most 100000"),
        ({"currency": "JPY"}, "no_price", "USD, EUR, KWD"),
        ({"currency": "usd"}, "invalid_currency", "ISO 4217"),
        ({"credit_type": "gold"}, "unknown_credit_type", "image_generation"),
    ],
)
def test_a_price_that_there_is_not_is_an_error_that_names_the_bound(
    shop: Market, changes: dict[str, object], code: str, words: str
) -> None:
    answer = shop.caller.get("/v1/prices", **{"credit_type": "image_generation", "amount": 100, **changes})

    assert words in assert_problem(answer, 422, code)["detail"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"success_url": "https://evil.example/"}, "return_url_refused"),
        ({"cancel_url": "https://app.example.com@evil.example/"}, "return_url_refused"),
        ({"provider": "nobody"}, "not_sold_by_provider"),
        ({"provider": "paddle", "currency": "KWD"}, "not_sold_by_provider"),
        ({"provider": "lemonsqueezy", "currency": "EUR"}, "not_sold_by_provider"),
        ({"plan": "pro"}, "invalid_input"),
        ({"credit_type": None, "amount": None, "plan": "pro", "price": "price_other"}, "not_sold_by_provider"),
        ({"credit_type": None}, "invalid_input"),
        ({"amount": 4}, "amount_not_for_sale"),
        ({"currency": ""}, "invalid_currency"),
        ({"currency": "usd"}, "invalid_currency"),
        ({"account": " user_1"}, "invalid_id"),
        ({"account": "user_1 ", "credit_type": None, "amount": None, "plan": "pro"}, "invalid_id"),
    ],
)
def test_a_checkout_that_cannot_be_is_refused_and_leaves_nothing(
    shop: Market, changes: dict[str, object], code: str
) -> None:
    body = {"account": "user_1", "provider": "stripe", "credit_type": "image_generation", "amount": 100, **changes}

    answer = shop.caller.post("/v1/checkouts", body)

    assert_problem(answer, 422, code)
    assert shop.rows() == []


@ON_SQLITE
def test_a_price_of_three_decimals_is_charged_as_stripe_can(shop: Market) -> None:
    made = shop.checkout(currency="KWD")

    shop.click(made["checkout_url"], "pay")

    # 100 × 0.0333 = 3.330 KWD: in thousandths, and a multiple of ten.
    assert (made["total_minor"], shop.purchase(made)["state"]) == (3330, "credited")
