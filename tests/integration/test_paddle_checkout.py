"""Checkouts at Paddle: what it is asked, once, and what it may answer."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from credits.checkout.marks import QUOTE, REFERENCE, RETURN_URL
from credits.checkout.service import open_checkout
from credits.config.settings import Settings, Tenant
from credits.errors import NotSoldByError, ProviderKeyRefusedError, ProviderRefusedError
from credits.ids import account_of_reference
from credits.units import Money
from tests.support.databases import ON_SQLITE
from tests.support.market import KEYS, Market, market
from tests.support.sellers import CutOff, DyingSeller, asked, library

pytestmark = ON_SQLITE

Answer = Callable[[httpx.Request], httpx.Response | None]


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


@pytest.fixture
def on_the_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[httpx.Request]]:
    """Let a function answer requests in the fake's place, where it has an answer; answers all that were sent."""
    sent: list[httpx.Request] = []
    send = httpx.HTTPTransport.handle_request

    def between(answer: Answer) -> list[httpx.Request]:
        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return answer(request) or send(transport, request)

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
        return sent

    return between


def with_access(shop: Market, **changes: Any) -> Market:
    """The shop with other access to Paddle."""
    key = (Tenant.SANDBOX, "paddle")
    access = {**shop.settings.access, key: replace(shop.settings.access[key], **changes)}
    return replace(shop, settings=replace(shop.settings, access=access))


def asked_of(request: httpx.Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.content)
    return body


def test_paddle_is_asked_for_one_purchase_at_the_quoted_price_and_told_nothing_a_payer_could_use(
    shop: Market, on_the_way: Callable[[Answer], list[httpx.Request]]
) -> None:
    sent = on_the_way(lambda _: None)

    row, _ = open_checkout(library(shop), asked("paddle"))

    (request,) = sent
    body = asked_of(request)
    (item,) = body["items"]
    assert (request.url.path, request.headers["Paddle-Version"]) == ("/paddle/transactions", "1")
    assert item["price"]["unit_price"] == {"amount": "1000", "currency_code": "USD"}
    assert item["price"]["quantity"] == {"minimum": 1, "maximum": 1}
    assert item["price"]["product"] == {"name": "100 Image generation credits", "tax_category": "standard"}
    assert set(body["custom_data"]) == {QUOTE, REFERENCE, RETURN_URL}
    assert account_of_reference(body["custom_data"][REFERENCE], shop.settings.secret_key) == "user_1"
    assert row["key"] == f"paddle:txn:{row['checkout_id']}"


def test_a_currency_whose_smallest_unit_is_in_doubt_is_not_sold_in(shop: Market) -> None:
    seller = library(shop).sellers["paddle"]

    for currency in ("COP", "HUF", "KWD"):
        with pytest.raises(NotSoldByError, match=currency):
            seller.chargeable(Money(amount_minor=1000, currency=currency))
    assert seller.chargeable(Money(amount_minor=1000, currency="JPY")).amount_minor == 1000


def test_a_product_a_tax_category_and_a_page_of_ones_own_are_passed_on(
    shop: Market, on_the_way: Callable[[Answer], list[httpx.Request]]
) -> None:
    sent = on_the_way(lambda _: None)
    page = "https://shop.example.com/pay"

    open_checkout(library(with_access(shop, product_id="pro_1", checkout_url=page)), asked("paddle", "k1"))
    open_checkout(library(with_access(shop, tax_category="saas")), asked("paddle", "k2"))

    first, second = (asked_of(request) for request in sent)
    assert first["items"][0]["price"]["product_id"] == "pro_1"
    assert first["checkout"] == {"url": page}
    assert second["items"][0]["price"]["product"]["tax_category"] == "saas"
    assert "checkout" not in second


def test_the_checkout_of_a_call_that_was_cut_off_is_found_behind_many_others(shop: Market) -> None:
    calm = library(shop)
    with pytest.raises(CutOff):
        open_checkout(replace(calm, sellers={"paddle": DyingSeller(calm.sellers["paddle"])}), asked("paddle"))
    for number in range(31):
        open_checkout(calm, asked("paddle", f"later {number}"))

    row, _ = open_checkout(calm, asked("paddle"))

    assert len(shop.store.all("paddle", "transactions")) == 32
    assert row["checkout_id"] == shop.store.all("paddle", "transactions")[-1]["id"]


def test_a_plan_is_not_sold_where_no_signature_could_say_whose_it_is(shop: Market) -> None:
    unsigned = replace(library(shop), secret_key="")

    with pytest.raises(NotSoldByError, match="CREDITGATE_SECRET_KEY"):
        open_checkout(unsigned, asked("paddle", credit_type=None, amount=None, plan="pro"))
    row, _ = open_checkout(unsigned, asked("paddle", "k2"))
    shop.click(row["checkout_url"], "pay")

    assert shop.pipeline.balance("user_1") == 100


def test_what_paddle_refuses_is_told_by_field_and_without_our_key(
    shop: Market, on_the_way: Callable[[Answer], list[httpx.Request]]
) -> None:
    error = {"detail": "Invalid request.", "errors": [{"field": "items", "message": f"no {KEYS['paddle']}"}]}
    answers = [httpx.Response(403, json={"error": {"detail": "forbidden"}}), httpx.Response(400, json={"error": error})]
    on_the_way(lambda _: answers.pop())

    with pytest.raises(ProviderRefusedError, match=r"Invalid request\. \(items: no \[key\]\)"):
        open_checkout(library(shop), asked("paddle"))
    with pytest.raises(ProviderKeyRefusedError):
        open_checkout(library(shop), asked("paddle", "k2"))


def test_a_transaction_without_a_payment_link_says_which_setting_is_missing(
    shop: Market, on_the_way: Callable[[Answer], list[httpx.Request]]
) -> None:
    on_the_way(lambda _: httpx.Response(201, json={"data": {"id": "txn_1", "checkout": None}}))

    with pytest.raises(ProviderRefusedError, match="default payment link"):
        open_checkout(library(shop), asked("paddle"))


def test_what_is_bought_later_on_a_subscription_is_no_second_purchase_of_its_quote(shop: Market) -> None:
    made = shop.checkout(provider="paddle", plan="pro")
    shop.click(made["checkout_url"], "pay")

    shop.click(made["checkout_url"], "renew")

    assert [row["state"] for row in shop.rows()] == ["subscribed"]
    assert shop.pipeline.balance("user_1") == 2000


def test_money_goes_back_by_refunds_and_by_a_chargeback_that_may_be_won(shop: Market) -> None:
    refunded, disputed = shop.checkout("a", provider="paddle"), shop.checkout("b", provider="paddle")
    for made in (refunded, disputed):
        shop.click(made["checkout_url"], "pay")

    shop.click(refunded["checkout_url"], "refund_half")
    done = shop.click(refunded["checkout_url"], "refund")
    for action in ("chargeback", "win"):
        shop.click(disputed["checkout_url"], action)

    adjustments = {one["action"] for one in shop.store.all("paddle", "adjustments")}
    assert "$10.00 of $10.00" in done.text
    assert adjustments == {"refund", "chargeback", "chargeback_reverse"}
    assert set(shop.pipeline.states()) <= {"done", "ignored"}


def in_rupees(payload: dict[str, Any]) -> None:
    """Paddle charged 830.00 INR for a price of 10.00 USD."""
    data = payload["data"]
    data["currency_code"] = "INR"
    sums = [data["totals"] if "totals" in data else data["details"]["totals"], *_totals_of(data["items"])]
    for totals in sums:
        totals |= {name: str(int(value) * 83) for name, value in totals.items() if value.isdigit()}


def _totals_of(items: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [item["totals"] for item in items if "totals" in item]


def test_a_price_charged_in_the_payers_currency_is_granted_and_taken_back_in_proportion(shop: Market) -> None:
    made = shop.checkout(provider="paddle")
    said = {"provider": "paddle", "account": "user_1", "quote_id": made["purchase_id"], "edit": in_rupees}

    paid = shop.pipeline.receive("transaction.completed", **said)
    shop.pipeline.receive("adjustment.updated", **said, refund="r1", refunded_minor=250)

    bought = shop.purchase(made)
    assert (paid["state"], shop.pipeline.balance("user_1")) == ("done", 100)
    assert (bought["state"], bought["formatted"]) == ("partly_refunded", "$10.00")
    assert (bought["refunded_minor"], bought["refunded_currency"]) == (20750, "INR")
    assert "83000 INR" in bought["reason"]
    assert shop.taken_back() == 25
