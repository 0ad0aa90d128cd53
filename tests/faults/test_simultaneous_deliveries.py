"""Fifty deliveries at the same moment, through the real receiver and two real workers: one grant."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select

from credits.db import snapshot
from credits.inbox.model import EventState
from credits.inbox.provider import SignedWebhook
from credits.inbox.tables import events
from credits.ledger.tables import entries
from tests.support.installation import Answer, Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.processes import wait_until

pytestmark = pytest.mark.proof


def test_fifty_deliveries_of_one_event_grant_once(installation: Installation, engine: Engine) -> None:
    _start(installation)

    answers = _post_at_once(installation, [signed_purchase("payment")] * 50)

    assert {answer.status for answer in answers} == {200}
    assert _events(engine) == [50]
    _assert_granted_once(engine)


def test_fifty_deliveries_of_two_events_of_one_payment_grant_once(installation: Installation, engine: Engine) -> None:
    _start(installation)

    answers = _post_at_once(installation, [signed_purchase("payment", delivery=f"event-{n % 2}") for n in range(50)])

    assert {answer.status for answer in answers} == {200}
    assert _events(engine) == [25, 25]
    _assert_granted_once(engine)


def _start(installation: Installation) -> None:
    installation.start_receiver(processes=2)
    installation.start_worker("worker-1", concurrency=1)
    installation.start_worker("worker-2", concurrency=1)


def _post_at_once(installation: Installation, webhooks: Sequence[SignedWebhook]) -> list[Answer]:
    start = threading.Barrier(len(webhooks))

    def post(webhook: SignedWebhook) -> Answer:
        start.wait()
        return installation.post(webhook)

    with ThreadPoolExecutor(len(webhooks)) as threads:
        return list(threads.map(post, webhooks))


def _assert_granted_once(engine: Engine) -> None:
    wait_until(lambda: _unfinished(engine) == 0, what="every event is done")
    with snapshot(engine) as connection:
        assert connection.execute(select(func.count()).select_from(entries)).scalar_one() == 1
    assert balance_of(engine, "user_1") == 100
    assert_ledger_is_sound(engine)


def _events(engine: Engine) -> list[int]:
    """How often each event was delivered."""
    with snapshot(engine) as connection:
        return list(connection.execute(select(events.c.deliveries)).scalars())


def _unfinished(engine: Engine) -> int:
    query = select(func.count()).select_from(events).where(events.c.state != EventState.DONE)
    with snapshot(engine) as connection:
        return connection.execute(query).scalar_one()
