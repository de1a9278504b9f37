"""A schema with long lists: rows of SQL, and objects of Python's with the same values."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SQL = """
SELECT i AS id, 'name of ' || i AS name, repeat('some words ', 4) AS body, i * 1.5::float8 AS price,
       i % 2 = 0 AS odd, timestamptz '2026-01-01' + i * interval '1 minute' AS created
FROM generate_series(1, $1) AS i
"""


@dataclass
class Item:
    id: int
    name: str
    body: str
    price: float
    odd: bool
    created: str


@dataclass
class Query:
    @classmethod
    def rows(cls, context: Any, /, count: int) -> tuple[list[Item], str, list[Any]]:
        return ..., SQL, [count]

    @classmethod
    def objects(cls, context: Any, /, count: int) -> list[Item]:
        moment = "2026-01-01T00:00:00+00:00"
        return [
            Item(i, f"name of {i}", "some words " * 4, i * 1.5, i % 2 == 0, moment)
            for i in range(1, count + 1)
        ]


@dataclass
class Schema:
    query: Query
