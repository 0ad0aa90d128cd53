"""Statements handed to the driver as text mean what they mean to SQLAlchemy, and fail as they fail there."""

from collections.abc import Iterator

import pytest
from sqlalchemy import JSON, BigInteger, Connection, Text, bindparam, cast, literal, select
from sqlalchemy.exc import IntegrityError, OperationalError

from credits.db import open_memory_engine, transaction
from credits.db_ready import Ready, made_ready


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = open_memory_engine()
    with transaction(engine) as connection:
        yield connection
    engine.dispose()


def test_a_ready_statement_takes_its_parameters_by_name_and_brings_its_own(connection: Connection) -> None:
    word, number = bindparam("word", type_=Text()), bindparam("number", type_=BigInteger())
    statement = select(literal("its own: ") + word, number, word)

    found = made_ready(statement, connection.dialect).rows(connection, {"number": 7, "word": "50%"})

    assert found == [("its own: 50%", 7, "50%")]


def test_what_the_driver_refuses_is_raised_as_sqlalchemy_raises_it(connection: Connection) -> None:
    Ready("CREATE TABLE seats (number INTEGER PRIMARY KEY)", {}, ()).run(connection, {})
    seat = Ready("INSERT INTO seats VALUES (?)", {}, ("number",))

    with pytest.raises(IntegrityError, match="UNIQUE"):
        seat.run_each(connection, [{"number": 1}, {"number": 1}])
    with pytest.raises(OperationalError, match="no such table"):
        Ready("SELECT * FROM stalls", {}, ()).rows(connection, {})


def test_a_parameter_that_sqlalchemy_would_change_on_its_way_is_refused(connection: Connection) -> None:
    with pytest.raises(TypeError, match="sent"):
        made_ready(select(cast(bindparam("sent", type_=JSON()), Text())), connection.dialect)
