"""A week in which no webhook came ends with every payment credited once; what is unclear waits for an operator."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from credits.allocation.service import process_events
from credits.backfill.schedule import reconcile_due, searches_of
from credits.clock import system_clock_ms
from credits.config.settings import Settings, Tenant
from credits.db import snapshot
from credits.inbox.tables import events
from credits.ledger.tables import entries
from tests.support.market import Market, market
from tests.support.pipeline import Pipeline

ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
DAY_MS = 86_400_000
PROVIDERS = ("lemonsqueezy", "paddle", "stripe")


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        made.down.set()
        yield made


def squeezy(shop: Market, account: str, **asked: Any) -> dict[str, Any]:
    return shop.checkout(account, provider="lemonsqueezy", **asked)


def look(shop: Market, *, later_ms: int = 0, providers: tuple[str, ...] = ("lemonsqueezy",)) -> None:
    """What the workers' schedule does, `later_ms` from now."""
    pipeline = at(shop, later_ms)
    access = {key: found for key, found in shop.settings.access.items() if key[1] in providers}
    reconcile_due(searches_of(replace(shop.settings, access=access), pipeline.runtime), longest_ms=20_000)
    pipeline.process()


def at(shop: Market, later_ms: int) -> Pipeline:
    runtime = replace(shop.pipeline.runtime, clock=lambda: system_clock_ms() + later_ms)
    return replace(shop.pipeline, runtime=runtime)


@ON_SQLITE
def test_each_provider_is_looked_through_as_often_as_it_needs_and_none_waits_for_another(
    shop: Market, caplog: pytest.LogCaptureFixture
) -> None:
    hour_ms = 3_600_000
    access = dict(shop.settings.access)
    access[Tenant.SANDBOX, "stripe"] = replace(access[Tenant.SANDBOX, "stripe"], api_key="sk_live_stranger")
    settings = replace(shop.settings, access=access, reconcile_every_s=6 * 3_600)

    def looked_through(later_ms: int, **changes: Any) -> list[str]:
        searches = searches_of(replace(settings, **changes), at(shop, later_ms).runtime)
        return sorted(name.partition(":")[2] for name in reconcile_due(searches, longest_ms=20_000))

    rounds = [looked_through(hours * hour_ms) for hours in (0, 1, 7, 7)]
    repaired = looked_through(7 * hour_ms, access=shop.settings.access)
    off = looked_through(99 * hour_ms, reconciles=False)

    assert rounds == [["lemonsqueezy", "paddle"], ["lemonsqueezy"], ["lemonsqueezy", "paddle"], ["lemonsqueezy"]]
    assert (repaired, off) == (["lemonsqueezy", "stripe"], [])
    assert "provider_key_refused" in caplog.text


def told(shop: Market) -> list[tuple[str, str | None, str]]:
    with snapshot(shop.pipeline.runtime.engine) as connection:
        rows = connection.execute(select(events.c.state, events.c.code, events.c.detail).order_by(events.c.id))
        return [(row.state, row.code, row.detail) for row in rows]


def open_events(shop: Market) -> list[tuple[str, str | None, str]]:
    return [one for one in told(shop) if one[0] not in {"done", "ignored"}]


def test_a_week_of_downtime_ends_with_every_payment_credited_once_by_the_schedule_alone(shop: Market) -> None:
    bought = [sold_unheard(shop, provider, amount=100 + number) for number, provider in enumerate(PROVIDERS)]
    quiet = squeezy(shop, "quiet", amount=77)
    shop.click(quiet["checkout_url"], "pay", email="somebody@example.com")
    names = [f"{what}-{provider}" for provider in PROVIDERS for what in ("pack", "new", "old", "back")]
    before = {name: shop.pipeline.balance(name) for name in (*names, "quiet")}

    for _ in range(2):
        look(shop, later_ms=DAY_MS, providers=PROVIDERS)
    after = {name: shop.pipeline.balance(name) for name in before}
    shop.deliver_late()

    expected = {"quiet": 77}
    for number, provider in enumerate(PROVIDERS):
        # What is refunded is taken back by the gate; here it is counted below.
        earned = {"pack": 100 + number, "new": 1000, "old": 2000, "back": 100 + number}
        expected |= {f"{what}-{provider}": amount for what, amount in earned.items()}
    assert before == {name: 1000 if name.startswith("old") else 0 for name in before}
    assert (after, shop.taken_back()) == (expected, 100 + 101 + 102)
    assert open_events(shop) == []
    assert {name: shop.pipeline.balance(name) for name in after} == after
    assert {shop.purchase(made)["state"] for made in bought} == {"subscribed"}
    assert shop.purchase(quiet)["state"] == "credited"


@ON_SQLITE
def test_a_subscription_that_began_and_was_renewed_unheard_is_credited_for_both_within_hours(shop: Market) -> None:
    made = squeezy(shop, "a", plan="pro", email="a@example.com")
    shop.click(made["checkout_url"], "pay")
    shop.click(shop.order_url(), "renew")
    [subscription] = shop.store.all("lemonsqueezy", "subscriptions")
    # As it is a month later: written to by its renewal.
    subscription["attributes"]["updated_at"] = subscription["attributes"]["renews_at"]
    shop.store.put("lemonsqueezy", "subscriptions", subscription["id"], subscription, created_s=0)

    for hours in (0, 0.01, 0.02, 0.1, 0.4, 2, 9):
        look(shop, later_ms=int(hours * 3_600_000))

    assert shop.pipeline.balance("a") == 2000
    assert open_events(shop) == []


def sold_unheard(shop: Market, provider: str, *, amount: int) -> dict[str, Any]:
    """A pack, a subscription, a renewal and a refund of which no webhook tells; answers the subscription's purchase."""

    def sell(what: str, **asked: Any) -> tuple[dict[str, Any], str]:
        name = f"{what}-{provider}"
        made = shop.checkout(name, provider=provider, email=f"{name}@example.com", **asked)
        shop.click(made["checkout_url"], "pay")
        return made, shop.order_url() if provider == "lemonsqueezy" else made["checkout_url"]

    shop.down.clear()
    _, old = sell("old", plan="pro")
    shop.down.set()
    sell("pack", amount=amount)
    new, _ = sell("new", plan="pro")
    _, back = sell("back", amount=amount)
    shop.click(old, "renew")
    shop.click(back, "refund")
    return new


@ON_SQLITE
def test_a_known_payer_is_credited_at_once_and_the_only_quote_of_a_price_when_its_time_is_over(shop: Market) -> None:
    known, unknown = squeezy(shop, "known", email="k@example.com"), squeezy(shop, "unknown", amount=200)
    for made in (known, unknown):
        shop.click(made["checkout_url"], "pay")

    look(shop)
    at_once = (shop.pipeline.balance("known"), shop.pipeline.balance("unknown"))
    waiting = open_events(shop)
    look(shop, later_ms=DAY_MS)

    assert at_once == (100, 0)
    assert [(state, code) for state, code, _ in waiting] == [("waiting", "quote_open")]
    assert (shop.pipeline.balance("known"), shop.pipeline.balance("unknown")) == (100, 200)
    assert shop.purchase(known)["reason"] == (
        "no webhook told of it; found by the payer, who is known as the account's"
    )


@ON_SQLITE
def test_a_customer_who_bought_before_is_known_though_strangers_opened_the_same_quote(shop: Market) -> None:
    shop.down.clear()
    shop.click(squeezy(shop, "regular")["checkout_url"], "pay", email="r@example.com")
    shop.down.set()
    made = squeezy(shop, "regular")
    for number in range(3):
        squeezy(shop, f"stranger-{number}")
    shop.click(made["checkout_url"], "pay", email="r@example.com")

    look(shop)

    assert shop.pipeline.balance("regular") == 200
    assert shop.purchase(made)["state"] == "credited"


@ON_SQLITE
def test_a_stranger_who_opens_quotes_of_popular_prices_wins_nobodys_payment(shop: Market) -> None:
    squeezy(shop, "thief", email="thief@example.com")
    squeezy(shop, "thief")
    shop.click(squeezy(shop, "victim")["checkout_url"], "pay", email="v@example.com")
    paid_twice = squeezy(shop, "twice", amount=300)
    squeezy(shop, "thief", amount=300)
    for _ in range(2):
        shop.click(paid_twice["checkout_url"], "pay", email="t@example.com")

    look(shop, later_ms=DAY_MS)

    assert [shop.pipeline.balance(name) for name in ("thief", "victim", "twice")] == [0, 0, 0]
    assert [(state, code) for state, code, _ in open_events(shop)] == [("unattributed", "nobody_to_credit")] * 3
    assert all("quotes of that price may be meant" in detail for _, _, detail in open_events(shop))


@ON_SQLITE
def test_another_address_than_the_quotes_is_left_to_an_operator(shop: Market) -> None:
    shop.click(squeezy(shop, "a", email="a@example.com")["checkout_url"], "pay", email="b@example.com")

    look(shop, later_ms=DAY_MS)

    assert shop.pipeline.balance("a") == 0
    [(state, _, detail)] = open_events(shop)
    assert state == "unattributed"
    assert "another person paid" in detail


@ON_SQLITE
def test_two_orders_that_may_be_one_quotes_are_left_to_an_operator(shop: Market) -> None:
    made = squeezy(shop, "a")
    for email in ("one@example.com", "two@example.com"):
        shop.click(made["checkout_url"], "pay", email=email)

    look(shop, later_ms=DAY_MS)

    assert shop.pipeline.balance("a") == 0
    assert [detail.rpartition("and ")[2] for _, _, detail in open_events(shop)] == ["2 orders may be its own"] * 2


@ON_SQLITE
def test_the_quotes_reference_on_an_order_says_whose_it_is_if_the_provider_shows_it(shop: Market) -> None:
    for name in ("a", "b", "c"):
        made = squeezy(shop, name)
    shop.click(made["checkout_url"], "pay")
    [order] = shop.orders()
    order["attributes"]["first_order_item"]["product_name"] = f"100 credits · {made['purchase_id'][-8:]}"
    shop.store.put("lemonsqueezy", "orders", order["id"], order, created_s=0)

    look(shop)

    assert [shop.pipeline.balance(name) for name in ("a", "b", "c")] == [0, 0, 100]


@ON_SQLITE
@pytest.mark.parametrize("field", ["variant", "store"])
def test_an_order_of_another_product_is_nobodys_quote(shop: Market, field: str) -> None:
    shop.click(squeezy(shop, "a", email="a@example.com")["checkout_url"], "pay")
    [order] = shop.orders()
    if field == "variant":
        order["attributes"]["first_order_item"]["variant_id"] = 4711
    else:
        access = dict(shop.settings.access)
        access[Tenant.SANDBOX, "lemonsqueezy"] = replace(access[Tenant.SANDBOX, "lemonsqueezy"], variant_id="4712")
        shop = replace(shop, settings=replace(shop.settings, access=access))
    shop.store.put("lemonsqueezy", "orders", order["id"], order, created_s=0)

    look(shop, later_ms=DAY_MS)

    assert shop.pipeline.balance("a") == 0
    assert [code for _, code, _ in open_events(shop)] == ["credits_unknown"]


@ON_SQLITE
@pytest.mark.parametrize(("rule", "known", "unknown"), [("match", 100, 200), ("payer", 100, 0), ("hold", 0, 0)])
def test_the_installation_says_how_much_is_believed(shop: Market, rule: Any, known: int, unknown: int) -> None:
    for made in (squeezy(shop, "known", email="k@example.com"), squeezy(shop, "unknown", amount=200)):
        shop.click(made["checkout_url"], "pay")
    catalogue = shop.pipeline.runtime.catalogue
    purchases = replace(catalogue.purchases, unnamed=rule)
    shop = replace(shop, pipeline=shop.pipeline.with_catalogue(replace(catalogue, purchases=purchases)))

    look(shop, later_ms=DAY_MS)

    assert (shop.pipeline.balance("known"), shop.pipeline.balance("unknown")) == (known, unknown)


def test_a_late_webhook_that_names_somebody_else_is_a_conflict_that_is_seen_and_moves_nothing(shop: Market) -> None:
    shop.click(squeezy(shop, "b")["checkout_url"], "pay")
    mistaken = squeezy(shop, "a", email="shared@example.com")
    [order] = shop.orders()
    order["attributes"]["user_email"] = "shared@example.com"
    shop.store.put("lemonsqueezy", "orders", order["id"], order, created_s=0)
    look(shop)
    before = shop.pipeline.balance("a")

    shop.deliver_late()

    assert before == 100
    assert (shop.pipeline.balance("a"), shop.pipeline.balance("b")) == (100, 0)
    [(state, code, detail)] = open_events(shop)
    assert (state, code) == ("failed", "idempotency_conflict")
    assert "a" in detail
    assert shop.purchase(mistaken)["state"] == "credited"


@ON_SQLITE
def test_a_late_webhook_that_names_another_quote_of_the_same_account_sets_the_books_right(shop: Market) -> None:
    paid, other = squeezy(shop, "a", email="a@example.com"), squeezy(shop, "a", email="a@example.com")
    shop.click(paid["checkout_url"], "pay")
    look(shop)
    between = (shop.purchase(paid)["state"], shop.purchase(other)["state"])

    shop.deliver_late()

    assert between == ("open", "credited")
    assert (shop.purchase(paid)["state"], shop.purchase(other)["state"]) == ("credited", "open")
    assert shop.pipeline.balance("a") == 100
    assert open_events(shop) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_orders_that_are_processed_at_once_and_again_are_credited_once(shop: Market) -> None:
    for number in range(4):
        made = squeezy(shop, f"u{number}", email=f"u{number}@example.com")
        shop.click(made["checkout_url"], "pay")
    look(shop)
    with snapshot(shop.pipeline.runtime.engine) as connection:
        ids = list(connection.execute(select(events.c.id)).scalars())

    process_events(at(shop, DAY_MS).runtime, ids)
    look(shop, later_ms=DAY_MS)

    with snapshot(shop.pipeline.runtime.engine) as connection:
        keys = list(connection.execute(select(entries.c.key)).scalars())
    assert len(keys) == len(set(keys)) == 4
    assert [shop.pipeline.balance(f"u{number}") for number in range(4)] == [100] * 4
