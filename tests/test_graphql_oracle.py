"""Random schemas, data and queries, three ways: our engine, our engine with resolvers that go through their
parents one by one, and graphql-core on the same data.

Data, errors' paths and a mutation's effects must be the same, and where nothing fails each resolver must have
been called once per layer, each statement have run once. `PUFF_ORACLE_SCHEMAS` (default 6) and
`PUFF_ORACLE_CASES` (documents per schema, default 150) choose how much; each document is asked both ways,
with three sets of variables if it has any. `PUFF_ORACLE_SEED` is the first schema's seed.

A failure prints the numbers of the world and the query, and the query. To see it again:
`PUFF_ORACLE_SEED=world PUFF_ORACLE_SCHEMAS=1 PUFF_ORACLE_FIRST=query PUFF_ORACLE_CASES=1`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from oracle.world import World
from stack import Project, Run

FIRST_SEED = int(os.environ.get("PUFF_ORACLE_SEED", "1"))
SCHEMAS = int(os.environ.get("PUFF_ORACLE_SCHEMAS", "6"))
CASES = int(os.environ.get("PUFF_ORACLE_CASES", "150"))
FIRST_CASE = int(os.environ.get("PUFF_ORACLE_FIRST", "0"))


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    """A project folder with a private PostgreSQL."""
    return new_project({})


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SCHEMAS))
def test_the_engine_agrees_with_graphql_core(seed: int, folder: Path, puff: Run) -> None:
    seen: list[dict[str, int]] = []
    for way in ("layers", "parents"):
        prefix = f"world_{seed}_{way}"
        source = World(seed).source(prefix, per_parent=way == "parents")
        (folder / f"{prefix}.py").write_text(source, encoding="utf-8")
        environment = {
            "PUFF_GRAPHQL": f"{prefix}:Schema",
            # What is made up is deep, and its lists are short.
            "PUFF_GRAPHQL_MAX_COMPLEXITY": "1000000000000",
            "PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parent}",
            "ORACLE_CASES": str(CASES),
            "ORACLE_FIRST": str(FIRST_CASE),
            "ORACLE_SETS": "3",
            "ORACLE_EXPECTED": str(folder / f"world_{seed}.expected"),
        }
        ran = puff("run", "oracle.compare.main", cwd=folder, env=environment, timeout=300 + CASES)
        assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
        seen.append(json.loads(ran.stdout))
    # Both ways saw the same, and most queries are worth it.
    assert seen[0] == seen[1]
    if CASES >= 50:
        assert seen[0]["counted"] > CASES / 4
        assert seen[0]["layers"] > CASES
        assert seen[0]["mutations"] > 0
