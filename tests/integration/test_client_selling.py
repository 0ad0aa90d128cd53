"""Both clients sell over HTTP as the library does in the process, with the same values and the same errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from credits import AsyncCreditsClient, CreditsClient
from credits.config.settings import Settings
from credits.errors import (
    AmountNotForSaleError,
    IdempotencyConflictError,
    InvalidInputError,
    PurchaseNotFoundError,
    ReturnUrlError,
)
from tests.support.in_loop import InLoop
from tests.support.market import Market, market
from tests.support.served import served

TYPE = "image_generation"


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


@pytest.fixture(params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, shop: Market) -> Iterator[Any]:
    key = shop.caller.key
    with served(shop.caller.client.application) as url:
        made = CreditsClient(url, key) if request.param == "threads" else InLoop(AsyncCreditsClient(url, key))
        yield made
        made.close()


def test_a_price_is_the_librarys_own(client: Any, shop: Market) -> None:
    library = shop.pipeline.credits

    for amount, currency in ((500, None), (100, None), (100, "KWD")):
        assert client.price(TYPE, amount, currency=currency) == library.price(TYPE, amount, currency=currency)
    with pytest.raises(AmountNotForSaleError, match="at least 5"):
        client.price(TYPE, 4)


def test_a_checkout_is_made_once_per_key_and_its_purchase_followed(client: Any, shop: Market) -> None:
    asked = {"provider": "stripe", "credit_type": TYPE, "amount": 100, "email": "ada@example.com", "key": "order-1"}

    made, again = client.checkout("user_1", **asked), client.checkout("user_1", **asked)
    other = client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=200)
    shop.click(made["checkout_url"], "pay")
    found, listed = client.purchase(made["purchase_id"]), client.purchases(account="user_1", limit=1)

    assert (made["replayed"], again["replayed"], made["checkout_url"]) == (False, True, again["checkout_url"])
    assert (found["state"], found["paid_minor"], found["refunded_minor"]) == ("credited", 1000, 0)
    assert [one["purchase_id"] for one in listed] == [other["purchase_id"]]
    assert client.purchases(before_id=listed[-1]["row_id"])[0] == {**found, "row_id": listed[-1]["row_id"] - 1}
    assert [one["purchase_id"] for one in client.purchases(state="credited")] == [made["purchase_id"]]
    [session] = [one for one in shop.store.all("stripe", "checkout.session") if one["id"] in found["payment"]]
    assert session["customer_email"] == "ada@example.com"


def test_a_plan_is_subscribed_to(client: Any, shop: Market) -> None:
    made = client.checkout("user_1", provider="lemonsqueezy", plan="pro", price="111111")

    shop.click(made["checkout_url"], "pay")

    assert (client.purchase(made["purchase_id"])["state"], shop.pipeline.balance("user_1")) == ("subscribed", 1000)


def test_what_cannot_be_sold_is_the_librarys_error(client: Any) -> None:
    client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=100, key="order-1")

    with pytest.raises(IdempotencyConflictError):
        client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=101, key="order-1")
    with pytest.raises(IdempotencyConflictError):
        client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=100, email="a@b.example", key="order-1")
    with pytest.raises(ReturnUrlError, match=r"evil\.example"):
        client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=5, success_url="https://evil.example/")
    with pytest.raises(InvalidInputError, match=r"user@example\.com"):
        client.checkout("user_1", provider="stripe", credit_type=TYPE, amount=5, email="nobody")
    with pytest.raises(PurchaseNotFoundError):
        client.purchase("nothing")
    with pytest.raises(InvalidInputError, match="partly_refunded"):
        client.purchases(state="lost")
