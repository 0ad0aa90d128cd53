"""A shop beside fake providers: the real receiver, API and worker's function; the fakes on a port of their own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from flask import Flask
from sqlalchemy import Engine, RowMapping, func, select
from werkzeug.serving import make_server

from credits.allocation.model import Runtime
from credits.checkout.stripe_invoices import invoice_completers
from credits.clock import system_clock_ms
from credits.config.load import load_catalogue
from credits.config.settings import ProviderAccess, Settings, Tenant
from credits.db import snapshot
from credits.inbox.provider import SignedWebhook
from credits.pricing.tables import purchases
from credits.reversals.tables import reversed_lots
from tests.support.api import Caller, app_on, caller_of
from tests.support.pipeline import Pipeline
from tests.support.processes import PATIENCE_S
from webhooks.fakes.app import CREDITS_VARIANT, create_fakes
from webhooks.fakes.store import FakeStore
from webhooks.providers import REGISTRY

SELLING_CONFIG = Path(__file__).with_name("selling.toml")
KEYS = {
    "stripe": "sk_test_of_these_tests",
    "lemonsqueezy": "a lemon squeezy key",
    "paddle": "pdl_sdbx_apikey_of_these_tests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Shop, worker and fakes; what a payer clicks reaches the inbox by signed webhooks over the real receiver."""

    caller: Caller
    pipeline: Pipeline
    settings: Settings
    store: FakeStore
    fakes_url: str
    down: threading.Event
    """While it is set nobody takes webhooks, and those that were sent are kept in `lost`."""
    lost: list[tuple[str, SignedWebhook]]
    post: Callable[[str, SignedWebhook], int]

    def deliver_late(self) -> None:
        """The webhooks of the downtime arrive after all."""
        self.down.clear()
        assert all(self.post(url, webhook) == 200 for url, webhook in self.lost)
        self.settle()

    def checkout(self, account: str = "user_1", *, key: str | None = None, **asked: Any) -> dict[str, Any]:
        """A checkout of 100 credits at Stripe, unless something else is asked for."""
        wanted = {"provider": "stripe", **asked}
        body = wanted if "plan" in wanted else {"credit_type": "image_generation", "amount": 100, **wanted}
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.caller.post("/v1/checkouts", {"account": account, **body}, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        made: dict[str, Any] = answer.get_json()
        return made

    def click(self, url: str, action: str, **chosen: int | str) -> httpx.Response:
        """Post a button of a fake's page, and let the worker process what it led to."""
        form = {"action": action, **{name: str(value) for name, value in chosen.items()}}
        answer = httpx.post(url, data=form, trust_env=False)
        assert answer.status_code in {200, 303}, answer.text
        self.settle()
        return answer

    def settle(self) -> None:
        """Wait for the deliveries, and process what has arrived."""
        for thread in threading.enumerate():
            if thread.name == "fakes.delivery":
                thread.join(PATIENCE_S)
                assert not thread.is_alive(), "a fake's delivery does not end"
        self.pipeline.process()

    def purchase(self, made: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.caller.get(f"/v1/purchases/{made['purchase_id']}").get_json()
        return found

    def rows(self) -> list[RowMapping]:
        """Every purchase as it is stored, oldest first."""
        with snapshot(self.pipeline.runtime.engine) as connection:
            return list(connection.execute(select(purchases).order_by(purchases.c.id)).mappings())

    def taken_back(self) -> int:
        """What refunds and disputes take back in all; the gate does it."""
        with snapshot(self.pipeline.runtime.engine) as connection:
            wanted = select(func.coalesce(func.sum(reversed_lots.c.wanted_clawed), 0))
            return int(connection.execute(wanted).scalar_one())

    def orders(self) -> list[dict[str, Any]]:
        """Every order at the fake Lemon Squeezy, newest first."""
        return self.store.all("lemonsqueezy", "orders")

    def order_url(self) -> str:
        """The page of the newest order."""
        return f"{self.fakes_url}/lemonsqueezy/orders/{self.orders()[0]['id']}"


@contextmanager
def market(engine: Engine, settings: Settings, folder: Path) -> Iterator[Market]:
    """A market on `engine`; its fakes stop with the block."""
    receiver: list[Flask] = []
    down, lost = threading.Event(), list[tuple[str, SignedWebhook]]()

    def deliver(url: str, webhook: SignedWebhook) -> int:
        if down.is_set():
            lost.append((url, webhook))
            return 0
        path = url[len(settings.base_url) :]
        return receiver[0].test_client().post(path, data=webhook.body, headers=dict(webhook.headers)).status_code

    file = folder / "fakes.sqlite3"
    fakes = create_fakes(settings, file=file, deliver=deliver, pauses_s=())
    server = make_server("127.0.0.1", 0, fakes, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    fakes_url = f"http://127.0.0.1:{server.server_port}"
    settings = replace(settings, config_path=SELLING_CONFIG, access=access_to(fakes_url))
    app = app_on(settings, engine)
    receiver.append(app)
    runtime = Runtime(
        engine=engine,
        catalogue=load_catalogue(SELLING_CONFIG),
        providers=REGISTRY,
        secret_key=settings.secret_key,
        clock=system_clock_ms,
        completers=invoice_completers(settings.access),
    )
    try:
        yield Market(
            caller=caller_of(app.test_client(), engine, scopes=["sell"]),
            pipeline=Pipeline(runtime=runtime),
            settings=settings,
            store=FakeStore(file),
            fakes_url=fakes_url,
            down=down,
            lost=lost,
            post=deliver,
        )
    finally:
        server.shutdown()
        server.server_close()


def access_to(fakes_url: str) -> dict[tuple[Tenant, str], ProviderAccess]:
    """Access to the fakes at `fakes_url`."""
    return {
        (Tenant.SANDBOX, "stripe"): ProviderAccess(api_key=KEYS["stripe"], api_base=fakes_url),
        (Tenant.SANDBOX, "lemonsqueezy"): ProviderAccess(
            api_key=KEYS["lemonsqueezy"],
            api_base=f"{fakes_url}/lemonsqueezy",
            store_id="1",
            variant_id=CREDITS_VARIANT,
        ),
        (Tenant.SANDBOX, "paddle"): ProviderAccess(api_key=KEYS["paddle"], api_base=f"{fakes_url}/paddle"),
    }
