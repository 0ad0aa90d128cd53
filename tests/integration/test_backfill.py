"""What providers have is looked through, as often as one likes; a week of downtime is in test_unnamed_orders.py."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import stamina
from sqlalchemy import Engine, select

from credits.allocation.suggesting import candidates
from credits.audit_log import Act
from credits.backfill.connect import open_listing
from credits.backfill.model import FoundPage, Listing
from credits.backfill.paddle import READ_TYPES
from credits.backfill.service import Report, Search, backfill, reconcile
from credits.backfill.store import read_cursor
from credits.clock import iso, system_clock_ms
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.db import rehearsal, snapshot, transaction
from credits.errors import InvalidInputError, ProviderKeyRefusedError, ProviderUnavailableError, UnknownProviderError
from credits.inbox import service as inbox
from credits.inbox.tables import events
from tests.support.databases import ON_SQLITE
from tests.support.market import Market, market
from webhooks.providers import REGISTRY

WEEK_MS = 7 * 86_400_000


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


def search_of(shop: Market, provider: str) -> Search:
    return Search(
        engine=shop.pipeline.runtime.engine,
        tenant=Tenant.SANDBOX,
        provider=REGISTRY[provider],
        listing=open_listing(shop.settings, Tenant.SANDBOX, provider),
        clock=system_clock_ms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsAlone:
    """A provider's listing without the events, which stand first in it."""

    whole: Listing

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.whole.kinds[1:]

    def page(self, kind: str, *, since_ms: int, token: str | None, now_ms: int) -> FoundPage:
        return self.whole.page(kind, since_ms=since_ms, token=token, now_ms=now_ms)


def without_events(search: Search) -> Search:
    return replace(search, listing=ObjectsAlone(whole=search.listing))


def look(search: Search) -> Report:
    return backfill(search, since_ms=system_clock_ms() - WEEK_MS, opened=lambda: transaction(search.engine))


def fill(shop: Market, provider: str) -> Report:
    report = look(search_of(shop, provider))
    shop.pipeline.process()
    return report


def count(shop: Market) -> int:
    with snapshot(shop.pipeline.runtime.engine) as connection:
        return len(connection.execute(select(events.c.id)).all())


def new_in(report: Report) -> int:
    return sum(tally.new for tally in report.kinds.values())


@ON_SQLITE
def test_what_stripe_sold_and_took_back_while_we_were_down_is_credited_once(shop: Market) -> None:
    shop.down.set()
    bought, refunded, plan = shop.checkout("a"), shop.checkout("b"), shop.checkout("c", plan="pro")
    for made in (bought, refunded, plan):
        shop.click(made["checkout_url"], "pay")
    shop.click(refunded["checkout_url"], "refund_half")
    shop.click(plan["checkout_url"], "renew")
    accounts = ("a", "b", "c")
    before = [shop.pipeline.balance(account) for account in accounts]

    first, second = fill(shop, "stripe"), fill(shop, "stripe")
    after = [shop.pipeline.balance(account) for account in accounts]
    shop.deliver_late()

    assert before == [0, 0, 0]
    assert after == [100, 100, 2000]
    assert shop.taken_back() == 50
    assert new_in(first) > 0
    assert new_in(second) == 0
    assert [shop.pipeline.balance(account) for account in accounts] == after
    assert shop.purchase(bought)["state"] == "credited"


@ON_SQLITE
def test_objects_alone_are_enough_where_stripe_has_forgotten_the_events(shop: Market) -> None:
    shop.down.set()
    bought, plan = shop.checkout("a"), shop.checkout("c", plan="pro")
    for made in (bought, plan):
        shop.click(made["checkout_url"], "pay")
    shop.click(bought["checkout_url"], "refund_half")
    search = without_events(search_of(shop, "stripe"))

    for _ in range(2):
        backfill(search, since_ms=system_clock_ms() - WEEK_MS, opened=lambda: transaction(search.engine))
        shop.pipeline.process()
    after = (shop.pipeline.balance("a"), shop.pipeline.balance("c"))
    shop.deliver_late()

    assert after == (100, 1000)
    assert shop.taken_back() == 50
    assert (shop.pipeline.balance("a"), shop.pipeline.balance("c")) == after


@ON_SQLITE
def test_lemon_squeezys_renewals_and_refunds_of_a_downtime_are_credited_once(shop: Market) -> None:
    pack, plan = shop.checkout("a", provider="lemonsqueezy"), shop.checkout("c", provider="lemonsqueezy", plan="pro")
    shop.click(pack["checkout_url"], "pay")
    pack_url = shop.order_url()
    shop.click(plan["checkout_url"], "pay")
    plan_url = shop.order_url()
    shop.down.set()
    shop.click(plan_url, "renew")
    shop.click(pack_url, "refund_half")
    before = (shop.pipeline.balance("a"), shop.pipeline.balance("c"))

    reports = []
    for _ in range(2):
        reports.append(reconcile(search_of(shop, "lemonsqueezy")))
        shop.pipeline.process()
    after = (shop.pipeline.balance("a"), shop.pipeline.balance("c"))
    shop.deliver_late()

    assert before == (100, 1000)
    assert after == (100, 2000)
    assert shop.taken_back() == 50
    assert [new_in(report) > 0 for report in reports] == [True, False]
    assert (shop.pipeline.balance("a"), shop.pipeline.balance("c")) == after


@ON_SQLITE
def test_what_paddle_sold_and_took_back_in_a_week_of_downtime_is_credited_once(shop: Market) -> None:
    miss_a_week_of_paddle(shop, search_of(shop, "paddle"))


@ON_SQLITE
def test_objects_alone_are_enough_where_paddle_has_forgotten_the_events(shop: Market) -> None:
    miss_a_week_of_paddle(shop, without_events(search_of(shop, "paddle")))


def miss_a_week_of_paddle(shop: Market, search: Search) -> None:
    """Nobody hears what is bought, renewed, refunded and charged back; then `search` finds it, once."""
    shop.down.set()
    bought, refunded, plan, taken = (
        shop.checkout(account, provider="paddle", **asked)
        for account, asked in (("a", {}), ("b", {}), ("c", {"plan": "pro"}), ("d", {}))
    )
    for made in (bought, refunded, plan, taken):
        shop.click(made["checkout_url"], "pay")
    for made, action in ((refunded, "refund_half"), (plan, "renew"), (taken, "chargeback")):
        shop.click(made["checkout_url"], action)
    accounts = ("a", "b", "c", "d")
    before = [shop.pipeline.balance(account) for account in accounts]

    reports = []
    for _ in range(2):
        reports.append(look(search))
        shop.pipeline.process()
    after = [shop.pipeline.balance(account) for account in accounts]
    shop.deliver_late()

    assert (before, after, shop.taken_back()) == ([0] * 4, [100, 100, 2000, 100], 150)
    assert [new_in(report) > 0 for report in reports] == [True, False]
    assert ([shop.pipeline.balance(account) for account in accounts], shop.taken_back()) == (after, 150)
    assert (shop.purchase(bought)["state"], shop.purchase(plan)["state"]) == ("credited", "subscribed")
    assert set(shop.pipeline.states()) <= {"done", "ignored"}


@ON_SQLITE
def test_paddle_is_looked_through_page_by_page_and_no_further_than_needed(shop: Market) -> None:
    at = iso(system_clock_ms())
    for number in range(33):
        transaction_id = f"txn_{number}"
        made = {"id": transaction_id, "status": "completed", "created_at": at, "updated_at": at}
        shop.store.put("paddle", "transactions", transaction_id, made, created_s=0)
    listing = search_of(shop, "paddle").listing

    def pages_of(kind: str, since_ms: int) -> list[int]:
        sizes, token = [], None
        while True:
            page = listing.page(kind, since_ms=since_ms, token=token, now_ms=system_clock_ms())
            sizes.append(len(page.events))
            token = page.next_token
            if token is None:
                return sizes

    assert pages_of("transactions", system_clock_ms() - WEEK_MS) == [30, 3]
    assert pages_of("transactions", system_clock_ms() + WEEK_MS) == [0]
    assert pages_of("events", system_clock_ms() + WEEK_MS) == [0]


def test_all_that_is_read_of_paddle_is_asked_for() -> None:
    provider = REGISTRY["paddle"]

    assert all(provider.reads(event_type) for event_type in READ_TYPES)
    assert {one for one in provider.event_types() if provider.reads(one)} <= set(READ_TYPES)


@ON_SQLITE
def test_a_first_purchase_that_lemon_squeezy_does_not_attribute_waits_and_its_late_webhook_credits_it(
    shop: Market,
) -> None:
    shop.down.set()
    shop.click(shop.checkout("a", provider="lemonsqueezy")["checkout_url"], "pay")

    reconcile(search_of(shop, "lemonsqueezy"))
    shop.pipeline.process()
    with snapshot(shop.pipeline.runtime.engine) as connection:
        states = set(connection.execute(select(events.c.state)).scalars())
    between = shop.pipeline.balance("a")
    shop.deliver_late()

    assert states == {"waiting"}
    assert (between, shop.pipeline.balance("a")) == (0, 100)


@ON_SQLITE
def test_a_first_purchase_that_an_operator_attached_is_credited_once_though_its_webhook_comes_after_all(
    shop: Market,
) -> None:
    shop.down.set()
    made = shop.checkout("a", provider="lemonsqueezy")
    shop.checkout("b", provider="lemonsqueezy", amount=200)
    shop.click(made["checkout_url"], "pay")
    reconcile(search_of(shop, "lemonsqueezy"))
    shop.pipeline.process()
    runtime = shop.pipeline.runtime
    with transaction(runtime.engine) as connection:
        [event_id] = connection.execute(select(events.c.id)).scalars()
        row = inbox.find(connection, Tenant.SANDBOX, event_id)
        likely = candidates(connection, Tenant.SANDBOX, row, runtime.providers)
        inbox.attach(
            connection,
            Tenant.SANDBOX,
            event_id,
            "a",
            Act(actor="operator:ada", reason="their order 4711"),
            credit_type="image_generation",
            amount=100,
            now_ms=runtime.clock(),
        )

    shop.pipeline.process()
    attached = shop.pipeline.balance("a")
    shop.deliver_late()

    with snapshot(runtime.engine) as connection:
        states = list(connection.execute(select(events.c.state, events.c.code)))
    assert [(one["account"], one["amount"], one["purchase_id"]) for one in likely] == [("a", 100, made["purchase_id"])]
    assert (attached, shop.pipeline.balance("a")) == (100, 100)
    assert {state for state, _ in states} <= {"done", "ignored"}, states
    assert shop.purchase(made)["state"] == "credited"


@ON_SQLITE
def test_a_webhook_that_arrives_while_the_backfill_runs_is_credited_once(shop: Market) -> None:
    shop.down.set()
    shop.click(shop.checkout("a")["checkout_url"], "pay")
    search = search_of(shop, "stripe")

    # Between any two pages the late webhooks arrive.
    backfill(
        search,
        since_ms=system_clock_ms() - WEEK_MS,
        opened=lambda: transaction(search.engine),
        tell=lambda _kind, _tally: shop.deliver_late(),
    )
    shop.pipeline.process()

    assert shop.pipeline.balance("a") == 100


@ON_SQLITE
def test_a_dry_run_finds_what_is_new_and_changes_nothing(shop: Market) -> None:
    shop.down.set()
    shop.click(shop.checkout("a")["checkout_url"], "pay")
    search = search_of(shop, "stripe")

    report = backfill(search, since_ms=system_clock_ms() - WEEK_MS, opened=lambda: rehearsal(search.engine))

    assert new_in(report) > 0
    assert count(shop) == 0


@ON_SQLITE
def test_a_pass_that_is_cut_off_goes_on_where_it_was(shop: Market) -> None:
    search = search_of(shop, "lemonsqueezy")
    ticks = iter(range(1_000_000, 9_000_000, 1_000))
    search = replace(search, clock=lambda: next(ticks))

    report = reconcile(search, until_ms=1_004_000)
    with snapshot(search.engine) as connection:
        between = read_cursor(connection, Tenant.SANDBOX, "lemonsqueezy")
    last = reconcile(search)
    with snapshot(search.engine) as connection:
        cursor = read_cursor(connection, Tenant.SANDBOX, "lemonsqueezy")

    assert (report.is_complete, last.is_complete) == (False, True)
    assert between.kind in last.kinds
    assert "orders" not in last.kinds
    assert (cursor.looked_until_ms, cursor.kind) == (between.pass_began_ms, None)


@ON_SQLITE
def test_a_provider_that_is_away_or_refuses_is_a_typed_error(shop: Market) -> None:
    access = shop.settings.access
    nobody = ProviderAccess(api_key="sk_test_x", api_base="http://127.0.0.1:9")
    stranger = ProviderAccess(api_key="sk_live_x", api_base=shop.fakes_url)

    with stamina.set_testing(True, attempts=2), pytest.raises(ProviderUnavailableError):
        fill(replace(shop, settings=replace(shop.settings, access={(Tenant.SANDBOX, "stripe"): nobody})), "stripe")
    with pytest.raises(ProviderKeyRefusedError):
        fill(replace(shop, settings=replace(shop.settings, access={(Tenant.SANDBOX, "stripe"): stranger})), "stripe")
    with pytest.raises(InvalidInputError, match="STRIPE_API_KEY"):
        open_listing(replace(shop.settings, access=access), Tenant.LIVE, "stripe")
    with pytest.raises(UnknownProviderError):
        open_listing(shop.settings, Tenant.SANDBOX, "nobody")


@ON_SQLITE
def test_a_rate_limit_is_waited_for(shop: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [429, 503]
    send = httpx.HTTPTransport.handle_request

    def limited(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if answers:
            return httpx.Response(answers.pop(), headers={"Retry-After": "0"}, request=request)
        return send(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", limited)

    report = fill(shop, "stripe")

    assert (report.is_complete, answers) == (True, [])
