"""What a dataclass declares: its data fields, its resolvers, and where each of them stands."""

from __future__ import annotations

import dataclasses
import inspect
import types
from typing import Any

from ._constants import Constant
from ._deferred import Deferred
from ._model import MISSING
from ._options import field_options
from ._sql import ConstantSql
from ._where import Problem, Where

_CONSTANT_FACTORIES = (list, dict, tuple)


def data_fields(cls: type, *, private: bool = False) -> dict[str, dataclasses.Field[Any]]:
    return {
        field.name: field for field in dataclasses.fields(cls) if private or not field.name.startswith("_")
    }


def resolver_names(cls: type) -> list[str]:
    """Return the public methods, SQL constants and constants of a class, those of its bases first."""
    fields = data_fields(cls)
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__[:-1]):
        for name in vars(base):
            if not name.startswith("_") and name not in fields:
                names.setdefault(name)
    kinds = (ConstantSql, Constant, Deferred, classmethod, staticmethod, types.FunctionType, property)
    found = ((name, inspect.getattr_static(cls, name)) for name in names)
    return [name for name, raw in found if isinstance(raw, kinds) and not field_options(raw).private]


def place_of(cls: type, name: str) -> Where:
    """Return the place of a member, in the base class that really declares it."""
    field = getattr(cls, "__dataclass_fields__", {}).get(name)
    if field is None:
        homes = [base for base in cls.__mro__ if name in vars(base)]
    else:
        # Dataclasses hand the Field object itself down, so identity tells who declared it.
        bases = reversed(cls.__mro__)
        homes = [base for base in bases if vars(base).get("__dataclass_fields__", {}).get(name) is field]
    return Where(homes[0], name)


def declared_twice(name: str, default: object) -> Problem:
    if isinstance(default, (ConstantSql, Constant, Deferred)):
        call = "sql(...)" if isinstance(default, ConstantSql) else f"{type(default).__name__.lower()}(...)"
        return Problem(
            f"{call} is the default value of a data field here", f"Remove the type hint: `{name} = {call}`"
        )
    return Problem(
        f"{name!r} is declared twice, as a data field and as a resolver", "Remove one of them or rename it"
    )


def constant_default(field: dataclasses.Field[Any]) -> Any:
    """Return the constant default of an input field, or MISSING."""
    if field.default_factory is MISSING:
        return field.default
    factory = field.default_factory
    if factory in _CONSTANT_FACTORIES or dataclasses.is_dataclass(factory):
        try:
            return factory()
        except Exception as error:
            raise Problem(
                f"its default_factory fails ({type(error).__name__}: {error})", "Repair the factory"
            ) from None
    raise Problem(
        "its default_factory may return something else each time, and a GraphQL default is a constant",
        "Use list, dict, tuple or an input dataclass as the factory, or make the field Optional",
    )
