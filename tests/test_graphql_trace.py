"""The trace of a GraphQL query: `extensions.puff`, `Server-Timing`, who may see them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack import Answer, Run, Serve, Server
from support import open_folder

APP = """
from dataclasses import dataclass
from typing import Any

from puff import graphql


@dataclass
class Post:
    id: int
    title: str


@dataclass
class Author:
    id: int
    name: str

    @classmethod
    def posts(cls, context, /, word: str = "") -> tuple[list[Post], str, list[Any], list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        sql = "SELECT a AS author_id, a AS id, $2 || a AS title FROM unnest($1::int[]) a"
        return ..., sql, [ids, word], ["id"], ["author_id"]

    first = graphql.sql(
        "Post",
        "SELECT a AS author_id, a AS id, 'first' AS title FROM unnest($1::int[]) a",
        parents="id",
        children="author_id",
    )


@dataclass
class Query:
    @classmethod
    def authors(cls, context, /) -> tuple[list[Author], str, list[Any]]:
        return ..., "SELECT n AS id, 'a' || n AS name FROM generate_series(1, $1) n", [3]

    @classmethod
    def broken(cls, context, /) -> int | None:
        raise ValueError("no")


@dataclass
class Schema:
    query: Query
"""

QUERY = '{ authors { name writes: posts(word: "%s") { title } first { id } } }'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "traced.py").write_text(APP)
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "traced:Schema", "--graphql-server-timing", "true", cwd=folder) as server:
        yield server


def post(server: Server, query: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = json.dumps({"query": query, **more}).encode()
    return server.request("POST", "/graphql", body, {**JSON, **(headers or {})})


def layer(found: dict[str, Any]) -> dict[str, Any]:
    """A layer without its times, which are checked."""
    times = {name: found.pop(name) for name in ("started_us", "python_us", "sql_us")}
    assert all(isinstance(time, int) and time >= 0 for time in times.values())
    assert (times["python_us"] > 0) == (found["kind"] == "python")
    return found


def test_a_trace_has_the_layers_as_a_tree(server: Server) -> None:
    query = QUERY % "tree"
    for asked in ({"headers": {"Puff-Trace": "1"}}, {"extensions": {"puff": {"trace": True}}}):
        answer = post(server, query, **asked).json()
        assert answer["data"]["authors"][0] == {
            "name": "a1",
            "writes": [{"title": "tree1"}],
            "first": {"id": 1},
        }
        puff = answer["extensions"]["puff"]
        parts = puff["parse_us"] + puff["plan_us"] + puff["execute_us"]
        assert puff["version"] == 1
        assert puff["total_us"] - 2 <= parts <= puff["total_us"]
        (authors,) = puff["layers"]
        children = authors.pop("children")
        assert layer(authors) == {
            "path": ["authors"],
            "type": "Query",
            "field": "authors",
            "resolver": "traced.Query.authors",
            "kind": "python",
            "sql": "SELECT n AS id, 'a' || n AS name FROM generate_series(1, $1) n",
            "parameters": ["3"],
            "parents": 1,
            "rows": 3,
            "error": None,
        }
        assert authors["sql"]
        assert [layer(child) for child in children] == [
            {
                "path": ["authors", "writes"],
                "type": "Author",
                "field": "posts",
                "resolver": "traced.Author.posts",
                "kind": "python",
                "sql": "SELECT a AS author_id, a AS id, $2 || a AS title FROM unnest($1::int[]) a",
                "parameters": ["{1,2,3}", "tree"],
                "parents": 3,
                "rows": 3,
                "error": None,
                "children": [],
            },
            {
                "path": ["authors", "first"],
                "type": "Author",
                "field": "first",
                "resolver": None,
                "kind": "sql",
                "sql": "SELECT a AS author_id, a AS id, 'first' AS title FROM unnest($1::int[]) a",
                "parameters": ["{1,2,3}"],
                "parents": 3,
                "rows": 3,
                "error": None,
                "children": [],
            },
        ]
        # The second request finds the plan of the first.
        assert (puff["plan"], puff["parse_us"] == 0) == (
            ("cached", True) if "extensions" in asked else ("built", False)
        )


def test_long_parameters_are_cut(server: Server) -> None:
    answer = post(server, QUERY % ("\u00e9" * 30_000), {"Puff-Trace": "1"}).json()
    _, word = answer["extensions"]["puff"]["layers"][0]["children"][0]["parameters"]
    assert word.endswith("\u2026")
    assert 1000 < len(word.encode()) < 2100


def test_a_layer_that_failed_says_so(server: Server) -> None:
    answer = post(server, "{ broken }", {"Puff-Trace": "1"}).json()
    assert answer["errors"][0]["message"] == "no"
    (broken,) = answer["extensions"]["puff"]["layers"]
    assert (broken["error"], broken["sql"], broken["parameters"]) == ("no", None, None)


def test_nobody_gets_a_trace_without_asking(server: Server) -> None:
    for asked in ({}, {"headers": {"Puff-Trace": "0"}}, {"extensions": {"puff": {"trace": "yes"}}}):
        assert "extensions" not in post(server, QUERY % "plain", **asked).json()


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_whom_a_proxy_speaks_for_gets_no_trace(server: Server, header: str) -> None:
    headers = {"Puff-Trace": "1", header: "for=127.0.0.1"}
    assert "extensions" not in post(server, QUERY % "proxied", headers).json()


@pytest.mark.parametrize(("setting", "traced"), [("off", False), ("always", True)])
def test_the_setting(folder: Path, serve: Serve, setting: str, traced: bool) -> None:
    with serve("--graphql", "traced:Schema", "--graphql-trace", setting, cwd=folder) as server:
        for headers in ({}, {"Via": "1.1 proxy"}):
            answer = post(server, "{ broken }", {"Puff-Trace": "1", **headers})
            assert answer.json()["errors"][0]["message"] == "no"
            assert ("extensions" in answer.json()) == traced
            assert answer.headers.get("server-timing") is None


def test_server_timing(server: Server) -> None:
    found = [post(server, QUERY % "timing").headers["server-timing"] for _ in range(2)]
    number = r"dur=\d+\.\d{3}"
    for text, cached in zip(found, ("", ";desc=cached"), strict=True):
        parts = f"parse;{number}, plan;{number}{cached}, execute;{number}, total;{number}"
        assert re.fullmatch(parts, text), text


def test_the_command_shows_the_same(folder: Path, puff: Run) -> None:
    result = puff("graphql", "plan", "--graphql", "traced:Schema", QUERY % "command", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "authors[].writes[]  <- Author.posts  parents=3  rows=3 resolve=" in result.stdout
    assert '    -- 2 parameters: "{1,2,3}","command"' in result.stdout
