"""Signatures: what a header may look like, how old it may be, and whose secret made it."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.settings import Tenant, WebhookSecret
from credits.errors import SignatureError
from webhooks.signatures import check_age, header, hex_hmac_sha256, parse_stamped, signing_tenants

LIVE = WebhookSecret(tenant=Tenant.LIVE, value=b"live secret")
TEST = WebhookSecret(tenant=Tenant.SANDBOX, value=b"test secret")


def test_a_header_is_taken_apart_into_its_timestamp_and_every_v1() -> None:
    stamped = parse_stamped(b"t=1700000000,v1=aa,v0=bb, v1=cc")

    assert (stamped.stamp, stamped.at_s, stamped.signatures) == (b"1700000000", 1_700_000_000, (b"aa", b"cc"))


def test_the_timestamp_is_kept_as_it_was_sent_because_those_bytes_are_signed() -> None:
    assert parse_stamped(b"t=0017,v1=aa").stamp == b"0017"


@pytest.mark.parametrize(
    "value",
    [b"", b"t=1", b"v1=aa", b"t=1,v1=", b"t=,v1=aa", b"t=1,t=2,v1=aa", b"t=-1,v1=aa", b"t=1e3,v1=aa", b"t=1.5,v1=aa"],
)
def test_a_header_without_exactly_one_time_and_a_signature_is_refused(value: bytes) -> None:
    with pytest.raises(SignatureError):
        parse_stamped(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_apart_or_refused(value: bytes) -> None:
    try:
        stamped = parse_stamped(value)
    except SignatureError:
        return
    assert stamped.at_s >= 0
    assert stamped.signatures


def test_a_header_is_found_by_its_name_in_lower_case() -> None:
    assert header({"x-signature": b" abc "}, "x-signature") == b"abc"


@pytest.mark.parametrize("headers", [{}, {"x-signature": b""}, {"x-signature": b"  "}])
def test_a_header_that_is_missing_or_blank_is_refused_by_name(headers: dict[str, bytes]) -> None:
    with pytest.raises(SignatureError, match="x-signature"):
        header(headers, "x-signature")


@pytest.mark.parametrize("at_s", [700, 1000, 1300])
def test_300_seconds_are_forgiven_both_ways(at_s: int) -> None:
    check_age(at_s, 1000.0)


@pytest.mark.parametrize(("at_s", "side"), [(699, "old"), (1301, "in the future"), (10**12 - 1, "in the future")])
def test_more_than_300_seconds_are_refused_and_the_message_says_which_way(at_s: int, side: str) -> None:
    with pytest.raises(SignatureError, match=side):
        check_age(at_s, 1000.0)


def test_the_tenant_is_that_of_the_secret_which_signed() -> None:
    signature = hex_hmac_sha256(b"message", TEST.value)

    assert signing_tenants(b"message", [b"nonsense", signature], [LIVE, TEST]) == {Tenant.SANDBOX}


def test_signatures_by_several_secrets_name_every_tenant() -> None:
    signatures = [hex_hmac_sha256(b"message", secret.value) for secret in (LIVE, TEST)]

    assert signing_tenants(b"message", signatures, [LIVE, TEST]) == {Tenant.LIVE, Tenant.SANDBOX}


@pytest.mark.parametrize("signature", [b"", b"\xff\xfe", "é".encode(), b"0" * 64, b"0" * 10_000])
def test_a_signature_that_nobody_made_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        signing_tenants(b"message", [signature], [LIVE, TEST])


def test_without_a_secret_nobody_signed() -> None:
    with pytest.raises(SignatureError):
        signing_tenants(b"message", [hex_hmac_sha256(b"message", b"")], [])


@given(st.binary(), st.binary(max_size=100))
def test_the_digest_is_hmac_sha256_in_lower_case_hex(message: bytes, secret: bytes) -> None:
    expected = hmac.digest(secret, message, hashlib.sha256).hex()

    assert hex_hmac_sha256(message, secret).decode() == expected
