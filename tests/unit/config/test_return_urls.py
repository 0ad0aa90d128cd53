"""Nobody is sent to a stranger after a checkout, however the address is written."""

import pytest

from credits.config.return_urls import return_url_fault

ALLOWED = ("app.example.com", "*.shop.example", "127.0.0.1", "dev.example:8443")


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/thanks?session={CHECKOUT_SESSION_ID}",
        "https://eu.shop.example/",
        "https://APP.example.com/x",
        "http://127.0.0.1:3000/back",
        "https://dev.example:8443/",
    ],
)
def test_an_allowed_host_is_fine(url: str) -> None:
    assert return_url_fault(url, ALLOWED) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        "//app.example.com/",
        "/thanks",
        "javascript:alert(1)",
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://evil.example/app.example.com",
        "https://app.example.com@evil.example/",
        "https://evil.example\\@app.example.com/",
        "https:\\\\evil.example",
        "https://shop.example/",
        "https://evilshop.example/",
        "http://app.example.com/",
        "https://app.example.com:444/",
        "https://dev.example/",
        "https://app.example.com/\r\nLocation: https://evil.example",
        "https://app.exämple.com/",
        "https://[::1/",
        "https://app.example.com/" + "x" * 2000,
        "data:text/html,x",
    ],
)
def test_everything_else_is_refused(url: object) -> None:
    assert return_url_fault(url, ALLOWED) is not None
