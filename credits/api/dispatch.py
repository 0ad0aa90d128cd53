"""From a declared route to an answered request: key, scope, body, call, answer. Every route goes through here."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json
from werkzeug.datastructures import MultiDict

from credits.api.bodies import read_json
from credits.api.endpoint import IDEMPOTENCY_KEY, Answer, Call, Endpoint
from credits.api.errors import AccountDeniedError
from credits.api.keyring import KeyRing
from credits.api.keys import ApiKey
from credits.api.limits import RateLimits
from credits.api.models import Sent
from credits.api.problems import SECURITY_HEADERS, invalid_fields, problem_of
from credits.config.settings import Tenant
from credits.engine import Credits
from credits.errors import (
    AuthenticationError,
    CreditsError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidInputError,
    PermissionDeniedError,
)
from credits.ids import checked_id

# For what pydantic refuses: text that is no UTF-8, which a payload may have brought long ago.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


class Asked(NamedTuple):
    """What a request of the API brings, whoever has read it."""

    path: Mapping[str, str]
    """The variable parts of the path, decoded."""
    authorization: str
    idempotency_key: str | None
    fields: Callable[[], Mapping[str, Any]]
    """Of the body or the query; asked for once it is known that the caller may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the routes work with. One for all requests of a process."""

    keys: KeyRing
    limits: RateLimits | None
    credits_of: Mapping[Tenant, Credits]
    buy_url: str
    """Where an account buys credits, with `{account}` in it; empty: the answers name no such place."""

    @property
    def credit_types(self) -> tuple[str, ...]:
        """Those that this installation declares."""
        return tuple(self.credits_of[Tenant.LIVE].catalogue.credit_types)

    def blueprint(self, endpoints: Iterable[Endpoint]) -> Blueprint:
        """The routes of `endpoints`."""
        routes = Blueprint("api", __name__)
        for endpoint in endpoints:
            rule = endpoint.path.replace("{", "<segment:").replace("}", ">")
            routes.add_url_rule(rule, endpoint.name, self._view(endpoint), methods=[endpoint.method])
        return routes

    def _view(self, endpoint: Endpoint) -> Callable[..., Response]:
        def view(**path: str) -> Response:
            asked = Asked(
                path=path,
                authorization=request.headers.get("Authorization", ""),
                idempotency_key=request.headers.get(IDEMPOTENCY_KEY),
                fields=lambda: _fields_of_request(endpoint),
            )
            try:
                return respond(self.carry_out(endpoint, asked), is_tagged=endpoint.is_tagged)
            except CreditsError as error:
                return self.refuse(error, path)

        return view

    def carry_out(self, endpoint: Endpoint, asked: Asked) -> Answer:
        """Answer a request of `endpoint`. Raises what it is refused for."""
        caller = self.keys.authenticate(_bearer(asked.authorization))
        if self.limits is not None:
            self.limits.admit(caller.kid)
        if caller.scopes.isdisjoint(endpoint.admitted):
            raise PermissionDeniedError(*(scope.value for scope in endpoint.scopes))
        names = {name: checked_id(text, name) for name, text in asked.path.items()}
        reach = _Reach(caller)
        reach.check_named(names.get("account"))
        call = Call(
            caller=caller,
            credits=self.credits_of[caller.tenant],
            path=names,
            idempotency_key=_idempotency_key(asked.idempotency_key),
        )
        sent = checked_fields(endpoint, asked.fields())
        if endpoint.names_account:
            reach.check_named(getattr(sent, "account", None))
        if endpoint.has_body or endpoint.is_of_installation:
            reach.check_any_named(endpoint)
        try:
            answer = _first_answer(endpoint, call, sent) if endpoint.is_unnamed else endpoint.run(call, sent)
        except IdempotencyConflictError as error:
            raise reach.as_told(error) from None
        reach.check_shown(endpoint, answer)
        return answer

    def refuse(self, error: CreditsError, path: Mapping[str, str]) -> Response:
        """What a refusal is over HTTP. Raises all others again, for whoever answers errors of any request."""
        if isinstance(error, InsufficientCreditsError | HoldEndedError):
            return problem_of(error, buy_url=self._where_to_buy(path.get("account", "")))
        raise error

    def _where_to_buy(self, account: str) -> str | None:
        return self.buy_url.replace("{account}", quote(account, safe="")) or None


def checked_fields(endpoint: Endpoint, found: Mapping[str, Any]) -> Sent:
    """The fields of a body or a query, checked. Raises InvalidInputError and its kin."""
    try:
        return endpoint.sent.model_validate(found)
    except ValidationError as error:
        raise invalid_fields(error, endpoint.sent) from None


def _first_answer(endpoint: Endpoint, call: Call, sent: Sent) -> Answer:
    """What the first request of this name was answered; without a name, each is the first."""
    name = call.idempotency_key
    if name is None:
        return endpoint.run(call, sent)
    where = f"{endpoint.name} {json.dumps(dict(call.path), sort_keys=True)}"
    found = call.credits.firsts.begin(where, name, sent.model_dump_json(exclude={"reason"}))
    if found is None:
        answer = endpoint.run(call, sent)
        found = call.credits.firsts.keep(where, name, f"[{answer.status},{as_json(answer).decode()}]")
    status, body = json.loads(found)
    return Answer(body=body, status=status)


def as_json(answer: Answer) -> bytes:
    """The body of an answer."""
    try:
        return to_json(answer.body)
    except PydanticSerializationError:
        return _ENCODER.encode(answer.body).encode()


def respond(answer: Answer, *, is_tagged: bool) -> Response:
    """`answer` over HTTP."""
    text = as_json(answer)
    response = Response(text, answer.status, SECURITY_HEADERS, mimetype="application/json")
    if is_tagged:
        response.set_etag(hashlib.sha256(text).hexdigest()[:32])
        response.make_conditional(request)
    return response


@dataclass(slots=True)
class _Reach:
    """Keeps a key that is for some accounts from all others, whether they are there or not."""

    caller: ApiKey
    _is_named: bool = False

    def check_named(self, account: str | None) -> None:
        """An account that the path or a field names."""
        if account is None:
            return
        self._is_named = True
        if not self.caller.reaches(account):
            raise AccountDeniedError

    def check_any_named(self, endpoint: Endpoint) -> None:
        """A request that names no account is about all of them, if the route does not say otherwise."""
        if not (self._is_named or endpoint.is_general or self.caller.account_prefix is None):
            raise AccountDeniedError

    def as_told(self, conflict: IdempotencyConflictError) -> IdempotencyConflictError:
        """Names of changes are one for all accounts: what bears one already may be another account's."""
        if self.caller.account_prefix is None:
            return conflict
        return IdempotencyConflictError(conflict.key, first="other content", now="this")

    def check_shown(self, endpoint: Endpoint, answer: Answer) -> None:
        """What is found by its own id belongs to an account, too."""
        if not self._is_named:
            self.check_named(answer.body.get("account"))
            self.check_any_named(endpoint)


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationError("no valid API key")
    return key.strip()


def _idempotency_key(text: str | None) -> str | None:
    if text is None:
        return None
    # WSGI hands headers over as latin-1 text. Space around a value is not part of it, whichever server took it off.
    return checked_id(
        text.strip(" \t").encode("latin-1", "replace").decode("utf-8", "surrogateescape"), IDEMPOTENCY_KEY
    )


def _fields_of_request(endpoint: Endpoint) -> Mapping[str, Any]:
    if not endpoint.has_body:
        return _single_values(request.args)
    found = read_json()
    if request.args:
        raise InvalidInputError(next(iter(request.args))[:40], "is in the query; this route takes its fields in a body")
    return found


def _single_values(query: MultiDict[str, str]) -> dict[str, str]:
    for name, values in query.lists():
        if len(values) > 1:
            raise InvalidInputError(name[:40], "stands more than once in the query")
    return query.to_dict()
