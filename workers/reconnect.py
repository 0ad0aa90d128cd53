"""How a worker comes back to its broker: soon, however long the broker was away."""

from typing import Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection

LONGEST_PAUSE_S: Final = 2.0


def install(app: Celery) -> None:
    """Let the connections of `app` try again every two seconds at most. Call it before the app is used."""
    app.amqp_cls = "workers.reconnect:ReconnectingAMQP"


class ReconnectingConnection(Connection):
    """
    A connection that is tried again after one or two seconds, and never after more.

    Celery waits two seconds longer after each attempt, up to half a minute, and has no setting for it. A broker that
    was away for a minute would then be back for half a minute before anybody served it.
    """

    def _ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        pauses = {"interval_start": 1.0, "interval_step": 1.0, "interval_max": LONGEST_PAUSE_S}
        return super()._ensure_connection(*arguments, **(pauses | options))


class ReconnectingAMQP(AMQP):
    """Celery's broker side, on connections that come back soon."""

    Connection = ReconnectingConnection
