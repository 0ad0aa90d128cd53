"""Where notifications may go: nowhere that is not public, however it is written, unless its network was allowed."""

import ipaddress

import pytest

from credits.errors import DestinationRefusedError
from credits.notifications.addresses import checked_url, networks, target_of

HOOK = "https://hooks.example.com/credits?a=1"
PRIVATE = [
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:1::1",
    "2001:db8::1",
    "100::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456:789a::1",
    "fe80::1",
    "feb0::1",
    "ff02::1",
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"]


def resolving(*addresses: str):  # type: ignore[no-untyped-def]
    return lambda _host, _port: list(addresses)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused_by_name_and_by_number(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address

    with pytest.raises(DestinationRefusedError, match="CREDITGATE_NOTIFY_NETWORKS"):
        target_of(HOOK, (), resolving(address))
    with pytest.raises(DestinationRefusedError):
        checked_url(f"https://{literal}/", ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to_as_it_was_checked(address: str) -> None:
    target = target_of(HOOK, (), resolving(address))

    assert (target.address, target.host, target.port, target.path) == (
        str(ipaddress.ip_address(address)),
        "hooks.example.com",
        443,
        "/credits?a=1",
    )


@pytest.mark.parametrize("mixed", [(PUBLIC[0], "127.0.0.1"), ("10.0.0.1", PUBLIC[0])])
def test_a_host_with_one_address_that_is_not_public_is_refused(mixed: tuple[str, ...]) -> None:
    with pytest.raises(DestinationRefusedError):
        target_of(HOOK, (), resolving(*mixed))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://hooks.example.com:8080/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com:99999/",
        "https:///path",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "hooks.example.com",
        "",
        "https://[::1",
        "https://127.0.0.1/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://localhost/",
        "https://LocalHost/",
        "https://app.localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0251.0376.0251.0376/",
        "https://10.1/",
        "mailto:",
        "mailto:ops",
        "mailto:a@example.com,b@example.com",
        "mailto:a@example.com?bcc=b@example.com",
        "mailto:a@example.com\nBcc:b@example.com",
    ],
)
def test_a_url_of_another_form_is_refused_when_it_is_given(url: str) -> None:
    with pytest.raises(DestinationRefusedError):
        checked_url(url, ())


@pytest.mark.parametrize("url", [HOOK, "https://hooks.example.com:8443/", "mailto:ops@example.com"])
def test_an_https_url_or_a_mail_address_is_taken(url: str) -> None:
    assert checked_url(url, ()) == url


def test_an_allowed_network_may_be_reached_by_http_and_no_other_private_one() -> None:
    allowed = networks("10.1.0.0/16, fd00::/8")

    assert target_of("http://billing.internal:9000/", allowed, resolving("10.1.2.3")).address == "10.1.2.3"
    with pytest.raises(DestinationRefusedError):
        target_of("http://billing.internal:9000/", allowed, resolving("10.2.0.1"))
    with pytest.raises(DestinationRefusedError):
        # Plain http over the internet stays refused.
        target_of("http://hooks.example.com/", allowed, resolving(PUBLIC[0]))


def test_a_host_without_an_address_is_an_error_to_try_again_after() -> None:
    with pytest.raises(OSError, match="no address"):
        target_of(HOOK, (), resolving())
