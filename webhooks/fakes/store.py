"""What the fake providers remember: objects as their APIs show them, and answers to repeated requests, in one file."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  provider TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, created_s INTEGER NOT NULL, body TEXT NOT NULL,
  UNIQUE (provider, kind, id)
);
CREATE TABLE IF NOT EXISTS requests (
  provider TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (provider, key)
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Objects, newest first, and whether there are older ones."""

    items: list[dict[str, Any]]
    has_more: bool


@dataclass(frozen=True, slots=True)
class FakeStore:
    """One SQLite file; every call opens it, so that any thread may ask."""

    file: Path

    def put(self, provider: str, kind: str, object_id: str, body: Mapping[str, Any], *, created_s: int) -> None:
        """Keep an object, or what has become of it."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO objects (provider, kind, id, created_s, body) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (provider, kind, id) DO UPDATE SET body = excluded.body",
                (provider, kind, object_id, created_s, json.dumps(body)),
            )

    def get(self, provider: str, kind: str, object_id: str) -> dict[str, Any] | None:
        """An object, or None."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT body FROM objects WHERE provider = ? AND kind = ? AND id = ?", (provider, kind, object_id)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, provider: str, kind: str) -> list[dict[str, Any]]:
        """Every object of a kind, newest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT body FROM objects WHERE provider = ? AND kind = ? ORDER BY seq DESC", (provider, kind)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def page(
        self,
        provider: str,
        kind: str,
        *,
        limit: int,
        after_id: str | None = None,
        created: Mapping[str, int] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        """
        A page of objects, newest first.

        `created` bounds their times by gt, gte, lt and lte; `fields` names values they must have; the page begins
        after the object `after_id`.
        """
        words = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
        conditions, values = ["provider = ?", "kind = ?"], [provider, kind]
        for word, at_s in (created or {}).items():
            conditions.append(f"created_s {words[word]} ?")
            values.append(str(at_s))
        for name, value in (fields or {}).items():
            conditions.append("json_extract(body, ?) = ?")
            values += [f"$.{name}", value]
        if after_id is not None:
            conditions.append("seq < (SELECT seq FROM objects WHERE provider = ? AND kind = ? AND id = ?)")
            values += [provider, kind, after_id]
        # The conditions are words of this module; every value is bound.
        query = f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"  # noqa: S608
        with self._open() as connection:
            rows = connection.execute(query, (*values, limit + 1)).fetchall()
        return Page(items=[json.loads(row[0]) for row in rows[:limit]], has_more=len(rows) > limit)

    def answered(self, provider: str, key: str) -> tuple[str, dict[str, Any]] | None:
        """The digest of the request that came first under `key`, and its answer."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT digest, answer FROM requests WHERE provider = ? AND key = ?", (provider, key)
            ).fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def remember(self, provider: str, key: str, digest: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer to a request that may come again."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO requests (provider, key, digest, answer) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (provider, key, digest, json.dumps(answer)),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.file, timeout=5)) as connection, connection:
            connection.executescript(_SCHEMA)
            yield connection
