"""Stripe's signature: ours agrees with Stripe's own library on good ones, and is stricter about the rest."""

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from credits.config.settings import Tenant, WebhookSecret
from credits.errors import SignatureError
from credits.inbox.provider import SignedRequest
from tests.support.webhooks import NOW_S, OTHER_SECRET, SECRET
from webhooks.providers.stripe import PROVIDER

BODY = b'{"id": "evt_1", "object": "event"}'


def request(signature: bytes, body: bytes = BODY) -> SignedRequest:
    return SignedRequest(headers={"stripe-signature": signature}, body=body)


def header_by_us(body: bytes = BODY, *, secret: WebhookSecret = SECRET, at_s: int = NOW_S) -> bytes:
    return PROVIDER.sign(body, secret.value, at_s).headers["Stripe-Signature"].encode()


def v1(header: bytes) -> bytes:
    return header.partition(b"v1=")[2]


# ── Agreement with Stripe's library ──────────────────────────────────────────────────────────────────────


@given(body=st.text().map(str.encode), secret=st.text(min_size=1), at_s=st.integers(1, 2**33))
def test_stripes_library_makes_and_accepts_the_signature_we_make(body: bytes, secret: str, at_s: int) -> None:
    ours = v1(header_by_us(body, secret=WebhookSecret(tenant=Tenant.LIVE, value=secret.encode()), at_s=at_s))

    theirs = stripe.WebhookSignature._compute_signature(f"{at_s}.{body.decode()}", secret)

    assert ours == theirs.encode()


def test_stripes_library_accepts_the_header_we_make() -> None:
    header = PROVIDER.sign(BODY, SECRET.value, NOW_S).headers["Stripe-Signature"]

    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, SECRET.value.decode(), tolerance=None)


def test_a_header_in_stripes_documented_form_is_accepted() -> None:
    signature = stripe.WebhookSignature._compute_signature(f"{NOW_S}.{BODY.decode()}", SECRET.value.decode())
    header = f"t={NOW_S},v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"

    assert PROVIDER.verify(request(header.encode()), [SECRET], NOW_S) == {Tenant.SANDBOX}


# ── Several signatures, several secrets ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("position", [0, 1, 2])
def test_any_of_several_v1_signatures_may_be_the_good_one(position: int) -> None:
    signatures = [b"0" * 64, b"f" * 64]
    signatures.insert(position, v1(header_by_us()))
    header = b"t=%d,%b" % (NOW_S, b",".join(b"v1=" + one for one in signatures))

    assert PROVIDER.verify(request(header), [OTHER_SECRET, SECRET], NOW_S) == {Tenant.SANDBOX}


def test_a_header_signed_with_two_secrets_names_the_tenants_of_both() -> None:
    header = header_by_us() + b",v1=" + v1(header_by_us(secret=OTHER_SECRET))

    assert PROVIDER.verify(request(header), [SECRET, OTHER_SECRET], NOW_S) == {Tenant.SANDBOX, Tenant.LIVE}


def test_a_good_signature_under_the_old_scheme_v0_is_refused() -> None:
    header = header_by_us().replace(b"v1=", b"v0=")

    with pytest.raises(SignatureError):
        PROVIDER.verify(request(header), [SECRET], NOW_S)


# ── What the library gets wrong ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "signature",
    [
        header_by_us() + b"\xc3\xa9",
        b"t=%d,v1=\xe2\x82\xac" % NOW_S,
        b"t=%d,v1=\xff" % NOW_S,
        b"t=" + b"9" * 5000 + b",v1=00",
        b"t=\xd9\xa1,v1=00",
        b"t=1e9,v1=00",
        b"t= ,v1=00",
        b"t=%d" % NOW_S,
        b"garbage",
        b",,,,====",
        b"",
    ],
    ids=lambda value: repr(value[-20:]),
)
def test_garbage_in_the_header_is_a_signature_error(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        PROVIDER.verify(request(signature), [SECRET], NOW_S)


@pytest.mark.parametrize("age_s", [301, -301, 10 * 365 * 24 * 3600, -10 * 365 * 24 * 3600])
def test_a_good_signature_from_too_far_in_the_past_or_future_is_refused(age_s: int) -> None:
    header = header_by_us(at_s=NOW_S - age_s)

    with pytest.raises(SignatureError, match="300"):
        PROVIDER.verify(request(header), [SECRET], NOW_S)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"[]", b"[" * 100_000, b"9" * 5000, b"", b"\x00"], ids=lambda body: body[:4]
)
def test_a_signature_over_any_bytes_is_only_compared_and_never_decoded(body: bytes) -> None:
    assert PROVIDER.verify(request(header_by_us(body), body), [SECRET], NOW_S) == {Tenant.SANDBOX}


# ── Fuzz ─────────────────────────────────────────────────────────────────────────────────────────────────


PIECES = st.sampled_from([b"t=", b"v1=", b",", b"=", b"%d" % NOW_S, v1(header_by_us()), b" ", b"\xff"])


@given(
    signature=st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join)),
    body=st.binary() | st.just(BODY),
)
def test_whatever_is_sent_is_verified_or_refused_with_a_signature_error(signature: bytes, body: bytes) -> None:
    try:
        tenants = PROVIDER.verify(request(signature, body), [OTHER_SECRET, SECRET], NOW_S)
    except SignatureError:
        return
    # Only the one good signature in the pieces can have passed, and it covers no other body.
    assert (tenants, body) == (frozenset({Tenant.SANDBOX}), BODY)


@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_no_bit_of_the_body_can_be_changed(position: int, bit: int) -> None:
    body = bytearray(BODY)
    body[position] ^= 1 << bit

    with pytest.raises(SignatureError):
        PROVIDER.verify(request(header_by_us(), bytes(body)), [SECRET], NOW_S)
