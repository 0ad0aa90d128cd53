"""Check HMAC signatures over raw bytes: every secret and signature, in constant time, raising only SignatureError."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from credits.config.settings import Tenant, WebhookSecret
from credits.errors import SignatureError
from credits.inbox.provider import SIGNATURE_TOLERANCE_S

_UNIX_SECONDS: Final = re.compile(rb"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamping:
    """How a provider spells a header of a timestamp and signatures: by default `t=<unix seconds>,v1=<hex>`."""

    between: bytes = b","
    stamp: bytes = b"t"
    scheme: bytes = b"v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedSignatures:
    """A header `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`, taken apart."""

    stamp: bytes
    """The timestamp as it was sent: these very bytes are signed."""
    signatures: tuple[bytes, ...]

    @property
    def at_s(self) -> int:
        return int(self.stamp)


def header(headers: Mapping[str, bytes], name: str) -> bytes:
    """The value of the header `name` (in lower case); raises SignatureError if it is missing or empty."""
    value = headers.get(name, b"").strip()
    if not value:
        raise SignatureError(f"the header {name} is missing or empty")
    return value


def parse_stamped(value: bytes, by: Stamping = Stamping()) -> StampedSignatures:
    """
    Read a header `t=<unix seconds>,v1=<hex>`; there may be several `v1`, and other schemes are passed over.

    Raises SignatureError unless there is exactly one timestamp and at least one signature.
    """
    parts = [part.strip().partition(b"=") for part in value.split(by.between)]
    stamps = [text for scheme, _, text in parts if scheme == by.stamp]
    signatures = tuple(text for scheme, _, text in parts if scheme == by.scheme and text)
    if len(stamps) != 1 or not _UNIX_SECONDS.fullmatch(stamps[0]):
        word = by.stamp.decode()
        raise SignatureError(f"the signature header must have exactly one timestamp, {word}=<unix seconds>")
    if not signatures:
        raise SignatureError(f"the signature header has no {by.scheme.decode()}=<hex>")
    return StampedSignatures(stamp=stamps[0], signatures=signatures)


def check_age(at_s: int, now_s: float) -> None:
    """Raise SignatureError if `at_s` is more than 300 s from `now_s`, in the past or in the future."""
    if abs(now_s - at_s) > SIGNATURE_TOLERANCE_S:
        side = "old" if at_s < now_s else "in the future"
        raise SignatureError(f"the signature is {abs(now_s - at_s):.0f} s {side}; {SIGNATURE_TOLERANCE_S} is the most")


def signing_tenants(message: bytes, signatures: Sequence[bytes], secrets: Sequence[WebhookSecret]) -> frozenset[Tenant]:
    """
    The tenants of every secret with which one of `signatures` signs `message`.

    No comparison is cut short by an earlier one. Raises SignatureError if no secret fits.
    """
    tenants = frozenset(
        [secret.tenant for secret in secrets if _any_equal(hex_hmac_sha256(message, secret.value), signatures)]
    )
    if not tenants:
        raise SignatureError("no configured secret made this signature")
    return tenants


def hex_hmac_sha256(message: bytes, secret: bytes) -> bytes:
    """HMAC-SHA256 of `message` in lower-case hex digits."""
    return hmac.new(secret, message, hashlib.sha256).hexdigest().encode()


def _any_equal(expected: bytes, candidates: Sequence[bytes]) -> bool:
    # A sum looks at every candidate, where any() would stop at the first match.
    # Bytes, not text: compare_digest raises TypeError for text that is not ASCII.
    return sum(hmac.compare_digest(expected, candidate) for candidate in candidates) > 0
