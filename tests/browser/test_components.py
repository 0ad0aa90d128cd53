"""The web components in a page of another origin: an app runs the examples of docs/pages.md as they stand there."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from credits.config.settings import Tenant
from credits.passes.issuing import embed_token
from credits.passes.seals import Purpose, Visitor, seal
from tests.support.host_page import HostPage, build_frontends, host_page
from tests.support.pages import Stand, Watch, serious_faults

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def app(stand: Stand) -> Iterator[HostPage]:
    with host_page(stand.run.folder, stand.url) as served:
        yield served


@pytest.fixture(autouse=True)
def as_documented(app: HostPage) -> Iterator[None]:
    """What a test changed of the page is undone."""
    html = app.html
    yield
    app.html, app.policy = html, None


@pytest.fixture(scope="module")
def secret_key(stand: Stand) -> str:
    return stand.run.environment["CREDITGATE_SECRET_KEY"]


def pay(page: Page) -> None:
    page.get_by_role("button", name="Pay", exact=True).click()


def ask_for_tokens(page: Page, *answers: Any) -> list[str]:
    """Answer the page's requests for tokens in this order, the last one for ever; what was asked is noted."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        given = answers[min(len(asked), len(answers)) - 1]
        if given is None:
            route.continue_()
        elif isinstance(given, int):
            route.fulfill(status=given, json={})
        else:
            route.fulfill(json={"token": given})

    page.route("**/credits-token", answer)
    return asked


def test_a_balance_follows_a_spend_and_a_purchase_by_itself_and_two_of_them_ask_once(
    stand: Stand, app: HostPage, page: Page
) -> None:
    stand.grant("embed_live", 500)
    app.html += '<p id="second"><credit-balance type="image_generation"></credit-balance>'
    watch = Watch(page)
    page.goto(app.as_logged_in("embed_live"))
    shown = page.locator("credit-balance").first
    expect(shown).to_contain_text("500Image generation available")

    stand.spend("embed_live", 20, key="job")
    expect(shown).to_contain_text("480")
    other = page.context.new_page()
    other.goto(app.url)
    other.get_by_role("button", name="Buy").click()
    pay(other)
    page.bring_to_front()

    expect(shown).to_contain_text("580")
    expect(page.locator("#second credit-balance")).to_contain_text("580")
    assert sum("/embed/stream" in one for one in watch.asked) <= 2
    assert watch.elsewhere(app.url, stand.url) == set()
    assert watch.said == []


def test_they_have_the_brands_colour_and_a_language_of_their_own_that_may_change(
    stand: Stand, app: HostPage, page: Page
) -> None:
    stand.grant("embed_words", 1500)
    app.html = app.html.replace("<buy-credits ", '<buy-credits locale="de-AT" ')
    page.goto(app.as_logged_in("embed_words"))
    button, balance = page.locator("buy-credits").get_by_role("button"), page.locator("credit-balance")

    expect(button).to_have_text("Kaufen")
    expect(button).to_have_css("background-color", "rgb(15, 118, 110)")
    expect(page.locator("buy-credits")).to_contain_text("Preis: $ 10,00")
    expect(balance).to_contain_text("1,500Image generation available")
    for element in (balance, page.locator("buy-credits")):
        element.evaluate("(one, tag) => { one.locale = tag; }", "de" if element is balance else "en")
    expect(balance).to_contain_text("1.500Image generation verfügbar")
    expect(button).to_have_text("Buy")
    expect(page.locator("buy-credits")).to_contain_text("Price: $10.00")


@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy"])
def test_what_is_bought_in_an_app_s_own_page_arrives_there(
    stand: Stand, app: HostPage, page: Page, provider: str
) -> None:
    app.html = app.html.replace('provider="stripe"', f'provider="{provider}"')
    page.goto(app.as_logged_in(f"embed_{provider}"))
    page.get_by_label("Amount").fill("150")
    expect(page.locator("buy-credits")).to_contain_text("Price: $15.00")

    page.get_by_role("button", name="Buy").dblclick()
    pay(page)

    page.wait_for_url(f"{app.url}/")
    expect(page.locator("credit-balance")).to_contain_text("150")


def test_after_a_purchase_the_same_one_can_be_bought_again_without_loading_the_page(
    stand: Stand, app: HostPage, page: Page
) -> None:
    app.html += "<script>addEventListener('credits-checkout', (event) => { event.preventDefault(); "
    app.html += "(window.opened ??= []).push(event.detail); });</script>"
    page.goto(app.as_logged_in("embed_again"))
    expect(page.locator("buy-credits")).to_contain_text("$10.00")

    page.get_by_role("button", name="Buy").click()
    page.wait_for_function("window.opened?.length === 1")
    page.get_by_role("button", name="Buy").click()
    page.wait_for_function("window.opened?.length === 2")
    other = page.context.new_page()
    other.goto(page.evaluate("window.opened[0].checkout_url"))
    pay(other)
    expect(page.locator("credit-balance")).to_contain_text("100")
    page.get_by_role("button", name="Buy").click()
    page.wait_for_function("window.opened?.length === 3")

    first, again, later = (one["purchase_id"] for one in page.evaluate("window.opened"))
    assert first == again != later


def test_one_can_buy_in_a_component_with_a_keyboard_alone(app: HostPage, page: Page) -> None:
    page.goto(app.as_logged_in("embed_keys"))
    expect(page.locator("buy-credits")).to_contain_text("$10.00")

    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineStyle")
    page.keyboard.press("Control+A")
    page.keyboard.type("120")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_contain_text("120")
    assert outline == "solid"


def test_a_wrong_amount_is_told_in_the_component_with_its_bound(app: HostPage, page: Page) -> None:
    page.goto(app.as_logged_in("embed_wrong"))

    page.get_by_label("Amount").fill("5")

    expect(page.locator("buy-credits [part=error]")).to_contain_text("10")
    expect(page.get_by_label("Amount")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Buy").click()
    expect(page.locator("buy-credits [part=error]")).to_contain_text("10")
    assert page.url == f"{app.url}/"


def test_a_component_says_that_it_loads_that_it_failed_and_recovers_by_itself_or_by_a_click(
    stand: Stand, app: HostPage, page: Page
) -> None:
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    page.route("**/credits-token", hold)
    page.goto(app.as_logged_in("embed_states"))
    balance, buying = page.locator("credit-balance"), page.locator("buy-credits")

    expect(balance.locator("[aria-busy=true]")).to_have_text("Loading…")
    expect(buying).to_contain_text("Loading…")
    waiting[0].fulfill(status=500, json={})
    expect(balance.get_by_role("status")).to_have_text("Not available right now.")
    expect(buying).to_contain_text("Not available right now.")
    failed = serious_faults(page)
    page.unroute("**/credits-token")
    buying.get_by_role("button", name="Try again").click()

    expect(buying).to_contain_text("Price: $10.00")
    expect(balance).to_contain_text("0Image generation available")
    assert failed == []


def test_a_credit_type_that_is_not_sold_is_no_balance_of_nothing(app: HostPage, page: Page) -> None:
    app.html = app.html.replace('type="image_generation"', 'type="gold"')
    page.goto(app.as_logged_in("embed_gold"))

    expect(page.locator("credit-balance")).to_have_text("There are no such credits.")
    expect(page.locator("buy-credits [part=error]")).to_be_visible()


def test_a_token_that_is_over_is_replaced_without_anybody_noticing(
    stand: Stand, app: HostPage, page: Page, secret_key: str
) -> None:
    stand.grant("embed_over", 30)
    ends_soon = Visitor(
        tenant=Tenant.SANDBOX,
        account="embed_over",
        expires_at_ms=int(time.time() * 1000) + 4_000,
        nonce="n",
        origins=(app.url,),
    )
    asked = ask_for_tokens(page, seal(Purpose.EMBED, ends_soon, secret_key), None)
    page.goto(app.as_logged_in("embed_over"))
    expect(page.locator("credit-balance")).to_contain_text("30")
    page.wait_for_timeout(max(0, ends_soon.expires_at_ms - time.time() * 1000))

    page.get_by_label("Amount").fill("200")

    expect(page.locator("buy-credits")).to_contain_text("$20.00")
    stand.spend("embed_over", 10, key="job")
    expect(page.locator("credit-balance")).to_contain_text("20Image")
    # Balance and price found it over at the same time, and one of them asked.
    assert len(asked) == 2


def test_a_token_of_another_installation_or_for_another_page_shows_nothing(
    stand: Stand, app: HostPage, page: Page, secret_key: str
) -> None:
    stand.grant("embed_secret", 777)
    made: dict[str, Any] = {"tenant": Tenant.SANDBOX, "account": "embed_secret", "now_ms": int(time.time() * 1000)}
    forged, _ = embed_token(**made, secret_key="another key", origins=[app.url])
    elsewhere, _ = embed_token(**made, secret_key=secret_key, origins=["https://app.example.com"])

    for token in (forged, elsewhere):
        page.unroute_all()
        ask_for_tokens(page, token)
        page.goto(app.as_logged_in("embed_secret"))
        expect(page.locator("credit-balance")).to_have_text("Not available right now.")
        assert "777" not in page.locator("credit-balance").inner_text()


def test_the_browser_never_sees_the_api_key_and_sends_no_cookie(stand: Stand, app: HostPage, page: Page) -> None:
    seen: list[str] = []

    def note(request: Request) -> None:
        seen.append(f"{request.url} {request.all_headers()} {request.post_data}")
        if request.url.startswith(stand.url):
            assert "cookie" not in request.all_headers()

    page.on("requestfinished", note)
    page.on("response", lambda answer: seen.append(str(answer.all_headers())))
    page.goto(app.as_logged_in("embed_key"))
    expect(page.locator("buy-credits")).to_contain_text("$10.00")
    page.get_by_role("button", name="Buy").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()

    assert any("/embed/checkouts" in one for one in seen)
    assert not any(stand.key in one or "ck_" in one for one in seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_components(
    stand: Stand, app: HostPage, browser: Browser, scheme: str
) -> None:
    stand.grant(f"embed_axe_{scheme}", 12)
    app.html = app.html.replace(
        "<h1>", "<style>:root { color-scheme: light dark; background: Canvas; color: CanvasText; }</style><main><h1>"
    )
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", locale="en-US")
    page = context.new_page()
    page.goto(app.as_logged_in(f"embed_axe_{scheme}"))
    expect(page.locator("buy-credits")).to_contain_text("$10.00")
    well = serious_faults(page)

    page.get_by_label("Amount").fill("5")
    expect(page.locator("buy-credits [part=error]")).to_be_visible()
    wrong = serious_faults(page)
    context.close()

    assert well + wrong == []


def test_a_page_decides_how_components_look_under_a_policy_without_anything_inline(
    stand: Stand, app: HostPage, page: Page
) -> None:
    app.html = app.html.replace("<h1>", '<link rel="stylesheet" href="/style.css"><h1>')
    app.policy = f"default-src 'none'; script-src {stand.url}; connect-src 'self' {stand.url}; style-src 'self'"
    style = "buy-credits { --credits-colour: rgb(1, 2, 3); --credits-on-colour: rgb(250, 251, 252) } "
    style += "buy-credits::part(button) { text-transform: uppercase } credit-balance::part(amount) { font-size: 40px }"
    page.route("**/style.css", lambda route: route.fulfill(body=style, content_type="text/css"))
    watch = Watch(page)

    page.goto(app.as_logged_in("embed_style"))
    expect(page.locator("buy-credits")).to_contain_text("$10.00")

    button = page.get_by_role("button", name="Buy")
    expect(button).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(button).to_have_css("color", "rgb(250, 251, 252)")
    expect(button).to_have_css("text-transform", "uppercase")
    expect(page.locator("credit-balance [part=amount]")).to_have_css("font-size", "40px")
    assert [one for one in watch.said if "favicon" not in one] == []


def test_components_speak_the_language_of_the_page(app: HostPage, page: Page) -> None:
    app.html = app.html.replace('lang="en"', 'lang="de"')

    page.goto(app.as_logged_in("embed_german"))

    expect(page.locator("credit-balance")).to_contain_text("verfügbar")
    expect(page.get_by_role("button", name="Kaufen")).to_be_visible()


def test_properties_are_attributes_and_may_change_while_the_page_is_open(
    stand: Stand, app: HostPage, page: Page
) -> None:
    stand.grant("embed_first", 11)
    stand.grant("embed_other", 22)
    page.goto(app.as_logged_in("embed_first"))
    expect(page.locator("credit-balance")).to_contain_text("11")
    token = stand.post("/accounts/embed_other/embed-tokens", {"origins": [app.url]})["token"]

    page.locator("credit-balance").evaluate("(element, token) => { element.token = token; }", token)
    page.locator("buy-credits").evaluate("(element) => { element.amount = 300; element.returnUrl = '/x'; }")

    expect(page.locator("credit-balance")).to_contain_text("22")
    expect(page.locator("buy-credits")).to_contain_text("$30.00")
    expect(page.locator("buy-credits")).to_have_attribute("return-url", "/x")


@pytest.fixture(scope="module")
def built(app: HostPage, tmp_path_factory: pytest.TempPathFactory) -> None:
    app.built = build_frontends(tmp_path_factory.mktemp("frontends"))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("framework", ["react", "vue"])
def test_the_example_for_a_framework_shows_follows_and_buys(
    stand: Stand, app: HostPage, page: Page, framework: str
) -> None:
    account = f"embed_{framework}"
    stand.grant(account, 5)
    watch = Watch(page)
    page.goto(app.as_logged_in(account, f"/{framework}/app"))
    expect(page.locator("credit-balance")).to_contain_text("5")

    stand.spend(account, 5, key="job")
    expect(page.get_by_text("You have used them all.")).to_be_visible()
    page.get_by_role("button", name="Buy").click()
    pay(page)

    expect(page.locator("credit-balance")).to_contain_text("100")
    assert [one for one in watch.said if "DevTools" not in one] == []
