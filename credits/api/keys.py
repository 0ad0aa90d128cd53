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

from sqlalchemy import Connection, Engine, RowMapping, insert, select, update

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
    expires_at_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


def create_key(
    connection: Connection,
    *,
    tenant: Tenant,
    name: str,
    scopes: Collection[str],
    now_ms: int,
    expires_at_ms: int | None = None,
) -> str:
    """Make a key and answer it; it cannot be shown again, for only its hash is kept."""
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


def authenticate(connection: Connection, key: str, *, now_ms: int) -> ApiKey:
    """Who `key` belongs to. Raises AuthenticationError, which does not say why."""
    found = find_key(connection, checked_key(key), key)
    if found is None or not found.is_valid(now_ms):
        raise AuthenticationError("no valid API key")
    return found


def find_key(connection: Connection, kid: str, key: str) -> ApiKey | None:
    """Whose `key` it is; None if its secret is another one, or if it was revoked."""
    row = connection.execute(select(api_keys).where(api_keys.c.kid == kid)).mappings().one_or_none()
    if row is None or not hmac.compare_digest(row["secret_sha256"], _hash(key)) or row["revoked_at_ms"] is not None:
        return None
    return ApiKey(
        kid=row["kid"],
        tenant=Tenant(row["tenant"]),
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        expires_at_ms=row["expires_at_ms"],
    )


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
