"""Constants: fields whose value is written down in the schema, and never enters Python."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import scalars
from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm, UnionForm
from ._options import NO_OPTIONS, FieldOptions
from ._permissions import Permission, given
from ._where import Problem

if TYPE_CHECKING:
    from ._model import EnumValue

Enums = Mapping[ClassForm, "list[EnumValue]"]

_PYTHON_TYPES = {scalar.name: cls for cls, scalar in scalars.BY_TYPE.items()} | {"BigInt": int, "ID": str}
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_WRITTEN = (
    *(bool, int, str, bytes, enum.Enum, decimal.Decimal, uuid.UUID),
    *(datetime.date, datetime.time, datetime.timedelta),
)
"""Classes of single values that Rust knows how to write."""


@dataclass(frozen=True)
class Constant:
    """A field that always has the same value; made by :func:`constant`.

    Attributes:
        returns: The field's type: a type hint, or its text.
        value: The value, a Python object.
        options: The field's name, description, deprecation and permission.
    """

    returns: Any
    value: Any
    options: FieldOptions = NO_OPTIONS


def constant(
    returns: Any,
    value: Any,
    *,
    name: str | None = None,
    description: str | None = None,
    deprecated: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
) -> Constant:
    """Declare a field that always has the same value: at run time Rust answers it without Python.

    Assign the result to a class attribute *without an annotation* (with one, ``@dataclass`` would take it for
    the default value of a data field), of a root class or any other. The value becomes JSON once, when the
    schema is built, and has to fit the type: a scalar, an enum, or a list of these, or None if the type has
    ``| None``.

    Args:
        returns: The field's type, for example ``str`` or ``list[Kind]``. A class that is defined further down
            goes in as text: ``"list[Kind]"``.
        value: The value, as a resolver would return it.
        name: The GraphQL name, as with :func:`field`.
        description: The description, instead of a text below the assignment.
        deprecated: Why the field should not be used any more.
        permission: Who may see the field, as with :func:`field`.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Query:
        ...     version = constant(str, "1.2.0")
        ...     currencies = constant(list[str], ["EUR", "CHF"], description="What we take.")
    """
    return Constant(returns, value, FieldOptions(name, description, deprecated, permission=given(permission)))


def plain(form: Form, value: Any, enums: Enums) -> Any:
    """Return the value of a constant as plain data that Rust writes: scalars of a program's own serialized.

    Raises:
        Problem: It does not fit the field's type.
    """
    if isinstance(form, NullableForm):
        return None if value is None else plain(form.inner, value, enums)
    if value is None:
        raise Problem("the constant is None and its type does not allow it", "Add `| None` to the type")
    if isinstance(form, ListForm):
        if not isinstance(value, (list, tuple)):
            raise _misfit(value, "a list")
        return [plain(form.inner, item, enums) for item in value]
    if isinstance(form, ScalarForm):
        return _scalar(form.scalar, value)
    if isinstance(form, ClassForm) and issubclass(form.cls, enum.Enum):
        if not isinstance(value, form.cls):
            raise _misfit(value, f"a member of {form.cls.__name__}")
        return next(known.name for known in enums[form] if known.member is value)
    name = form.name if isinstance(form, UnionForm) else form.cls.__name__
    raise Problem(
        f"a constant is a scalar, an enum or a list of these, and {name} has fields",
        "Write a resolver that returns the object; its fields may be constants",
    )


def _scalar(scalar: scalars.Scalar, value: Any) -> Any:
    name, encode = scalar.name, scalar.encode
    if scalar.built_in and name != "JSON":
        expected: type[Any] = _PYTHON_TYPES[name]
        accepted = (float, int) if expected is float else (expected,)
        # A bool is an int to Python and a datetime is a date, but they are scalars of their own.
        another = type(value) in scalars.BY_TYPE and type(value) not in accepted
        if another or not isinstance(value, accepted):
            raise _misfit(value, expected.__name__)
        if name == "Int" and not _INT_MIN <= value <= _INT_MAX:
            raise Problem(f"the constant {value} does not fit GraphQL's Int, which has 32 bits", "Use BigInt")
        if isinstance(value, float) and not math.isfinite(value):
            raise Problem(f"the constant {value} is no number of JSON's", "Use another value")
        # Rust knows how to write the others.
        return str(value) if name == "BigInt" else value
    try:
        data = value if encode is None else encode(value)
    except Exception as error:
        raise Problem(
            f"{name} cannot serialize the constant {value!r} ({type(error).__name__}: {error})",
            "Change the constant, or the scalar",
        ) from None
    if not _has_json(data):
        raise Problem(
            f"the constant {data!r} has no JSON form", "Use None, bool, int, float, str, list or dict"
        )
    if scalar.cells == "text" and encode is None and isinstance(data, (int, float)):
        return str(data).lower() if isinstance(data, bool) else str(data)
    return data


def _has_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_has_json, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _has_json(item) for key, item in value.items())
    if isinstance(value, (float, decimal.Decimal)):
        return math.isfinite(value)
    return value is None or isinstance(value, _WRITTEN)


def _misfit(value: Any, expected: str) -> Problem:
    return Problem(f"the constant {value!r} does not fit its type, {expected}", "Change one of the two")
