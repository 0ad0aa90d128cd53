"""When a delivery is tried again, and how it is signed. Pure functions."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.config.settings import Tenant
from credits.notifications.model import Answered, DeliveryState, Destination, Kind, Notification
from credits.notifications.rules import (
    MAX_ATTEMPTS,
    PAUSES_S,
    body_of,
    secret_of,
    secrets_of,
    signed_headers,
    verdict,
)
from credits.notifications.watch import crossing

NOW_MS = 1_700_000_000_000
KEY = "a key for tests only"


def answered(status: int | None) -> Answered:
    return Answered(status=status, detail="", duration_ms=1)


def destination(**changes: object) -> Destination:
    values: dict[str, object] = {
        "id": 1,
        "name": "dst_1",
        "tenant": Tenant.SANDBOX,
        "url": "https://example.com/hook",
        "kinds": frozenset(),
        "secret_version": 2,
        "previous_until_ms": None,
        "disabled_reason": None,
    }
    return Destination(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    decided = verdict(answered(status), attempts=1, now_ms=NOW_MS, jitter=0.5)

    assert (decided.state, decided.due_at_ms) == (DeliveryState.DELIVERED, None)


@pytest.mark.parametrize("status", [None, 301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_a_redirect_too_is_tried_again_after_the_pause_of_its_attempt(status: int | None) -> None:
    pauses = [
        (verdict(answered(status), attempts=n, now_ms=NOW_MS, jitter=0.5).due_at_ms or 0) - NOW_MS
        for n in range(1, MAX_ATTEMPTS)
    ]

    assert pauses == [pause_s * 1000 for pause_s in PAUSES_S]


def test_after_the_last_attempt_a_delivery_is_dead() -> None:
    decided = verdict(answered(500), attempts=MAX_ATTEMPTS, now_ms=NOW_MS, jitter=0.5)

    assert (decided.state, decided.due_at_ms) == (DeliveryState.DEAD, None)


def test_410_disables_the_destination_at_once() -> None:
    decided = verdict(answered(410), attempts=1, now_ms=NOW_MS, jitter=0.5)

    assert decided.state is DeliveryState.DEAD
    assert decided.disables == "it answered 410 Gone"


@given(attempts=st.integers(1, MAX_ATTEMPTS - 1), jitter=st.floats(0, 1))
def test_chance_moves_a_pause_by_a_tenth_at_most(attempts: int, jitter: float) -> None:
    due_at_ms = verdict(answered(500), attempts=attempts, now_ms=NOW_MS, jitter=jitter).due_at_ms or 0

    pause_ms = PAUSES_S[attempts - 1] * 1000
    assert 0.9 * pause_ms - 1 <= due_at_ms - NOW_MS <= 1.1 * pause_ms + 1


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification (standard-webhooks/spec, "Signature scheme").
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, [secret], now_ms=1_614_265_330_000)

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_after_a_rotation_both_secrets_sign_until_the_day_is_over() -> None:
    rotated = destination(secret_version=2, previous_until_ms=NOW_MS + 1)

    assert secrets_of(rotated, KEY, now_ms=NOW_MS) == (secret_of("dst_1", 2, KEY), secret_of("dst_1", 1, KEY))
    assert secrets_of(rotated, KEY, now_ms=NOW_MS + 1) == (secret_of("dst_1", 2, KEY),)


def test_no_two_destinations_or_versions_share_a_secret() -> None:
    secrets = {secret_of(name, version, KEY) for name in ("dst_1", "dst_2") for version in (1, 2)}

    assert len(secrets) == 4
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in secrets)


def test_a_destination_hears_of_the_kinds_it_named_and_of_all_if_it_named_none() -> None:
    named = destination(kinds=frozenset({Kind.BALANCE_LOW}))

    assert named.wants(Kind.BALANCE_LOW)
    assert not named.wants(Kind.PURCHASE_COMPLETED)
    assert destination().wants(Kind.PURCHASE_COMPLETED)
    assert not destination(disabled_reason="gone").wants(Kind.BALANCE_LOW)


def test_a_body_says_what_when_and_whose() -> None:
    notification = Notification(
        id=1,
        name="ntf_1",
        tenant=Tenant.SANDBOX,
        kind=Kind.PURCHASE_COMPLETED,
        account="user_1",
        data={"credit_type": "tokens", "amount": 5},
        at_ms=NOW_MS,
    )

    assert json.loads(body_of(notification)) == {
        "type": "purchase.completed",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "data": {"account": "user_1", "credit_type": "tokens", "amount": 5},
    }


@pytest.mark.parametrize(
    ("was_low", "available", "told"),
    [
        (False, 20, None),
        (False, 19, Kind.BALANCE_LOW),
        (True, 0, None),
        (True, 20, Kind.BALANCE_RECOVERED),
    ],
)
def test_a_level_is_told_when_it_is_crossed_and_not_again(was_low: bool, available: int, told: Kind | None) -> None:
    assert crossing(was_low=was_low, available=available, low_balance=20) is told
