"""The tasks on psycopg 3, its part in C included."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import psycopg

from .tasks import Driver, measure


class Psycopg(Driver):
    """psycopg 3: many rows go by `executemany`, which pipelines."""

    def insert_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self.cursor.executemany(sql.replace("%s", "(%s, %s, %s, %s)"), rows)

    def copy_in(self, lines: bytes) -> None:
        with self.cursor.copy("COPY copied FROM STDIN") as copy:
            for start in range(0, len(lines), 65536):
                copy.write(lines[start : start + 65536])

    def copy_out(self) -> int:
        with self.cursor.copy("COPY copied TO STDOUT") as copy:
            return sum(len(block) for block in copy)


if __name__ == "__main__":
    if psycopg.pq.__impl__ == "python":
        raise SystemExit("psycopg runs without its part in C")
    connection = psycopg.connect(os.environ["BENCH_DSN"])
    print(json.dumps(measure(Psycopg(connection))))
