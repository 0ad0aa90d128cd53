"""A client says what is missing when it is made, and never shows its key."""

import pytest

from credits.client import AsyncCreditsClient, CreditsClient, calls
from credits.client.settings import client_settings
from credits.errors import ConfigError, InvalidIdError, InvalidInputError

KEY = "ck_test_abcdefgh_secret"


@pytest.mark.parametrize("kind", [CreditsClient, AsyncCreditsClient])
def test_without_address_and_key_it_says_which_variables_are_missing(
    kind: type[CreditsClient | AsyncCreditsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDITGATE_URL", raising=False)
    monkeypatch.delenv("CREDITGATE_API_KEY", raising=False)

    with pytest.raises(ConfigError) as caught:
        kind()

    assert sorted(caught.value.problems) == ["CREDITGATE_API_KEY", "CREDITGATE_URL"]


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_URL", "https://credits.example.com/")
    monkeypatch.setenv("CREDITGATE_API_KEY", KEY)

    settings = CreditsClient().settings

    assert (settings.url, settings.api_key) == ("https://credits.example.com", KEY)


@pytest.mark.parametrize(
    "url", ["credits.example.com", "ftp://credits.example.com", "https://", "http://a:b", "http:// "]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="CREDITGATE_URL"):
        CreditsClient(url, KEY)


@pytest.mark.parametrize("key", ["ck test", "ck_tést", "ck_\n_x"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="CREDITGATE_API_KEY") as caught:
        CreditsClient("http://127.0.0.1:1", key)

    assert key not in str(caught.value)


def test_a_client_does_not_show_its_key() -> None:
    client = CreditsClient("http://127.0.0.1:1", KEY)

    assert KEY not in repr(client) + repr(client.settings)


def test_a_patience_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="patience_s"):
        client_settings("http://a", KEY, timeout_s=1, patience_s=0, max_connections=1, env={})


@pytest.mark.parametrize(
    ("account", "segment"),
    [
        ("user_1", "user_1"),
        ("a/b", "a%2Fb"),
        ("a b%", "a%20b%25"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("é", "%C3%A9"),
        (" a ", "%20a%20"),
    ],
)
def test_an_account_is_one_segment_of_the_path_whatever_it_is_made_of(account: str, segment: str) -> None:
    assert calls.balances(account, at_ms=None).path == f"/v1/accounts/{segment}/balances"


@pytest.mark.parametrize("account", ["", " a\t", "a\n", "x" * 201])
def test_an_account_that_can_be_none_is_refused_before_anything_is_sent(account: str) -> None:
    with pytest.raises(InvalidIdError):
        calls.balances(account, at_ms=None)
