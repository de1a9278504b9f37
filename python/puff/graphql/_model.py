"""What reading the classes of a schema yields: plain data, with Python's names."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import scalars
from ._annotations import Form, Returns
from ._sql import ConstantSql
from ._where import Where

MISSING = dataclasses.MISSING
"""The default of an argument that has none (``None`` is a default like any other)."""


@dataclass(frozen=True)
class Argument:
    """A parameter of a resolver, or a field of an input object."""

    name: str
    form: Form
    where: Where
    default: Any = MISSING


@dataclass(frozen=True)
class Source:
    """How a field with a resolver gets its data: a bound function, or constant SQL."""

    returns: Returns
    behind: Callable[..., Any] | ConstantSql
    takes_parents: bool = False


@dataclass(frozen=True)
class Field:
    """A field of an object type; without a source it is read from the parent's attribute or column."""

    name: str
    form: Form
    where: Where
    description: str = ""
    arguments: tuple[Argument, ...] = ()
    source: Source | None = None


@dataclass
class Classes:
    """Every class of a schema, in the order in which they were found.

    Attributes:
        schema: The class that names the roots.
        roots: Root classes by "query", "mutation" and "subscription"; those without fields are left out.
        objects: Fields of each object type, the roots included.
        inputs: Fields of each input object type.
        enums: The enums, as keys.
        scalars: Custom scalars by name.
    """

    schema: type
    roots: dict[str, type] = field(default_factory=dict)
    objects: dict[type, list[Field]] = field(default_factory=dict)
    inputs: dict[type, list[Argument]] = field(default_factory=dict)
    enums: dict[type[enum.Enum], None] = field(default_factory=dict)
    scalars: dict[str, scalars.Scalar] = field(default_factory=dict)
