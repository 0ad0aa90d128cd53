"""What the web components may do: see one account's balances and buy for it, on the pages that a token names."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from credits.config.settings import Tenant
from credits.engine import Credits
from credits.errors import InvalidInputError
from credits.portal import embed
from credits.portal.brand import on_colour
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline
from tests.support.portal import PaperSeller, client_of, library_of

APP = "https://app.example.com"


@pytest.fixture
def database_kind() -> str:
    """What the page asks of a database is shown elsewhere, on both."""
    return "sqlite"


@pytest.fixture
def seller() -> PaperSeller:
    return PaperSeller()


@pytest.fixture
def library(pipeline: Pipeline, seller: PaperSeller) -> Credits:
    made = library_of(pipeline, seller)
    made.add("user_1", "tokens", 1500, key="a")
    return made


@pytest.fixture
def browser(pipeline: Pipeline, library: Credits) -> FlaskClient:
    return client_of(dict.fromkeys(Tenant, library), pipeline)


def headers(library: Credits, *, origin: str = APP, account: str = "user_1") -> dict[str, str]:
    token, _ = library.embed_token(account, origins=[APP], locale="en")
    return {"Authorization": f"Bearer {token}", "Origin": origin}


def order(**changes: Any) -> dict[str, Any]:
    fields = {
        "credit_type": "tokens",
        "amount": 50_000,
        "provider": "stripe",
        "key": "click-1",
        "return_url": f"{APP}/thanks",
    }
    return {**fields, **changes}


def test_a_page_of_the_token_s_origin_reads_the_balances_and_asks_again_for_nothing(
    browser: FlaskClient, library: Credits
) -> None:
    first = browser.get("/embed/balances", headers=headers(library))
    again = browser.get("/embed/balances", headers={**headers(library), "If-None-Match": first.headers["ETag"]})

    assert first.json is not None
    assert first.json["balances"]["tokens"]["available"] == 1500
    assert first.json["balances"]["tokens"]["formatted"] == "1,500"
    assert first.headers["Access-Control-Allow-Origin"] == APP
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["/embed/balances", "/embed/price?type=tokens&amount=5", "/embed/offers", "/embed/stream"]
)
def test_a_page_of_another_origin_gets_nothing(browser: FlaskClient, library: Credits, path: str) -> None:
    answer = browser.get(path, headers=headers(library, origin="https://evil.example.com"))

    assert answer.status_code == 403
    assert "1500" not in answer.text


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer abc", "Basic abc", "Bearer " + "x" * 5000])
def test_without_a_token_there_is_nothing(browser: FlaskClient, authorization: str) -> None:
    answer = browser.get("/embed/balances", headers={"Authorization": authorization, "Origin": APP})

    assert answer.status_code == 401


def test_a_token_ends(browser: FlaskClient, library: Credits, clock: VirtualClock) -> None:
    held = headers(library)

    clock.advance_ms(900_000)

    assert browser.get("/embed/balances", headers=held).status_code == 401


def test_a_session_s_cookie_is_no_token(browser: FlaskClient, library: Credits) -> None:
    browser.get(library.portal_link("user_1")[0])

    assert browser.get("/embed/balances", headers={"Origin": APP}).status_code == 401


def test_the_browser_may_ask_beforehand_whether_it_may_ask(browser: FlaskClient) -> None:
    answer = browser.options(
        "/embed/balances", headers={"Origin": APP, "Access-Control-Request-Headers": "authorization"}
    )

    assert answer.status_code == 204
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_buying_opens_one_checkout_per_click_and_comes_back_to_the_page(
    pipeline: Pipeline, browser: FlaskClient, library: Credits, seller: PaperSeller
) -> None:
    _allow(library, "app.example.com")

    answers = [browser.post("/embed/checkouts", json=order(), headers=headers(library)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({_json(answer)["checkout_url"] for answer in answers}) == 1
    assert [(one.account, one.amount, one.success_url) for one in seller.orders] == [
        ("user_1", 50_000, f"{APP}/thanks")
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"return_url": "https://evil.example.com/"}, "return_url"),
        ({"return_url": "https://app.example.com.evil.com/"}, "return_url"),
        ({"amount": "5"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": True}, "amount"),
        ({"account": "user_2"}, "account"),
        ({"credit_type": "gold"}, "credit_type"),
        ({"provider": "nobody"}, "provider"),
        ({"key": ""}, "key"),
        ({"currency": 5}, "currency"),
    ],
)
def test_what_cannot_be_bought_is_refused_by_field(
    browser: FlaskClient, library: Credits, seller: PaperSeller, change: dict[str, Any], field: str
) -> None:
    _allow(library, "app.example.com")

    answer = browser.post("/embed/checkouts", json=order(**change), headers=headers(library))

    assert answer.status_code == 422
    assert _json(answer)["detail"].startswith(field)
    assert seller.orders == []


def test_the_stream_tells_of_a_balance_when_it_changes_and_ends_by_itself(
    browser: FlaskClient, library: Credits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "STREAM_S", 0.4)
    monkeypatch.setattr(embed, "_LOOK_S", 0.05)

    parts = browser.get("/embed/stream", headers=headers(library)).iter_encoded()
    first = [next(parts), next(parts)]
    library.spend("user_1", tokens=500, key="job-1")
    rest = list(parts)

    events = [json.loads(part[6:]) for part in [*first, *rest] if part.startswith(b"data: ")]
    assert [event["balances"]["tokens"]["available"] for event in events] == [1500, 1000]


def test_streams_leave_the_server_its_threads_and_give_their_place_back(
    browser: FlaskClient, library: Credits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "_LOOK_S", 0.01)
    open_streams = [
        browser.get("/embed/stream", headers=headers(library), buffered=False) for _ in range(embed.MAX_STREAMS)
    ]

    one_too_many = browser.get("/embed/stream", headers=headers(library))
    open_streams[0].close()
    after = browser.get("/embed/stream", headers=headers(library), buffered=False)

    assert (one_too_many.status_code, one_too_many.headers["Retry-After"]) == (503, "5")
    assert after.status_code == 200
    for stream in [*open_streams[1:], after]:
        stream.close()


@pytest.mark.parametrize(
    "origins",
    [[], ["*"], ["app.example.com"], ["https://app.example.com/path"], ["null"], ["https://a.example.com"] * 11],
)
def test_a_token_names_the_origins_it_is_for(library: Credits, origins: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="origins"):
        library.embed_token("user_1", origins=origins)


@pytest.mark.parametrize(
    ("query", "token_locale", "written"),
    [
        ("", None, "1,500"),
        ("?lang=de", None, "1.500"),
        ("?lang=de-CH", None, "1’500"),
        ("?lang=de", "en", "1,500"),
        ("?locale=de&lang=en", "en", "1.500"),
        ("?locale=no-such-one&lang=", None, "1,500"),
    ],
)
def test_numbers_follow_the_element_then_the_token_then_the_page_around(
    browser: FlaskClient, library: Credits, query: str, token_locale: str | None, written: str
) -> None:
    token, _ = library.embed_token("user_1", origins=[APP], locale=token_locale)
    held = {"Authorization": f"Bearer {token}", "Origin": APP}

    shown = _json(browser.get(f"/embed/balances{query}", headers=held))

    assert shown["balances"]["tokens"]["formatted"] == written


def test_the_address_of_a_token_goes_into_its_checkouts(
    browser: FlaskClient, library: Credits, seller: PaperSeller
) -> None:
    _allow(library, "app.example.com")
    for email in ("ada@example.com", None):
        token, _ = library.embed_token("user_1", origins=[APP], email=email)
        held = {"Authorization": f"Bearer {token}", "Origin": APP}
        assert browser.post("/embed/checkouts", json=order(), headers=held).status_code == 200

    assert [one.email for one in seller.orders] == ["ada@example.com", None]


def test_a_purchase_without_a_provider_is_the_first_one_s(
    browser: FlaskClient, library: Credits, seller: PaperSeller
) -> None:
    _allow(library, "app.example.com")
    asked = {name: value for name, value in order().items() if name != "provider"}

    answer = browser.post("/embed/checkouts", json=asked, headers=headers(library))

    assert answer.status_code == 200, answer.text
    assert library.purchases()[0]["provider"] == seller.name


def test_the_script_has_the_brands_colour(browser: FlaskClient, library: Credits) -> None:
    ours = library.catalogue.portal

    script = browser.get("/embed/credits.js").text

    assert f"var(--credits-colour, {ours.colour})" in script
    assert f"var(--credits-on-colour, {on_colour(ours.colour)})" in script
    assert [on_colour(colour) for colour in ("#ffee00", "#0f766e", "#000000")] == ["#000", "#fff", "#fff"]


def test_the_script_may_be_loaded_by_any_page_and_depends_on_nothing(browser: FlaskClient) -> None:
    answer = browser.get("/embed/credits.js")

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.mimetype == "text/javascript"
    assert "import " not in answer.text.replace("import.meta", "")
    assert len(answer.data) < 16_000


def _json(answer: TestResponse) -> Any:
    assert answer.json is not None
    return answer.json


def _allow(library: Credits, *hosts: str) -> None:
    """Let payers come back to these hosts."""
    rules = replace(library.catalogue.checkout, allowed_hosts=hosts)
    library.shop = replace(library.shop, catalogue=replace(library.catalogue, checkout=rules))
