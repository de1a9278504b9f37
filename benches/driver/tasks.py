"""What each driver does: through its DB-API, with its own fast ways where there are any."""

from __future__ import annotations

import io
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

ROWS = 10_000
"""Rows that one fetch brings."""
INSERTS = 1_000
"""Rows that one insert of many brings in."""
COPIED = 100_000
"""Lines of one copy."""

Task = Callable[[], object]


class Driver:
    """One driver, connected; a subclass names its ways to insert many rows and to copy."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursor = connection.cursor()

    def insert_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Inserts `rows` by as few statements as the driver's own way takes."""
        raise NotImplementedError

    def copy_in(self, lines: bytes) -> None:
        """Copies `lines` into the table `copied`."""
        raise NotImplementedError

    def copy_out(self) -> int:
        """Copies the table `copied` out; how many bytes came."""
        raise NotImplementedError


def measure(driver: Driver) -> dict[str, dict[str, float]]:
    """CPU and wall time of each task, in microseconds per operation."""
    connection, cursor = driver.connection, driver.cursor
    cursor.execute("CREATE TEMP TABLE many (a int, b text, c numeric, d timestamptz)")
    cursor.execute("CREATE TEMP TABLE copied (a int, b text, c float8)")
    connection.commit()
    rows = [(n, f"name {n}", n / 7, None) for n in range(INSERTS)]
    lines = b"".join(b"%d\ta line of some text\t%f\n" % (n, n / 3) for n in range(COPIED))

    def small() -> None:
        cursor.execute("SELECT %s::int AS id, %s::text AS name", (42, "a name"))
        if cursor.fetchone() != (42, "a name"):
            raise AssertionError("a wrong answer")

    def fetch() -> None:
        cursor.execute(
            "SELECT n, 'row ' || n, n * 1.5::float8, n % 2 = 0, DATE '2024-01-01' + n, n::numeric / 3 "
            f"FROM generate_series(1, {ROWS}) AS n"
        )
        if len(cursor.fetchall()) != ROWS:
            raise AssertionError("rows are missing")

    def insert() -> None:
        driver.insert_many("INSERT INTO many VALUES %s", rows)
        connection.rollback()

    def copy_in() -> None:
        driver.copy_in(lines)
        connection.rollback()

    def copy_out() -> None:
        if driver.copy_out() < COPIED:
            raise AssertionError("lines are missing")

    figures = {
        "small": _timed(small, 5000),
        "fetch": _timed(fetch, 20),
        "insert": _timed(insert, 50),
        "copy_in": _timed(copy_in, 20),
    }
    cursor.execute("TRUNCATE copied")  # what was rolled back still takes room
    driver.copy_in(lines)
    figures["copy_out"] = _timed(copy_out, 10)
    connection.rollback()
    return figures


def _timed(task: Task, times: int) -> dict[str, float]:
    for _ in range(max(1, times // 10)):
        task()
    cpu, wall = _cpu(), time.perf_counter()
    for _ in range(times):
        task()
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / times * 1e6, "wall_us": wall / times * 1e6}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Psycopg2Like(Driver):
    """psycopg2 and who has its names."""

    def __init__(self, connection: Any, execute_values: Callable[..., object]) -> None:
        super().__init__(connection)
        self._execute_values = execute_values

    def insert_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._execute_values(self.cursor, sql, rows)

    def copy_in(self, lines: bytes) -> None:
        self.cursor.copy_expert("COPY copied FROM STDIN", io.BytesIO(lines))

    def copy_out(self) -> int:
        file = io.BytesIO()
        self.cursor.copy_expert("COPY copied TO STDOUT", file)
        return file.tell()
