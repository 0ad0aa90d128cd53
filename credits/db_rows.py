"""Rows sent to the database as one parameter, so that a statement for a thousand costs little more than one for one."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import JSON, FromClause, Text, bindparam, cast, column, func, select
from sqlalchemy.types import TypeEngine


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
    found = (func.json_extract(each.c.value, f"$.{key}", type_=kind).label(key) for key, kind in columns.items())
    return select(*found).subquery(name)


def packed(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as `rows_of` reads them."""
    return json.dumps(list(rows), separators=(",", ":"), ensure_ascii=False)
