"""The library: `from credits import Credits`. Everything an app server does with credits, in its own process."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping

from credits.checkout.connect import Sellers
from credits.checkout.library import Selling
from credits.checkout.model import PaymentProvider, Shop
from credits.clock import Clock, checked_instant_ms, system_clock_ms
from credits.config.catalogue import Catalogue
from credits.config.load import load_catalogue
from credits.config.settings import Settings, Tenant, load_settings, read_environment
from credits.db import open_engine, snapshot, transaction
from credits.errors import ConfigError
from credits.grants.rules import lapses_at_once, order_by_hand
from credits.ids import checked_id, signed_reference
from credits.ledger import service as ledger
from credits.ledger.model import Balance, Posted
from credits.notifications.addresses import networks
from credits.notifications.library import Notifying
from credits.passes.library import Admitting
from credits.plans import periods
from credits.plans.calendar import period_end_ms
from credits.plans.rules import own_period
from credits.promos import service as promos
from credits.reservations.budgets import Budgeting
from credits.reservations.connect import open_gate
from credits.reservations.steps import GateRuntime
from credits.topup.library import Topups
from credits.units import MAX_AMOUNT


class Credits(Budgeting, Selling, Topups, Notifying, Admitting):
    """
    One tenant's credits. Safe to share between threads; make one per process.

    Every change takes a key that names it: repeated with the same content it answers as the first time and moves
    nothing (`replayed` is then true); with other content it raises IdempotencyConflictError.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        catalogue: Catalogue,
        tenant: Tenant,
        secret_key: str = "",
        clock: Clock = system_clock_ms,
        gate: GateRuntime | None = None,
        max_exposure: int = MAX_AMOUNT,
        sellers: Mapping[str, PaymentProvider] | None = None,
        base_url: str = "http://127.0.0.1:8000",
        notify_networks: str = "",
    ) -> None:
        super().__init__(gate=gate, catalogue=catalogue, tenant=tenant, max_exposure=max_exposure)
        self.engine = engine
        self.shop = Shop(
            engine=engine,
            catalogue=catalogue,
            tenant=tenant,
            clock=clock,
            base_url=base_url,
            secret_key=secret_key,
            sellers=sellers or {},
        )
        self.base_url = base_url
        self.notify_networks = networks(notify_networks)
        self._secret_key = secret_key
        self._clock = clock

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, folder: Path | None = None) -> "Credits":
        """
        Made from the environment, `.env` and credits.toml, as the `credits` command does it in the same folder.

        Raises ConfigError that lists every problem by key.
        """
        here = folder or Path.cwd()
        settings = load_settings(read_environment(os.environ if env is None else env, here), here)
        return cls.from_settings(settings)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Credits":
        """Made from settings that are already read."""
        engine = open_engine(settings.database_url)
        return cls(
            engine=engine,
            catalogue=load_catalogue(settings.config_path),
            tenant=settings.tenant,
            secret_key=settings.secret_key,
            gate=open_gate(settings, engine),
            max_exposure=settings.max_exposure,
            sellers=Sellers(settings, settings.tenant),
            base_url=settings.base_url,
            notify_networks=settings.notify_networks,
        )

    def close(self) -> None:
        """Close the connections to the database and to Redis."""
        self.close_gate()
        self.engine.dispose()

    def add(
        self,
        account: str,
        credit_type: str,
        amount: int,
        *,
        key: str,
        reason: str = "",
        actor: str = "app",
        expires_at_ms: int | None = None,
    ) -> Posted:
        """
        Put `amount` credits in. They never lapse unless `expires_at_ms` is given, which must lie ahead.

        They can be spent at once; with Redis away they are granted all the same, and can be spent when it is back.
        """
        with transaction(self.engine) as connection:
            posted = self.add_in(
                connection,
                account,
                credit_type,
                amount,
                key=key,
                reason=reason,
                actor=actor,
                expires_at_ms=expires_at_ms,
            )
        self.bring_credits(account)
        return posted

    def add_in(
        self,
        connection: Connection,
        account: str,
        credit_type: str,
        amount: int,
        *,
        key: str,
        reason: str,
        actor: str,
        expires_at_ms: int | None = None,
    ) -> Posted:
        """As `add`, in a transaction of the caller's. `bring_credits` after it makes them spendable at once."""
        order = order_by_hand(
            account=account,
            credit_type=self.catalogue.credit_type(credit_type).key,
            amount=amount,
            key=key,
            reason=reason,
            actor=actor,
            expires_at_ms=expires_at_ms,
        )
        now_ms = self._clock()
        is_over = expires_at_ms is not None and expires_at_ms <= now_ms
        # A repetition is answered as the first time, however late it comes.
        if is_over and not ledger.is_known(connection, self.tenant, order.key):
            raise lapses_at_once(order)
        return ledger.grant(connection, self.tenant, order, now_ms=now_ms)

    def allocate_plan(
        self,
        account: str,
        plan: str,
        *,
        payment_id: str,
        period_starts_at_ms: int | None = None,
        period_ends_at_ms: int | None = None,
        quantity: int | None = None,
        actor: str = "app",
    ) -> tuple[Posted, ...]:
        """
        Grant what `plan` earns for one paid period, for apps that take payments by themselves.

        Once per `payment_id` and credit type, for ever. The period is a calendar month from now if none is given.
        What drips within it follows by the calendar. `quantity` is the number of seats.
        """
        start_ms = self._clock() if period_starts_at_ms is None else period_starts_at_ms
        end_ms = period_end_ms(start_ms, "1 month") if period_ends_at_ms is None else period_ends_at_ms
        period = own_period(
            self.catalogue.plan(plan),
            account=checked_id(account, "account"),
            payment_id=checked_id(payment_id, "payment_id"),
            start_ms=start_ms,
            end_ms=end_ms,
            quantity=quantity,
            zone=self.catalogue.timezone,
            actor=actor,
            # As they were sent: a period that was left out is another one at every repetition.
            sent=(plan, period_starts_at_ms, period_ends_at_ms) + (() if quantity is None else (quantity,)),
        )
        with transaction(self.engine) as connection:
            posted = periods.open_period(connection, self.tenant, period, now_ms=self._clock())
        self.bring_credits(account)
        return posted

    def redeem(self, account: str, code: str, *, key: str = "", actor: str = "app") -> Posted:
        """
        Give `account` what a promo code gives. Repeated it answers as the first time; where a code may be redeemed
        several times by one account, each `key` is a redemption of its own.

        Raises UnknownPromoCodeError, or PromoCodeRefusedError if it has expired or is used up.
        """
        with transaction(self.engine) as connection:
            posted = promos.redeem(connection, self.tenant, code, account, name=key, actor=actor, now_ms=self._clock())
        self.bring_credits(account)
        return posted

    def welcome(self, account: str) -> list[Posted]:
        """Give a new account its welcome credits, once for ever: at sign-up, or else with its first payment."""
        with transaction(self.engine) as connection:
            posted = promos.welcome(connection, self.tenant, self.catalogue, account, now_ms=self._clock())
        self.bring_credits(account)
        return posted

    def balances(self, account: str, *, at_ms: int | None = None) -> dict[str, Balance]:
        """
        Balances per credit type, now or as of `at_ms`; empty for an account that never had credits.

        Now: from the ledger and the gate, with what is held, pending and available. As of an instant: from the ledger.
        Raises GateUnavailableError if Redis does not answer: what the ledger says then is `ledger_balances`.
        """
        return self.reservations.balances(account) if at_ms is None else self.ledger_balances(account, at_ms=at_ms)

    def ledger_balances(self, account: str, *, at_ms: int | None = None) -> dict[str, Balance]:
        """
        Balances as the ledger alone has them, now or as of `at_ms`.

        It knows nothing of holds, nor of what was committed a moment ago: `available` is at most so much.
        """
        name = checked_id(account, "account")
        if at_ms is not None:
            checked_instant_ms(at_ms, "at_ms")
        with snapshot(self.engine) as connection:
            return ledger.balances(connection, self.tenant, name, now_ms=self._clock(), at_ms=at_ms)

    def entries(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[RowMapping]:
        """The account's ledger, newest first."""
        name = checked_id(account, "account")
        with snapshot(self.engine) as connection:
            return ledger.entries(
                connection, self.tenant, name, credit_type=credit_type, before_id=before_id, limit=limit
            )

    def grants(
        self, account: str, *, credit_type: str | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[RowMapping]:
        """The account's lots, newest first, with what remains of each."""
        name = checked_id(account, "account")
        with snapshot(self.engine) as connection:
            return ledger.grants(
                connection, self.tenant, name, credit_type=credit_type, before_id=before_id, limit=limit
            )

    def client_reference(self, account: str) -> str:
        """
        `account` as a `client_reference_id` for payment links, signed so that the payer cannot change it.

        Raises ConfigError if CREDITGATE_SECRET_KEY is not set.
        """
        if not self._secret_key:
            raise ConfigError({"CREDITGATE_SECRET_KEY": "must be set to sign client references"})
        return signed_reference(checked_id(account, "account"), self._secret_key)


def balances_json(account: str, balances: Mapping[str, Balance]) -> dict[str, Any]:
    """Balances in the one JSON shape that every face shows."""
    return {"account": account, "balances": {name: balance.as_json() for name, balance in balances.items()}}
