"""
Payloads beside the facts they state: the specification of each provider's readers.

`<provider>/<name>.json` is a body, `<provider>/<name>.expected.json` its facts. Where a provider changed its shapes,
the bodies `<name>.<shape>.json` share one `<name>.expected.json`: every shape states the same. Only where a shape does
not name all ids of a payment, it has a `<name>.<shape>.expected.json` of its own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from credits.config.settings import Tenant
from credits.payload import parse
from tests.support.fact_words import in_words
from webhooks.providers import REGISTRY

FOLDER = Path(__file__).parent
PROVIDERS = sorted(path.name for path in FOLDER.iterdir() if path.name in REGISTRY)


def bodies_of(provider: str) -> list[Path]:
    return sorted(path for path in (FOLDER / provider).glob("*.json") if not path.name.endswith(".expected.json"))


def expectation_of(body: Path) -> Path:
    own = body.with_suffix(".expected.json")
    return own if own.exists() else shared_expectation_of(body)


def shared_expectation_of(body: Path) -> Path:
    return body.with_name(f"{body.name.split('.')[0]}.expected.json")


def payload_of(body: Path) -> dict[str, Any]:
    return parse(body.read_bytes())


EVERY_BODY = [pytest.param(path, id=f"{name}-{path.stem}") for name in PROVIDERS for path in bodies_of(name)]


@pytest.mark.parametrize("body", EVERY_BODY)
def test_a_payload_states_the_facts_written_beside_it(body: Path) -> None:
    provider = REGISTRY[body.parent.name]
    expected = json.loads(expectation_of(body).read_text())

    facts = provider.interpret(payload_of(body))

    assert in_words(facts) == expected


@pytest.mark.parametrize("body", EVERY_BODY)
def test_a_payload_written_here_is_a_test(body: Path) -> None:
    delivery = REGISTRY[body.parent.name].envelope(payload_of(body), body.read_bytes())

    # Paddle's events do not say in which mode they are: the secret does.
    assert delivery.tenant is (None if body.parent.name == "paddle" else Tenant.SANDBOX)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_event_type_that_is_read_has_a_payload(name: str) -> None:
    provider = REGISTRY[name]
    payloads = [payload_of(body) for body in bodies_of(name)]

    covered = {provider.envelope(payload, b"").event_type for payload in payloads}

    assert {simulated for simulated in provider.event_types() if provider.reads(simulated)} - covered == set()


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_expectation_has_a_payload(name: str) -> None:
    expectations = set((FOLDER / name).glob("*.expected.json"))

    assert expectations == {find(body) for body in bodies_of(name) for find in (expectation_of, shared_expectation_of)}


@pytest.mark.parametrize("body", EVERY_BODY)
def test_shapes_of_one_event_differ_only_in_the_names_of_its_payment(body: Path) -> None:
    own, shared = (json.loads(path.read_text()) for path in (expectation_of(body), shared_expectation_of(body)))

    for mine, theirs in zip(own, shared, strict=True):
        assert set(mine.pop("also_known_as", [])) <= set(theirs.pop("also_known_as", []))
        assert mine == theirs


def test_every_real_provider_has_payloads() -> None:
    assert set(PROVIDERS) >= set(REGISTRY) - {"fake"}
