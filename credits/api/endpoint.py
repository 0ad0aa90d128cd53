"""How a route of the API is declared: path, scope, what it takes and answers. Checks and document follow from that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from credits.api.keys import ApiKey, Scope
from credits.api.models import Sent
from credits.engine import Credits
from credits.errors import CreditsError, IdempotencyConflictError, InvalidInputError

IDEMPOTENCY_KEY = "Idempotency-Key"

S = TypeVar("S", bound=Sent)


class Call(NamedTuple):
    """
    One request that may be carried out: who asks, for what, on whose credits.

    A tuple, as everything that is made for each request: a frozen dataclass takes four times as long to make.
    """

    caller: ApiKey
    credits: Credits
    path: Mapping[str, str]
    """The variable parts of the path, decoded and checked."""
    idempotency_key: str | None

    @property
    def account(self) -> str:
        return self.path["account"]

    @property
    def actor(self) -> str:
        """Who it is in the ledger."""
        return f"key:{self.caller.kid}"

    def name(self, field_name: str, sent: str | None) -> str | None:
        """
        The name of a change: from its field, or else from the Idempotency-Key.

        Raises InvalidInputError if both are there and differ: it would be unclear what a repetition is.
        """
        if sent is not None and self.idempotency_key is not None and sent != self.idempotency_key:
            raise InvalidInputError(
                IDEMPOTENCY_KEY, f"must equal {field_name!r} of the body, or be left out: one name names one change"
            )
        return sent if sent is not None else self.idempotency_key

    def needed_name(self, field_name: str, sent: str | None) -> str:
        """As `name`, where there must be one: without it, nobody could repeat the request."""
        name = self.name(field_name, sent)
        if name is None:
            raise InvalidInputError(field_name, f"is missing; send it in the body, or as the header {IDEMPOTENCY_KEY}")
        return name


class Answer(NamedTuple):
    """What a route answers: JSON and its status."""

    body: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    """As in OpenAPI: `/v1/accounts/{account}/balances`."""
    scopes: tuple[Scope, ...]
    """What its document says a key needs one of; `admin` has them all."""
    sent: type[Sent]
    """The query of a GET, the body of everything else."""
    answers: Mapping[int, type[BaseModel]]
    errors: tuple[type[CreditsError], ...]
    """What it may answer beside what every route may."""
    run: Callable[[Call, Any], Answer]
    area: str
    is_general: bool = False
    """Whether it may be asked of no account in particular, also with a key that is for some accounts only."""
    is_unnamed: bool = False
    """Whether nothing that it leaves behind bears its name: its first answer is remembered, if it has one."""
    admitted: frozenset[Scope] = field(init=False)
    """A key with any of these may ask it."""
    names_account: bool = field(init=False)
    """Whether what it takes may name an account."""
    is_of_installation: bool = field(init=False)
    """Whether it is about everybody, and closed to a key that is for some accounts only."""

    def __post_init__(self) -> None:
        is_of_installation = "{account}" not in self.path and self.scopes == (Scope.ADMIN,)
        object.__setattr__(self, "admitted", frozenset({*self.scopes, Scope.ADMIN}))
        object.__setattr__(self, "names_account", "account" in self.sent.model_fields)
        object.__setattr__(self, "is_of_installation", is_of_installation)

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def summary(self) -> str:
        return self._paragraphs[0]

    @property
    def description(self) -> str:
        return "\n\n".join(self._paragraphs[1:])

    @property
    def has_body(self) -> bool:
        return self.method != "GET"

    @property
    def is_tagged(self) -> bool:
        """Whether its answers have an ETag: whoever reads may ask again with If-None-Match, and polls cheaply."""
        return self.method == "GET"

    @property
    def path_names(self) -> tuple[str, ...]:
        """The variable parts of the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def _paragraphs(self) -> list[str]:
        lines = [line.strip() for line in (self.run.__doc__ or "").strip().splitlines()]
        return [" ".join(part.split("\n")) for part in "\n".join(lines).split("\n\n")]


@dataclass(frozen=True, slots=True)
class Area:
    """The routes about one subject."""

    name: str
    description: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def get(
        self,
        path: str,
        *,
        scopes: tuple[Scope, ...],
        query: type[S],
        answers: Mapping[int, type[BaseModel]],
        errors: tuple[type[CreditsError], ...] = (),
        is_general: bool = False,
    ) -> Callable[[Callable[[Call, S], Answer]], Callable[[Call, S], Answer]]:
        """Declare a route that reads."""
        return self._route("GET", path, scopes, query, answers, errors, is_general)

    def post(
        self,
        path: str,
        *,
        scopes: tuple[Scope, ...],
        body: type[S],
        answers: Mapping[int, type[BaseModel]],
        errors: tuple[type[CreditsError], ...] = (),
        is_unnamed: bool = False,
    ) -> Callable[[Callable[[Call, S], Answer]], Callable[[Call, S], Answer]]:
        """
        Declare a route that changes something.

        It has to be safe to repeat: by a name of its own in path or body, or by the Idempotency-Key as that name. One
        that `is_unnamed` leaves nothing behind that could bear a name: with the header, its first answer is remembered.
        """
        errors = (*errors, IdempotencyConflictError) if is_unnamed else errors
        return self._route("POST", path, scopes, body, answers, errors, is_unnamed=is_unnamed)

    def put(
        self,
        path: str,
        *,
        scopes: tuple[Scope, ...],
        body: type[S],
        answers: Mapping[int, type[BaseModel]],
        errors: tuple[type[CreditsError], ...] = (),
    ) -> Callable[[Callable[[Call, S], Answer]], Callable[[Call, S], Answer]]:
        """Declare a route that sets what its path names: repeated, it sets it once more."""
        return self._route("PUT", path, scopes, body, answers, errors)

    def delete(
        self,
        path: str,
        *,
        scopes: tuple[Scope, ...],
        body: type[S],
        answers: Mapping[int, type[BaseModel]],
        errors: tuple[type[CreditsError], ...] = (),
    ) -> Callable[[Callable[[Call, S], Answer]], Callable[[Call, S], Answer]]:
        """Declare a route that removes what its path names: repeated, it finds nothing to remove."""
        return self._route("DELETE", path, scopes, body, answers, errors)

    def _route(
        self,
        method: str,
        path: str,
        scopes: tuple[Scope, ...],
        sent: type[S],
        answers: Mapping[int, type[BaseModel]],
        errors: tuple[type[CreditsError], ...],
        is_general: bool = False,
        is_unnamed: bool = False,
    ) -> Callable[[Callable[[Call, S], Answer]], Callable[[Call, S], Answer]]:
        def add(run: Callable[[Call, S], Answer]) -> Callable[[Call, S], Answer]:
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    scopes=scopes,
                    sent=sent,
                    answers=answers,
                    errors=errors,
                    run=run,
                    area=self.name,
                    is_general=is_general,
                    is_unnamed=is_unnamed,
                )
            )
            return run

        return add
