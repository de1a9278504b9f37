"""`puff graphql validate`: documents in files against the program's schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from stack import Run

SCHEMA = """
from dataclasses import dataclass


@dataclass
class Item:
    title: str

    @classmethod
    def parts(cls, context, /) -> list["Item"]:
        raise AssertionError("nothing runs")


@dataclass
class Query:
    @classmethod
    def items(cls, context, /, first: int = 10) -> list[Item]:
        raise AssertionError("nothing runs")


@dataclass
class Schema:
    query: Query


@dataclass
class Staff:
    @classmethod
    def names(cls, context, /) -> list[str]:
        raise AssertionError("nothing runs")


@dataclass
class Office:
    query: Staff
"""

FILES = {
    "good.graphql": "query A { items { ...Line } }\n\nquery B($n: Int!) { items(first: $n) { title } }\n",
    "line.graphql": "fragment Line on Item { title }\n",
    "wrong.graphql": "query C($n: String) {\n  items(first: $n) { titel }\n}\nquery D {\n\n  itms\n}",
    "deep.graphql": "{\n  items(first: 1000) { parts { parts { parts { title } } } }\n}\n",
    "broken.graphql": "query {\n  items { title\n",
    "office.graphql": "{ names }\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "shop.py").write_text(SCHEMA)
    (folder / "puff.toml").write_text(
        'graphql = "shop:Schema"\n[graphql_schema.office]\nclass = "shop:Office"\n'
    )
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_what_is_right(folder: Path, puff: Run) -> None:
    done = puff("graphql", "validate", "good.graphql", "line.graphql", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "OK: 2 operations in 2 files\n"), done.stderr


def test_what_is_wrong(folder: Path, puff: Run) -> None:
    done = puff("graphql", "validate", "wrong.graphql", "line.graphql", "good.graphql", cwd=folder)
    assert done.returncode == 1
    places = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    assert places == ["wrong.graphql:2:9", "wrong.graphql:2:22", "wrong.graphql:6:3"]
    assert all(line.endswith(" [GRAPHQL_VALIDATION_FAILED]") for line in done.stdout.splitlines())
    assert "`titel`" in done.stdout
    assert "`itms`" in done.stdout


def test_what_does_not_parse_and_what_is_too_much(folder: Path, puff: Run) -> None:
    done = puff("graphql", "validate", "broken.graphql", "deep.graphql", cwd=folder)
    assert done.returncode == 1
    broken, deep = done.stdout.splitlines()
    assert broken.startswith("broken.graphql:2:")
    assert broken.endswith("[GRAPHQL_PARSE_FAILED]")
    assert deep.startswith("deep.graphql:2:3: the answer may have ")
    assert deep.endswith("[LIMIT_EXCEEDED]")


def test_a_schema_with_a_name(folder: Path, puff: Run) -> None:
    assert puff("graphql", "validate", "office.graphql", "--schema", "office", cwd=folder).returncode == 0
    assert puff("graphql", "validate", "office.graphql", cwd=folder).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.graphql"], "none.graphql: No such file"),
        ([], "<FILE>..."),
        (["good.graphql", "--schema", "none"], 'no GraphQL schema "none": it has office'),
    ],
)
def test_what_cannot_be_validated(folder: Path, puff: Run, arguments: list[str], message: str) -> None:
    done = puff("graphql", "validate", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
