"""First answers are remembered: for a name there is one content and one answer."""

import pytest

from credits.config.settings import Tenant
from credits.errors import IdempotencyConflictError
from tests.support.library import Shop


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """They are remembered in Redis."""
    return str(request.param)


def test_whoever_answers_first_has_answered_for_all(shop: Shop) -> None:
    firsts = shop.process().firsts

    assert firsts.begin("here", "name", "content") is None
    assert firsts.begin("here", "name", "content") is None
    assert firsts.keep("here", "name", "one") == "one"
    assert firsts.keep("here", "name", "another") == "one"
    assert firsts.begin("here", "name", "content") == "one"


def test_a_name_stands_for_one_content_from_its_first_request_on(shop: Shop) -> None:
    firsts = shop.process().firsts
    firsts.begin("here", "name", "content")

    with pytest.raises(IdempotencyConflictError):
        firsts.begin("here", "name", "other content")
    assert firsts.begin("there", "name", "other content") is None


def test_another_tenants_names_are_others(shop: Shop) -> None:
    for tenant in Tenant:
        firsts = shop.process(tenant=tenant).firsts
        assert firsts.begin("here", "name", tenant.value) is None
        assert firsts.keep("here", "name", tenant.value) == tenant.value
