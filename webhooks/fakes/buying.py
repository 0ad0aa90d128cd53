"""Where an account buys credits on a developer's machine: the hosted page, behind an address that takes no key."""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from credits.clock import Clock
from credits.config.settings import Settings
from credits.errors import InvalidInputError
from credits.passes.issuing import portal_link


def buying(settings: Settings, clock: Clock) -> Blueprint:
    """`/buy?account=<account>`: what CREDITGATE_BUY_URL leads to where no app has a page for it yet."""
    routes = Blueprint("buying", __name__)

    @routes.get("/buy")
    def buy() -> Response | tuple[str, int]:
        try:
            link, _ = portal_link(
                tenant=settings.tenant,
                account=request.args.get("account", ""),
                secret_key=settings.secret_key,
                base_url=settings.base_url,
                now_ms=clock(),
            )
        except InvalidInputError as error:
            return str(error), 422
        return redirect(link, 303)

    return routes
