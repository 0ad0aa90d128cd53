"""The routes of the API, one file per area. A new area is a file and its line in AREAS."""

from typing import Final

from credits.api.endpoint import Area, Endpoint
from credits.api.routes import accounts, by_hand, members, notifications, passes, reservations, selling, topups

AREAS: Final[tuple[Area, ...]] = (
    reservations.area,
    accounts.area,
    by_hand.area,
    members.area,
    selling.area,
    topups.area,
    passes.area,
    notifications.area,
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = tuple(endpoint for area in AREAS for endpoint in area.endpoints)
