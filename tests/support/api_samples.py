"""A valid request of any declared route, made from its description: a test can ask routes it has not heard of."""

from typing import Any, Final
from urllib.parse import quote

from werkzeug.test import TestResponse

from credits.api.endpoint import IDEMPOTENCY_KEY, Endpoint
from credits.api.fields import CREDIT_TYPE
from tests.support.api import Caller
from tests.support.library import TYPE

_SAMPLE: Final = "sample"


def ask(caller: Caller, endpoint: Endpoint, *, account: str | None) -> TestResponse:
    """Send a valid request: what is required in body or query, and `sample` wherever the path wants a name."""
    names = {"account": account or _SAMPLE}
    where = "/".join(
        quote(names.get(part[1:-1], _SAMPLE), safe="") if part.startswith("{") else part
        for part in endpoint.path.split("/")
    )
    sent = sample(endpoint)
    if "account" in endpoint.sent.model_fields:
        sent.pop("account", None)
        sent.update({} if account is None else {"account": account})
    if endpoint.has_body:
        return caller.post(where, sent, headers={IDEMPOTENCY_KEY: f"{_SAMPLE} of {account}"})
    return caller.get(where, **sent)


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
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "object":
            return {TYPE: 1}
        case _:
            return _SAMPLE
