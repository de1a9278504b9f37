"""The pages: an ordinary Flask app that gets its rows from Puff's PostgreSQL pool.

There is nothing of Puff in how it is written. Under Puff each request runs in a greenlet, so a view that
waits for the database lets the others go on.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, abort, render_template, request

import puff

from .examples import EXAMPLES

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]  # objects keep the order of their columns


@app.get("/")
def start() -> str:
    """The start page: what there is, and where."""
    visits = puff.global_redis().command("INCR", "visits")
    return render_template("start.html", examples=EXAMPLES, counts={**counts(), "visits": visits})


@app.get("/countries")
def countries() -> str:
    """Countries as a table, with what each has; `?search=` narrows it."""
    search = request.args.get("search", "").strip()
    sql = """
        SELECT country.code, country.name, country.flag,
               (SELECT count(*) FROM subdivisions WHERE country_code = country.code) AS subdivisions,
               (SELECT count(*) FROM airports WHERE country_code = country.code) AS airports
        FROM countries AS country
        WHERE strpos(lower(country.name), lower($1)) > 0
        ORDER BY country.name
    """
    rows = puff.global_postgres().query(sql, [search])
    return render_template("countries.html", countries=rows, search=search)


@app.get("/countries/<code>.json")
def country(code: str) -> dict[str, Any]:
    """One country with its subdivisions, as JSON. What GraphQL would say in one query takes two here."""
    db = puff.global_postgres()
    found = db.query("SELECT code, name, flag FROM countries WHERE code = upper($1)", [code])
    if not found:
        abort(404)
    sql = "SELECT code, name, kind FROM subdivisions WHERE country_code = upper($1) ORDER BY name"
    return {**found[0], "subdivisions": db.query(sql, [code])}


@app.get("/schema.graphql")
def schema() -> Response:
    """The GraphQL schema as text."""
    return Response(puff.global_graphql().sdl(), mimetype="text/plain")


@app.template_filter("playground")
def playground_link(query: str) -> str:
    """Address of the playground with a query in its editor."""
    return "/playground?" + urlencode({"query": query})


@app.template_filter("answer")
def answer_link(query: str) -> str:
    """Address that answers a query with its JSON."""
    return "/graphql?" + urlencode({"query": query})


def counts() -> dict[str, int]:
    """How many rows each table has."""
    sql = """
        SELECT (SELECT count(*) FROM countries) AS countries,
               (SELECT count(*) FROM subdivisions) AS subdivisions,
               (SELECT count(*) FROM airports) AS airports
    """
    return puff.global_postgres().query(sql)[0]
