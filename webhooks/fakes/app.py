"""The fakes as one web application. It exists for `credits dev` alone, and refuses to be made for live."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flask import Flask, Response

from credits.clock import Clock, system_clock_ms
from credits.config.settings import DATA_FOLDER, Settings, Tenant, load_settings, read_environment
from credits.errors import ConfigError
from credits.log import set_up_logging
from webhooks.fakes.buying import buying
from webhooks.fakes.delivery import Deliverer, Post, post
from webhooks.fakes.lemonsqueezy.api import lemonsqueezy_api
from webhooks.fakes.lemonsqueezy.desk import Desk as SqueezyDesk
from webhooks.fakes.paddle.api import paddle_api
from webhooks.fakes.paddle.desk import Desk as PaddleDesk
from webhooks.fakes.pages import pages
from webhooks.fakes.store import FakeStore
from webhooks.fakes.stripe.api import stripe_api
from webhooks.fakes.stripe.desk import Desk as StripeDesk

STORE_FILE: Final = DATA_FOLDER / "fakes.sqlite3"
CREDITS_VARIANT: Final = "900001"
"""The variant at the fake Lemon Squeezy that credits are sold as."""


def create_fakes(
    settings: Settings,
    *,
    file: Path,
    clock: Clock = system_clock_ms,
    deliver: Post = post,
    pauses_s: Sequence[float] | None = None,
) -> Flask:
    """
    The fakes, which remember what happened in `file` and deliver to the receiver of `settings`.

    Raises ConfigError where real money is near: for the tenant live, and without a secret of the sandbox to sign with.
    """
    if settings.tenant is not Tenant.SANDBOX:
        raise ConfigError({"CREDITGATE_TENANT": "must be sandbox: fake providers would grant live credits for nothing"})
    deliverer = Deliverer(
        receiver_url=settings.base_url,
        secrets={name: _sandbox_secret(settings, name) for name in ("stripe", "lemonsqueezy", "paddle")},
        post=deliver,
        **({} if pauses_s is None else {"pauses_s": tuple(pauses_s)}),
    )
    store, lock = FakeStore(file), threading.Lock()
    access = settings.access.get((Tenant.SANDBOX, "lemonsqueezy"))
    variant = access.variant_id if access is not None else CREDITS_VARIANT
    stripe = StripeDesk(store=store, deliverer=deliverer, now_ms=clock)
    squeezy = SqueezyDesk(store=store, deliverer=deliverer, now_ms=clock, credits_variant=variant)
    paddle = PaddleDesk(store=store, deliverer=deliverer, now_ms=clock)
    app = Flask("creditgate_fakes", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    apis = (stripe_api(stripe, lock), lemonsqueezy_api(squeezy, lock), paddle_api(paddle, lock))
    for routes in (*apis, pages(stripe, squeezy, paddle, lock), buying(settings, clock)):
        app.register_blueprint(routes)
    app.add_url_rule("/healthz", "healthz", lambda: Response("ok", mimetype="text/plain"))
    app.after_request(_closed)
    return app


def fakes_from_env() -> Flask:
    """The fakes as the environment of this process configures them."""
    folder = Path.cwd()
    settings = load_settings(read_environment(os.environ, folder), folder)
    set_up_logging(settings.log_format)
    return create_fakes(settings, file=folder / STORE_FILE)


def _sandbox_secret(settings: Settings, provider: str) -> bytes:
    found = [secret.value for secret in settings.secrets_of(provider) if secret.tenant is Tenant.SANDBOX]
    if not found:
        name = f"{provider.upper()}_TEST_WEBHOOK_SECRETS"
        raise ConfigError({name: "must be set: the fakes sign with it. `credits dev` makes one"})
    return found[0]


def _closed(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
