"""Queries to begin with; the start page links to each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A query and what it shows."""

    title: str
    text: str
    query: str
    changes_data: bool = False


EXAMPLES = (
    Example(
        "Three levels, three statements",
        "Countries, their subdivisions, the airports of those: one SQL statement each, however many rows.",
        """\
query ThreeLevels {
  countries(limit: 20) {
    name
    flag
    subdivisions {
      name
      kind
      airports(limit: 3) {
        icao
        name
      }
    }
  }
}
""",
    ),
    Example(
        "Side by side",
        "Two branches under one parent run at the same time, each on a connection of its own.",
        """\
query SideBySide {
  countries(search: "land", limit: 5) {
    name
    airports(limit: 5) {
      icao
      name
      elevation_ft
    }
    subdivisions {
      name
    }
  }
}
""",
    ),
    Example(
        "An input object",
        "Arguments may be dataclasses: airports above 13,000 feet.",
        """\
query HighAirports {
  airports(where: { above_ft: 13000 }) {
    icao
    name
    city
    country_code
    elevation_ft
  }
}
""",
    ),
    Example(
        "Objects made in Python",
        "Distances along a route, computed by a resolver that returns Python objects.",
        """\
query Route {
  route(stops: ["KJFK", "BIKF", "EDDF", "VIDP", "YSSY"]) {
    origin
    destination
    distance_km
  }
}
""",
    ),
    Example(
        "A change",
        "Leaves a note at an airport; the row comes back by RETURNING.",
        """\
mutation Remark {
  add_note(note: { airport: "BIKF", text: "Lovely hot springs nearby." }) {
    id
    text
    written_at
  }
}
""",
        changes_data=True,
    ),
)
