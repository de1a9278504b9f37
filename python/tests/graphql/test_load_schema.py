"""Paths of schemas: what they may name, and what is said when they do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import puff.graphql
from puff.graphql import SchemaError, load_schema

Write = Callable[..., Path]
SCHEMA = "@dataclass\nclass Query:\n    pass\n@dataclass\nclass Schema:\n    query: Query\n"


@pytest.mark.parametrize(
    "path",
    [
        "pkg.schema",
        "pkg.schema.Schema",
        "pkg.schema:Schema",
        "pkg:schema",
        "pkg.schema:schema",
        "pkg.schema.schema",
        "flat",
        "flat.schema",
        "flat:schema",
        "flat.Schema",
    ],
)
def test_paths(write: Write, path: str) -> None:
    write("pkg/__init__", "from . import schema\n")
    write("pkg/schema", SCHEMA)
    write("flat", SCHEMA)
    assert load_schema(path).__name__ == "Schema"


def test_other_class_names(write: Write) -> None:
    write("flat", SCHEMA.replace("Schema", "PublicSchema"))
    assert load_schema("flat.PublicSchema") is load_schema("flat:PublicSchema")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "'nowhere' names no schema: there is no module 'nowhere'. Correct the path, or put"),
        ("nowhere.deep.Schema", "'nowhere.deep.Schema' names no schema: there is no module 'nowhere.deep'."),
        ("nowhere:Schema", "'nowhere:Schema' names no schema: there is no module 'nowhere'."),
        (
            "flat:Nope",
            "'flat:Nope' names no schema: the module 'flat' has no attribute 'Nope'. Define the class Nope",
        ),
        ("flat.Nope", "'flat.Nope' names no schema: the module 'flat' has no attribute 'Nope'."),
        ("flat.deep.Nope", "'flat.deep.Nope' names no schema: there is no module 'flat.deep'."),
        (
            "flat:",
            "'flat:' names no schema: the module 'flat' has no attribute ''. Define the class Schema there",
        ),
        ("bare", "'bare' names no schema: the module 'bare' has no attribute 'Schema'."),
        ("flat:VALUE", "the schema is 5 and not a class. Name a @dataclass"),
        ("flat:Plain", "Plain: the schema is not a dataclass. Decorate it with @dataclass."),
        ("", "'' is not the path of a schema. Write package.module.Schema or package.module:Schema."),
        ("a b", "'a b' is not the path of a schema."),
        (".flat", "'.flat' is not the path of a schema."),
        ("flat.", "'flat.' is not the path of a schema."),
        ("flat.py/x", "'flat.py/x' is not the path of a schema."),
    ],
)
def test_errors(write: Write, path: str, message: str) -> None:
    write("flat", SCHEMA + "VALUE = 5\nclass Plain:\n    pass\n")
    write("bare", "x = 1\n")
    with pytest.raises(SchemaError) as caught:
        load_schema(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import not_installed",
            "loading 'app.Schema' failed with ModuleNotFoundError: No module named 'not_installed'",
        ),
        ("1 / 0", "loading 'app.Schema' failed with ZeroDivisionError: division by zero. Repair the module."),
        ("x = (", "loading 'app.Schema' failed with SyntaxError: '(' was never closed. Repair the module."),
        (
            "Missing",
            "loading 'app.Schema' failed with NameError: name 'Missing' is not defined. Repair the module",
        ),
    ],
)
def test_module_that_fails(write: Write, code: str, message: str) -> None:
    file = write("app", f"first = 1\n{code}\n", header=False)
    with pytest.raises(SchemaError) as caught:
        load_schema("app.Schema")
    assert str(caught.value).startswith(f"{file}:2: {message}")
    assert caught.value.__cause__ is not None


def test_neither_import_nor_use_needs_the_native_module() -> None:
    code = (
        "import sys; sys.modules['puff._puff'] = None\n"
        "from puff import graphql\n"
        "assert graphql.load_schema('puff.graphql:EmptyObject') is graphql.EmptyObject\n"
        "assert 'greenlet' not in sys.modules\n"
    )
    root = Path(puff.graphql.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
