"""The GraphQL schema.

Each class is a GraphQL type; its annotations are the fields, its methods the fields with a resolver, its
docstrings the descriptions. A resolver runs once for a whole *layer*: one call of `Country.subdivisions`
serves every country of the answer. What it returns says where the data comes from, and the return annotation
tells Puff in advance:

| returned | meaning |
|---|---|
| `..., objects` | these Python objects |
| `..., sql, params` | the rows of a statement; Rust runs it and writes the JSON |
| `..., sql, params, parent_keys, child_keys` | the same, each row going to the parent with the same key |

The `...` stands for the field's type, which is the first element of the annotation.
"""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Any

import puff
from puff import graphql

MOST = 1_000
"""No field gives more rows than this for one parent, whatever the client asks for."""

AIRPORT = (
    "icao, iata, name, city, country_code, subdivision_code, elevation_ft, latitude, longitude, timezone"
)
"""The columns of an `Airport`."""


@dataclass
class Note:
    """A remark that somebody left at an airport."""

    id: int
    airport: str
    text: str
    written_at: datetime


@dataclass
class Airport:
    """An airport or airfield."""

    icao: str
    iata: str | None
    name: str
    city: str
    country_code: str
    subdivision_code: str | None
    elevation_ft: float
    latitude: float
    longitude: float
    timezone: str

    # Always the same statement: Rust answers this field without entering Python at all.
    notes = graphql.sql(
        list[Note],
        "SELECT id, airport, text, written_at FROM notes WHERE airport = ANY($1) ORDER BY id",
        parents="icao",
        children="airport",
    )


@dataclass
class Subdivision:
    """A state, province, region...: whatever `kind` says."""

    code: str
    country_code: str
    name: str
    kind: str

    @classmethod
    def airports(
        cls, context: Any, /, limit: int = 10
    ) -> tuple[list[Airport], str, list[Any], list[str], list[str]]:
        """Airports here, by ICAO code; `limit` counts for each subdivision."""
        sql = f"""
            SELECT near.* FROM unnest($1::text[]) AS subdivision (code)
            CROSS JOIN LATERAL (
                SELECT {AIRPORT} FROM airports
                WHERE subdivision_code = subdivision.code ORDER BY icao LIMIT $2
            ) AS near
        """
        return ..., sql, [codes_of(context), at_most(limit)], ["code"], ["subdivision_code"]


@dataclass
class Country:
    """A country or territory of ISO 3166-1."""

    code: str
    name: str
    flag: str

    @classmethod
    def subdivisions(cls, context: Any, /) -> tuple[list[Subdivision], str, list[Any], list[str], list[str]]:
        """Its subdivisions (ISO 3166-2), by name."""
        sql = """
            SELECT code, country_code, name, kind FROM subdivisions
            WHERE country_code = ANY($1) ORDER BY name
        """
        return ..., sql, [codes_of(context)], ["code"], ["country_code"]

    @classmethod
    def airports(
        cls, context: Any, /, limit: int = 10
    ) -> tuple[list[Airport], str, list[Any], list[str], list[str]]:
        """Its airports, by ICAO code; `limit` counts for each country."""
        sql = f"""
            SELECT near.* FROM unnest($1::text[]) AS country (code)
            CROSS JOIN LATERAL (
                SELECT {AIRPORT} FROM airports
                WHERE country_code = country.code ORDER BY icao LIMIT $2
            ) AS near
        """
        return ..., sql, [codes_of(context), at_most(limit)], ["code"], ["country_code"]


@dataclass
class Leg:
    """One flight of a route, along the great circle."""

    origin: str
    destination: str
    distance_km: float


@dataclass
class AirportFilter:
    """Which airports to list; every condition that is given must hold."""

    country_code: str | None = None
    name_contains: str | None = None
    above_ft: float | None = None


@dataclass
class NoteInput:
    """A remark to leave at an airport."""

    airport: str
    text: str


@dataclass
class Query:
    """Where every query starts."""

    @classmethod
    def countries(
        cls, context: Any, /, limit: int = 20, search: str | None = None
    ) -> tuple[list[Country], str, list[Any]]:
        """Countries by name, all of them or those whose name contains `search`."""
        sql = """
            SELECT code, name, flag FROM countries
            WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0
            ORDER BY name LIMIT $2
        """
        return ..., sql, [search, at_most(limit)]

    @classmethod
    def airports(
        cls, context: Any, /, where: AirportFilter | None = None, limit: int = 20
    ) -> tuple[list[Airport], str, list[Any]]:
        """Airports by ICAO code."""
        wanted = where or AirportFilter()
        sql = f"""
            SELECT {AIRPORT} FROM airports
            WHERE ($1::text IS NULL OR country_code = $1)
              AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0)
              AND ($3::float8 IS NULL OR elevation_ft > $3)
            ORDER BY icao LIMIT $4
        """
        return ..., sql, [wanted.country_code, wanted.name_contains, wanted.above_ft, at_most(limit)]

    @classmethod
    def airport(cls, context: Any, /, icao: str) -> tuple[Airport | None, str, list[Any]]:
        """The airport with this ICAO code, or null."""
        return ..., f"SELECT {AIRPORT} FROM airports WHERE icao = upper($1)", [icao]

    @classmethod
    def route(cls, context: Any, /, stops: list[str]) -> tuple[list[Leg], list[Leg]]:
        """The legs of a journey over these airports (ICAO codes), with their lengths."""
        # Made in Python, for what SQL does not say well. While this greenlet waits for the rows, others run.
        rows = puff.global_postgres().query(
            "SELECT icao, latitude, longitude FROM airports WHERE icao = ANY($1)", [stops]
        )
        places = {row["icao"]: (row["latitude"], row["longitude"]) for row in rows}
        unknown = [stop for stop in stops if stop not in places]
        if unknown:
            raise ValueError(f"no airport has the ICAO code {', '.join(unknown)}")
        return ..., [Leg(a, b, round(distance_km(places[a], places[b]), 1)) for a, b in pairwise(stops)]


@dataclass
class Mutation:
    """Where every change starts."""

    @classmethod
    def add_note(cls, context: Any, /, note: NoteInput) -> tuple[Note, str, list[Any]]:
        """Leaves a remark at an airport."""
        sql = (
            "INSERT INTO notes (airport, text) VALUES (upper($1), $2) RETURNING id, airport, text, written_at"
        )
        return ..., sql, [note.airport, note.text]


@dataclass
class Schema:
    """What `puff runserver --graphql puff_demo.schema:Schema` serves."""

    query: Query
    mutation: Mutation


def codes_of(context: Any) -> list[str]:
    """The `code` of every parent in this layer."""
    return [code for (code,) in context.parent_values(["code"])]


def at_most(limit: int) -> int:
    """A limit that a client asked for, kept between nothing and `MOST`."""
    return max(0, min(limit, MOST))


def distance_km(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Length of the great circle between two places, given as (latitude, longitude) in degrees."""
    (lat1, lon1), (lat2, lon2) = (tuple(map(radians, place)) for place in (start, end))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(chord))
