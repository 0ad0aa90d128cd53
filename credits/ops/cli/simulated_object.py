"""Let the fake Stripe know of a simulated invoice, so that workers who ask it about one find it there."""

import json
import urllib.error
import urllib.request

from credits.config.settings import ProviderAccess
from credits.inbox.provider import SettledBy, Simulation

_TIMEOUT_S = 3


def tell_fake(access: ProviderAccess | None, simulation: Simulation, body: bytes) -> None:
    """
    Store the simulated event's invoice at the fake of `credits dev`; nothing where there is none, or it is away.

    `access` says where the fake is: it alone has an address of its own.
    """
    told = json.loads(body).get("data", {}).get("object", {})
    if access is None or access.api_base is None or told.get("object") != "invoice" or "id" not in told:
        return
    past_minor = told["total"] if simulation.settled_by is SettledBy.OUT_OF_BAND else 0
    request = urllib.request.Request(  # noqa: S310
        f"{access.api_base}/v1/simulated",
        data=json.dumps(told | {"amount_paid_off_stripe": past_minor}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {access.api_key}"},
        method="POST",
    )
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
    except OSError:
        # The webhook is what was asked for, and it is sent in any case.
        return
