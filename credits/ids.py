"""Ids: which ones we accept from callers, how we make our own, and the reference that a payer cannot forge."""

import base64
import hashlib
import hmac
import re
import unicodedata
from typing import Final

import uuid_utils

from credits.errors import InvalidIdError, InvalidInputError
from credits.errors.tree import kind_of

MAX_ID_LENGTH: Final = 200
MAX_EMAIL_LENGTH: Final = 254

MAX_REFERENCE_LENGTH: Final = 200
"""What Stripe takes as a client_reference_id."""

_REFERENCE = re.compile(r"cg1-([A-Za-z0-9_-]+)-([a-f0-9]{32})", re.ASCII)
_UNPRINTABLE = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def checked_id(value: object, field: str) -> str:
    """
    Return a caller's id in Unicode normal form C.

    Accepted are 1 to 200 printable characters of any script, spaces anywhere included: " a " is another id than "a".
    Refused with InvalidIdError: control characters, NUL, lone surrogates, unassigned code points, longer ones.
    """
    if not isinstance(value, str):
        raise InvalidIdError(field, f"must be text, got {kind_of(value)}")
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        raise InvalidIdError(field, f"must have 1 to {MAX_ID_LENGTH} characters, got {len(value)}")
    if value.isascii() and value.isprintable():
        # What most ids are made of, and its own normal form.
        return value
    # Categories first: normalising a lone surrogate is harmless, but encoding it later is not.
    if any(unicodedata.category(char) in _UNPRINTABLE for char in value):
        raise InvalidIdError(field, "must have printable characters only (no control characters, no lone surrogates)")
    normal = unicodedata.normalize("NFC", value)
    if len(normal) > MAX_ID_LENGTH:
        raise InvalidIdError(field, f"must have 1 to {MAX_ID_LENGTH} characters in normal form C, got {len(normal)}")
    return normal


def checked_payer_id(value: object, field: str) -> str:
    """
    The same of an account that something is sold to: a payment provider carries its id, and brings it back.

    No provider promises to leave white space at the ends as it is, and without it the id would be another account's.
    """
    name = checked_id(value, field)
    if name != name.strip():
        reason = "must not begin or end with white space where something is sold: a provider may take it off"
        raise InvalidIdError(field, reason)
    return name


def checked_text(value: object, field: str, *, max_length: int) -> str:
    """Return `value` if it is text that every database stores: no longer, no NUL. Raises InvalidInputError."""
    if not isinstance(value, str) or len(value) > max_length:
        got = f"{len(value)} of them" if isinstance(value, str) else kind_of(value)
        raise InvalidInputError(field, f"must be text of at most {max_length} characters, got {got}")
    if any(char == "\0" or unicodedata.category(char) == "Cs" for char in value):
        raise InvalidInputError(field, "must have neither NUL nor lone surrogates")
    return value


def checked_email(value: object) -> str:
    """An e-mail address as people write it; whether anybody reads it is another question. Raises InvalidInputError."""
    text = checked_text(value, "email", max_length=MAX_EMAIL_LENGTH)
    name, _, host = text.rpartition("@")
    if not name or not host or any(char.isspace() or not char.isprintable() for char in text):
        raise InvalidInputError("email", f"must be an address such as user@example.com, got {text[:40]!r}")
    return text


def new_id() -> str:
    """A new time-ordered id (UUID version 7)."""
    return str(uuid_utils.uuid7())


def given_or_new(name: str | None) -> str:
    """`name`, or a new id where none is given. An empty one is given: it is refused where it is checked."""
    return new_id() if name is None else name


def digest(*parts: object) -> str:
    """A fingerprint of `parts` in which no two different lists of parts collide: SHA-256 over length-prefixed texts."""
    texts = [repr(part).encode() for part in parts]
    return hashlib.sha256(b"".join([b"%d:%b" % (len(text), text) for text in texts])).hexdigest()


def signed_reference(account: str, secret: str) -> str:
    """
    `account` as a `client_reference_id` that its bearer cannot change into another account.

    On a payment link the payer can edit that field in the address bar, so a plain id there proves nothing.
    Made of letters, digits, `-` and `_`, as Stripe asks. Raises InvalidIdError if it would be longer than the 200
    characters that Stripe takes: `account` may have 122 bytes in UTF-8.
    """
    name = base64.urlsafe_b64encode(account.encode()).rstrip(b"=").decode()
    reference = f"cg1-{name}-{_reference_mac(name, secret)}"
    if len(reference) > MAX_REFERENCE_LENGTH:
        raise InvalidIdError("account", f"must have at most 122 bytes to be signed, got {len(account.encode())}")
    return reference


def account_of_reference(reference: str, secret: str) -> str | None:
    """The account that `signed_reference` put into `reference`; None for anything else, never an error."""
    match = _REFERENCE.fullmatch(reference)
    # Without a secret of our own anybody could have signed it.
    if match is None or not secret:
        return None
    name, mac = match.groups()
    if not hmac.compare_digest(mac, _reference_mac(name, secret)):
        return None
    try:
        return checked_id(base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode(), "client_reference_id")
    except (ValueError, InvalidIdError):
        return None


def email_digest(email: str, secret: str) -> str:
    """An e-mail address to compare with others, which nobody without `secret` can read or guess."""
    text = f"email:{email.strip().casefold()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def quote_reference(quote_id: str) -> str:
    """What a payer reads of a quote's id: its last eight characters, which are random."""
    return quote_id[-8:]


def _reference_mac(name: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"client_reference_id:{name}".encode(), hashlib.sha256).hexdigest()[:32]
