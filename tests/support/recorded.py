"""
Webhooks that others recorded, read from a folder outside this repository where there is one.

The folder is CREDITGATE_RECORDED_WEBHOOKS, or `shared/fixtures` beside the repository. Its `index.json` lists the
files: provider, event type, whether the file is a whole event, and what a correct system makes of it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from webhooks.providers import REGISTRY

_REPOSITORY = Path(__file__).parents[2]

# Some files hold an event's data alone, named by a word that is no event type.
_TYPE_OF_DATA = {
    "invoice": "invoice.paid",
    "link": "payment_method.attached",
    "subscription.created": "customer.subscription.created",
    "subscription.updated": "customer.subscription.updated",
    "subscription.deleted": "customer.subscription.deleted",
    "subscription.trial_ended": "customer.subscription.updated",
    "subscription.trial_will_end": "customer.subscription.trial_will_end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recorded webhook."""

    name: str
    provider: str
    event_type: str
    expect: str
    """What a correct system makes of it, in the words of the index."""
    body: bytes


def recorded_folder() -> Path:
    return Path(os.environ.get("CREDITGATE_RECORDED_WEBHOOKS") or _REPOSITORY.parent / "shared" / "fixtures")


def recorded_webhooks() -> list[Recorded]:
    """Every recorded webhook of a provider in the registry; empty where there is no such folder."""
    folder = recorded_folder()
    index = folder / "index.json"
    if not index.is_file():
        return []
    return [_recorded(folder, entry) for entry in json.loads(index.read_text()) if entry["provider"] in REGISTRY]


def _recorded(folder: Path, entry: dict[str, str]) -> Recorded:
    body = (folder / entry["file"]).read_bytes()
    event_type = entry["type"]
    if entry["class"] == "DATA":
        event_type = _TYPE_OF_DATA.get(event_type, event_type)
        body = _event_around(json.loads(body), event_type, entry["file"])
    return Recorded(
        name=entry["file"], provider=entry["provider"], event_type=event_type, expect=entry["expect"], body=body
    )


def _event_around(data: object, event_type: str, name: str) -> bytes:
    event = {"id": f"evt_{name}", "object": "event", "type": event_type, "created": 1_700_000_000, "livemode": False}
    return json.dumps({**event, "data": data}).encode()
