"""One request of a visitor: who it is, in which words it is answered, and the page that says what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, render_template, request

from credits.clock import Clock
from credits.config.faces import PortalRules
from credits.config.settings import Tenant
from credits.db import is_unavailable, snapshot
from credits.engine import Credits
from credits.errors import (
    AuthenticationError,
    CreditsError,
    DependencyError,
    InvalidInputError,
    PassExpiredError,
    PermissionDeniedError,
    PurchaseNotFoundError,
)
from credits.log import get_logger
from credits.passes.seals import Visitor
from credits.portal import store
from credits.portal.session import form_token, visitor_of
from credits.portal.texts import Words, chosen_locale

MAX_FORM_BYTES: Final = 16_384

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What the pages work with."""

    credits_of: Mapping[Tenant, Credits]
    secret_key: str
    base_url: str
    clock: Clock

    @property
    def brand(self) -> PortalRules:
        return next(iter(self.credits_of.values())).catalogue.portal

    @property
    def is_secure(self) -> bool:
        return self.base_url.startswith("https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of a visitor."""

    portal: Portal
    visitor: Visitor
    library: Credits
    owner: store.Owner | None
    words: Words
    now_ms: int

    @property
    def account(self) -> str:
        return self.visitor.account

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page as HTML."""
        shown = {
            "t": self.words,
            "brand": self.portal.brand,
            "account": self.account,
            "return_url": self.visitor.return_url,
            "form_token": form_token(self.visitor, self.portal.secret_key),
            **values,
        }
        return Response(render_template(f"portal/{template}.html", **shown), status, mimetype="text/html")


def visit_of(portal: Portal) -> Visit:
    """
    Who asks, in their own words and time zone.

    Raises AuthenticationError if the session is over, or none of ours.
    """
    now_ms = portal.clock()
    request.max_content_length = MAX_FORM_BYTES
    visitor = visitor_of(request, portal.secret_key, now_ms=now_ms)
    library = portal.credits_of[visitor.tenant]
    with snapshot(library.engine) as connection:
        owner = store.find_owner(connection, visitor.tenant, visitor.account)
    return Visit(
        portal=portal,
        visitor=visitor,
        library=library,
        owner=owner,
        words=words_of(portal, visitor.tenant, visitor.locale, owner),
        now_ms=now_ms,
    )


def words_of(portal: Portal, tenant: Tenant, wanted: str | None, owner: store.Owner | None) -> Words:
    """The words for a visitor: the link's locale, else the browser's, else the installation's."""
    default = portal.credits_of[tenant].catalogue.checkout.locale
    locale = chosen_locale(wanted, request.accept_languages.values(), default)
    return Words(locale, "UTC" if owner is None else owner.time_zone)


def sorry(portal: Portal, error: Exception) -> Response:
    """A page that says what went wrong in the visitor's own terms; nothing of our insides."""
    words = words_of(portal, Tenant.LIVE, None, None)
    title, return_url = words("error_title"), None
    match error:
        case PassExpiredError():
            title, status, text, return_url = words("link_over_title"), 403, words("link_over"), error.return_url
        case AuthenticationError():
            title, status, text = words("link_over_title"), 403, words("link_over")
        case PermissionDeniedError():
            status, text = 403, words("csrf")
        case PurchaseNotFoundError():
            status, text = 404, words("not_found")
        case InvalidInputError():
            status, text = 422, str(error)
        case DependencyError():
            status, text = 503, words("something_wrong")
        case CreditsError():
            status, text = 409, str(error)
        case _:
            status, text = 503 if is_unavailable(error) else 500, words("something_wrong")
            log.error("portal.failed", exc_info=error)
    shown = {"title": title, "text": text, "return_url": return_url}
    page = render_template("portal/sorry.html", t=words, brand=portal.brand, **shown)
    return Response(page, status, mimetype="text/html")
