"""A webhook's body from a file, as the receiver would have stored it."""

from pathlib import Path

from credits.errors import InvalidInputError, MalformedPayloadError, UnknownProviderError
from credits.inbox.model import EventState, NewEvent
from credits.ops.cli.context import Command
from credits.payload import MAX_BODY_BYTES, parse


def event_of_file(command: Command, file: Path, provider_name: str, now_ms: int) -> NewEvent:
    """
    The event in `file`, for the command's tenant.

    Raises InvalidInputError for a file that cannot be read or is of the other tenant, MalformedPayloadError for a body
    that the receiver would refuse, UnknownProviderError for a provider that is not there.
    """
    provider = command.providers.get(provider_name)
    if provider is None:
        raise UnknownProviderError(provider_name, sorted(command.providers))
    try:
        body = file.read_bytes()
    except OSError as error:
        raise InvalidInputError("file", f"cannot be read: {error.strerror}") from None
    if len(body) > MAX_BODY_BYTES:
        raise MalformedPayloadError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    delivery = provider.envelope(parse(body), body)
    tenant = delivery.tenant or command.tenant
    if tenant is not command.tenant:
        raise InvalidInputError("file", f"holds a {tenant.value} event; say --tenant {tenant.value} to replay it there")
    is_read = provider.reads(delivery.event_type)
    return NewEvent(
        tenant=tenant,
        provider=provider.name,
        provider_account=delivery.provider_account,
        endpoint=tenant,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        body=body,
        state=EventState.RECEIVED if is_read else EventState.IGNORED,
        code=None if is_read else "unread_type",
        detail=None if is_read else f"events of type {delivery.event_type} move no credits",
        occurred_at_ms=delivery.occurred_at_ms,
        received_at_ms=now_ms,
    )
