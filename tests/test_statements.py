"""One statement per layer: counted by PostgreSQL itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Run, Serve
from support import open_folder

SCHEMA = """
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puff import graphql


@dataclass
class Leaf:
    id: int
    branch_id: int


@dataclass
class Branch:
    id: int
    tree_id: int

    leaves = graphql.sql(
        list[Leaf],
        "SELECT id, branch_id FROM leaves WHERE branch_id = ANY($1) ORDER BY id",
        parents="id",
        children="branch_id",
    )


@dataclass
class Tree:
    id: int
    name: str

    @classmethod
    def branches(cls, context, /) -> tuple[list[Branch], str, list[Any], list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        sql = "SELECT id, tree_id FROM branches WHERE tree_id = ANY($1) ORDER BY id"
        return ..., sql, [ids], ["id"], ["tree_id"]


@dataclass
class Query:
    @classmethod
    def trees(cls, context, /, limit: int) -> tuple[list[Tree], str, list[Any]]:
        return ..., "SELECT id, name FROM trees ORDER BY id LIMIT $1", [limit]


@dataclass
class Schema:
    query: Query
"""

TABLES = """
CREATE TABLE trees AS SELECT id, 'tree ' || id AS name FROM generate_series(1, 50) id;
CREATE TABLE branches AS SELECT id, (id - 1) / 3 + 1 AS tree_id FROM generate_series(1, 150) id;
CREATE TABLE leaves AS SELECT id, (id - 1) / 4 + 1 AS branch_id FROM generate_series(1, 600) id;
CREATE EXTENSION pg_stat_statements;
"""

QUERY = "query($limit: Int!) { trees(limit: $limit) { id name branches { id leaves { id } } } }"

STATISTICS = """
SELECT json_agg(json_build_array(query, calls, rows) ORDER BY query) FROM pg_stat_statements
WHERE query ~ ' (trees|branches|leaves) ' AND query !~ 'pg_stat_statements'
"""

TREES = "SELECT id, name FROM trees ORDER BY id LIMIT $1"
BRANCHES = "SELECT id, tree_id FROM branches WHERE tree_id = ANY($1) ORDER BY id"
LEAVES = "SELECT id, branch_id FROM leaves WHERE branch_id = ANY($1) ORDER BY id"


@pytest.fixture(scope="module")
def forest(puff: Run) -> Iterator[Path]:
    """A project whose PostgreSQL counts statements and has trees with branches with leaves."""
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "puff.toml").write_text("graphql = 'schema:Schema'\n")
        sql(puff, folder, "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        puff("db", "stop", cwd=folder)  # the setting counts from the next start
        sql(puff, folder, TABLES)
        yield folder


def sql(puff: Run, folder: Path, statement: str) -> str:
    result = puff("db", "psql", "-v", "ON_ERROR_STOP=1", "-qAtc", statement, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_three_levels_over_twenty_parents_are_three_statements(forest: Path, puff: Run, serve: Serve) -> None:
    with serve(cwd=forest) as server:
        sql(puff, forest, "SELECT pg_stat_statements_reset()")
        answer = server.graphql(QUERY, limit=20)
        counted = json.loads(sql(puff, forest, STATISTICS))
        # The same again, prepared: still one each.
        assert server.graphql(QUERY, limit=20) == answer
        again = json.loads(sql(puff, forest, STATISTICS))
    trees = answer["data"]["trees"]
    assert [len(trees), len(trees[0]["branches"]), len(trees[0]["branches"][0]["leaves"])] == [20, 3, 4]
    leaves = [leaf["id"] for tree in trees for branch in tree["branches"] for leaf in branch["leaves"]]
    assert leaves == list(range(1, 241))
    assert counted == [[LEAVES, 1, 240], [TREES, 1, 20], [BRANCHES, 1, 60]]
    assert again == [[LEAVES, 2, 480], [TREES, 2, 40], [BRANCHES, 2, 120]]


def test_the_plan_shows_three_layers_with_their_statements(forest: Path, puff: Run) -> None:
    result = puff("graphql", "plan", QUERY, "--variables", '{"limit": 20}', cwd=forest)
    assert result.returncode == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    heads = [line.split("  ")[:2] for line in lines if "<-" in line]
    assert heads == [
        ["trees[]", "<- Query.trees"],
        ["trees[].branches[]", "<- Tree.branches"],
        ["trees[].branches[].leaves[]", "<- Branch.leaves"],
    ]
    statements = [line for line in lines if line.startswith("SELECT")]
    assert statements == [TREES, BRANCHES, LEAVES]
    counts = [re.findall(r"(?:parents|rows)=(\d+)", line) for line in lines if "<-" in line]
    assert counts == [["20"], ["20", "60"], ["60", "240"]]
