"""Webhooks, and the events that they become."""

from credits.errors.tree import CreditsError, shown


class SignatureError(CreditsError):
    """The request was not signed by anybody who knows one of our secrets, or too long ago."""

    code = "bad_signature"
    fix = "Compare the endpoint's signing secret at the provider with the one in the environment."


class MalformedPayloadError(CreditsError):
    """A body is not what the provider documents. The message names the field."""

    code = "malformed_payload"
    fix = "Look at the body with `credits events show`; attach or skip the event, or report the new shape."


class IncompletePayloadError(CreditsError):
    """A webhook leaves out a part that decides about credits, and that only the provider's API can tell."""

    code = "incomplete_payload"
    fix = (
        "Set the provider's API key (STRIPE_API_KEY, in the sandbox STRIPE_TEST_API_KEY), restart the workers and run "
        "`credits events retry EVENT`: what the event leaves out is granted then, and what was granted is not again."
    )


class UnknownProviderError(CreditsError):
    code = "unknown_provider"
    fix = "Use one of the providers that the message lists."

    def __init__(self, provider: str, known: object) -> None:
        super().__init__(f"there is no provider {shown(provider)}; known are: {known}")
        self.provider = provider


class EventNotFoundError(CreditsError):
    code = "event_not_found"
    fix = "List the events with `credits events list`."

    def __init__(self, event_id: int) -> None:
        super().__init__(f"there is no event {event_id}")
        self.event_id = event_id


class SecretVersionError(CreditsError):
    """A destination's secret was asked for that is neither the present one nor the next. Nothing was changed."""

    code = "secret_version_conflict"
    fix = "Read the destination; ask for its `secret_version`, or for one more to rotate it."

    def __init__(self, name: str, present: int, wanted: int | None) -> None:
        super().__init__(f"version: {name} has secret {present}, asked for was {wanted}")


class EventActionError(CreditsError):
    """An operator's action does not fit the event's state. Nothing was changed."""

    code = "event_action_refused"
    fix = "Look at the event's state with `credits events show`."


class LeaseLostError(CreditsError):
    """Another worker took the event over while this one was at it; this one's work was rolled back."""

    code = "lease_lost"
    fix = "Nothing to do: the worker that holds the lease finishes the event."
