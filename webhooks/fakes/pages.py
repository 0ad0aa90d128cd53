"""The pages of the fakes: a list of payments, and one page for each where buttons decide what happens to it."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from credits.checkout.marks import RETURN_URL
from credits.errors import InvalidInputError
from webhooks.fakes.lemonsqueezy import fate as squeezy_fate
from webhooks.fakes.lemonsqueezy.desk import Desk as SqueezyDesk
from webhooks.fakes.lemonsqueezy.page import till_of_checkout, till_of_order
from webhooks.fakes.paddle import fate as paddle_fate
from webhooks.fakes.paddle.desk import Desk as PaddleDesk
from webhooks.fakes.paddle.page import till_of as till_of_transaction
from webhooks.fakes.stripe import fate as stripe_fate
from webhooks.fakes.stripe.desk import Desk as StripeDesk
from webhooks.fakes.stripe.page import till_of
from webhooks.fakes.till import PERCENTS, Extras, Till, read_extras

Shown = Callable[[dict[str, Any], str], Till]
Happenings = Mapping[str, Callable[[Any, dict[str, Any], Extras], str]]

_LISTED: Final = 100


def pages(stripe: StripeDesk, squeezy: SqueezyDesk, paddle: PaddleDesk, lock: threading.Lock) -> Blueprint:
    """`/`, `/stripe/pay/<id>`, `/lemonsqueezy/checkout/<id>`, `/lemonsqueezy/orders/<id>`, `/paddle/pay?_ptxn=<id>`."""
    routes = Blueprint("pages", __name__, template_folder="templates")

    def session_till(session: dict[str, Any], message: str) -> Till:
        return till_of(session, stripe.notes(session["id"]), message)

    def transaction_till(transaction: dict[str, Any], message: str) -> Till:
        return till_of_transaction(transaction, paddle.notes(transaction["id"]), message)

    @routes.get("/")
    def index() -> str:
        rows = [
            (session_till(one, ""), f"/stripe/pay/{one['id']}")
            for one in stripe.store.all("stripe", "checkout.session")
        ]
        rows += [
            (till_of_order(squeezy, one), f"/lemonsqueezy/orders/{one['id']}")
            for one in squeezy.store.all("lemonsqueezy", "orders")
        ]
        rows += [
            (transaction_till(one, ""), f"/paddle/pay?_ptxn={one['id']}")
            for one in paddle.store.all("paddle", "transactions")
            if one["origin"] == "api"
        ]
        return render_template("index.html", rows=rows[:_LISTED])

    @routes.route("/stripe/pay/<object_id>", methods=["GET", "POST"])
    def stripe_page(object_id: str) -> Response | str:
        with lock:
            session = stripe.find("checkout.session", object_id) or abort(404)
            if session["status"] == "open" and session["expires_at"] <= stripe.now_s:
                stripe_fate.expire(stripe, session, Extras())
            return _turn(stripe, session, session_till, stripe_fate.HAPPENINGS, session["success_url"])

    @routes.route("/lemonsqueezy/checkout/<object_id>", methods=["GET", "POST"])
    def squeezy_page(object_id: str) -> Response | str:
        with lock:
            checkout = squeezy.find("checkouts", object_id) or abort(404)
            back = checkout["attributes"]["product_options"].get("redirect_url")
            shown = _bound(till_of_checkout, squeezy)
            return _turn(squeezy, checkout, shown, squeezy_fate.ON_CHECKOUTS, back)

    @routes.route("/lemonsqueezy/orders/<object_id>", methods=["GET", "POST"])
    def order_page(object_id: str) -> Response | str:
        with lock:
            order = squeezy.find("orders", object_id) or abort(404)
            return _turn(squeezy, order, _bound(till_of_order, squeezy), squeezy_fate.ON_ORDERS, None)

    @routes.route("/paddle/pay", methods=["GET", "POST"])
    def paddle_page() -> Response | str:
        with lock:
            transaction = paddle.find("transactions", request.args.get("_ptxn", ""))
            if transaction is None or transaction["origin"] != "api":
                abort(404)
            # As the page of a shop does with Paddle.js: docs/providers/paddle.md.
            back = (transaction["custom_data"] or {}).get(RETURN_URL)
            return _turn(paddle, transaction, transaction_till, paddle_fate.HAPPENINGS, back)

    return routes


def _bound(till: Callable[[SqueezyDesk, dict[str, Any], str], Till], desk: SqueezyDesk) -> Shown:
    return lambda resource, message: till(desk, resource, message)


def _turn(
    desk: StripeDesk | SqueezyDesk | PaddleDesk,
    about: dict[str, Any],
    shown: Shown,
    happenings: Happenings,
    back_url: str | None,
) -> Response | str:
    """Show the page; after a click, do what it says, if the page as it stands now offers it."""
    message = ""
    if request.method == "POST":
        till, action = shown(about, ""), request.form.get("action", "")
        offered = {button.action for button in (*till.buttons, *till.fate)}
        if action in offered:
            message = happenings[action](desk, about, _extras())
            if not message and back_url:
                return redirect(back_url.replace("{CHECKOUT_SESSION_ID}", str(about["id"])), 303)
        else:
            message = f"That is over: it is {till.state_text} now."
    return render_template("till.html", till=shown(about, message), percents=PERCENTS)


def _extras() -> Extras:
    try:
        return read_extras(request.form.to_dict())
    except InvalidInputError:
        abort(400)
