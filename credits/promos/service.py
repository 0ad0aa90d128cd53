"""Use cases of promo codes and welcome credits. They run in the caller's transaction."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, func, select, update

from credits.config.catalogue import Catalogue, WelcomeCredits
from credits.config.settings import Tenant
from credits.db import insert_new
from credits.errors import InvalidInputError, PromoCodeRefusedError, UnknownPromoCodeError
from credits.ids import checked_id, digest
from credits.ledger import service as ledger
from credits.ledger import store as ledger_store
from credits.ledger.model import GrantOrder, GrantSource, Posted
from credits.promos.tables import promo_codes, promo_redemptions
from credits.units import checked_amount

PROMO_PRIORITY: Final = 50
"""As credits given by hand: before a plan's (100) and bought ones (200)."""

MAX_CREDITS_DAYS: Final = 36_500

_CODE: Final = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,63}", re.ASCII)
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoCode:
    """A code: what it gives, and how often."""

    code: str
    credit_type: str
    amount: int
    max_uses: int | None
    per_account: int
    expires_at_ms: int | None
    credits_days: int | None

    def __post_init__(self) -> None:
        checked_amount(self.amount)
        checked_amount(self.per_account, "per_account")
        if self.max_uses is not None:
            checked_amount(self.max_uses, "max_uses")
        if self.credits_days is not None and not 1 <= self.credits_days <= MAX_CREDITS_DAYS:
            raise InvalidInputError("credits_days", f"must be from 1 to {MAX_CREDITS_DAYS}, got {self.credits_days}")


def checked_code(text: str) -> str:
    """A code in capitals. Raises InvalidInputError."""
    code = text.strip().upper()
    if not _CODE.fullmatch(code):
        raise InvalidInputError("code", f"must be 1 to 64 of A-Z, 0-9, _ and -, got {text[:70]!r}")
    return code


def create(connection: Connection, tenant: Tenant, promo: PromoCode, *, now_ms: int) -> bool:
    """
    Make a code; True if this call made it, False if it was there with the same content.

    Raises InvalidInputError if it is there with other content.
    """
    said = {
        "credit_type": promo.credit_type,
        "amount": promo.amount,
        "max_uses": promo.max_uses,
        "per_account": promo.per_account,
        "expires_at_ms": promo.expires_at_ms,
        "credits_days": promo.credits_days,
    }
    identity = {"tenant": tenant, "code": promo.code}
    row = insert_new(
        connection,
        promo_codes,
        identity | said | {"uses": 0, "created_at_ms": now_ms},
        unique=("tenant", "code"),
        returning=("code",),
    )
    if row is not None:
        return True
    there = _find(connection, tenant, promo.code)
    if any(there[name] != value for name, value in said.items()):
        raise InvalidInputError("code", f"{promo.code} is there with other content; use another code")
    return False


def listed(connection: Connection, tenant: Tenant, *, limit: int = 1000) -> list[RowMapping]:
    """Codes, the newest first."""
    query = (
        select(promo_codes)
        .where(promo_codes.c.tenant == tenant)
        .order_by(promo_codes.c.created_at_ms.desc(), promo_codes.c.code)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def redeem(
    connection: Connection, tenant: Tenant, code: str, account: str, *, name: str = "", actor: str, now_ms: int
) -> Posted:
    """
    Give `account` what a code gives. Repeated with the same `name` it answers as the first time.

    The code's row is locked, so that however many redeem at once, it is never used more often than it says.

    Raises:
        UnknownPromoCodeError: there is no such code.
        PromoCodeRefusedError: it has expired, or is used up, in all or by this account.
    """
    code, account = checked_code(code), checked_id(account, "account")
    promo = _find(connection, tenant, code, lock=True)
    account_id = ledger_store.ensure_account(connection, tenant, account, now_ms)
    order = _order(promo, account, name, actor, now_ms)
    mine = connection.execute(
        select(promo_redemptions.c.name).where(
            promo_redemptions.c.tenant == tenant,
            promo_redemptions.c.code == code,
            promo_redemptions.c.account_id == account_id,
        )
    ).scalars()
    names = set(mine)
    if name not in names:
        _refuse(promo, len(names), now_ms)
        insert_new(
            connection,
            promo_redemptions,
            {
                "tenant": tenant,
                "code": code,
                "account_id": account_id,
                "name": name,
                "grant_key": order.key,
                "at_ms": now_ms,
            },
            unique=("tenant", "code", "account_id", "name"),
            returning=("name",),
        )
        connection.execute(
            update(promo_codes)
            .where(promo_codes.c.tenant == tenant, promo_codes.c.code == code)
            .values(uses=promo_codes.c.uses + 1)
        )
    return ledger.grant(connection, tenant, order, now_ms=now_ms)


def welcome(connection: Connection, tenant: Tenant, catalogue: Catalogue, account: str, *, now_ms: int) -> list[Posted]:
    """Give a new account its welcome credits, once for ever, however often it is asked for."""
    account = checked_id(account, "account")
    return [
        ledger.grant(connection, tenant, _welcome_order(one, account, now_ms), now_ms=now_ms)
        for one in catalogue.welcome
    ]


def redemptions_of(connection: Connection, tenant: Tenant, code: str) -> int:
    """How often a code was redeemed, counted."""
    return connection.execute(
        select(func.count())
        .select_from(promo_redemptions)
        .where(promo_redemptions.c.tenant == tenant, promo_redemptions.c.code == code)
    ).scalar_one()


def _find(connection: Connection, tenant: Tenant, code: str, *, lock: bool = False) -> RowMapping:
    query = select(promo_codes).where(promo_codes.c.tenant == tenant, promo_codes.c.code == code)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownPromoCodeError(code)
    return row


def _refuse(promo: RowMapping, uses_of_account: int, now_ms: int) -> None:
    if promo["expires_at_ms"] is not None and promo["expires_at_ms"] <= now_ms:
        raise PromoCodeRefusedError(promo["code"], "has expired")
    if uses_of_account >= promo["per_account"]:
        raise PromoCodeRefusedError(promo["code"], f"was redeemed by this account {uses_of_account} times already")
    if promo["max_uses"] is not None and promo["uses"] >= promo["max_uses"]:
        raise PromoCodeRefusedError(promo["code"], "is used up")


def _order(promo: RowMapping, account: str, name: str, actor: str, now_ms: int) -> GrantOrder:
    days = promo["credits_days"]
    return GrantOrder(
        account=account,
        credit_type=promo["credit_type"],
        amount=promo["amount"],
        key=f"promo:{promo['code']}:{digest(account, name)[:32]}",
        fingerprint=digest("promo", promo["code"], account, name),
        source=GrantSource.PROMO,
        source_ref=f"promo:{promo['code']}",
        priority=PROMO_PRIORITY,
        effective_at_ms=0,
        expires_at_ms=None if days is None else now_ms + days * _DAY_MS,
        actor=actor,
        reason=f"promo code {promo['code']}",
    )


def _welcome_order(one: WelcomeCredits, account: str, now_ms: int) -> GrantOrder:
    return GrantOrder(
        account=account,
        credit_type=one.credit_type,
        amount=one.amount,
        key=f"welcome:{digest(account)[:32]}:{one.credit_type}",
        fingerprint=digest("welcome", account, one.credit_type),
        source=GrantSource.WELCOME,
        source_ref="welcome",
        priority=one.priority,
        effective_at_ms=0,
        expires_at_ms=one.expires.lapses_at_ms(granted_at_ms=now_ms, period_end_ms=None),
        actor="gate",
        reason="welcome credits",
    )
