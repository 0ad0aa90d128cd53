"""The page on which Paddle takes a payment: for which of its worlds, and where the payer goes on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from credits.config.settings import ProviderAccess, Settings, Tenant
from tests.support.databases import ON_SQLITE
from tests.support.market import Market, market
from webhooks.app import sandbox_app

pytestmark = ON_SQLITE


@pytest.fixture
def shop(engine: Engine, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    with market(engine, settings, tmp_path) as made:
        yield made


def visitor(shop: Market, **tokens: str) -> FlaskClient:
    """Somebody in front of an installation with these client-side tokens, by tenant."""
    access = {
        (Tenant(tenant), "paddle"): ProviderAccess(api_key="k", client_token=token) for tenant, token in tokens.items()
    }
    settings, runtime = replace(shop.settings, access=access), shop.pipeline.runtime
    return sandbox_app(settings, runtime.engine, runtime.clock).test_client()


def look(client: FlaskClient, transaction_id: str) -> TestResponse:
    return client.get("/checkout/paddle", query_string={"_ptxn": transaction_id})


def test_a_payer_goes_on_to_where_the_checkout_was_made_to_lead(shop: Market) -> None:
    made = shop.checkout(provider="paddle", success_url="https://app.example.com/thanks?a=1&b=%22x")
    client = visitor(shop, sandbox="test_token", live="live_token")

    page = look(client, made["checkout_url"].partition("_ptxn=")[2])

    assert page.status_code == 200
    assert 'data-return-url="https://app.example.com/thanks?a=1&amp;b=%22x"' in page.text
    assert 'data-token="test_token" data-environment="sandbox"' in page.text


def test_a_transaction_that_is_not_ours_is_opened_in_our_own_world_and_leads_nowhere(shop: Market) -> None:
    """Paddle's mails lead to the default payment link, too: to pay what is past due, or by another card."""
    ours, other = visitor(shop, sandbox="test_t", live="live_t"), visitor(shop, live="live_t")

    pages = [look(client, "txn_01hv8wptq8987qeep44cyrewp9").text for client in (ours, other)]

    assert 'data-token="test_t" data-environment="sandbox" data-return-url=""' in pages[0]
    assert 'data-token="live_t" data-environment="live" data-return-url=""' in pages[1]


def test_the_page_runs_its_own_script_and_paddles_alone(shop: Market) -> None:
    client = visitor(shop, sandbox="test_t")

    first, second = (look(client, "txn_01hv8wptq8987qeep44cyrewp9").headers for _ in range(2))

    policy = first["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert policy != second["Content-Security-Policy"]
    assert first["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "transaction_id", ["", "txn_", "txn_<script>", "sub_01hv8wptq8987qeep44cyrewp9", "txn_" + "a" * 99]
)
def test_what_is_no_transaction_is_not_found(shop: Market, transaction_id: str) -> None:
    assert look(visitor(shop, sandbox="test_t"), transaction_id).status_code == 404


def test_without_a_client_side_token_there_is_no_such_page(shop: Market) -> None:
    assert look(visitor(shop), "txn_01hv8wptq8987qeep44cyrewp9").status_code == 404
