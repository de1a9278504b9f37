"""The examples in docstrings run: those of every module of `puff`, inside the runtime, with real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import pytest
from stack import ROOT, Project, Run, clean_environment

PROGRAM = ROOT / "tests" / "programs" / "docstrings.py"
SCHEMA = """
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Query:
    @classmethod
    def hello(cls, context, /) -> str:
        return "hello"


@dataclass
class Subscription:
    @classmethod
    def ticks(cls, context, /) -> Iterator[int]:
        yield from (1, 2)


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""


class Docstring(NamedTuple):
    """What came of a docstring's examples."""

    name: str
    examples: int
    failed: int
    report: str


@pytest.fixture(scope="module")
def docstrings(new_project: Project, puff: Run) -> list[Docstring]:
    files = {
        "docstrings.py": PROGRAM.read_text(),
        "ticks.py": SCHEMA,
        "puff.toml": 'graphql = "ticks:Schema"\n',
    }
    done = puff("run", "docstrings.main", cwd=new_project(files))
    assert done.returncode == 0, done.stdout + done.stderr
    return [Docstring(*json.loads(line)) for line in done.stdout.splitlines()]


def test_all_examples_say_what_happens(docstrings: list[Docstring]) -> None:
    failed = [each for each in docstrings if each.failed]
    assert not failed, "\n".join(each.report for each in failed)
    assert sum(each.examples for each in docstrings) > 250


def test_no_example_is_skipped(docstrings: list[Docstring]) -> None:
    """Doctest counts what it skips as tried."""
    modules = {each.name.split(".", 1)[0] for each in docstrings}
    assert modules == {"puff"}
    assert not [path for path in (ROOT / "python" / "puff").rglob("*.py") if "+SKIP" in path.read_text()]


LACKING = """
import inspect, pydoc, public
for name in sorted(public.NAMES):
    item = pydoc.locate(name)
    if inspect.isroutine(item) and not name.startswith("puff.postgres."):
        print(name, ">>>" in inspect.getdoc(item))
"""


def test_public_functions_have_examples() -> None:
    """Those of psycopg2's interface have its manual."""
    done = subprocess.run(
        [sys.executable, "-c", LACKING],
        cwd=ROOT / "docs" / "_site",
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = dict(line.split() for line in done.stdout.splitlines())
    assert "puff.spawn" in told
    assert not [name for name, has_example in told.items() if has_example != "True"]
