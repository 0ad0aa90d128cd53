"""How long a connection to PostgreSQL waits for an answer."""

import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, event

from credits.circuit import Circuit


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a caller waits for PostgreSQL."""

    connect_s: int = 3
    pool_s: int = 5
    lock_s: int = 5
    statement_s: float = 8
    """0: as long as it takes."""
    hung_s: float = 10
    """Without any answer: the server itself is taken for hung."""
    pause_s: float = 0
    """After that, nobody else connects for so long, but for one that tries."""


HURRIED: Final = Patience(connect_s=2, pool_s=1, lock_s=1, statement_s=1.5, hung_s=2, pause_s=0.5)
"""For who has to answer somebody within 2.5 s, and may say that the database is away."""


def give_up_on_hung_server(engine: Engine, patience: Patience) -> None:
    """
    Bound how long a connection waits for an answer.

    The server keeps its own timeouts only while it runs. One that is frozen (a paused machine, a stalled disk) leaves
    its connections open and silent, and would hold every thread that asks it.
    """
    from psycopg import Connection as DriverConnection
    from psycopg import OperationalError as DriverError
    from psycopg.abc import RV, PQGen

    after_s, circuit = patience.hung_s, Circuit(pause_s=patience.pause_s)

    class BoundedConnection(DriverConnection[Any]):
        def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
            began_s = time.monotonic()
            try:
                answer = super().wait(gen, interval, after_s if timeout is None else timeout)
            except DriverError:
                if time.monotonic() - began_s >= after_s:
                    # Its late answer would be taken for the answer to the next statement.
                    self.close()
                    circuit.failed()
                raise
            circuit.answered()
            return answer

    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> BoundedConnection:
        if not circuit.lets_through():
            raise DriverError("the server did not answer a moment ago")
        try:
            connection = BoundedConnection.connect(*arguments, **options)
        except DriverError:
            circuit.failed()
            raise
        circuit.answered()
        return connection

    event.listen(engine, "do_connect", connect)
