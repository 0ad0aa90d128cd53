"""Automatic top-up on the hosted page: set, shown and switched off without JavaScript, by the owner alone."""

import re

import pytest

from credits.checkout.stripe import StripeSeller
from credits.config.settings import ProviderAccess, Tenant
from credits.errors import InvalidInputError
from credits.portal.topping import chosen_money
from tests.support.databases import ON_SQLITE
from tests.support.pipeline import Pipeline
from tests.support.portal import Fields, PaperSeller, client_of, library_of

PAGE = "/portal/topups"


@ON_SQLITE
def test_the_owner_sets_it_reads_how_it_stands_and_switches_it_off(pipeline: Pipeline) -> None:
    # It is never asked: nothing is charged by the page.
    seller = StripeSeller(ProviderAccess(api_key="sk_test_1", api_base="http://127.0.0.1:9"))
    libraries = {tenant: library_of(pipeline, seller, tenant=tenant) for tenant in Tenant}
    library, browser = libraries[Tenant.SANDBOX], client_of(libraries, pipeline)
    library.add("user_1", "image_generation", 80, key="a")
    browser.get(library.portal_link("user_1")[0])
    token = Fields(browser.get(PAGE).text).values["form_token"]
    form = {"form_token": token, "type": "image_generation", "threshold": "50", "amount": "100", "cap": "25,50"}

    linked = 'href="/portal/topups"' in browser.get("/portal/").text
    saved = browser.post(PAGE, data={**form, "action": "set"})
    shown, agreed = browser.get(PAGE).text, library.topup("user_1", "image_generation")
    forged = browser.post(PAGE, data={**form, "form_token": "x"})
    small = browser.post(PAGE, data={**form, "action": "set", "cap": "1"})
    unknown = browser.post(PAGE, data={**form, "action": "sell"})
    browser.post(PAGE, data={**form, "action": "off"})

    assert linked
    assert (saved.status_code, saved.headers["Location"]) == (303, PAGE)
    assert (agreed["threshold"], agreed["amount"], agreed["monthly_cap_minor"]) == (50, 100, 2_550)
    assert "Enough credits are there." in shown
    assert 'value="25.5"' in shown or 'value="25.50"' in shown
    assert (forged.status_code, small.status_code, unknown.status_code) == (403, 422, 422)
    assert library.topup("user_1", "image_generation")["is_on"] is False


@ON_SQLITE
def test_what_fills_up_to_an_amount_is_shown_and_saved_as_that(pipeline: Pipeline) -> None:
    seller = StripeSeller(ProviderAccess(api_key="sk_test_1", api_base="http://127.0.0.1:9"))
    libraries = {tenant: library_of(pipeline, seller, tenant=tenant) for tenant in Tenant}
    library, browser = libraries[Tenant.SANDBOX], client_of(libraries, pipeline)
    library.set_topup("user_1", "image_generation", threshold=50, target=200, monthly_cap_minor=9_000)
    browser.get(library.portal_link("user_1")[0])
    page = browser.get(PAGE).text
    form = {"form_token": Fields(page).values["form_token"], "type": "image_generation", "action": "set"}
    terms = {"threshold": "60", "amount": "220", "cap": "80"}

    saved = browser.post(PAGE, data={**form, **terms, "way": "target"})
    kept = library.topup("user_1", "image_generation")
    odd = browser.post(PAGE, data={**form, **terms, "way": "all"})

    assert '<option value="target" selected>' in page
    assert saved.status_code == 303
    assert (kept["threshold"], kept["amount"], kept["target"], kept["monthly_cap_minor"]) == (60, None, 220, 8_000)
    assert odd.status_code == 422


def test_what_is_agreed_last_holds_also_after_it_was_switched_off(pipeline: Pipeline) -> None:
    seller = StripeSeller(ProviderAccess(api_key="sk_test_1", api_base="http://127.0.0.1:9"))
    library = library_of(pipeline, seller, tenant=Tenant.SANDBOX)
    library.set_topup("user_1", "image_generation", threshold=50, amount=100, monthly_cap_minor=9_000)

    changed = library.set_topup(
        "user_1", "image_generation", threshold=60, target=200, monthly_cap_minor=8_000, customer_id="cus_1"
    )
    library.stop_topup("user_1", "image_generation")
    again = library.set_topup("user_1", "image_generation", threshold=40, amount=150, monthly_cap_minor=7_000)

    terms = ("is_on", "threshold", "amount", "target", "monthly_cap_minor", "customer_id")
    assert [changed[name] for name in terms] == [True, 60, None, 200, 8_000, "cus_1"]
    assert [again[name] for name in terms] == [True, 40, 150, None, 7_000, None]
    assert len(library.topups("user_1")) == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"threshold": "many"}, "threshold", "Write a whole number, such as 100."),
        ({"amount": "0"}, "amount", "Write a whole number, such as 100."),
        ({"way": "target", "amount": "50"}, "amount", "Fill up to more than"),
        ({"cap": "20.001"}, "cap", "Write a sum in USD"),
        ({"cap": "19.99"}, "cap", "At least $20.00"),
    ],
)
def test_what_is_wrong_with_the_form_is_told_beside_its_field_and_nothing_is_agreed(
    pipeline: Pipeline, change: dict[str, str], field: str, said: str
) -> None:
    seller = StripeSeller(ProviderAccess(api_key="sk_test_1", api_base="http://127.0.0.1:9"))
    libraries = {tenant: library_of(pipeline, seller, tenant=tenant) for tenant in Tenant}
    library, browser = libraries[Tenant.SANDBOX], client_of(libraries, pipeline)
    browser.get(library.portal_link("user_1", locale="en_US")[0])
    hidden = {"form_token": Fields(browser.get(PAGE).text).values["form_token"], "action": "set"}
    terms = {"type": "image_generation", "threshold": "50", "way": "amount", "amount": "200", "cap": "90", **change}

    answer = browser.post(PAGE, data={**hidden, **terms})

    beside = re.search(rf'<input name="{field}".*?aria-invalid="true".*?</label>', answer.text, re.DOTALL)
    assert answer.status_code == 422
    assert beside is not None
    assert said in beside[0]
    assert answer.text.count("aria-invalid") == 1
    assert (
        f'name="threshold" inputmode="numeric" autocomplete="off" required maxlength="24" value="{terms["threshold"]}"'
        in answer.text
    )
    assert library.topups("user_1") == []


@ON_SQLITE
def test_the_first_page_shows_receipts(pipeline: Pipeline) -> None:
    seller = PaperSeller()
    libraries = {tenant: library_of(pipeline, seller, tenant=tenant) for tenant in Tenant}
    browser, library = client_of(libraries, pipeline), libraries[Tenant.SANDBOX]
    made = library.checkout("user_1", provider="stripe", credit_type="image_generation", amount=100)
    browser.get(library.portal_link("user_1")[0])

    page = browser.get("/portal/")

    assert page.status_code == 200
    assert f"/portal/purchases/{made['purchase_id']}" in page.text


@pytest.mark.parametrize(("text", "minor"), [("20", 2_000), ("20.5", 2_050), ("1 000,25", 100_025)])
def test_a_sum_is_read_as_people_type_it(text: str, minor: int) -> None:
    assert chosen_money(text, "USD", "cap") == minor


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1.234", "1.000,50", "٣", "1e3", "9" * 20])
def test_what_is_no_sum_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="such as 20"):
        chosen_money(text, "USD", "cap")
