"""Who may do what: every route of the API with every scope, without a key, and from the other tenant. New ones too."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from credits.api.endpoint import Endpoint
from credits.api.keys import Scope
from credits.api.routes import ENDPOINTS
from credits.config.settings import Settings, Tenant
from credits.engine import Credits
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.api_samples import ask
from tests.support.clock import NOON_MS
from tests.support.ledger import assert_ledger_is_sound
from tests.support.library import TYPE, Shop, figures

ACCOUNT = "somebody/else"
NOBODY = "nobody/there"
OF_ACCOUNTS = pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if not one.is_of_installation], ids=lambda endpoint: endpoint.name
)
ROUTES = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What a door lets in does not depend on the database."""
    return str(request.param)


@pytest.fixture
def client(settings: Settings, redis_url: str, engine: Engine) -> FlaskClient:
    return app_on(settings, engine, redis_url=redis_url).test_client()


@pytest.fixture
def live(shop: Shop) -> Iterator[Credits]:
    """The live tenant, in which the account has credits and an open hold."""
    credits_ = shop.process(tenant=Tenant.LIVE)
    credits_.add(ACCOUNT, TYPE, 100, key="a secret of theirs", reason="a secret of theirs")
    credits_.reserve(ACCOUNT, {TYPE: 30}, reservation_id="sample", ttl_s=600)
    yield credits_
    credits_.close_gate()


def test_the_application_has_the_declared_routes_and_no_other(client: FlaskClient) -> None:
    served = {
        (method, rule.rule.replace("<segment:", "{").replace(">", "}"))
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert served == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert len(ENDPOINTS) == len({endpoint.name for endpoint in ENDPOINTS})


@ROUTES
def test_without_a_key_a_route_says_nothing_but_that(client: FlaskClient, endpoint: Endpoint) -> None:
    nobody = Caller(client=client, key="")

    answer = ask(nobody, endpoint, account=ACCOUNT)

    assert_problem(answer, 401, "unauthenticated")


@ROUTES
@pytest.mark.parametrize("scope", Scope)
def test_a_route_is_open_to_its_scopes_and_to_admin_and_to_nobody_else(
    client: FlaskClient, engine: Engine, endpoint: Endpoint, scope: Scope
) -> None:
    caller = caller_of(client, engine, scopes=[scope.value])

    answer = ask(caller, endpoint, account=ACCOUNT)

    if scope in {*endpoint.scopes, Scope.ADMIN}:
        assert answer.status_code not in {401, 403}
        assert answer.status_code < 500
    else:
        problem = assert_problem(answer, 403, "permission_denied")
        assert all(repr(wanted.value) in problem["detail"] for wanted in endpoint.scopes)


@ROUTES
def test_a_key_for_other_accounts_hears_the_same_whether_the_account_is_there_or_not(
    client: FlaskClient, engine: Engine, live: Credits, endpoint: Endpoint
) -> None:
    limits = [(scope, "mine/") for scope in Scope] + [(Scope.ADMIN, ACCOUNT + "/")]

    for scope, prefix in limits:
        caller = caller_of(client, engine, tenant=Tenant.LIVE, scopes=[scope.value], account_prefix=prefix)
        about_them = ask(caller, endpoint, account=ACCOUNT)
        about_nobody = ask(caller, endpoint, account=NOBODY)

        # What has an id of its own, and is somebody else's, is not there.
        denied = {"account_denied", "purchase_not_found"} if scope in endpoint.admitted else {"permission_denied"}
        assert about_them.get_json()["code"] in denied
        assert about_them.status_code in {403, 404}
        assert about_them.data == about_nobody.data
    assert figures(live, ACCOUNT) == (100, 30, 0, 70, 0)


@pytest.mark.parametrize("change", ["grants", "deductions"])
def test_a_key_for_some_accounts_hears_of_a_name_that_is_taken_and_nothing_of_who_took_it(
    client: FlaskClient, engine: Engine, live: Credits, change: str
) -> None:
    theirs = caller_of(client, engine, tenant=Tenant.LIVE, scopes=["grant"], account_prefix="mine/")
    everybodys = caller_of(client, engine, tenant=Tenant.LIVE, scopes=["grant"])
    body = {"credit_type": TYPE, "amount": 5, "key": "a secret of theirs"}

    told = assert_problem(theirs.tell("mine/1", change, body), 409, "idempotency_conflict")
    all_told = assert_problem(everybodys.tell("mine/1", change, body), 409, "idempotency_conflict")

    assert "used before for other content; now it came with this" in told["detail"]
    assert ACCOUNT in all_told["detail"]
    assert not any(ACCOUNT in str(value) for value in told.values())


@pytest.mark.parametrize(
    "endpoint",
    [one for one in ENDPOINTS if not one.path_names and not one.is_general],
    ids=lambda endpoint: endpoint.name,
)
def test_a_key_for_some_accounts_has_to_say_about_which_of_them_it_asks(
    client: FlaskClient, engine: Engine, endpoint: Endpoint
) -> None:
    caller = caller_of(client, engine, scopes=["admin"], account_prefix="mine/")

    answer = ask(caller, endpoint, account=None)

    assert answer.get_json()["code"] in {"account_denied", "missing_field"}


@OF_ACCOUNTS
def test_a_key_for_some_accounts_reaches_those(
    client: FlaskClient, engine: Engine, live: Credits, endpoint: Endpoint
) -> None:
    caller = caller_of(client, engine, tenant=Tenant.LIVE, scopes=["admin"], account_prefix="somebody/")

    answer = ask(caller, endpoint, account=ACCOUNT)

    assert answer.status_code < 500
    assert answer.get_json().get("code") not in {"account_denied", "permission_denied", "unauthenticated"}


@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if one.is_of_installation], ids=lambda endpoint: endpoint.name
)
def test_a_key_for_some_accounts_reaches_nothing_of_the_whole_installation(
    client: FlaskClient, engine: Engine, endpoint: Endpoint
) -> None:
    caller = caller_of(client, engine, scopes=["admin"], account_prefix="somebody/")

    answer = ask(caller, endpoint, account=ACCOUNT)

    assert_problem(answer, 403, "account_denied")


@ROUTES
def test_a_route_shows_and_touches_nothing_of_the_other_tenant(
    client: FlaskClient, engine: Engine, live: Credits, endpoint: Endpoint
) -> None:
    caller = caller_of(client, engine, tenant=Tenant.SANDBOX, scopes=["admin"])

    about_them = ask(caller, endpoint, account=ACCOUNT)
    about_nobody = ask(caller, endpoint, account=NOBODY)

    assert_alike(about_them, about_nobody)
    assert "a secret of theirs" not in about_them.text
    assert figures(live, ACCOUNT) == (100, 30, 0, 70, 0)
    assert len(live.entries(ACCOUNT)) == 1
    assert_ledger_is_sound(engine)


def assert_alike(one: TestResponse, other: TestResponse) -> None:
    """The same answer but for the account's name, the instant, and what is signed over both."""
    assert one.status_code == other.status_code, (one.text, other.text)
    assert _without_names(one) == _without_names(other)


def _without_names(answer: TestResponse) -> str:
    text = answer.text.replace(ACCOUNT, "an account").replace(NOBODY, "an account")
    text = re.sub(r"\beyJ[\w-]+\.[\w-]+", "a signed text", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "an instant", text)


def test_a_key_that_lapsed_opens_no_route(client: FlaskClient, engine: Engine) -> None:
    lapsed = caller_of(client, engine, scopes=["admin"], now_ms=NOON_MS, expires_at_ms=NOON_MS + 1)

    answers = {ask(lapsed, endpoint, account=ACCOUNT).status_code for endpoint in ENDPOINTS}

    assert answers == {401}
