"""A customer whose last month has something to tell: a plan, packs bought, work done, credits that lapse soon."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flask import Flask
from werkzeug.serving import make_server

from credits.config.load import load_catalogue
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.portal.embed import embed_routes
from credits.portal.pages import portal_routes
from credits.portal.visit import Portal
from credits.reservations.sweeps import apply_outbox
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline
from tests.support.portal import KEY, PaperSeller, library_of

ACCOUNT: Final = "studio-lumen"
DAY_MS: Final = 86_400_000

_CONFIG: Final = """
[credit_types.images]
name = "Images"
currency = "USD"
minimum_amount = 50
pricing = "volume"
slabs = [{ from = 1, to = 999, price_per_unit = "0.10" }, { from = 1000, price_per_unit = "0.08" }]
packs = [{ amount = 500, price = "45.00", bonus = 25 }, { amount = 2000, price = "150.00", bonus = 200 }]

[credit_types.video]
name = "Video seconds"
currency = "USD"
minimum_amount = 10
slabs = [{ from = 1, price_per_unit = "0.25" }]

[plans.pro]
name = "Pro"
discount = "0.10"
stripe_prices = ["price_pro"]
fake_products = ["pro"]

[plans.pro.credits.images]
amount = 1000
every = "month"
expires = "period_end"

[plans.pro.credits.video]
amount = 300
every = "month"
expires = "period_end"

[plans.team]
name = "Team"
stripe_prices = ["price_team"]
fake_products = ["team"]

[plans.team.credits.images]
amount = 5000
every = "month"
expires = "period_end"

[portal]
name = "Northlight"
colour = "#0f766e"
logo = "logo.svg"
"""

_LOGO: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#0f766e"/>
<path d="M16 6l2.6 7.4L26 16l-7.4 2.6L16 26l-2.6-7.4L6 16l7.4-2.6z" fill="#fff"/></svg>"""

_IMAGES: Final = (
    38,
    52,
    61,
    47,
    70,
    12,
    4,
    44,
    58,
    49,
    73,
    66,
    9,
    0,
    51,
    62,
    57,
    80,
    91,
    15,
    6,
    64,
    48,
    77,
    83,
    69,
    11,
)
_SECONDS: Final = (0, 0, 12, 30, 8, 0, 0, 16, 0, 24, 0, 40, 0, 0, 0, 18, 6, 0, 35, 0, 0, 22, 14, 0, 9, 20, 0)


@contextmanager
def showroom(pipeline: Pipeline, clock: VirtualClock, folder: Path) -> Iterator[tuple[str, Credits]]:
    """The hosted page of that customer, served; its address and the library behind it."""
    (folder / "logo.svg").write_text(_LOGO)
    (folder / "credits.toml").write_text(_CONFIG)
    pipeline = pipeline.with_catalogue(load_catalogue(folder / "credits.toml"))
    server = make_server("127.0.0.1", 0, app := Flask("showroom", static_folder=None), threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    library = library_of(pipeline, PaperSeller(), base_url=url)
    portal = Portal(credits_of=dict.fromkeys(Tenant, library), secret_key=KEY, base_url=url, clock=clock)
    app.register_blueprint(portal_routes(portal))
    app.register_blueprint(embed_routes(portal))
    _live_a_month(pipeline, library, clock)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url, library
    finally:
        server.shutdown()


def _live_a_month(pipeline: Pipeline, library: Credits, clock: VirtualClock) -> None:
    started_at_ms = clock()
    paid = {
        "account": ACCOUNT,
        "product_id": "pro",
        "credit_type": None,
        "amount": None,
        "started_at_ms": started_at_ms,
    }
    pipeline.receive("subscription.seen", **paid, delivery="seen")
    pipeline.receive("plan.paid", **paid, delivery="first", paid_minor=4900)
    for day, (images, seconds) in enumerate(zip(_IMAGES, _SECONDS, strict=True)):
        clock.advance_ms(DAY_MS)
        if day in {6, 19}:
            _buy(pipeline, library, amount=500 if day == 6 else 1000, number=day)
        if images:
            library.deduct(ACCOUNT, "images", images, key=f"images-{day}", reason="Catalogue renderings")
        if seconds:
            library.deduct(ACCOUNT, "video", seconds, key=f"video-{day}", reason="Product clip")
    library.checkout(ACCOUNT, provider="stripe", credit_type="video", amount=60, key="left-alone")
    library.reserve(ACCOUNT, images=24, ttl_s=3600)


def _buy(pipeline: Pipeline, library: Credits, *, amount: int, number: int) -> None:
    made = library.checkout(ACCOUNT, provider="stripe", credit_type="images", amount=amount, key=f"pack-{number}")
    # What was quoted: the amount with what comes on top of it, at the plan's discount.
    about = {"account": ACCOUNT, "credit_type": "images", "amount": made["amount"], "paid_minor": made["total_minor"]}
    names = {"payment": f"pack-{number}", "delivery": f"pack-{number}", "quote_id": made["purchase_id"]}
    pipeline.receive("purchase.paid", **about, **names)
    assert pipeline.gate is not None
    apply_outbox(pipeline.gate)
