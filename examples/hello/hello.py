# Planets and their moons. Run it with `puff runserver --graphql hello:Schema`.
from dataclasses import dataclass


@dataclass
class Moon:
    name: str


@dataclass
class Planet:
    name: str

    @classmethod
    def moons(cls, context, /) -> tuple[list[Moon], str, list, list[str], list[str]]:
        names = [name for (name,) in context.parent_values(["name"])]  # of all planets at once
        sql = "SELECT * FROM (VALUES ('Earth','Moon'),('Mars','Phobos')) moon (of, name) WHERE of = ANY($1)"
        return ..., sql, [names], ["name"], ["of"]


@dataclass
class Query:
    @classmethod
    def planets(cls, context, /, limit: int = 4) -> tuple[list[Planet], str, list]:
        return ..., "SELECT unnest('{Mercury,Venus,Earth,Mars}'::text[]) AS name LIMIT $1", [limit]


@dataclass
class Schema:
    query: Query
