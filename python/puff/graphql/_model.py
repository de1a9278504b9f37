"""What reading the classes of a schema yields: plain data, with Python's names."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import scalars
from ._annotations import ClassForm, Form, Returns, UnionForm
from ._connections import PageOptions
from ._constants import Constant
from ._options import NO_OPTIONS, FieldOptions
from ._sql import ConstantSql
from ._where import Where

MISSING = dataclasses.MISSING
"""The default of an argument that has none (``None`` is a default like any other)."""


@dataclass(frozen=True)
class Member:
    """A field or an argument. ``description`` is that of the options or, without one, of a docstring."""

    name: str
    form: Form
    where: Where
    options: FieldOptions = NO_OPTIONS
    description: str = ""


@dataclass(frozen=True)
class Argument(Member):
    """A parameter of a resolver, or a field of an input object."""

    # By way of a factory: MISSING itself would mean that this field has no default.
    default: Any = field(default_factory=lambda: MISSING)


@dataclass(frozen=True)
class Source:
    """How a field with a resolver gets its data: a bound function, constant SQL, or a constant.

    Types that inherit a resolver from an interface have the same one, and so the same ``Source``.
    ``method_of`` is the class of an instance method, which is called for each parent. ``pages`` says how the
    rows of its statement become pages.
    """

    returns: Returns
    behind: Callable[..., Any] | ConstantSql | Constant
    takes_parents: bool = False
    method_of: type | None = None
    pages: PageOptions | None = None


@dataclass(frozen=True)
class Field(Member):
    """A field of an object type; without a source it is read from the parent's attribute or column."""

    arguments: tuple[Argument, ...] = ()
    source: Source | None = None


@dataclass(frozen=True)
class EnumValue:
    """A value of an enum by its GraphQL name."""

    name: str
    member: enum.Enum
    description: str = ""
    deprecated: str | None = None


@dataclass
class Classes:
    """Every class of a schema, in the order in which they were found.

    Attributes:
        schema: The class that names the roots.
        roots: Root classes by "query", "mutation" and "subscription"; those without fields are left out.
        objects: Fields of each object type, the roots included.
        interfaces: Fields of each interface.
        implements: The interfaces of each object type and interface that has any, the nearest first.
        unions: The unions by name.
        inputs: Fields of each input object type.
        enums: The values of each enum.
        scalars: Custom scalars by name.
    """

    schema: type
    roots: dict[str, ClassForm] = field(default_factory=dict)
    objects: dict[ClassForm, list[Field]] = field(default_factory=dict)
    interfaces: dict[ClassForm, list[Field]] = field(default_factory=dict)
    implements: dict[ClassForm, tuple[ClassForm, ...]] = field(default_factory=dict)
    unions: dict[str, UnionForm] = field(default_factory=dict)
    inputs: dict[ClassForm, list[Argument]] = field(default_factory=dict)
    enums: dict[ClassForm, list[EnumValue]] = field(default_factory=dict)
    scalars: dict[str, scalars.Scalar] = field(default_factory=dict)
