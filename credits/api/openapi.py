"""The OpenAPI document, made from the declared routes: what it says and what they check cannot differ."""

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from credits.api import errors as of_requests
from credits.api.endpoint import IDEMPOTENCY_KEY, Area, Endpoint
from credits.api.fields import CREDIT_TYPE, an_id
from credits.api.models import Problem
from credits.api.problems import status_of
from credits.errors import (
    AuthenticationError,
    CreditsError,
    DependencyError,
    GateUnavailableError,
    InvalidAmountError,
    InvalidIdError,
    InvalidInputError,
    PermissionDeniedError,
)
from credits.members.model import Per

_REF: Final = "#/components/schemas/{model}"
_CREDIT_TYPE_REF: Final = {"$ref": _REF.format(model="CreditType")}

_OF_EVERY_ROUTE: Final = (
    AuthenticationError,
    PermissionDeniedError,
    of_requests.AccountDeniedError,
    of_requests.RateLimitedError,
    of_requests.MalformedRequestError,
    of_requests.UrlTooLongError,
    of_requests.HeadersTooLargeError,
    of_requests.UnknownFieldError,
    of_requests.MissingFieldError,
    InvalidInputError,
    InvalidIdError,
    InvalidAmountError,
    DependencyError,
    GateUnavailableError,
)
_OF_BODIES: Final = (
    of_requests.MalformedBodyError,
    of_requests.UnsupportedBodyError,
    of_requests.BodyTooLargeError,
)


def document(areas: Iterable[Area], *, credit_types: Collection[str], version: str) -> dict[str, Any]:
    """The document for these routes, in an installation that declares `credit_types`."""
    areas = tuple(areas)
    endpoints = [endpoint for area in areas for endpoint in area.endpoints]
    schemas, definitions = _schemas(endpoints)
    _add_examples(definitions, {min(credit_types, default="image_generation"): 1})
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, endpoints, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Creditgate", "version": version, "description": _DESCRIPTION, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "tags": [{"name": area.name, "description": area.description} for area in areas],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _KEY_DESCRIPTION}},
            "schemas": {**definitions, "CreditType": {"type": "string", "enum": sorted(credit_types)}},
        },
    }


_DESCRIPTION: Final = (
    "Prepaid credits: payments come in, credits go out, exactly once. Errors are problems of RFC 9457 with a stable "
    "`code`. Ids in paths are percent-encoded, each by itself: the account `a/b` is `a%2Fb`."
)
_LICENSE: Final = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
_KEY_DESCRIPTION: Final = "An API key: `credits keys create NAME --scope reserve --scope read`."

Schemas = Mapping[tuple[Any, JsonSchemaMode], dict[str, Any]]


def _schemas(endpoints: Iterable[Endpoint]) -> tuple[Schemas, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        wanted[(endpoint.sent, "validation")] = None
        wanted.update({(model, "serialization"): None for model in endpoint.answers.values()})
    schemas: Schemas
    schemas, definitions = models_json_schema(list(wanted), ref_template=_REF)
    return schemas, _plain(definitions.get("$defs", {}))


def _plain(value: Any) -> Any:
    """Without the titles that pydantic makes up, and with the credit types in their place."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.items() >= CREDIT_TYPE.items():
        rest = {name: part for name, part in value.items() if name not in CREDIT_TYPE}
        return {**_plain(rest), **_CREDIT_TYPE_REF}
    return {name: _plain(part) for name, part in value.items() if not (name == "title" and isinstance(part, str))}


def _add_examples(value: Any, items: Mapping[str, int]) -> None:
    """Amounts by credit type are shown by one that this installation has."""
    if isinstance(value, dict):
        if value.get("propertyNames") == _CREDIT_TYPE_REF:
            value["examples"] = [items]
        for part in value.values():
            _add_examples(part, items)
    elif isinstance(value, list):
        for part in value:
            _add_examples(part, items)


def _operation(endpoint: Endpoint, endpoints: Iterable[Endpoint], schemas: Schemas) -> dict[str, Any]:
    scopes = " or ".join(f"`{scope.value}`" for scope in endpoint.scopes)
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.area],
        # A summary is shown as it is written.
        "summary": endpoint.summary.replace("`", ""),
        "description": "\n\n".join(part for part in (endpoint.description, f"Needs the scope {scopes}.") if part),
        "parameters": _parameters(endpoint),
        "responses": {**_answers(endpoint, endpoints, schemas), **_problems(endpoint)},
    }
    if endpoint.has_body:
        schema = schemas[(endpoint.sent, "validation")]
        is_required = bool(endpoint.sent.model_json_schema().get("required"))
        operation["requestBody"] = {"required": is_required, "content": {"application/json": {"schema": schema}}}
    return operation


_IN_PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "credit_type": CREDIT_TYPE,
    "delivery": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "per": {"type": "string", "enum": [per.value for per in Per]},
}
"""Variable parts of paths that are more than an id."""


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _plain(_IN_PATHS.get(name, an_id(name).schema))}
        for name in endpoint.path_names
    ]
    if endpoint.has_body:
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]([ -~]*[!-~])?$"}
        text = "Names this change, where the body does not; the same name twice is the same change."
        if endpoint.is_unnamed:
            text = "Names this request: for a day, the same name gets the first answer again, and carries nothing out."
        return [*found, {"name": IDEMPOTENCY_KEY, "in": "header", "schema": schema, "description": text}]
    described = endpoint.sent.model_json_schema(mode="validation")
    for name, schema in described.get("properties", {}).items():
        plain = _plain(schema)
        parameter = {"name": name, "in": "query", "required": name in described.get("required", []), "schema": plain}
        if "description" in plain:
            parameter["description"] = plain.pop("description")
        if plain.get("default", 0) is None:
            del plain["default"]
        found.append(parameter)
    if endpoint.is_tagged:
        text = "The ETag of the last answer: 304 while nothing has changed."
        found.append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": text})
    return found


def _answers(endpoint: Endpoint, endpoints: Iterable[Endpoint], schemas: Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, model in sorted(endpoint.answers.items()):
        content = {"application/json": {"schema": schemas[(model, "serialization")]}}
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
        links = _links(endpoint, model, endpoints) if endpoint.has_body else {}
        if links:
            found[str(status)]["links"] = links
        if endpoint.is_tagged:
            found[str(status)]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if endpoint.is_tagged:
        found["304"] = {"description": "Nothing has changed since the answer with this ETag"}
    return found


def _links(endpoint: Endpoint, model: type[BaseModel], endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Where the names in an answer lead: to every route that has them in its path. No route makes accounts."""
    found = {}
    for other in endpoints:
        new = set(other.path_names) - set(endpoint.path_names)
        if new and new <= set(model.model_fields) - {"account"} and set(endpoint.path_names) <= set(other.path_names):
            known = {name: f"$request.path.{name}" for name in endpoint.path_names}
            made = {name: f"$response.body#/{name}" for name in sorted(new)}
            found[other.name] = {"operationId": other.name, "parameters": {**known, **made}}
    return found


def _problems(endpoint: Endpoint) -> dict[str, Any]:
    codes: dict[int, list[str]] = {}
    for error in (*_OF_EVERY_ROUTE, *(_OF_BODIES if endpoint.has_body else ()), *endpoint.errors):
        codes.setdefault(status_of(error), []).append(error.code)
    return {str(status): _problem(status, codes[status]) for status in sorted(codes)}


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    found: dict[str, Any] = {
        "description": ", ".join(f"`{code}`" for code in dict.fromkeys(codes)),
        "content": {"application/problem+json": {"schema": schema}},
    }
    if status in {429, 503}:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait"}}
    return found


def documented_errors(endpoints: Iterable[Endpoint]) -> set[type[CreditsError]]:
    """Every error that the document names."""
    return {*_OF_EVERY_ROUTE, *_OF_BODIES, *(error for endpoint in endpoints for error in endpoint.errors)}
