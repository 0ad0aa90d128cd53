"""The API that reads accounts, and the health checks: every error is a problem that says what to do."""

import subprocess
import sys
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from credits.api import keys
from credits.clock import iso
from credits.config.settings import Settings, Tenant
from credits.db import transaction
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.clock import NOON_MS, VirtualClock
from tests.support.pipeline import Pipeline

TYPE = "image_generation"
PAGES = ["entries", "grants"]
READS = ["balances", *PAGES]


@pytest.fixture
def client(settings: Settings, redis_url: str, engine: Engine, clock: VirtualClock) -> FlaskClient:
    return app_on(settings, engine, clock=clock, redis_url=redis_url).test_client()


@pytest.fixture
def caller(client: FlaskClient, engine: Engine) -> Caller:
    return caller_of(client, engine, now_ms=NOON_MS)


def test_a_balance_has_the_one_shape_that_every_face_shows(caller: Caller, pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="a")

    answer = caller.account("user_1", "balances")

    assert answer.get_json() == {
        "account": "user_1",
        "balances": {TYPE: {"balance": 100, "held": 0, "pending": 0, "available": 100, "debt": 0}},
    }


def test_a_balance_of_the_past_is_asked_for_by_its_instant(
    caller: Caller, pipeline: Pipeline, clock: VirtualClock
) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="a")
    clock.advance_ms(60_000)
    pipeline.credits.deduct("user_1", TYPE, 30, key="b")

    then = caller.account("user_1", "balances", at=iso(NOON_MS))
    before = caller.account("user_1", "balances", at="2001-01-01")

    assert then.get_json()["balances"][TYPE]["balance"] == 100
    assert before.get_json()["balances"] == {}


def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(caller: Caller, pipeline: Pipeline) -> None:
    for number in range(7):
        pipeline.credits.add("user_1", TYPE, number + 1, key=str(number))
    pipeline.credits.add("user_2", TYPE, 99, key="other")

    seen: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = caller.account("user_1", "entries", limit=3, **cursor).get_json()
        seen += [item["amount"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("what", PAGES)
def test_a_page_shows_one_credit_type_if_asked(caller: Caller, pipeline: Pipeline, what: str) -> None:
    pipeline.credits.add("user_1", TYPE, 1, key="a")
    pipeline.credits.add("user_1", "tokens", 2, key="b", expires_at_ms=NOON_MS + 1000)

    (item,) = caller.account("user_1", what, credit_type="tokens").get_json()["items"]

    assert (item["credit_type"], item["amount"]) == ("tokens", 2)
    assert item["key"] == "manual:b"


@pytest.mark.parametrize(
    "account", ["用户 1", "a/b", "a//b", "a%2Fb?", "a/entries", ":", "Zoë", "👩‍🚀", "u" * 200, " a", "a ", " "]
)
def test_accounts_of_any_name_are_read_as_they_are(caller: Caller, pipeline: Pipeline, account: str) -> None:
    pipeline.credits.add(account, TYPE, 5, key="a")
    pipeline.credits.add("a/b/", TYPE, 1, key="near")

    answer = caller.account(account, "balances")

    assert answer.get_json()["account"] == account
    assert answer.get_json()["balances"][TYPE]["balance"] == 5


@pytest.mark.parametrize("what", READS)
def test_an_account_is_shown_by_its_name_in_normal_form(caller: Caller, pipeline: Pipeline, what: str) -> None:
    pipeline.credits.add("Zo\u00eb", TYPE, 5, key="a")

    answer = caller.account("Zoe\u0308", what).get_json()

    assert answer["account"] == "Zo\u00eb"
    assert answer.get("items") != []


@pytest.mark.parametrize("what", READS)
def test_an_account_that_never_had_credits_has_nothing(caller: Caller, what: str) -> None:
    answer = caller.account("nobody", what)

    assert answer.status_code == 200
    assert answer.get_json().get("items", []) == []


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer nonsense", "Bearer ck_test_00000000_" + "0" * 49],
)
def test_without_a_valid_key_nothing_is_read(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    for what in READS:
        answer = client.get(f"/v1/accounts/user_1/{what}", headers=headers)
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_that_lapsed_was_revoked_or_mistyped_is_no_key(
    client: FlaskClient, engine: Engine, clock: VirtualClock
) -> None:
    lapsing = caller_of(client, engine, expires_at_ms=clock() + 1000)
    revoked = caller_of(client, engine)
    with transaction(engine) as connection:
        keys.revoke_key(connection, Tenant.SANDBOX, revoked.key.split("_")[2], now_ms=clock())
    mistyped = Caller(client=client, key=lapsing.key[:-1] + ("a" if lapsing.key[-1] != "a" else "b"))

    before = lapsing.account("user_1", "balances").status_code
    clock.advance_ms(1000)

    assert before == 200
    for caller in (lapsing, revoked, mistyped):
        assert_problem(caller.account("user_1", "balances"), 401, "unauthenticated")


def test_a_key_without_the_scope_is_refused_and_says_which_it_needs(client: FlaskClient, engine: Engine) -> None:
    granting = caller_of(client, engine, scopes=["grant"])
    admin = caller_of(client, engine, scopes=["admin"])

    refused = granting.account("user_1", "balances")

    assert_problem(refused, 403, "permission_denied")
    assert "'read'" in refused.get_json()["detail"]
    assert admin.account("user_1", "balances").status_code == 200


def test_a_key_reads_its_own_tenant_alone(client: FlaskClient, engine: Engine, pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", TYPE, 100, key="a")
    live = caller_of(client, engine, tenant=Tenant.LIVE)

    assert live.account("user_1", "balances").get_json()["balances"] == {}
    assert live.account("user_1", "entries").get_json()["items"] == []
    assert live.account("user_1", "grants").get_json()["items"] == []


@pytest.mark.parametrize(
    ("what", "query", "field"),
    [
        ("balances", {"at": "yesterday"}, "at"),
        ("balances", {"at": "99999-01-01"}, "at"),
        ("balances", {"at": ""}, "at"),
        ("entries", {"limit": "0"}, "limit"),
        ("entries", {"limit": "201"}, "limit"),
        ("entries", {"limit": "-1"}, "limit"),
        ("entries", {"limit": "ten"}, "limit"),
        ("entries", {"limit": "１"}, "limit"),
        ("grants", {"cursor": "9" * 30}, "cursor"),
        ("grants", {"cursor": "1.5"}, "cursor"),
        ("grants", {"credit_type": "a\x00b"}, "credit_type"),
    ],
)
def test_a_query_outside_its_bounds_is_422_and_names_the_field(
    caller: Caller, what: str, query: dict[str, str], field: str
) -> None:
    answer = caller.account("user_1", what, **query)

    assert answer.status_code == 422
    assert answer.get_json()["detail"].startswith(f"{field}: ")
    assert answer.get_json()["fix"]


@pytest.mark.parametrize("account", ["a\0b", " a\t", "u" * 201])
@pytest.mark.parametrize("what", READS)
def test_an_account_that_cannot_be_is_422(caller: Caller, account: str, what: str) -> None:
    assert_problem(caller.account(account, what), 422, "invalid_id")


def test_a_path_that_is_not_there_is_404_and_writing_is_405(caller: Caller, client: FlaskClient) -> None:
    assert_problem(caller.get("/v1/accounts/user_1/secrets"), 404, "not_found")
    assert_problem(caller.get("/"), 404, "not_found")
    assert_problem(client.post("/v1/accounts/user_1/balances"), 405, "method_not_allowed")


def test_readiness_raises_the_alarm_for_events_that_grow_old_or_need_somebody(
    client: FlaskClient, pipeline: Pipeline, clock: VirtualClock
) -> None:
    fresh = client.get("/readyz").get_json()
    pipeline.receive("purchase.paid", account=None)
    needs_somebody = client.get("/readyz").get_json()
    pipeline.deliver("purchase.paid", delivery="unprocessed")
    clock.advance_ms(301_000)
    old = client.get("/readyz")

    assert fresh == {"status": "ok", "alarms": []}
    assert needs_somebody["status"] == "degraded"
    assert ["unattributed" in alarm for alarm in needs_somebody["alarms"]] == [True]
    assert old.status_code == 200
    assert any("are workers running?" in alarm and "301 s" in alarm for alarm in old.get_json()["alarms"])


def test_a_payment_that_waits_for_its_subscription_too_long_raises_the_alarm_and_a_refund_does_not(
    client: FlaskClient, pipeline: Pipeline, clock: VirtualClock
) -> None:
    pipeline.receive("refund.created")
    clock.advance_ms(301_000)
    only_a_refund = client.get("/readyz").get_json()
    pipeline.receive("plan.paid", product_id=None, credit_type=None, amount=None)
    clock.advance_ms(301_000)

    assert only_a_refund["alarms"] == []
    (alarm,) = client.get("/readyz").get_json()["alarms"]
    assert "a sandbox payment has waited 301 s for its subscription" in alarm


def test_metrics_show_unfinished_events_by_state_and_age(
    client: FlaskClient, pipeline: Pipeline, clock: VirtualClock
) -> None:
    pipeline.deliver("purchase.paid")
    clock.advance_ms(5_000)

    text = client.get("/metrics").text

    assert "creditgate_database_up 1.0" in text
    assert 'creditgate_events{state="received",tenant="sandbox"} 1.0' in text
    assert 'creditgate_event_oldest_age_seconds{state="received",tenant="sandbox"} 5.0' in text


def test_the_receiver_runs_without_importing_the_workers_or_what_they_do() -> None:
    wanted = "[name for name in sys.modules if name.startswith(('workers', 'credits.allocation'))]"
    program = f"import sys, webhooks.app; print({wanted})"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"
