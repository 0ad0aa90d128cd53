"""Notifications to an app: where they go and what became of them."""

from credits.errors.inputs import InvalidInputError
from credits.errors.tree import CreditsError, shown


class DestinationRefusedError(InvalidInputError):
    """Notifications may not go to this URL."""

    code = "destination_refused"
    fix = "Use an https:// URL of a public host, or allow its network in CREDITGATE_NOTIFY_NETWORKS."

    def __init__(self, reason: str) -> None:
        super().__init__("url", reason)


class DestinationNotFoundError(CreditsError):
    code = "destination_not_found"
    fix = "List the destinations with `credits destinations list`."

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no destination {shown(name)}")
        self.name = name


class DeliveryNotFoundError(CreditsError):
    code = "delivery_not_found"
    fix = "List the deliveries with `credits deliveries list`; the log reaches 30 days back."

    def __init__(self, delivery: object) -> None:
        super().__init__(f"there is no delivery {shown(delivery)}")
