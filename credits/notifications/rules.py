"""Decides when a delivery is tried again, and signs it. Pure functions, after Standard Webhooks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from credits.clock import iso
from credits.notifications.model import Answered, DeliveryState, Destination, Notification

PAUSES_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Between the attempts, as Standard Webhooks recommends: three days and a half in all."""

MAX_ATTEMPTS: Final = len(PAUSES_S) + 1

ROTATION_MS: Final = 86_400_000
"""For a day after a rotation both secrets sign."""

_GONE: Final = 410
_SUCCESSES: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a delivery after an attempt."""

    state: DeliveryState
    due_at_ms: int | None = None
    disables: str | None = None
    """Why the destination is to hear nothing more."""


def verdict(answered: Answered, *, attempts: int, now_ms: int, jitter: float) -> Verdict:
    """
    Decide what becomes of a delivery whose attempt number `attempts` came to `answered`.

    Any 2xx is a success, a redirect is none. 410 says that nobody is there any more: the destination is disabled.
    `jitter` is from 0 to 1 and moves a pause by up to a tenth either way.
    """
    if answered.status in _SUCCESSES:
        return Verdict(state=DeliveryState.DELIVERED)
    if answered.status == _GONE:
        return Verdict(state=DeliveryState.DEAD, disables="it answered 410 Gone")
    if attempts >= MAX_ATTEMPTS:
        return Verdict(state=DeliveryState.DEAD)
    pause_ms = round(PAUSES_S[attempts - 1] * 1000 * (0.9 + jitter / 5))
    return Verdict(state=DeliveryState.PENDING, due_at_ms=now_ms + pause_ms)


def body_of(notification: Notification) -> bytes:
    """The JSON that is sent: `type`, `timestamp`, `data`. The same bytes for every attempt and destination."""
    content: dict[str, Any] = {
        "type": notification.kind.value,
        "timestamp": iso(notification.at_ms),
        "data": {"account": notification.account, **notification.data},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def secret_of(destination_name: str, version: int, secret_key: str) -> str:
    """
    The signing secret of a destination, `whsec_…`.

    It is derived from CREDITGATE_SECRET_KEY, so that the database holds nothing to steal; another key means other
    secrets.
    """
    text = f"destination:{destination_name}:{version}"
    return "whsec_" + base64.b64encode(hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def secrets_of(destination: Destination, secret_key: str, *, now_ms: int) -> tuple[str, ...]:
    """The secrets that sign now, the newest first: two for a day after a rotation."""
    versions = [destination.secret_version]
    if destination.previous_until_ms is not None and now_ms < destination.previous_until_ms:
        versions.append(destination.secret_version - 1)
    return tuple(secret_of(destination.name, version, secret_key) for version in versions)


def signed_headers(name: str, body: bytes, secrets: Sequence[str], *, now_ms: int) -> dict[str, str]:
    """The headers `webhook-id`, `webhook-timestamp`, `webhook-signature` over `id.timestamp.body`."""
    at_s = str(now_ms // 1000)
    signed = f"{name}.{at_s}.".encode() + body
    signatures = [
        base64.b64encode(
            hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        ).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": name,
        "webhook-timestamp": at_s,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
