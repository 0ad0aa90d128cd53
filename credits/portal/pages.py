"""The hosted page: balances, history, buying. Works without JavaScript; a script makes prices and balances live."""

import csv
import io
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request, send_file
from sqlalchemy import RowMapping

from credits.clock import from_iso, iso
from credits.db import snapshot
from credits.errors import InvalidInputError, PurchaseNotFoundError
from credits.ids import checked_id, digest
from credits.passes.issuing import SESSION_S
from credits.portal import store, view
from credits.portal.brand import colours_css
from credits.portal.buying import asked_price, buy, chosen_amount
from credits.portal.faults import told
from credits.portal.session import HEADERS, check_form, opened, start_session
from credits.portal.topping import WAYS, can_top_up, cards, save, wrong_field
from credits.portal.visit import Portal, Visit, sorry, visit_of

PAGE: Final = 25
MAX_CSV_ROWS: Final = 10_000
_LOOK_AGAIN_S: Final = 2

_CACHEABLE: Final = frozenset({"portal.static", "portal.logo", "portal.colours"})

View = Callable[..., Any]


def portal_routes(portal: Portal) -> Blueprint:
    """`/portal` and all below it."""
    routes = Blueprint(
        "portal",
        __name__,
        url_prefix="/portal",
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    for name, rule, run in _PUBLIC:
        routes.add_url_rule(rule, name, _guarded(portal, partial(run, portal)), methods=["GET"])
    for name, rule, show, methods in _PAGES:
        routes.add_url_rule(rule, name, _guarded(portal, _of_visitor(portal, show)), methods=list(methods))
    routes.after_request(_fence)
    return routes


def _guarded(portal: Portal, run: View) -> View:
    def guarded(**path: str) -> Any:
        try:
            return run(**path)
        except Exception as error:  # noqa: BLE001
            return sorry(portal, error)

    return guarded


def _of_visitor(portal: Portal, show: View) -> View:
    return lambda **path: show(visit_of(portal), **path)


def _fence(response: Response) -> Response:
    for name, value in HEADERS.items():
        # What a page loads may be kept by the browser; what it says of an account may not.
        if name != "Cache-Control" or request.endpoint not in _CACHEABLE:
            response.headers[name] = value
    return response


def enter(portal: Portal) -> Response:
    """Take the link's token out of the address bar: it becomes a cookie."""
    visitor = opened(request, portal.secret_key, now_ms=portal.clock())
    ends_at_ms = portal.clock() + SESSION_S * 1000
    response = Response(status=303, headers={"Location": "/portal/"})
    session = replace(visitor, expires_at_ms=ends_at_ms, nonce=secrets.token_urlsafe(12))
    start_session(response, session, portal.secret_key, is_secure=portal.is_secure)
    return response


def show_logo(portal: Portal) -> Response:
    """The brand's own picture."""
    if portal.brand.logo is None:
        raise PurchaseNotFoundError("logo")
    return send_file(portal.brand.logo, max_age=3_600)


def show_colours(portal: Portal) -> Response:
    """The brand's colours: a style sheet, for the page takes no styles inline."""
    response = Response(colours_css(portal.brand), mimetype="text/css")
    response.headers["Cache-Control"] = "max-age=3600"
    return response


def show_overview(visit: Visit) -> Response:
    """Balances, what lapses, the last thirty days, what can be bought, subscriptions, receipts."""
    shown = view.overview(visit.library, visit.account, visit.owner, now_ms=visit.now_ms)
    sellers = visit.library.shop.offered
    return visit.page(
        "overview",
        shown=shown,
        offers=view.offers(visit.library) if sellers else (),
        plans=view.plans_for_sale(visit.library, sellers, shown.subscriptions),
        sellers=sellers,
        can_top_up=can_top_up(visit.library),
        request_key=secrets.token_urlsafe(12),
        name_of=lambda credit_type: view.name_of(visit.library, credit_type),
        plan_name=lambda key: view.plan_name(visit.library, key),
    )


def show_history(visit: Visit) -> Response:
    """The ledger in pages, with a search."""
    credit_type, text = request.args.get("type") or None, (request.args.get("q") or "")[:100] or None
    rows = _history(visit, credit_type, text, before_id=_cursor(), limit=PAGE + 1)
    return visit.page(
        "history",
        rows=rows[:PAGE],
        next=rows[PAGE - 1]["id"] if len(rows) > PAGE else None,
        is_first=_cursor() is None,
        credit_type=credit_type,
        text=text,
        types={name: kind.name for name, kind in visit.library.catalogue.credit_types.items()},
        name_of=lambda name: view.name_of(visit.library, name),
    )


def download_history(visit: Visit) -> Response:
    """The same as CSV, up to ten thousand rows, in UTC and with plain numbers."""
    credit_type, text = request.args.get("type") or None, (request.args.get("q") or "")[:100] or None
    rows = _history(visit, credit_type, text, before_id=None, limit=MAX_CSV_ROWS)
    response = Response(_csv(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="credits.csv"'
    return response


def buying(visit: Visit) -> Response:
    """GET: the form with its price. POST: open a checkout and go on to where it is paid."""
    sellers = visit.library.shop.offered
    if request.method == "POST":
        check_form(request, visit.visitor, visit.portal.secret_key)
        back_url = f"{visit.portal.base_url}/portal/purchases"
        try:
            bought = buy(visit.library, visit.account, request.form, back_url=back_url, email=visit.visitor.email)
        except InvalidInputError as error:
            return _buy_form(
                visit, sellers, request.form, {"error": told(error, visit.library, visit.words)}, status=422
            )
        # A redirect after a form is held to form-action by browsers, and the provider's host is not ours to list.
        return visit.page("leaving", url=bought["checkout_url"])
    asked = asked_price(visit.library, visit.account, request.args, visit.words)
    return _buy_form(visit, sellers, request.args, asked)


def topping_up(visit: Visit) -> Response:
    """GET: what is agreed for each credit type, and how it stands. POST: agree to something else."""
    if not can_top_up(visit.library):
        raise PurchaseNotFoundError("topups")
    if request.method == "POST":
        check_form(request, visit.visitor, visit.portal.secret_key)
        try:
            save(visit.library, visit.account, request.form)
        except InvalidInputError as error:
            return _topup_form(visit, request.form, {wrong_field(error): told(error, visit.library, visit.words)})
        return Response(status=303, headers={"Location": "/portal/topups"})
    return _topup_form(visit, None, {})


def price_as_json(visit: Visit) -> Response:
    """What the price is for what is being typed."""
    return jsonify(asked_price(visit.library, visit.account, request.args, visit.words))


def balances_as_json(visit: Visit) -> Response:
    """The balances, written for people, for the script that keeps them fresh."""
    balances, _ = view.balances_of(visit.library, visit.account)
    response = jsonify({name: visit.words.number(balance.available) for name, balance in balances.items()})
    response.set_etag(digest(response.get_data())[:32])
    response.make_conditional(request)
    return response


def show_purchase(visit: Visit, purchase_id: str) -> Response:
    """What became of a purchase; the page looks again by itself while it is open."""
    found = visit.library.purchase(checked_id(purchase_id, "purchase_id"))
    if found["account"] != visit.account:
        # Somebody else's purchase is as little there as none.
        raise PurchaseNotFoundError(purchase_id)
    is_open = found["state"] in {"quoted", "open", "pending"}
    response = visit.page(
        "purchase",
        purchase=found,
        created_at_ms=from_iso(found["created_at"]),
        is_open=is_open,
        name_of=lambda name: view.name_of(visit.library, name),
        plan_name=lambda key: view.plan_name(visit.library, key),
    )
    if is_open:
        response.headers["Refresh"] = str(_LOOK_AGAIN_S)
    return response


def _buy_form(
    visit: Visit, sellers: tuple[str, ...], sent: Mapping[str, str], asked: Mapping[str, Any] | None, status: int = 200
) -> Response:
    """The form as it was filled in, with its price or what is wrong beside the amount."""
    return visit.page(
        "buy",
        status=status,
        offers=view.offers(visit.library) if sellers else (),
        sellers=sellers,
        asked=asked,
        request_key=secrets.token_urlsafe(12),
        sent=sent,
    )


def _topup_form(visit: Visit, sent: Mapping[str, str] | None, wrong: Mapping[str, str]) -> Response:
    """What is agreed; a form that was refused as it was filled in, each fault beside its field."""
    shown = cards(visit.library, visit.account, visit.words, sent=sent, wrong=wrong)
    return visit.page("topups", status=422 if wrong else 200, ways=WAYS, cards=shown)


def _history(
    visit: Visit, credit_type: str | None, text: str | None, *, before_id: int | None, limit: int
) -> list[RowMapping]:
    if visit.owner is None:
        return []
    with snapshot(visit.library.engine) as connection:
        return store.history(
            connection,
            visit.owner.id,
            credit_type=credit_type,
            text=text,
            kinds=visit.words.kinds_called(text) if text else (),
            before_id=before_id,
            limit=limit,
        )


def _cursor() -> int | None:
    text = request.args.get("before", "")
    return chosen_amount(text, "before") if text else None


def _csv(rows: list[RowMapping]) -> Iterator[str]:
    columns = ("at", "credit_type", "seq", "kind", "amount", "balance_after", "reason", "reservation_id", "member")
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([iso(row["at_ms"]), *(_tame(row[name]) for name in columns[1:])])


def _csv_line(values: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _tame(value: Any) -> Any:
    # A spreadsheet would run a text that begins like this.
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


_PUBLIC: Final = (("enter", "/enter", enter), ("logo", "/logo", show_logo), ("colours", "/colours.css", show_colours))
"""What needs no visitor."""

_PAGES: Final = (
    ("overview", "/", show_overview, ("GET",)),
    ("history", "/history", show_history, ("GET",)),
    ("history_csv", "/history.csv", download_history, ("GET",)),
    ("buy", "/buy", buying, ("GET", "POST")),
    ("topups", "/topups", topping_up, ("GET", "POST")),
    ("price", "/price", price_as_json, ("GET",)),
    ("balances", "/balances", balances_as_json, ("GET",)),
    ("purchase", "/purchases/<purchase_id>", show_purchase, ("GET",)),
)
