"""A valid request of any declared route, made from its description: a test can ask routes it has not heard of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from werkzeug.test import TestResponse

from credits.api.endpoint import IDEMPOTENCY_KEY, Endpoint
from credits.api.fields import CREDIT_TYPE
from tests.support.api import Caller
from tests.support.library import TYPE

_SAMPLE: Final = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """A request that the route takes: what is required, and `sample` wherever the path wants a name."""

    method: str
    path: str
    query: Mapping[str, Any]
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]


def sample_request(endpoint: Endpoint, *, account: str | None, name: str | None = None) -> SampleRequest:
    """A valid request of `endpoint` about `account`, named so that it is another one for another account or name."""
    names = {"account": account or _SAMPLE}
    path = "/".join(
        quote(names.get(part[1:-1], _SAMPLE), safe="") if part.startswith("{") else part
        for part in endpoint.path.split("/")
    )
    sent = sample(endpoint)
    if "account" in endpoint.sent.model_fields:
        sent.pop("account", None)
        sent.update({} if account is None else {"account": account})
    return SampleRequest(
        method=endpoint.method,
        path=path,
        query={} if endpoint.has_body else sent,
        body=sent if endpoint.has_body else None,
        headers={IDEMPOTENCY_KEY: name or f"{_SAMPLE} of {account}"} if endpoint.has_body else {},
    )


def ask(caller: Caller, endpoint: Endpoint, *, account: str | None) -> TestResponse:
    """Send a valid request."""
    request = sample_request(endpoint, account=account)
    if request.body is not None:
        return caller.send(request.method, request.path, request.body, headers=request.headers)
    return caller.get(request.path, **request.query)


def sample(endpoint: Endpoint) -> dict[str, Any]:
    """The least that the route's body or query must have."""
    schema = endpoint.sent.model_json_schema()
    properties = schema.get("properties", {})
    return {name: _value(properties[name]) for name in schema.get("required", [])}


def _value(schema: dict[str, Any]) -> Any:
    if "anyOf" in schema:
        return _value(schema["anyOf"][0])
    if schema.items() >= CREDIT_TYPE.items():
        return TYPE
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return "2027-01-31T12:00:00Z"
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "object":
            return {TYPE: 1}
        case _:
            return _SAMPLE
