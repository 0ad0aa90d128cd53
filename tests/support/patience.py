"""How long this process waits for Redis and the ledger: in tests longer than in production, but for outages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from credits import redis_client
from credits.api import connect, limits
from credits.reservations import courier
from tests.support.processes import PATIENCE_S

_BOUNDS: Final = (
    (redis_client, "PATIENCE_S"),
    (courier, "PATIENCE_S"),
    (limits, "_PATIENCE_S"),
    (connect, "LEDGER_WAIT_S"),
)
IN_PRODUCTION: Final = tuple(float(getattr(module, name)) for module, name in _BOUNDS)
IN_TESTS: Final = (PATIENCE_S,) * len(_BOUNDS)


@contextmanager
def patience(bounds_s: Sequence[float]) -> Iterator[None]:
    """What is opened while the block runs waits for so long: IN_PRODUCTION or IN_TESTS."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), bound_s in zip(_BOUNDS, bounds_s, strict=True):
            patch.setattr(module, name, bound_s)
        yield
