"""Where a payer lands who was given nowhere else to go: a page that says thank you, and one that says never mind."""

from typing import Final

from flask import Blueprint, Response

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; background: Canvas; color: CanvasText }}
  body {{ font: 1rem/1.5 system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; margin: 1rem }}
  main {{ max-width: 32rem; text-align: center }}
</style></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""

_TEXTS: Final = {
    "done": ("Thank you", "Your credits are there as soon as the payment is confirmed, mostly within seconds."),
    "cancelled": ("Nothing was charged", "You can close this page, and buy another time."),
}

_HEADERS: Final = {
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # There is no form on these pages, so that the `Origin: null` that this makes browsers send with one hurts nobody.
    "Referrer-Policy": "no-referrer",
}


def return_pages() -> Blueprint:
    """`GET /checkout/done` and `GET /checkout/cancelled`. They know nothing of who looks at them."""
    routes = Blueprint("return_pages", __name__)
    for name, (title, text) in _TEXTS.items():
        page = _PAGE.format(title=title, text=text)
        routes.add_url_rule(
            f"/checkout/{name}", name, lambda page=page: Response(page, 200, _HEADERS, mimetype="text/html")
        )
    return routes
