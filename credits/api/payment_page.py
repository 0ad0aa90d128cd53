"""The page on which Paddle takes a payment: Paddle.js opens the checkout that the address names."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, abort, request
from markupsafe import escape
from sqlalchemy import Engine

from credits.config.settings import Settings, Tenant
from credits.db import snapshot
from credits.pricing.store import find_keyed

_TRANSACTION: Final = re.compile(r"txn_[a-z0-9]{8,60}", re.ASCII)

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Payment</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 1rem/1.5 system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; margin: 1rem }}
  main {{ max-width: 32rem; text-align: center }}
</style></head>
<body data-token="{token}" data-environment="{environment}" data-return-url="{return_url}">
<main><h1>Payment</h1><p role="status">One moment: the payment opens by itself.</p>
<noscript><p>It needs JavaScript.</p></noscript></main>
<script src="https://cdn.paddle.com/paddle/v2/paddle.js" nonce="{nonce}"></script>
<script nonce="{nonce}">
  const said = document.body.dataset, status = document.querySelector("[role=status]");
  let isPaid = false;
  if (window.Paddle) {{
    if (said.environment === "sandbox") Paddle.Environment.set("sandbox");
    Paddle.Initialize({{
      token: said.token,
      eventCallback: (event) => {{
        if (event.name === "checkout.completed") {{
          isPaid = true;
          status.textContent = "Thank you. What you bought is there as soon as the payment is confirmed.";
          if (said.returnUrl) location.assign(said.returnUrl);
        }}
        if (isPaid) return;
        if (event.name === "checkout.closed") status.textContent = "Nothing was charged. Load this page again to pay.";
        if (event.name === "checkout.error") status.textContent = "The payment could not be opened. Try again later.";
      }},
    }});
  }} else {{
    status.textContent = "The payment could not be loaded. Is something blocking paddle.com?";
  }}
</script></body></html>
"""

_PADDLE: Final = "https://*.paddle.com"
_POLICY: Final = (
    f"default-src 'none'; script-src 'nonce-{{nonce}}' {_PADDLE}; style-src 'unsafe-inline' {_PADDLE}; "
    f"img-src data: {_PADDLE}; font-src {_PADDLE}; connect-src {_PADDLE}; frame-src {_PADDLE}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """Which checkout is opened: in which of Paddle's worlds, and where its payer goes on."""

    tenant: Tenant
    return_url: str = ""


def payment_page(settings: Settings, engine: Engine) -> Blueprint:
    """
    `GET /checkout/paddle?_ptxn=txn_…`, as Paddle's payment links have it; 404 without a client-side token.

    Knows nothing of who looks at it: whoever has a payment link may pay.
    """
    routes = Blueprint("payment_page", __name__)
    tokens = {
        tenant: access.client_token
        for (tenant, provider), access in settings.access.items()
        if provider == "paddle" and access.client_token
    }

    @routes.get("/checkout/paddle")
    def page() -> Response:
        transaction_id = request.args.get("_ptxn", "")
        if not tokens or not _TRANSACTION.fullmatch(transaction_id):
            abort(404)
        opened = _opened(engine, tokens, settings.tenant, transaction_id)
        nonce = secrets.token_urlsafe(16)
        html = _PAGE.format(
            token=escape(tokens[opened.tenant]),
            environment="sandbox" if opened.tenant is Tenant.SANDBOX else "live",
            return_url=escape(opened.return_url),
            nonce=nonce,
        )
        return Response(html, 200, _headers(nonce), mimetype="text/html")

    return routes


def _opened(engine: Engine, tokens: Mapping[Tenant, str], ours: Tenant, transaction_id: str) -> _Opened:
    """The purchase of that transaction. Paddle's mails lead here too, with transactions that we have not made."""
    with snapshot(engine) as connection:
        for tenant in tokens:
            row = find_keyed(connection, tenant, f"paddle:txn:{transaction_id}")
            if row is not None:
                # It was held against the hosts that are allowed when the checkout was made.
                return _Opened(tenant=tenant, return_url=row["success_url"] or "")
    return _Opened(tenant=ours if ours in tokens else next(iter(tokens)))


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY.replace("{nonce}", nonce),
        "X-Content-Type-Options": "nosniff",
        # Paddle opens its checkout on approved websites alone, so it has to see which one this is.
        "Referrer-Policy": "strict-origin-when-cross-origin",
    }
