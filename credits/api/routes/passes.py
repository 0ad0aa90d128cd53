"""Routes that let a browser in: links to the hosted page, tokens for the web components."""

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.pass_models import EmbedToken, EmbedTokenBody, PortalLink, PortalLinkBody
from credits.clock import iso
from credits.errors import ConfigError

area = Area("Pages", "The hosted page of an account's owner, and the components in pages of your own.")

# Whoever may take an account's credits may show them to their owner.
LET_IN = (Scope.RESERVE, Scope.GRANT)
# Of an installation without CREDITGATE_SECRET_KEY.
UNSIGNED = (ConfigError,)


@area.post(
    "/v1/accounts/{account}/portal-links",
    scopes=LET_IN,
    body=PortalLinkBody,
    answers={201: PortalLink},
    errors=UNSIGNED,
    is_unnamed=True,
)
def create_portal_link(call: Call, body: PortalLinkBody) -> Answer:
    """
    A link that opens the hosted page of this account, for a while, and of no other.

    Make one whenever your customer clicks, and redirect there. Nothing is stored: a repetition makes another link. With
    an Idempotency-Key it is answered the first one, which is remembered for a day.
    """
    url, expires_at_ms = call.credits.portal_link(
        call.account, ttl_s=body.ttl_s, return_url=body.return_url, locale=body.locale, email=body.email
    )
    return Answer(status=201, body={"account": call.account, "url": url, "expires_at": iso(expires_at_ms)})


@area.post(
    "/v1/accounts/{account}/embed-tokens",
    scopes=LET_IN,
    body=EmbedTokenBody,
    answers={201: EmbedToken},
    errors=UNSIGNED,
    is_unnamed=True,
)
def create_embed_token(call: Call, body: EmbedTokenBody) -> Answer:
    """
    A token for the web components on pages of these origins.

    It reads the account's balances and opens checkouts for it, and does nothing else. It is the only thing that a
    browser may see; an API key is not.
    """
    token, expires_at_ms = call.credits.embed_token(
        call.account, origins=body.origins, ttl_s=body.ttl_s, locale=body.locale, email=body.email
    )
    return Answer(status=201, body={"account": call.account, "token": token, "expires_at": iso(expires_at_ms)})
