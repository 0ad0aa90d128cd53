"""
Statements that run all the time: put together once, then handed to the driver as text.

SQLAlchemy takes longer to send a statement that it knows than SQLite takes to run it. Its connection, its transaction
and its errors stay what they are; who listens to its engine for statements does not hear of these.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler


@dataclass(frozen=True, slots=True)
class Ready:
    """A statement in one database's words, whose parameters are numbers and text."""

    sql: str
    fixed: Mapping[str, Any]
    """Every parameter, with the value that the statement itself brings, if it does."""
    order: tuple[str, ...] | None
    """The parameters, if the driver takes them by their place."""

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run it; the rows that it finds."""
        driver: Any = connection.connection.dbapi_connection
        try:
            found: list[Any] = driver.execute(self.sql, self._sent(values)).fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            _raise_as_sqlalchemy(connection, self.sql, error)
        return found

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Run it for what it does."""
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.execute(self.sql, self._sent(values))
        except connection.dialect.loaded_dbapi.Error as error:
            _raise_as_sqlalchemy(connection, self.sql, error)

    def run_each(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each of `rows`."""
        for values in rows:
            self.run(connection, values)

    def _sent(self, values: Mapping[str, Any]) -> Any:
        if self.order is None:
            return {**self.fixed, **values}
        fixed = self.fixed
        return [values[name] if name in values else fixed[name] for name in self.order]


def made_ready(statement: ClauseElement, dialect: Dialect) -> Ready:
    """
    `statement` in the words of `dialect`.

    Raises TypeError if it has a parameter that SQLAlchemy changes on the way to the driver.
    """
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"not a statement that reads or changes rows: {compiled}")
    fixed = dict(compiled.params)
    for bound, name in compiled.bind_names.items():
        change = bound.type.dialect_impl(dialect).bind_processor(dialect)
        if bound.expanding or bound.literal_execute or (bound.required and change is not None):
            raise TypeError(f"parameter {name} of this statement is changed on its way: {compiled}")
        if change is not None:
            fixed[name] = change(fixed[name])
    order = None if compiled.positiontup is None else tuple(compiled.positiontup)
    return Ready(sql=str(compiled), fixed=fixed, order=order)


def _raise_as_sqlalchemy(connection: Connection, sql: str, error: Any) -> NoReturn:
    """Raise what SQLAlchemy would; a connection that is broken goes no more back to the pool."""
    driver: Any = connection.connection.dbapi_connection
    is_broken = connection.dialect.is_disconnect(error, driver, None)
    raised = DBAPIError.instance(
        sql,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        connection_invalidated=is_broken,
        dialect=connection.dialect,
    )
    if is_broken:
        connection.invalidate(error)
    raise raised from error
