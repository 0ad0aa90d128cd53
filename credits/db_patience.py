"""How long a connection to PostgreSQL waits for an answer."""

import time
from typing import Any

from sqlalchemy import Engine, event


def give_up_on_hung_server(engine: Engine, *, after_s: float) -> None:
    """
    Bound how long a connection waits for an answer.

    The server keeps its own timeouts only while it runs. One that is frozen (a paused machine, a stalled disk) leaves
    its connections open and silent, and would hold every thread that asks it.
    """
    from psycopg import Connection as DriverConnection
    from psycopg import OperationalError as DriverError
    from psycopg.abc import RV, PQGen

    class BoundedConnection(DriverConnection[Any]):
        def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
            began_s = time.monotonic()
            try:
                return super().wait(gen, interval, after_s if timeout is None else timeout)
            except DriverError:
                if time.monotonic() - began_s >= after_s:
                    # Its late answer would be taken for the answer to the next statement.
                    self.close()
                raise

    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> BoundedConnection:
        return BoundedConnection.connect(*arguments, **options)

    event.listen(engine, "do_connect", connect)
