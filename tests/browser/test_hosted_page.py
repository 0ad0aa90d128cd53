"""The hosted page as its visitors meet it: buying with both fakes, mistakes, keyboards, phones, and closed doors."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from credits.config.settings import Tenant
from credits.passes.seals import Purpose, Visitor, seal
from tests.support.pages import Stand, Watch, serious_faults
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAX_FIRST_VIEW_BYTES = 60_000


def go_to_payment(page: Page) -> None:
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay", exact=True).wait_for()


def pay(page: Page) -> None:
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url("**/portal/purchases/**")


@pytest.mark.parametrize("provider", ["stripe", "lemonsqueezy", "paddle"])
def test_what_is_bought_on_the_page_arrives_by_itself(stand: Stand, page: Page, provider: str) -> None:
    account = f"page_{provider}"
    page.goto(stand.link(account))
    page.get_by_label("Amount").fill("150")
    expect(page.locator("#price")).to_contain_text("$15.00")
    page.get_by_label("Pay with").select_option(provider)

    go_to_payment(page)
    faults = serious_faults(page)
    pay(page)

    # The page looks again by itself; nothing is clicked.
    expect(page.get_by_role("status")).to_contain_text("150 credits were added")
    page.get_by_role("link", name="Back to the overview").click()
    expect(page.locator("[data-balance=image_generation]")).to_have_text("150")
    expect(page.get_by_role("table").last).to_contain_text("$15.00")
    assert faults == []


@pytest.mark.parametrize(
    ("amount", "named"), [("5", "10 or more"), ("0", "a whole number"), ("9999999999999999999", "a whole number")]
)
def test_a_wrong_amount_is_told_beside_the_field_with_its_bound(
    stand: Stand, page: Page, amount: str, named: str
) -> None:
    page.goto(stand.link("page_wrong"))

    page.get_by_label("Amount").fill(amount)
    expect(page.locator("#price .error")).to_contain_text(named)
    page.get_by_role("button", name="Continue to payment").click()

    expect(page.get_by_label("Amount")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Amount")).to_have_value(amount)
    expect(page.locator("#price .error")).to_contain_text(named)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_that_was_changed_opens_nothing_and_says_what_to_do(stand: Stand, browser: Browser, scheme: str) -> None:
    link = stand.link("page_links", return_url="https://app.example.com/")
    changed = link[:-6] + ("A" if link[-6] != "A" else "B") + link[-5:]
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", locale="en-US")
    page = context.new_page()

    answer = page.goto(changed)

    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("alert")).to_contain_text("open the page from there again")
    assert page.locator("main a").count() == 0
    assert serious_faults(page) == []
    context.close()


def test_a_link_that_is_over_says_so_and_leads_back_to_where_another_can_be_had(stand: Stand, page: Page) -> None:
    over = Visitor(
        tenant=Tenant.SANDBOX,
        account="page_over",
        expires_at_ms=int(time.time() * 1000) - 1,
        nonce="n",
        return_url="https://app.example.com/credits",
    )
    token = seal(Purpose.LINK, over, stand.run.environment["CREDITGATE_SECRET_KEY"])

    answer = page.goto(f"{stand.url}/portal/enter?link={token}")

    assert answer is not None
    assert answer.status == 403
    expect(page.locator("h1")).to_have_text("This link does not work any more")
    expect(page.get_by_role("link", name="Back")).to_have_attribute("href", "https://app.example.com/credits")


def test_a_top_up_that_cannot_be_is_told_beside_its_field_and_mended_there(stand: Stand, page: Page) -> None:
    page.goto(stand.link("page_topup"))
    page.goto(f"{stand.url}/portal/topups")
    for label, value in {"fewer are left": "50", "Credits": "200", "At most in a month": "19.99"}.items():
        page.get_by_role("textbox", name=label).fill(value)

    page.get_by_role("button", name="Turn on").click()
    cap = page.get_by_label("At most in a month")
    expect(cap).to_be_focused()
    expect(cap).to_have_accessible_description("At least $20.00: that is what one purchase costs.")
    faults = serious_faults(page)
    cap.fill("50")
    page.get_by_role("button", name="Turn on").click()

    expect(page.get_by_role("heading", name="Image generation: on")).to_be_visible()
    assert faults == []


def test_going_back_after_paying_buys_nothing_more(stand: Stand, page: Page) -> None:
    page.goto(stand.link("page_back"))
    go_to_payment(page)
    pay(page)
    expect(page.get_by_role("status")).to_contain_text("were added")

    page.go_back()
    page.goto(f"{stand.url}/portal/")

    expect(page.locator("[data-balance=image_generation]")).to_have_text("100")
    assert page.locator("a[href^='/portal/purchases/']").count() == 1


def test_a_double_click_and_a_form_that_is_sent_from_two_tabs_open_one_checkout(stand: Stand, page: Page) -> None:
    page.goto(stand.link("page_double"))
    other = page.context.new_page()
    other.goto(f"{stand.url}/portal/")
    key = page.locator("form.buy input[name=request_key]").input_value()
    other.locator("form.buy input[name=request_key]").evaluate("(field, key) => { field.value = key; }", key)

    page.get_by_role("button", name="Continue to payment").dblclick()
    page.get_by_role("button", name="Pay", exact=True).wait_for()
    other.get_by_role("button", name="Continue to payment").click()
    other.get_by_role("button", name="Pay", exact=True).wait_for()
    page.goto(f"{stand.url}/portal/")

    assert page.locator("a[href^='/portal/purchases/']").count() == 1


def test_a_purchase_in_one_tab_is_seen_in_the_other(stand: Stand, page: Page) -> None:
    stand.grant("page_tabs", 5)
    page.goto(stand.link("page_tabs"))
    other = page.context.new_page()
    other.goto(f"{stand.url}/portal/")

    go_to_payment(other)
    pay(other)

    page.bring_to_front()
    expect(page.locator("[data-balance=image_generation]")).to_have_text("105")


def test_one_can_buy_with_a_keyboard_alone_and_sees_where_one_is(stand: Stand, page: Page) -> None:
    page.goto(stand.link("page_keys"))
    seen: list[str] = []

    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.name || document.activeElement.textContent.trim().slice(0, 40)")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
        if seen[-1] == "amount":
            break
    page.keyboard.type("120")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pay", exact=True).wait_for()

    assert seen[0] == "Skip to the content"
    assert seen[-2:] == ["type", "amount"]
    expect(page.locator("h1")).to_contain_text("120")


@pytest.mark.parametrize("path", ["/portal/", "/portal/history", "/portal/buy", "/portal/topups"])
def test_nothing_has_to_be_scrolled_sideways_on_a_phone(stand: Stand, browser: Browser, path: str) -> None:
    account = "page_phone_with_a_very_long_name_that_somebody_chose_for_it"
    stand.grant(account, 1_234_567, reason="a-reason-without-a-space-" * 4, key=path)
    context = browser.new_context(viewport={"width": 320, "height": 640}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(stand.link(account))

    page.goto(f"{stand.url}{path}")

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every((one) => one.scrollWidth <= one.clientWidth)")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(stand: Stand, browser: Browser, scheme: str) -> None:
    account = f"page_axe_{scheme}"
    stand.grant(account, 500)
    stand.spend(account, 20, key="job")
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(stand.link(account))

    order = {"account": account, "credit_type": "image_generation", "amount": 100, "provider": "stripe"}
    receipt = f"/portal/purchases/{stand.post('/checkouts', order)['purchase_id']}"

    found = {}
    wrong = "/portal/buy?type=image_generation&amount=1"
    for path in ("/portal/", "/portal/history", wrong, "/portal/topups", receipt):
        page.goto(f"{stand.url}{path}")
        found[path] = serious_faults(page)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()

    assert {path: faults for path, faults in found.items() if faults} == {}
    assert ground == ("rgb(13, 17, 23)" if scheme == "dark" else "rgb(246, 248, 250)")


def test_without_javascript_there_are_balances_history_csv_and_a_way_to_buy(stand: Stand, browser: Browser) -> None:
    stand.grant("page_plain", 7, reason="a gift")
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.goto(stand.link("page_plain"))
    expect(page.locator("[data-balance=image_generation]")).to_have_text("7")

    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("table")).to_contain_text("a gift")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    page.goto(f"{stand.url}/portal/")
    page.get_by_label("Amount").fill("3")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("#price .error")).to_contain_text("10")
    page.get_by_label("Amount").fill("20")
    page.get_by_role("button", name="Show the price").click()
    expect(page.locator("#price")).to_contain_text("$2.00")
    go_to_payment(page)
    pay(page)

    expect(page.get_by_role("status")).to_contain_text("20 credits were added")
    assert "a gift" in download.value.path().read_text()
    context.close()


def test_the_page_is_written_in_the_language_of_the_browser(stand: Stand, browser: Browser) -> None:
    stand.grant("page_german", 12_345)
    context = browser.new_context(locale="de-DE")
    page = context.new_page()

    page.goto(stand.link("page_german"))

    expect(page.locator("[data-balance=image_generation]")).to_have_text("12.345")
    expect(page.get_by_role("button", name="Weiter zur Zahlung")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "de-DE"
    context.close()


def test_the_brand_of_the_configuration_is_on_the_page(stand: Stand, page: Page) -> None:
    page.goto(stand.link("page_brand"))

    button = page.get_by_role("button", name="Continue to payment")

    expect(page.locator(".brand")).to_have_text("Acme <Studio>")
    expect(button).to_have_css("background-color", "rgb(15, 118, 110)")


def test_the_first_view_is_light_asks_no_other_host_and_breaks_no_policy(stand: Stand, page: Page) -> None:
    stand.grant("page_weight", 500)
    watch, weights = Watch(page), []
    page.on("requestfinished", lambda request: weights.append(sum(request.sizes().values())))

    answer = page.goto(stand.link("page_weight"))
    page.wait_for_load_state("networkidle")

    assert answer is not None
    assert re.search(r"script-src 'self'(;|$)", answer.headers["content-security-policy"])
    assert watch.elsewhere(stand.url) == set()
    assert watch.said == []
    assert 0 < sum(weights) < MAX_FIRST_VIEW_BYTES


def test_names_and_reasons_are_shown_and_never_run(stand: Stand, page: Page) -> None:
    attack = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    account = "page<b>bold<%2Fb>"
    stand.grant(account.replace("<", "%3C").replace(">", "%3E"), 10, reason=attack)
    watch = Watch(page)

    page.goto(stand.link(account.replace("<", "%3C").replace(">", "%3E")))
    expect(page.locator("h1")).to_contain_text("page<b>bold</b>")
    page.goto(f"{stand.url}/portal/history?q=%22%3E%3Cscript%3Ewindow.hit%3D1%3C/script%3E")
    page.goto(f"{stand.url}/portal/history")

    expect(page.get_by_role("table")).to_contain_text(attack)
    assert page.evaluate("window.hit") is None
    assert watch.said == []


def test_the_page_is_shown_in_nobody_s_frame(stand: Stand, page: Page) -> None:
    page.goto(f"{stand.url}/docs")
    page.goto(stand.link("page_frame"))
    page.goto("data:text/html,<iframe></iframe>")

    page.evaluate(f"document.querySelector('iframe').src = '{stand.url}/portal/'")
    page.wait_for_timeout(500)

    assert page.frames[1].locator("form.buy").count() == 0
    wait_until(stand.run.answers, what="the receiver is well")
