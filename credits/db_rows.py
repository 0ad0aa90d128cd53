"""Rows sent to the database as one parameter, so that a statement for a thousand costs little more than one for one."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    FromClause,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

# Made once: `json.dumps` makes one for each call.
_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def rows_of(dialect: str, name: str, columns: Mapping[str, TypeEngine[Any]]) -> FromClause:
    """
    A table called `name` of the rows that the parameter `name` brings; `packed` makes its value.

    The statement's text, and the plan that the server has made for it, are the same for any number of rows.
    """
    sent = bindparam(name, type_=Text())
    if dialect == "postgresql":
        record = func.json_to_recordset(cast(sent, JSON()))
        return record.table_valued(*(column(key, kind) for key, kind in columns.items()), name=name).render_derived(
            with_types=True
        )
    each = func.json_each(sent).table_valued("value", name=f"{name}_each")
    # The paths are part of the text: as parameters they would be put together anew for each call.
    found = (
        func.json_extract(each.c.value, literal_column(f"'$.{key}'"), type_=kind).label(key)
        for key, kind in columns.items()
    )
    return select(*found).subquery(name)


def setting(
    dialect: str, table: Table, *, where: Mapping[str, Column[Any]], to: Mapping[str, Column[Any]], name: str = "rows"
) -> Update:
    """
    An update by the rows that `set_rows` brings: their fields `where` find a row of `table`, their fields `to` are set.

    PostgreSQL is brought them by the parameter `name`.

    SQLite gets a statement for one row, which it runs in this process at no distance: its UPDATE … FROM over rows sent
    as JSON crashes the process in 3.40, the version of Debian 12.
    """
    named = {**where, **to}
    if dialect == "postgresql":
        sent = rows_of(dialect, name, {field: one.type for field, one in named.items()})
        values = {field: sent.c[field] for field in named}
    else:
        values = {field: bindparam(f"of_{field}", type_=one.type) for field, one in named.items()}
    found = and_(*(one == values[field] for field, one in where.items()))
    return update(table).where(found).values({one: values[field] for field, one in to.items()})


def set_rows(connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run an update made by `setting`, without a `name` of its own, for these rows."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(statement, {"rows": packed(rows)})
    else:
        connection.execute(statement, list(each_set(rows)))


def each_set(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows as the statement for one row takes them, that `setting` makes for SQLite."""
    return ({f"of_{field}": value for field, value in row.items()} for row in rows)


def packed(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `rows_of` reads them."""
    return _ENCODE(list(rows))


def packed_row(row: Mapping[str, Any]) -> str:
    """One row of them, or a column that has JSON."""
    return _ENCODE(row)


def packed_ids(ids: Iterable[int]) -> str:
    """Numbers as `rows_of` reads them, where their column is `id`."""
    return "[" + ",".join([f'{{"id":{one:d}}}' for one in ids]) + "]"
