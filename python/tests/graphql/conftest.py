"""Fixtures: modules of user code that live in a temporary directory and are really imported."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import graphql
import pytest

from puff.graphql import SchemaDefinition, SchemaError, build_schema

HEADER = """\
from __future__ import annotations
import datetime, decimal, enum, uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import *
from puff import graphql
from puff.graphql import ID
"""

SCHEMA = """
@dataclass
class Schema:
    query: Query
"""

Write = Callable[..., Path]
Load = Callable[[str], ModuleType]
CheckSdl = Callable[[str], graphql.GraphQLSchema]


@pytest.fixture(scope="session")
def check_sdl() -> CheckSdl:
    """Let graphql-core, the reference in Python, judge an SDL, and return its schema."""

    def check(sdl: str) -> graphql.GraphQLSchema:
        schema = graphql.build_schema(sdl)
        assert graphql.validate_schema(schema) == []
        return schema

    return check


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules (by dotted name, ``/`` for packages) that can be imported during the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write_module(name: str, source: str, *, header: bool = True) -> Path:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((HEADER if header else "") + textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        return path

    yield write_module
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def load(write: Write) -> Load:
    """Import user code, with the usual imports in front of it, as the module ``app``."""

    def load_module(source: str) -> ModuleType:
        write("app", source)
        return importlib.import_module("app")

    return load_module


@pytest.fixture
def build(load: Load, check_sdl: CheckSdl) -> Callable[..., SchemaDefinition]:
    """Build the ``Schema`` of user code (one with only a query if it has none), and check its SDL."""

    def build_definition(source: str, **options: Any) -> SchemaDefinition:
        source = textwrap.dedent(source)
        module = load(source if "class Schema" in source else source + SCHEMA)
        definition = build_schema(module.Schema, **options)
        check_sdl(definition.sdl)
        return definition

    return build_definition


@pytest.fixture
def fail(build: Callable[..., SchemaDefinition]) -> Callable[..., SchemaError]:
    """Return the error that building the ``Schema`` of user code ends with."""

    def failure(source: str, **options: Any) -> SchemaError:
        with pytest.raises(SchemaError) as caught:
            build(source, **options)
        return caught.value

    return failure
