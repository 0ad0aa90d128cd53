"""API keys: made once, shown once, kept as a hash. `ck_<live|test>_<kid>_<secret><checksum>`."""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, RowMapping, insert, or_, select, update

from credits.api.tables import api_keys
from credits.config.settings import Tenant
from credits.db import snapshot
from credits.errors import AuthenticationError, InvalidInputError
from credits.ids import checked_id

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MODES: Final = {Tenant.LIVE: "live", Tenant.SANDBOX: "test"}
_KEY: Final = re.compile(r"(ck_(?:live|test)_([0-9A-Za-z]{8})_[0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    RESERVE = "reserve"
    GRANT = "grant"
    SELL = "sell"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who is calling: a key's tenant and scopes."""

    kid: str
    tenant: Tenant
    scopes: frozenset[Scope]
    account_prefix: str | None = None
    """Only accounts whose name begins so; None: all."""
    expires_at_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        return self.expires_at_ms is None or now_ms < self.expires_at_ms

    def reaches(self, account: str) -> bool:
        """Whether it may do anything with `account`."""
        return self.account_prefix is None or account.startswith(self.account_prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key as it is stored."""

    key: ApiKey
    secret_sha256: str
    last_used_at_ms: int | None

    def has_digest(self, digest: bytes) -> bool:
        """Whether `digest` is the SHA-256 of the whole key; in constant time."""
        return hmac.compare_digest(self.secret_sha256, digest.hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A key that takes another one's place."""

    key: str
    expires_at_ms: int | None
    old_ends_at_ms: int
    """Sooner than was asked for, where the old one would have expired by then."""


def create_key(
    connection: Connection,
    *,
    tenant: Tenant,
    name: str,
    scopes: Collection[str],
    now_ms: int,
    expires_at_ms: int | None = None,
    account_prefix: str | None = None,
) -> str:
    """
    Make a key and answer it; it cannot be shown again, for only its hash is kept.

    With `account_prefix` it reaches the accounts alone whose name begins so.
    """
    wanted = sorted(checked_scope(scope).value for scope in scopes)
    if not wanted:
        raise InvalidInputError("scopes", f"must name at least one of {[scope.value for scope in Scope]}")
    kid = _random_text(8)
    body = f"ck_{_MODES[tenant]}_{kid}_{_random_text(43)}"
    key = body + _checksum(body)
    connection.execute(
        insert(api_keys).values(
            tenant=tenant,
            kid=kid,
            name=checked_id(name, "name"),
            secret_sha256=_hash(key),
            scopes=wanted,
            created_at_ms=now_ms,
            expires_at_ms=expires_at_ms,
            account_prefix=None if account_prefix is None else checked_id(account_prefix, "account_prefix"),
        )
    )
    return key


def checked_key(key: str) -> str:
    """
    The id in `key`, if it is written as a key is.

    A typing error is found by the checksum, without asking the database. Raises AuthenticationError.
    """
    match = _KEY.fullmatch(key)
    if match is None or not hmac.compare_digest(_checksum(match[1]), match[3]):
        raise AuthenticationError("no valid API key")
    return match[2]


def find_keys(connection: Connection, kids: Collection[str]) -> list[FoundKey]:
    """The keys of these ids that were not revoked."""
    query = select(api_keys).where(api_keys.c.kid.in_(list(kids)), api_keys.c.revoked_at_ms.is_(None))
    return [
        FoundKey(
            key=ApiKey(
                kid=row["kid"],
                tenant=Tenant(row["tenant"]),
                scopes=frozenset(Scope(scope) for scope in row["scopes"]),
                account_prefix=row["account_prefix"],
                expires_at_ms=row["expires_at_ms"],
            ),
            secret_sha256=row["secret_sha256"],
            last_used_at_ms=row["last_used_at_ms"],
        )
        for row in connection.execute(query).mappings()
    ]


def authenticate(connection: Connection, key: str, *, now_ms: int) -> ApiKey:
    """Who `key` belongs to. Raises AuthenticationError, which does not say why."""
    digest = hashlib.sha256(key.encode()).digest()
    for found in find_keys(connection, [checked_key(key)]):
        if found.has_digest(digest) and found.key.is_valid(now_ms):
            return found.key
    raise AuthenticationError("no valid API key")


def note_use(connection: Connection, kids: Collection[str], *, now_ms: int, unless_since_ms: int) -> None:
    """Write down that these keys are in use, unless that was done since."""
    is_old = or_(api_keys.c.last_used_at_ms.is_(None), api_keys.c.last_used_at_ms <= unless_since_ms)
    connection.execute(update(api_keys).where(api_keys.c.kid.in_(list(kids)), is_old).values(last_used_at_ms=now_ms))


def rotate_key(connection: Connection, tenant: Tenant, kid: str, *, now_ms: int, old_ends_at_ms: int) -> Rotated:
    """
    Make a successor of a key, with its name, scopes and limits; both are valid until `old_ends_at_ms`.

    The successor expires when the old one would have. Raises InvalidInputError if there is no such valid key.
    """
    query = select(api_keys).where(
        api_keys.c.tenant == tenant, api_keys.c.kid == kid, api_keys.c.revoked_at_ms.is_(None)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None or (row["expires_at_ms"] is not None and row["expires_at_ms"] <= now_ms):
        raise InvalidInputError("kid", f"there is no valid key {kid[:40]!r}; see `credits keys list`")
    key = create_key(
        connection,
        tenant=tenant,
        name=row["name"],
        scopes=row["scopes"],
        account_prefix=row["account_prefix"],
        now_ms=now_ms,
        expires_at_ms=row["expires_at_ms"],
    )
    ends_at_ms = min(old_ends_at_ms, row["expires_at_ms"] or old_ends_at_ms)
    connection.execute(update(api_keys).where(api_keys.c.id == row["id"]).values(expires_at_ms=ends_at_ms))
    return Rotated(key=key, expires_at_ms=row["expires_at_ms"], old_ends_at_ms=ends_at_ms)


def list_keys(engine: Engine, tenant: Tenant) -> list[RowMapping]:
    """Every key of the tenant, without its secret, newest first."""
    columns = [column for column in api_keys.c if column.name != "secret_sha256"]
    with snapshot(engine) as connection:
        return list(
            connection.execute(
                select(*columns).where(api_keys.c.tenant == tenant).order_by(api_keys.c.id.desc())
            ).mappings()
        )


def revoke_key(connection: Connection, tenant: Tenant, kid: str, *, now_ms: int) -> bool:
    """Make a key worthless at once; True if it was not revoked before."""
    result = connection.execute(
        update(api_keys)
        .where(api_keys.c.tenant == tenant, api_keys.c.kid == kid, api_keys.c.revoked_at_ms.is_(None))
        .values(revoked_at_ms=now_ms)
    )
    return result.rowcount == 1


def checked_scope(text: str) -> Scope:
    """`text` as a scope. Raises InvalidInputError that lists the scopes there are."""
    try:
        return Scope(text)
    except ValueError:
        raise InvalidInputError(
            "scopes", f"must be among {[scope.value for scope in Scope]}, got {text[:40]!r}"
        ) from None


def _random_text(length: int) -> str:
    # 43 characters of 62 carry 256 bits.
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
