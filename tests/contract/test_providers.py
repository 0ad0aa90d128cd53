"""What every provider in the registry must do, asked of each without naming one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from credits.config.settings import Tenant, WebhookSecret
from credits.errors import InvalidInputError, MalformedPayloadError, SignatureError, UnknownProviderError
from credits.facts import Fact, PlanPaid, PurchasePaid
from credits.inbox.provider import SIGNATURE_TOLERANCE_S, Provider, SignedRequest
from credits.payload import parse
from tests.support.webhooks import NOW_S, OTHER_SECRET, SECRET, received, signed_request, simulation, wire_headers
from webhooks.providers import REGISTRY, provider

EVERY_PROVIDER = [pytest.param(known, id=name) for name, known in REGISTRY.items()]


SIMULATED = [(name, known, event_type) for name, known in REGISTRY.items() for event_type in known.event_types()]
EVERY_EVENT = [pytest.param(known, event_type, id=f"{name}-{event_type}") for name, known, event_type in SIMULATED]
READ_EVENTS = [
    param for param, (_, known, event_type) in zip(EVERY_EVENT, SIMULATED, strict=True) if known.reads(event_type)
]
IGNORED_EVENTS = [param for param in EVERY_EVENT if param not in READ_EVENTS]

each_provider = pytest.mark.parametrize("known", EVERY_PROVIDER)
# At Paddle the payer can edit custom data, so that what it says of a purchase is not read.
each_believed_provider = pytest.mark.parametrize("known", [one for one in EVERY_PROVIDER if one.id != "paddle"])
each_event = pytest.mark.parametrize(("known", "event_type"), EVERY_EVENT)
each_read_event = pytest.mark.parametrize(("known", "event_type"), READ_EVENTS)
each_ignored_event = pytest.mark.parametrize(("known", "event_type"), IGNORED_EVENTS)


# ── The registry ─────────────────────────────────────────────────────────────────────────────────────────


@each_provider
def test_a_provider_is_found_by_the_name_it_gives_itself(known: Provider) -> None:
    assert provider(known.name) is known


def test_an_unknown_provider_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownProviderError, match="fake"):
        provider("nobody")


# ── Signatures ───────────────────────────────────────────────────────────────────────────────────────────


@each_provider
def test_a_good_signature_names_the_tenant_whose_secret_made_it(known: Provider) -> None:
    request = signed_request(known, body_of(known))

    tenants = known.verify(request, [OTHER_SECRET, SECRET], NOW_S)

    assert tenants == {Tenant.SANDBOX}


@each_provider
def test_while_a_secret_is_rotated_the_old_and_the_new_one_are_good(known: Provider) -> None:
    new = replace(SECRET, value=b"whsec_the_new_one")
    by_old = known.sign(body_of(known), SECRET.value, NOW_S)
    by_new = known.sign(body_of(known), new.value, NOW_S)

    for webhook in (by_old, by_new):
        for secrets in ([SECRET, new], [new, SECRET]):
            assert known.verify(received(webhook), secrets, NOW_S) == {Tenant.SANDBOX}


@each_provider
def test_a_secret_shared_by_both_tenants_names_both(known: Provider) -> None:
    shared = replace(SECRET, tenant=Tenant.LIVE)
    request = signed_request(known, body_of(known))

    assert known.verify(request, [SECRET, shared], NOW_S) == {Tenant.SANDBOX, Tenant.LIVE}


@each_provider
@pytest.mark.parametrize("secrets", [[], [OTHER_SECRET]], ids=["no secret", "other secret"])
def test_without_the_secret_that_signed_it_a_webhook_is_refused(known: Provider, secrets: list[WebhookSecret]) -> None:
    request = signed_request(known, body_of(known))

    with pytest.raises(SignatureError):
        known.verify(request, secrets, NOW_S)


@each_provider
def test_a_body_with_one_byte_changed_is_refused(known: Provider) -> None:
    request = signed_request(known, body_of(known))

    for position in (0, len(request.body) // 2, len(request.body) - 1):
        changed = bytearray(request.body)
        changed[position] ^= 1
        with pytest.raises(SignatureError):
            known.verify(replace(request, body=bytes(changed)), [SECRET], NOW_S)


SPOILERS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _value: b"",
    "blank": lambda _value: b"  ",
    "cut in half": lambda value: value[: len(value) // 2],
    "cut by one": lambda value: value[:-1],
    "a second timestamp in front": lambda value: b"t=1," + value,
    "last digit changed": lambda value: value[:-1] + (b"0" if value[-1:] != b"0" else b"1"),
    "not ASCII": lambda value: value[:-1] + "é".encode(),
    "not UTF-8": lambda value: value[:-1] + b"\xff\xfe",
    "with a NUL": lambda value: value + b"\x00",
    "commas and equal signs": lambda _value: b",=,==,t=,v1=,=v1",
    "a timestamp of a thousand digits": lambda _value: b"t=" + b"9" * 1000 + b",v1=00",
    "a timestamp in other digits": lambda _value: "t=١٢٣,v1=00".encode(),
    "a negative timestamp": lambda _value: b"t=-1,v1=00",
    "no timestamp": lambda _value: b"v1=00",
    "no signature": lambda _value: b"t=%d" % NOW_S,
}


@each_provider
@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
def test_a_spoilt_signature_is_a_signature_error_and_nothing_else(
    known: Provider, spoil: Callable[[bytes], bytes]
) -> None:
    request = signed_request(known, body_of(known))
    headers = {
        name: spoil(value) if name in signature_headers(known) else value for name, value in request.headers.items()
    }

    with pytest.raises(SignatureError):
        known.verify(replace(request, headers=headers), [SECRET], NOW_S)


@each_provider
def test_a_request_without_headers_is_refused(known: Provider) -> None:
    with pytest.raises(SignatureError):
        known.verify(SignedRequest(headers={}, body=body_of(known)), [SECRET], NOW_S)


@each_provider
@pytest.mark.parametrize("side", [-1, 1], ids=["old", "in the future"])
def test_a_signed_time_counts_300_seconds_both_ways(known: Provider, side: int) -> None:
    at_the_edge = signed_request(known, body_of(known), at_s=NOW_S + side * SIGNATURE_TOLERANCE_S)
    beyond = signed_request(known, body_of(known), at_s=NOW_S + side * (SIGNATURE_TOLERANCE_S + 1))

    assert known.verify(at_the_edge, [SECRET], NOW_S) == {Tenant.SANDBOX}
    if signs_the_time(known):
        with pytest.raises(SignatureError):
            known.verify(beyond, [SECRET], NOW_S)
    else:
        assert known.verify(beyond, [SECRET], NOW_S) == {Tenant.SANDBOX}


@each_provider
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"12", b"\xff", b"{"], ids=repr)
def test_a_signature_covers_bytes_whatever_they_are_and_only_an_object_is_parsed(known: Provider, body: bytes) -> None:
    request = signed_request(known, body)

    assert known.verify(request, [SECRET], NOW_S) == {Tenant.SANDBOX}
    with pytest.raises(MalformedPayloadError):
        parse(request.body)


# ── Events ───────────────────────────────────────────────────────────────────────────────────────────────


@each_read_event
def test_every_simulated_event_that_is_read_verifies_parses_and_states_facts(known: Provider, event_type: str) -> None:
    body = known.simulate(simulation(event_type))
    request = signed_request(known, body)

    known.verify(request, [SECRET], NOW_S)
    delivery = known.envelope(parse(body), body)
    facts = known.interpret(parse(body))

    assert (delivery.event_type, delivery.tenant) == (event_type, mode_of(known, Tenant.SANDBOX))
    assert 1 <= len(delivery.event_id) <= 255
    assert known.reads(event_type)
    assert len(facts) >= 1


@each_ignored_event
def test_a_simulated_event_that_is_not_read_verifies_and_has_an_envelope(known: Provider, event_type: str) -> None:
    body = known.simulate(simulation(event_type))

    tenants = known.verify(signed_request(known, body), [SECRET], NOW_S)
    delivery = known.envelope(parse(body), body)

    assert tenants == {Tenant.SANDBOX}
    assert delivery.tenant is mode_of(known, Tenant.SANDBOX)
    assert delivery.event_type == event_type


@each_event
def test_one_delivery_is_the_same_bytes_and_has_one_event_id(known: Provider, event_type: str) -> None:
    first = known.simulate(simulation(event_type))
    again = known.simulate(simulation(event_type))

    assert first == again
    assert known.envelope(parse(first), first).event_id == known.envelope(parse(again), again).event_id


@each_read_event
def test_another_delivery_about_one_payment_has_another_event_id_and_the_same_facts(
    known: Provider, event_type: str
) -> None:
    first = known.simulate(simulation(event_type))
    other = known.simulate(simulation(event_type, delivery="delivery-2"))

    assert known.envelope(parse(first), first).event_id != known.envelope(parse(other), other).event_id
    assert known.interpret(parse(first)) == known.interpret(parse(other))


@each_read_event
def test_another_payment_has_other_keys(known: Provider, event_type: str) -> None:
    first = known.interpret(parse(known.simulate(simulation(event_type))))
    another = simulation(event_type, payment="payment-2", subscription="subscription-2")
    other = known.interpret(parse(known.simulate(another)))

    assert not set(paid_keys(first)) & set(paid_keys(other))


@each_read_event
def test_what_was_paid_for_is_never_named_by_the_event(known: Provider, event_type: str) -> None:
    body = known.simulate(simulation(event_type))

    event_id = known.envelope(parse(body), body).event_id

    assert [key for key in paid_keys(known.interpret(parse(body))) if event_id in key] == []


@each_event
def test_an_event_of_live_mode_says_so(known: Provider, event_type: str) -> None:
    body = known.simulate(simulation(event_type, tenant=Tenant.LIVE))

    assert known.envelope(parse(body), body).tenant is mode_of(known, Tenant.LIVE)


def mode_of(known: Provider, tenant: Tenant) -> Tenant | None:
    """What an event of `tenant` says of its mode: nothing at Paddle, where the secret tells."""
    return None if known.name == "paddle" else tenant


@each_believed_provider
def test_some_event_says_whose_purchase_it_is_and_what_was_bought(known: Provider) -> None:
    said = simulation(
        "", account="user_9", credit_type="video", amount=7, quote_id="q_1", paid_minor=350, currency="EUR"
    )
    bodies = [known.simulate(replace(said, event_type=event_type)) for event_type in types_read(known)]

    purchases = [fact for body in bodies for fact in known.interpret(parse(body)) if isinstance(fact, PurchasePaid)]

    assert purchases
    assert {fact.payer.account for fact in purchases} == {"user_9"}
    assert {(fact.credit_type, fact.amount, fact.quote_id) for fact in purchases} == {("video", 7, "q_1")}
    assert {str(fact.asked) for fact in purchases} == {"350 EUR (minor units)"}


@each_believed_provider
def test_an_amount_in_metadata_outside_its_bounds_is_refused_by_name(known: Provider) -> None:
    refusals = []
    for event_type in types_read(known):
        body = known.simulate(simulation(event_type, amount=-5))
        try:
            known.interpret(parse(body))
        except InvalidInputError as error:
            refusals.append(error.field)

    assert refusals
    assert set(refusals) == {"creditgate_amount"}


@each_provider
def test_an_unknown_type_is_not_read_and_still_has_an_envelope(known: Provider) -> None:
    body = body_of(known).replace(known.event_types()[0].encode(), b"nobody.knows_this")
    payload = parse(body)

    assert known.envelope(payload, body).event_type == "nobody.knows_this"
    assert not known.reads("nobody.knows_this")
    with pytest.raises(MalformedPayloadError):
        known.interpret(payload)


@each_provider
@pytest.mark.parametrize(
    "payload", [{}, {"type": 5}, {"type": None}, {"meta": []}, {"meta": {"event_name": {}}}], ids=repr
)
def test_a_payload_without_a_type_has_no_envelope(known: Provider, payload: dict[str, object]) -> None:
    with pytest.raises(MalformedPayloadError):
        known.envelope(payload, b"{}")


@each_provider
def test_an_event_type_that_cannot_be_simulated_is_refused_with_those_that_can(known: Provider) -> None:
    with pytest.raises(InvalidInputError, match=known.event_types()[0]):
        known.simulate(simulation("nobody.knows_this"))


def types_read(known: Provider) -> list[str]:
    return [event_type for event_type in known.event_types() if known.reads(event_type)]


def body_of(known: Provider) -> bytes:
    return known.simulate(simulation(known.event_types()[0]))


def signature_headers(known: Provider) -> set[str]:
    """The headers that depend on the secret."""
    body = body_of(known)
    one, other = (wire_headers(known.sign(body, secret.value, NOW_S).headers) for secret in (SECRET, OTHER_SECRET))
    return {name for name in one if one[name] != other[name]}


def signs_the_time(known: Provider) -> bool:
    body = body_of(known)
    return known.sign(body, SECRET.value, NOW_S).headers != known.sign(body, SECRET.value, NOW_S + 1).headers


def paid_keys(facts: tuple[Fact, ...]) -> list[str]:
    keys: list[str] = []
    for fact in facts:
        if isinstance(fact, PurchasePaid):
            keys.append(fact.key)
        elif isinstance(fact, PlanPaid):
            keys += [fact.key, *(line.key for line in fact.lines)]
    return keys
