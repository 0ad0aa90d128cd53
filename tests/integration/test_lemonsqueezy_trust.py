"""What a payer can write into the custom data of a Lemon Squeezy link, and what it earns where quotes are asked for."""

from dataclasses import replace
from typing import Any

import pytest

from credits.inbox.model import EventState
from tests.support.databases import ON_SQLITE
from tests.support.pipeline import Pipeline

pytestmark = ON_SQLITE


@pytest.fixture
def holding(pipeline: Pipeline) -> Pipeline:
    """A shop with `purchases.unquoted = "hold"`."""
    catalogue = pipeline.runtime.catalogue
    return pipeline.with_catalogue(replace(catalogue, purchases=replace(catalogue.purchases, unquoted="hold")))


def edited(payload: dict[str, Any]) -> None:
    payload["meta"]["custom_data"]["creditgate_amount"] = "1000000"


def test_an_amount_that_a_payer_wrote_into_a_link_earns_nothing_where_quotes_are_asked_for(holding: Pipeline) -> None:
    event = holding.receive("order_created", provider="lemonsqueezy", account="user_1", edit=edited)

    assert (event["state"], event["code"]) == (EventState.FAILED, "unquoted_purchase")
    assert holding.balance("user_1") == 0


def test_a_quote_that_a_payer_invented_earns_nothing(holding: Pipeline) -> None:
    event = holding.receive("order_created", provider="lemonsqueezy", account="user_1", quote_id="quote-of-mine")

    assert (event["state"], holding.balance("user_1")) == (EventState.FAILED, 0)
