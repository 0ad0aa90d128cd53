"""The hosted page without a server: an app of its blueprints alone, and a provider that sells without a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask import Flask
from flask.testing import FlaskClient

from credits.checkout.model import CheckoutOrder, PaymentProvider, ProviderCheckout
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.portal.embed import embed_routes
from credits.portal.pages import portal_routes
from credits.portal.visit import Portal
from credits.units import Money
from tests.support.pipeline import Pipeline

KEY = "a key for tests only"
BASE_URL = "http://localhost"


@dataclass(slots=True)
class PaperSeller:
    """Makes a checkout of every order, and remembers it."""

    name: str = "stripe"
    orders: list[CheckoutOrder] = field(default_factory=list)

    def chargeable(self, money: Money) -> Money:
        return money

    def create_checkout(self, order: CheckoutOrder) -> ProviderCheckout:
        self.orders.append(order)
        return ProviderCheckout(
            checkout_id=f"cs_{order.purchase_id}", url=f"https://pay.example.com/{order.purchase_id}", key=None
        )


def library_of(
    pipeline: Pipeline, seller: PaymentProvider, *, tenant: Tenant = Tenant.SANDBOX, base_url: str = BASE_URL
) -> Credits:
    """The pipeline's library with something to sell."""
    return Credits(
        engine=pipeline.runtime.engine,
        catalogue=pipeline.runtime.catalogue,
        tenant=tenant,
        secret_key=KEY,
        clock=pipeline.runtime.clock,
        gate=pipeline.gate,
        sellers={seller.name: seller},
        base_url=base_url,
    )


def client_of(libraries: Mapping[Tenant, Credits], pipeline: Pipeline) -> FlaskClient:
    """A browser without JavaScript."""
    portal = Portal(credits_of=libraries, secret_key=KEY, base_url=BASE_URL, clock=pipeline.runtime.clock)
    app = Flask("portal", static_folder=None)
    app.register_blueprint(portal_routes(portal))
    app.register_blueprint(embed_routes(portal))
    return app.test_client()


class Fields(HTMLParser):
    """The hidden fields of a page's forms."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.values.setdefault(found.get("name") or "", found.get("value") or "")
