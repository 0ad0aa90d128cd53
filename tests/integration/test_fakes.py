"""The fakes answer as the providers do: the real library lists them, and they are not to be had beside real money."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import Engine

from credits.clock import system_clock_ms
from credits.config.settings import Settings, Tenant
from credits.errors import ConfigError
from credits.ops.dev.environment import complete
from credits.passes.seals import Purpose, unseal
from tests.support.databases import ON_SQLITE
from tests.support.market import KEYS, Market, market
from webhooks.fakes.app import create_fakes


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


@ON_SQLITE
def test_stripes_own_library_lists_what_was_sold_page_by_page(shop: Market) -> None:
    for number in range(3):
        shop.click(shop.checkout(f"user_{number}")["checkout_url"], "pay")
    client: Any = stripe.StripeClient(KEYS["stripe"], base_addresses={"api": shop.fakes_url})

    paged = list(client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter())
    last = client.v1.checkout.sessions.retrieve(paged[0].id)
    later = client.v1.checkout.sessions.list({"created": {"gt": paged[0].created}})
    intent = client.v1.payment_intents.retrieve(last.payment_intent)
    back = client.v1.refunds.create({"payment_intent": intent.id, "amount": 300})

    assert [one.metadata["creditgate_account"] for one in paged] == ["user_2", "user_1", "user_0"]
    assert intent.metadata["creditgate_quote"] == last.metadata["creditgate_quote"]
    assert list(later.data) == []
    assert (back.amount, client.v1.refunds.list().data[0].id) == (300, back.id)
    assert client.v1.events.list({"type": "charge.refunded"}).data[0].data.object.amount_refunded == 300


@ON_SQLITE
def test_lemon_squeezy_lists_its_orders_and_invoices_page_by_page(shop: Market) -> None:
    made = shop.checkout(provider="lemonsqueezy")
    for _ in range(3):
        shop.click(made["checkout_url"], "pay")
    shop.click(shop.checkout(provider="lemonsqueezy", plan="pro")["checkout_url"], "pay")
    client = httpx.Client(
        base_url=f"{shop.fakes_url}/lemonsqueezy", headers={"Authorization": "Bearer x"}, trust_env=False
    )

    first = client.get("/v1/orders", params={"page[size]": "3"}).json()
    second = client.get("/v1/orders", params={"page[size]": "3", "page[number]": "2"}).json()
    invoices = client.get("/v1/subscription-invoices").json()["data"]
    order_id = second["data"][0]["id"]
    back = client.post(f"/v1/orders/{order_id}/refund").json()

    assert (len(first["data"]), len(second["data"]), first["meta"]["page"]["lastPage"]) == (3, 1, 2)
    assert [invoice["attributes"]["status"] for invoice in invoices] == ["paid"]
    assert back["data"]["attributes"]["refunded"] is True
    assert client.get(f"/v1/orders/{order_id}").json()["data"]["attributes"]["status"] == "refunded"


@ON_SQLITE
def test_where_to_buy_is_the_hosted_page_of_the_account(shop: Market, settings: Settings) -> None:
    buy_url = complete(
        {},
        given={},
        folder=Path("/home/somebody/shop"),
        port=8000,
        fakes_port=httpx.URL(shop.fakes_url).port,
        redis_url="redis://",
        new_secret=lambda: "s",
    )["CREDITGATE_BUY_URL"]

    link = httpx.get(buy_url.replace("{account}", "a%2Fb"), trust_env=False).headers["Location"]
    page = shop.caller.client.get(link.removeprefix(settings.base_url), follow_redirects=True)
    nobody = httpx.get(f"{shop.fakes_url}/buy", trust_env=False)

    visitor = unseal(Purpose.LINK, httpx.URL(link).params["link"], settings.secret_key, now_ms=system_clock_ms())
    assert (visitor.account, page.status_code, nobody.status_code) == ("a/b", 200, 422)


@ON_SQLITE
def test_the_fakes_refuse_to_run_beside_real_money(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be sandbox"):
        create_fakes(replace(settings, tenant=Tenant.LIVE), file=tmp_path / "f")
    with pytest.raises(ConfigError, match="STRIPE_TEST_WEBHOOK_SECRETS"):
        create_fakes(replace(settings, webhook_secrets={}), file=tmp_path / "f")
