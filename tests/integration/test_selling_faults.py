"""Selling when something is in the way: calls cut off, providers that are away or say no, and payers who cheat."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
from sqlalchemy import Engine

from credits.checkout.service import open_checkout, purchase_row, state_of
from credits.clock import system_clock_ms
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.errors import (
    CheckoutExpiredError,
    IdempotencyConflictError,
    ProviderKeyRefusedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from credits.ids import signed_reference
from tests.support.api import assert_problem
from tests.support.databases import ON_SQLITE
from tests.support.market import KEYS, Market, market
from tests.support.sellers import CutOff, DyingSeller, asked, library

PROVIDERS = pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy", "paddle"])
MADE = {"stripe": "checkout.session", "lemonsqueezy": "checkouts", "paddle": "transactions"}
"""What a checkout is at each fake."""


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


def made_at(shop: Market, provider: str) -> int:
    """How many checkouts the fake has."""
    return len(shop.store.all(provider, MADE[provider]))


# ── Once ─────────────────────────────────────────────────────────────────────────────────────────────────


@PROVIDERS
def test_a_call_cut_off_after_the_provider_answered_finds_the_same_checkout_again(shop: Market, provider: str) -> None:
    calm = library(shop)
    dying = replace(calm, sellers={provider: DyingSeller(calm.sellers[provider])})
    with pytest.raises(CutOff):
        open_checkout(dying, asked(provider))

    row, replayed = open_checkout(calm, asked(provider))

    assert made_at(shop, provider) == 1
    assert (len(shop.rows()), replayed, row["state"]) == (1, False, "open")
    shop.click(row["checkout_url"], "pay")
    assert shop.pipeline.balance("user_1") == 100


@ON_SQLITE
@pytest.mark.parametrize("provider", ["lemonsqueezy", "paddle"])
def test_a_checkout_whose_answer_was_lost_is_looked_for_before_another_is_made(
    shop: Market, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's own library does the same by the idempotency key."""
    send, lost = httpx.HTTPTransport.handle_request, ["the first answer"]

    def losing(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        answer = send(transport, request)
        if request.method == "POST" and lost:
            lost.pop()
            raise httpx.ReadTimeout("")
        return answer

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", losing)

    row, _ = open_checkout(library(shop), asked(provider))

    assert (made_at(shop, provider), lost, row["state"]) == (1, [], "open")


def test_a_key_names_one_checkout_and_nothing_else(shop: Market) -> None:
    first, again = (shop.checkout(key="k1") for _ in range(2))

    other = shop.caller.post(
        "/v1/checkouts",
        {"account": "user_1", "provider": "stripe", "credit_type": "image_generation", "amount": 101},
        headers={"Idempotency-Key": "k1"},
    )

    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["checkout_url"] == again["checkout_url"]
    assert_problem(other, 409, "idempotency_conflict")
    assert made_at(shop, "stripe") == 1


def test_requests_with_one_key_at_the_same_time_make_one_checkout(shop: Market) -> None:
    calm = library(shop)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: open_checkout(calm, asked("stripe")), range(8)))

    assert len({row["checkout_url"] for row, _ in made}) == 1
    assert (made_at(shop, "stripe"), len(shop.rows())) == (1, 1)


@pytest.mark.parametrize("provider", ["lemonsqueezy", "paddle"])
def test_where_two_calls_may_both_make_one_all_are_sent_to_the_same(shop: Market, provider: str) -> None:
    calm = library(shop)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: open_checkout(calm, asked(provider)), range(8)))

    assert len({row["checkout_url"] for row, _ in made}) == 1
    assert len(shop.rows()) == 1


@ON_SQLITE
def test_without_a_key_each_request_is_a_checkout_of_its_own(shop: Market) -> None:
    urls = {shop.checkout()["checkout_url"] for _ in range(2)}

    assert len(urls) == 2


@ON_SQLITE
def test_a_quote_that_ran_out_before_its_checkout_was_handed_out_is_over(shop: Market) -> None:
    calm = library(shop)
    with pytest.raises(CutOff):
        open_checkout(replace(calm, sellers={"stripe": DyingSeller(calm.sellers["stripe"])}), asked("stripe"))
    later = replace(calm, clock=lambda: system_clock_ms() + 2 * 60 * 60_000)

    with pytest.raises(CheckoutExpiredError):
        open_checkout(later, asked("stripe"))

    row = purchase_row(later, shop.rows()[0]["quote_id"])
    assert state_of(row, None, later.clock()) == "abandoned"


# ── Away, or against it ──────────────────────────────────────────────────────────────────────────────────


@ON_SQLITE
@PROVIDERS
def test_a_provider_that_is_away_is_an_error_of_its_own_and_the_repeat_goes_on(shop: Market, provider: str) -> None:
    nowhere = ProviderAccess(api_key=KEYS[provider], api_base="http://127.0.0.1:9", store_id="1", variant_id="900001")
    away = library(shop, access={(Tenant.SANDBOX, provider): nowhere})

    with stamina.set_testing(True, attempts=2), pytest.raises(ProviderUnavailableError):
        open_checkout(away, asked(provider))
    row, _ = open_checkout(library(shop), asked(provider))

    assert (len(shop.rows()), row["state"]) == (1, "open")


@ON_SQLITE
def test_what_a_provider_refuses_is_told_and_the_key_may_be_used_again(shop: Market) -> None:
    calm = library(shop)
    cheap = asked("stripe", amount=5, currency="EUR")

    for _ in range(2):
        with pytest.raises(ProviderRefusedError, match=r"at least \$0\.50"):
            open_checkout(calm, replace(cheap, key="k2", amount=5))

    (row,) = shop.rows()
    assert (row["state"], "0.50" in row["reason"]) == ("refused", True)


@ON_SQLITE
def test_a_key_that_a_provider_refuses_is_not_in_the_message(shop: Market) -> None:
    secret = "sk_live_51HsecretSecret"
    access = {(Tenant.SANDBOX, "stripe"): ProviderAccess(api_key=secret, api_base=shop.fakes_url)}

    with pytest.raises(ProviderKeyRefusedError) as refused:
        open_checkout(library(shop, access=access), asked("stripe"))

    assert "sk_live" not in str(refused.value)
    assert "Invalid API Key" in str(refused.value)


@ON_SQLITE
def test_another_request_under_a_key_is_a_conflict_even_when_its_price_was_never_asked(shop: Market) -> None:
    calm = library(shop)
    open_checkout(calm, asked("stripe"))

    with pytest.raises(IdempotencyConflictError):
        open_checkout(calm, asked("stripe", account="user_2"))


@ON_SQLITE
def test_what_was_paid_in_the_payers_currency_is_compared_in_ours_by_every_event(shop: Market) -> None:
    made = shop.checkout()
    event = _paid_event(shop, made)
    ours = {"source_currency": "usd", "amount_subtotal": 1000, "amount_total": 1000}
    event["data"]["object"] |= {"currency": "eur", "amount_subtotal": 950, "amount_total": 950}
    event["data"]["object"]["currency_conversion"] = ours

    states = []
    for event_type in ("checkout.session.completed", "checkout.session.async_payment_succeeded"):
        body = json.dumps({**event, "type": event_type, "id": f"evt_{event_type}"}).encode()
        event_id = shop.pipeline.deliver_body("stripe", body)
        shop.pipeline.process()
        states.append(shop.pipeline.event(event_id)["state"])

    assert (states, shop.pipeline.balance("user_1")) == (["done", "done"], 100)
    assert (shop.purchase(made)["formatted"], shop.purchase(made)["state"]) == ("$10.00", "credited")
    assert "950 EUR" in shop.purchase(made)["reason"]


# ── Payers who cheat ─────────────────────────────────────────────────────────────────────────────────────

Edit = Callable[[dict[str, Any]], None]


def _set(where: str, **values: Any) -> Edit:
    """Change fields of `where` in a session or an order."""

    def edit(payload: dict[str, Any]) -> None:
        place = payload
        for step in where.split("."):
            place = place[step]
        place.update(values)

    return edit


IN_SESSION = "data.object"
MARKS = "data.object.metadata"
TAMPERED: dict[str, tuple[Edit, str]] = {
    "more credits": (_set(MARKS, creditgate_amount="1000000"), "quote_contradicted"),
    "other credits": (_set(MARKS, creditgate_credit_type="gold"), "quote_contradicted"),
    "another account": (_set(MARKS, creditgate_account="mallory"), "quote_contradicted"),
    "a quote that is not there": (_set(MARKS, creditgate_quote="01a2204a"), "unknown_quote"),
    "a lower price": (_set(IN_SESSION, amount_subtotal=1, amount_total=1), "amount_mismatch"),
    "a higher price": (_set(IN_SESSION, amount_subtotal=100_000, amount_total=1), "amount_mismatch"),
    "another currency": (_set(IN_SESSION, currency="jpy"), "amount_mismatch"),
    "no price": (_set(IN_SESSION, amount_subtotal=None, amount_total=None), "amount_mismatch"),
}


@ON_SQLITE
@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_after_the_checkout_was_made_grants_nothing(shop: Market, name: str) -> None:
    edit, code = TAMPERED[name]
    event = _paid_event(shop, shop.checkout())
    edit(event)

    event_id = shop.pipeline.deliver_body("stripe", json.dumps(event).encode())
    shop.pipeline.process()

    row = shop.pipeline.event(event_id)
    assert (row["state"], row["code"]) == ("failed", code)
    assert shop.pipeline.posted() == set()


@ON_SQLITE
@pytest.mark.parametrize("reference", ["mallory", "signed"])
def test_a_client_reference_never_outweighs_the_quote(shop: Market, reference: str) -> None:
    event = _paid_event(shop, shop.checkout())
    signed = signed_reference("mallory", shop.settings.secret_key)
    event["data"]["object"]["client_reference_id"] = signed if reference == "signed" else reference

    shop.pipeline.deliver_body("stripe", json.dumps(event).encode())
    shop.pipeline.process()

    assert (shop.pipeline.balance("user_1"), shop.pipeline.balance("mallory")) == (100, 0)


@ON_SQLITE
def test_somebody_elses_quote_pays_for_somebody_else(shop: Market) -> None:
    """At Lemon Squeezy a payer can write custom data into an address; the quote still says price and account."""
    victim = shop.checkout("user_1", provider="lemonsqueezy")
    custom = {"creditgate_quote": victim["purchase_id"], "creditgate_amount": "999999"}
    body = shop.pipeline.body("order_created", provider="lemonsqueezy", account="mallory", paid_minor=1, amount=1)
    order = json.loads(body)
    order["meta"]["custom_data"] = custom

    event_id = shop.pipeline.deliver_body("lemonsqueezy", json.dumps(order).encode())
    shop.pipeline.process()

    assert shop.pipeline.event(event_id)["code"] == "amount_mismatch"
    assert shop.pipeline.posted() == set()


@ON_SQLITE
@pytest.mark.parametrize(("unquoted", "balance"), [("grant", 100), ("hold", 0)])
def test_credits_without_a_quote_are_granted_or_held_as_configured(shop: Market, unquoted: str, balance: int) -> None:
    catalogue = shop.pipeline.runtime.catalogue
    held = replace(catalogue, purchases=replace(catalogue.purchases, unquoted=unquoted))
    pipeline = shop.pipeline.with_catalogue(held)

    row = pipeline.receive("order_created", provider="lemonsqueezy", account="user_1", amount=100)

    assert pipeline.balance("user_1") == balance
    assert (row["state"], row["code"]) == (("done", None) if unquoted == "grant" else ("failed", "unquoted_purchase"))


@ON_SQLITE
def test_the_quote_of_a_plan_sells_no_credits(shop: Market) -> None:
    made = shop.checkout(plan="pro")
    event = _paid_event(shop, shop.checkout())
    event["data"]["object"]["metadata"] |= {"creditgate_quote": made["purchase_id"], "creditgate_amount": "1000"}

    event_id = shop.pipeline.deliver_body("stripe", json.dumps(event).encode())
    shop.pipeline.process()

    assert shop.pipeline.event(event_id)["code"] == "unknown_quote"
    assert shop.purchase(made)["state"] == "open"


def _paid_event(shop: Market, made: dict[str, Any]) -> dict[str, Any]:
    """The event that paying would send, before anybody has paid."""
    session = shop.store.get("stripe", "checkout.session", made["checkout_url"].rpartition("/")[2])
    assert session is not None
    session |= {"status": "complete", "payment_status": "paid"}
    event: dict[str, Any] = json.loads(shop.pipeline.body("checkout.session.completed", provider="stripe"))
    event["data"]["object"] = session
    return event
