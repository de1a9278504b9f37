"""Python default values as GraphQL literals."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from . import scalars
from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm, UnionForm
from ._model import MISSING, Argument, Classes
from ._names import Names
from ._options import type_options
from ._where import Problem

_PYTHON_TYPES = {scalar.name: cls for cls, scalar in scalars.BY_TYPE.items()} | {"BigInt": int}
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1


class Literals:
    """Writes the default values of one schema's arguments and input fields."""

    def __init__(self, classes: Classes, names: Names) -> None:
        self._inputs = classes.inputs
        self._enums = classes.enums
        self._names = names

    def default(self, argument: Argument) -> str:
        """Return `` = literal``, or nothing when the argument has no default.

        Raises:
            SchemaError: The default does not fit the type hint or has no literal.
        """
        if argument.default is MISSING:
            return ""
        try:
            return f" = {self._write(argument.form, argument.default)}"
        except Problem as problem:
            raise argument.where.error(problem) from None

    def _write(self, form: Form, value: Any) -> str:
        if isinstance(form, NullableForm):
            return "null" if value is None else self._write(form.inner, value)
        if value is None:
            raise Problem(
                "the default is None and the type hint does not allow it", "Add `| None` to the type hint"
            )
        if isinstance(form, ListForm):
            if not isinstance(value, (list, tuple)):
                raise _misfit(value, "a list")
            return "[" + ", ".join(self._write(form.inner, item) for item in value) + "]"
        if isinstance(form, ClassForm):
            return self._write_instance(form, value)
        if isinstance(form, UnionForm):
            raise TypeError("a union has no literals")
        return _scalar(form, value)

    def _write_instance(self, form: ClassForm, value: Any) -> str:
        if not isinstance(value, form.cls):
            raise _misfit(value, form.cls.__name__)
        if isinstance(value, enum.Enum):
            return next(known.name for known in self._enums[form] if known.member is value)
        fields = [(field, getattr(value, field.name)) for field in self._inputs[form]]
        options = type_options(form.cls, "input")
        if options is not None and options.one_of:
            fields = [(field, given) for field, given in fields if given is not None]
            if len(fields) != 1:
                raise Problem(
                    f"the default {value!r} has {len(fields)} fields, and of a one_of there is exactly one",
                    "Give it one",
                )
        written = (
            f"{self._names.member(field)}: {self._write(field.form, given)}" for field, given in fields
        )
        return "{" + ", ".join(written) + "}"


def _scalar(form: ScalarForm, value: Any) -> str:
    name, encode = form.scalar.name, form.scalar.encode
    if not form.scalar.built_in:
        try:
            return _json(encode(value) if encode is not None else value)
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise Problem(
                f"{name} cannot serialize the default {value!r} ({type(error).__name__}: {error})",
                "Change the default, or the scalar",
            ) from None
    if name == "JSON":
        return _json(value)
    expected = str if name == "ID" else _PYTHON_TYPES[name]
    accepted = (float, int) if expected is float else (expected,)
    # A bool is an int to Python and a datetime is a date, but they are scalars of their own.
    another = type(value) in scalars.BY_TYPE and type(value) not in accepted
    if another or not isinstance(value, accepted):
        raise _misfit(value, expected.__name__)
    return _json(encode(value) if encode is not None else value)


def _json(value: Any) -> str:
    """Return JSON data as a literal; it differs from JSON in that keys are names without quotes."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise Problem(
                f"the default {value} does not fit GraphQL's Int, which has 32 bits", "Use a smaller number"
            )
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__repr__(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, Mapping) and all(isinstance(key, str) and _NAME.fullmatch(key) for key in value):
        return "{" + ", ".join(f"{key}: {_json(item)}" for key, item in value.items()) + "}"
    raise Problem(
        f"the default {value!r} cannot be written as a GraphQL value",
        "Use None as the default (with `| None` in the type hint) and fill it in the resolver",
    )


def quote(text: str) -> str:
    """Return ``text`` as a GraphQL string; lone surrogates, which no Unicode text has, become U+FFFD."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _misfit(value: Any, expected: str) -> Problem:
    return Problem(f"the default {value!r} does not fit the type hint, {expected}", "Change one of the two")
