"""The hosted page: one account's and nobody else's, right without JavaScript, and closed to other sites."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient

from credits.config.settings import Tenant
from credits.engine import Credits
from credits.errors import ConfigError, InvalidInputError
from credits.passes.seals import Purpose, seal, unseal
from credits.portal.session import COOKIE, HEADERS
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline
from tests.support.portal import KEY, Fields, PaperSeller, client_of, library_of

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A page, its seller, and the library behind it."""

    browser: FlaskClient
    credits: Credits
    seller: PaperSeller

    def enter(self, account: str = "user_1", *, locale: str | None = None, email: str | None = None) -> None:
        answer = self.browser.get(self.credits.portal_link(account, locale=locale, email=email)[0])
        assert (answer.status_code, answer.headers["Location"]) == (303, "/portal/")

    def page(self, path: str = "/portal/") -> str:
        answer = self.browser.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def form(self, **chosen: str) -> dict[str, str]:
        """The form of the first page, filled in."""
        hidden = Fields(self.page()).values
        fields = {name: hidden[name] for name in ("form_token", "request_key")}
        return {**fields, "type": "image_generation", "amount": "100", "provider": "stripe", **chosen}


@pytest.fixture
def database_kind() -> str:
    """What the page asks of a database is shown elsewhere, on both."""
    return "sqlite"


@pytest.fixture
def stand(pipeline: Pipeline) -> Stand:
    seller = PaperSeller()
    libraries = {tenant: library_of(pipeline, seller, tenant=tenant) for tenant in Tenant}
    return Stand(browser=client_of(libraries, pipeline), credits=libraries[Tenant.SANDBOX], seller=seller)


def test_the_page_shows_what_there_is_what_is_held_what_lapses_and_what_was_spent(
    stand: Stand, clock: VirtualClock
) -> None:
    stand.credits.add("user_1", "image_generation", 1500, key="a")
    stand.credits.add("user_1", "image_generation", 25, key="b", expires_at_ms=clock() + 3 * DAY_MS)
    stand.credits.spend("user_1", image_generation=5, key="job-1")
    stand.credits.reserve("user_1", image_generation=40)

    stand.enter(locale="en_US")
    page = stand.page()

    assert '<strong data-balance="image_generation">1,480</strong> available' in page
    assert "40 held for running jobs" in page
    assert re.search(r"20 Image generation</span> <time[^>]*>January 18, 2026<", page)
    assert "Spent in the last 30 days: 5 in all" in page


def test_an_account_that_never_had_credits_has_a_page_to_buy_some_on(stand: Stand) -> None:
    stand.enter("somebody new")

    page = stand.page()

    assert "No credits yet." in page
    assert "Continue to payment" in page


@pytest.mark.parametrize(("locale", "shown"), [("de", "12.345"), ("en", "12,345"), ("fr", "12\u202f345")])
def test_numbers_are_written_as_the_visitor_is_used_to(stand: Stand, locale: str, shown: str) -> None:
    stand.credits.add("user_1", "tokens", 12345, key="a")

    stand.enter(locale=locale)

    assert f'data-balance="tokens">{shown}<' in stand.page()


def test_the_browser_s_language_counts_where_the_link_names_none(stand: Stand) -> None:
    stand.enter()

    page = stand.browser.get("/portal/", headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}).text

    assert "Guthaben kaufen" in page
    assert '<html lang="de-AT">' in page


def test_the_history_is_searched_and_paged_and_is_this_account_s_alone(stand: Stand) -> None:
    for number in range(30):
        stand.credits.add("user_1", "tokens", 1, key=f"a{number}", reason=f"gift {number}")
    stand.credits.add("user_2", "tokens", 1, key="other", reason="gift of somebody else")

    stand.enter()
    first, found = stand.page("/portal/history"), stand.page("/portal/history?q=GIFT+7&type=tokens")

    assert first.count("<time") == 25
    assert 'rel="next"' in first
    assert found.count("<time") == 1
    assert "somebody else" not in first + found
    assert "100%" not in stand.page("/portal/history?q=%25")


def test_the_history_as_csv_is_whole_and_runs_no_formula_in_a_spreadsheet(stand: Stand) -> None:
    for number in range(30):
        stand.credits.add("user_1", "tokens", 1, key=f"a{number}", reason="=HYPERLINK(1)" if number else 'a, "b"\nc')

    stand.enter()
    answer = stand.browser.get("/portal/history.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert len(rows) == 30
    assert rows[0]["reason"] == "'=HYPERLINK(1)"
    assert rows[-1]["reason"] == 'a, "b"\nc'
    assert "attachment" in answer.headers["Content-Disposition"]


def test_buying_opens_a_checkout_of_what_was_chosen_and_goes_there(stand: Stand) -> None:
    stand.enter(email="a@example.com")

    answer = stand.browser.post("/portal/buy", data=stand.form(amount="1,200"))

    [order] = stand.seller.orders
    bought = (order.account, order.email, order.credit_type, order.amount)
    assert bought == ("user_1", "a@example.com", "image_generation", 1200)
    assert order.success_url == f"http://localhost/portal/purchases/{order.purchase_id}"
    assert f'content="0; url=https://pay.example.com/{order.purchase_id}"' in answer.text


def test_a_double_click_opens_one_checkout_and_another_choice_on_the_same_form_another(stand: Stand) -> None:
    stand.enter()
    form = stand.form()

    for _ in range(2):
        stand.browser.post("/portal/buy", data=form)
    stand.browser.post("/portal/buy", data={**form, "amount": "200"})

    assert [order.amount for order in stand.seller.orders] == [100, 200]


def test_a_plan_is_subscribed_to(stand: Stand) -> None:
    stand.enter()
    form = stand.form()

    stand.browser.post(
        "/portal/buy", data={name: form[name] for name in ("form_token", "request_key", "provider")} | {"plan": "pro"}
    )

    assert [order.product_id for order in stand.seller.orders] == ["price_pro_monthly"]


@pytest.mark.parametrize("amount", ["", "0", "-5", "1e3", "abc", "99999999999999999", "٣"])
def test_an_amount_that_is_none_is_told_and_buys_nothing(stand: Stand, amount: str) -> None:
    stand.enter()

    answer = stand.browser.post("/portal/buy", data=stand.form(amount=amount))

    assert answer.status_code == 422
    assert "amount" in answer.text
    assert stand.seller.orders == []


def test_a_price_is_shown_without_javascript_and_as_json_for_it(stand: Stand) -> None:
    stand.enter(locale="en_US")

    page = stand.page("/portal/buy?type=image_generation&amount=150")
    said = stand.browser.get("/portal/price?type=image_generation&amount=150").json
    refused = stand.browser.get("/portal/price?type=image_generation&amount=0").json
    elsewhere = stand.browser.get("/portal/price?type=image_generation&amount=150&currency=EUR").json

    assert "<strong>$15.00</strong>" in page
    assert said is not None
    assert said["total"] == "$15.00"
    assert refused == {"error": "Write a whole number, such as 100."}
    assert elsewhere == {"error": "Not sold in EUR. Choose USD."}


def test_a_purchase_is_followed_until_it_is_credited_and_is_nobody_else_s(stand: Stand) -> None:
    stand.enter()
    stand.browser.post("/portal/buy", data=stand.form())
    purchase_id = stand.seller.orders[0].purchase_id

    answer = stand.browser.get(f"/portal/purchases/{purchase_id}")
    stand.enter("user_2")
    foreign = stand.browser.get(f"/portal/purchases/{purchase_id}")

    assert answer.headers["Refresh"] == "2"
    assert "Waiting for the payment" in answer.text
    assert foreign.status_code == 404
    assert "user_1" not in foreign.text


# ── Closed to others ─────────────────────────────────────────────────────────────────────────────────────


def _changed(text: str) -> Iterator[str]:
    for at in range(0, len(text), 7):
        yield text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def test_a_link_that_was_changed_anywhere_opens_nothing(stand: Stand) -> None:
    link, _ = stand.credits.portal_link("user_1")
    head, _, token = link.partition("link=")

    answers = [stand.browser.get(f"{head}link={other}") for other in _changed(token)]

    assert {answer.status_code for answer in answers} == {403}
    assert all(COOKIE not in answer.headers.get("Set-Cookie", "") for answer in answers)


def test_a_link_and_the_session_after_it_end(stand: Stand, clock: VirtualClock) -> None:
    link, expires_at_ms = stand.credits.portal_link("user_1", ttl_s=60)
    stand.enter()

    clock.set_ms(expires_at_ms)
    assert stand.browser.get(link).status_code == 403
    assert stand.browser.get("/portal/").status_code == 200
    clock.advance_ms(3_600_000)
    assert stand.browser.get("/portal/").status_code == 403


def test_a_token_made_for_one_purpose_opens_no_other_door(stand: Stand, clock: VirtualClock) -> None:
    token, _ = stand.credits.embed_token("user_1", origins=["https://app.example.com"])
    visitor = unseal(Purpose.EMBED, token, KEY, now_ms=clock())

    assert stand.browser.get(f"/portal/enter?link={token}").status_code == 403
    stand.browser.set_cookie(COOKIE, token, path="/portal")
    assert stand.browser.get("/portal/").status_code == 403
    stand.browser.set_cookie(COOKIE, seal(Purpose.SESSION, visitor, "another key"), path="/portal")
    assert stand.browser.get("/portal/").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/portal/",
        "/portal/history",
        "/portal/history.csv",
        "/portal/price?type=tokens",
        "/portal/balances",
        "/portal/buy",
    ],
)
def test_without_a_session_there_is_nothing_to_see(stand: Stand, path: str) -> None:
    stand.credits.add("user_1", "tokens", 5, key="a")

    assert stand.browser.get(path).status_code == 403


def test_a_link_of_the_sandbox_opens_nothing_live(pipeline: Pipeline, stand: Stand) -> None:
    live = library_of(pipeline, PaperSeller(), tenant=Tenant.LIVE)
    live.add("user_1", "tokens", 777, key="a")

    stand.enter()

    assert "777" not in stand.page()


@pytest.mark.parametrize(
    "change",
    [
        lambda form: form.pop("form_token"),
        lambda form: form.update(form_token="0" * 32),
        lambda form: form.update(form_token="é"),
    ],
)
def test_a_form_without_this_session_s_token_buys_nothing(
    stand: Stand, change: Callable[[dict[str, str]], None]
) -> None:
    stand.enter()
    form = stand.form()
    change(form)

    answer = stand.browser.post("/portal/buy", data=form)

    assert answer.status_code == 403
    assert stand.seller.orders == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_sent_from_another_site_buys_nothing(stand: Stand, headers: dict[str, str]) -> None:
    stand.enter()

    answer = stand.browser.post("/portal/buy", data=stand.form(), headers=headers)

    assert answer.status_code == 403
    assert stand.seller.orders == []


def test_another_session_s_form_token_is_worthless(stand: Stand) -> None:
    stand.enter("user_2")
    foreign = stand.form()
    stand.enter("user_1")

    assert stand.browser.post("/portal/buy", data=foreign).status_code == 403


def test_names_and_reasons_are_shown_as_text_whatever_is_in_them(stand: Stand) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    stand.credits.add(evil, "tokens", 5, key="a", reason=evil)

    stand.enter(evil)
    pages = stand.page() + stand.page("/portal/history") + stand.page(f"/portal/history?q={evil}")

    assert "<script>alert" not in pages
    assert "<img src=x" not in pages


@pytest.mark.parametrize("path", ["/portal/", "/portal/history", "/portal/buy", "/portal/nothing", "/portal/enter"])
def test_every_page_is_fenced_in(stand: Stand, path: str) -> None:
    stand.enter()

    answer = stand.browser.get(path)

    if answer.status_code != 404:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_cookie_is_out_of_reach_for_scripts_and_for_other_sites(stand: Stand) -> None:
    link, _ = stand.credits.portal_link("user_1")

    cookie = stand.browser.get(link).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/portal" in cookie


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example.com", "data:text/html,x", "https:///x", "https://a\\@b/"]
)
def test_a_link_back_that_is_no_web_page_is_refused(stand: Stand, url: str) -> None:
    with pytest.raises(InvalidInputError, match="return_url"):
        stand.credits.portal_link("user_1", return_url=url)


def test_the_first_view_is_small_and_asks_no_other_host(stand: Stand) -> None:
    stand.credits.add("user_1", "tokens", 5, key="a")
    stand.enter()

    page = stand.page()
    parts = [
        page,
        *(
            stand.browser.get(path).text
            for path in ("/portal/static/portal.css", "/portal/static/portal.js", "/portal/colours.css")
        ),
    ]

    assert sum(len(part.encode()) for part in parts) < 60_000
    assert "//" not in page.replace("http://localhost", "").replace("<!doctype", "").split("<body>")[0]


def test_without_a_secret_key_no_link_is_made(pipeline: Pipeline) -> None:
    library = Credits(
        engine=pipeline.runtime.engine, catalogue=pipeline.runtime.catalogue, tenant=Tenant.SANDBOX, gate=pipeline.gate
    )

    with pytest.raises(ConfigError, match="CREDITGATE_SECRET_KEY"):
        library.portal_link("user_1")


def test_a_browser_is_allowed_to_say_that_a_form_comes_from_the_page_itself() -> None:
    """With `no-referrer`, it would send `Origin: null`, and every form would be refused."""
    assert HEADERS["Referrer-Policy"] == "same-origin"


def test_a_purchase_is_a_receipt_with_its_day_its_provider_and_its_numbers(stand: Stand) -> None:
    made = stand.credits.checkout("user_1", provider="stripe", plan="pro")

    stand.enter(locale="en_US")
    page = stand.page(f"/portal/purchases/{made['purchase_id']}")

    assert all(
        word in page for word in ("Jan 15, 2026, 12:00", "Stripe", "user_1", made["purchase_id"], "<dd>Pro</dd>")
    )
