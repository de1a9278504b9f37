"""The tables, and the real data in them: `puff run puff_demo.data.load`."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import puff

TABLES = """
    -- Two demos may start at the same moment: one makes the tables, the other waits and finds them.
    SELECT pg_advisory_xact_lock(hashtext('puff_demo'));

    CREATE TABLE IF NOT EXISTS countries (
        code text PRIMARY KEY,
        name text NOT NULL,
        flag text NOT NULL
    );
    CREATE TABLE IF NOT EXISTS subdivisions (
        code text PRIMARY KEY,
        country_code text NOT NULL REFERENCES countries,
        name text NOT NULL,
        kind text NOT NULL
    );
    CREATE TABLE IF NOT EXISTS airports (
        icao text PRIMARY KEY,
        iata text,
        name text NOT NULL,
        city text NOT NULL,
        country_code text NOT NULL REFERENCES countries,
        subdivision_code text REFERENCES subdivisions,
        elevation_ft double precision NOT NULL,
        latitude double precision NOT NULL,
        longitude double precision NOT NULL,
        timezone text NOT NULL
    );
    CREATE TABLE IF NOT EXISTS notes (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        airport text NOT NULL REFERENCES airports,
        text text NOT NULL,
        written_at timestamptz NOT NULL DEFAULT now()
    );
    -- Which of the three data sets are complete: an interrupted load goes on where it stopped.
    CREATE TABLE IF NOT EXISTS loaded (name text PRIMARY KEY, row_count integer NOT NULL);

    CREATE INDEX IF NOT EXISTS subdivisions_of_country ON subdivisions (country_code, name);
    CREATE INDEX IF NOT EXISTS airports_of_country ON airports (country_code, icao);
    CREATE INDEX IF NOT EXISTS airports_of_subdivision ON airports (subdivision_code, icao);
    CREATE INDEX IF NOT EXISTS notes_of_airport ON notes (airport, id);
"""

ROWS_PER_STATEMENT = 5_000

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class DataSet:
    """A table, its columns, and where its rows come from."""

    table: str
    columns: Sequence[tuple[str, str]]
    rows: Callable[[], Rows]


def load() -> None:
    """Makes the tables and fills those that are not yet complete. Running it again does no harm."""
    db = puff.global_postgres()
    db.script(TABLES)
    complete = {row["name"]: row["row_count"] for row in db.query("SELECT name, row_count FROM loaded")}
    for data in DATA_SETS:
        if data.table in complete:
            print(f"{data.table}: {complete[data.table]:,} rows, already there")
            continue
        begun = time.perf_counter()
        count = insert(data)
        db.execute("INSERT INTO loaded VALUES ($1, $2) ON CONFLICT DO NOTHING", [data.table, count])
        print(f"{data.table}: {count:,} rows in {time.perf_counter() - begun:.1f} s")
    puff.global_redis().command("SETNX", "visits", 0)  # the start page counts on it
    print("visits: counted in Redis")


def insert(data: DataSet) -> int:
    """Inserts the rows of a data set; returns how many it has.

    Each statement takes one array per column, so thousands of rows travel at once and the text never changes.
    """
    names = ", ".join(name for name, _ in data.columns)
    arrays = ", ".join(f"${position}::{kind}[]" for position, (_, kind) in enumerate(data.columns, start=1))
    statement = f"INSERT INTO {data.table} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
    rows = data.rows()
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        chunk = rows[start : start + ROWS_PER_STATEMENT]
        puff.global_postgres().execute(statement, [list(column) for column in zip(*chunk, strict=True)])
    return len(rows)


def countries() -> Rows:
    """ISO 3166-1, from pycountry."""
    import pycountry  # here, not above: reading its files takes a while, and most starts need none of them

    rows = [(c.alpha_2, getattr(c, "common_name", c.name), c.flag) for c in pycountry.countries]
    # Airports use this user-assigned code, which ISO 3166-1 does not list.
    return [*rows, ("XK", "Kosovo", "🇽🇰")]


def subdivisions() -> Rows:
    """ISO 3166-2, from pycountry."""
    import pycountry

    return [(s.code, s.country_code, s.name, s.type) for s in pycountry.subdivisions]


def airports() -> Rows:
    """Airports by ICAO code, from airportsdata, each tied to its subdivision where the names agree."""
    import airportsdata

    codes = {(country, plain(name)): code for code, country, name, _ in subdivisions()}
    return [
        (
            a["icao"],
            a["iata"] or None,
            a["name"],
            a["city"],
            a["country"],
            codes.get((a["country"], plain(a["subd"]))),
            a["elevation"],
            a["lat"],
            a["lon"],
            a["tz"],
        )
        for a in airportsdata.load("ICAO").values()
    ]


def plain(name: str) -> str:
    """A name without accents, case and punctuation: "Île-de-France" and "Ile de France" are one place."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in decomposed if letter.isalnum())


DATA_SETS = (
    DataSet("countries", [("code", "text"), ("name", "text"), ("flag", "text")], countries),
    DataSet(
        "subdivisions",
        [("code", "text"), ("country_code", "text"), ("name", "text"), ("kind", "text")],
        subdivisions,
    ),
    DataSet(
        "airports",
        [
            ("icao", "text"),
            ("iata", "text"),
            ("name", "text"),
            ("city", "text"),
            ("country_code", "text"),
            ("subdivision_code", "text"),
            ("elevation_ft", "float8"),
            ("latitude", "float8"),
            ("longitude", "float8"),
            ("timezone", "text"),
        ],
        airports,
    ),
)
"""In the order of their foreign keys."""
