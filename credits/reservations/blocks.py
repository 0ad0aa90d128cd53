"""Accounts that may reserve nothing: a clawback found their credits spent, and the policy is to block."""

import time
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from credits.config.settings import Tenant
from credits.db import glance, is_unavailable
from credits.errors import AccountBlockedError
from credits.reversals import blocks

FRESH_S: Final = 2.0
"""A block is known to every process within this time; so is its end."""


@dataclass(slots=True)
class Blocks:
    """What one process knows of the blocked accounts of a tenant. Safe to share between threads."""

    engine: Engine
    tenant: Tenant
    _read_at_s: float = -FRESH_S
    _owed: dict[int, blocks.Block] = field(default_factory=dict)

    def refuse(self, account_id: int, account: str) -> None:
        """
        Raise AccountBlockedError if the account is blocked.

        Asks the database every two seconds at most, and goes by what it said last while it is away.
        """
        now_s = time.monotonic()
        if now_s - self._read_at_s >= FRESH_S:
            self._read_at_s = now_s
            self._read()
        found = self._owed.get(account_id)
        if found is not None:
            raise AccountBlockedError(account, found.credit_type, found.debt, found.reason)

    def _read(self) -> None:
        try:
            with glance(self.engine) as connection:
                self._owed = blocks.blocked(connection, self.tenant)
        except Exception as error:
            if not is_unavailable(error):
                raise
