"""From a client's arguments to Python: converters that are put together once per schema.

A converter is ``None`` where the value is right as it comes, so that arguments of plain types cost nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm, UnionForm
from ._model import MISSING, Argument, Classes
from ._names import Names
from .errors import ArgumentError

Converter = Callable[[Any], Any]
Shape = tuple[dict[str, tuple[str, "Converter | None"]], dict[str, None]]


class Converters:
    """Makes the converters of one schema, one per input class, so that classes may refer to themselves."""

    def __init__(self, classes: Classes, names: Names) -> None:
        self._inputs = classes.inputs
        self._enums = classes.enums
        self._names = names
        self._made: dict[ClassForm, Converter] = {}

    def of(self, form: Form) -> Converter | None:
        """Return the converter of values of this form."""
        if isinstance(form, ScalarForm):
            return form.scalar.parse
        if isinstance(form, NullableForm):
            inner = self.of(form.inner)
            return None if inner is None else _nullable(inner)
        if isinstance(form, ListForm):
            inner = self.of(form.inner)
            if inner is None:
                return tuple if form.as_tuple else None
            return _list(inner, tuple if form.as_tuple else list)
        if isinstance(form, UnionForm):
            raise TypeError("a union cannot be sent")
        return self._of_class(form)

    def _of_class(self, form: ClassForm) -> Converter:
        if form in self._enums:
            return _enum(form.cls.__name__, {value.name: value.member for value in self._enums[form]})
        made = self._made.get(form)
        if made is None:
            made = self._made[form] = instance = _InputObject(form.cls)
            # Only now: the fields may lead back to this very class.
            shape = instance.table, instance.missing = self.shape(self._inputs[form])
            if is_plain(shape):
                made = self._made[form] = _plain_object(form.cls)
        return made

    def shape(self, arguments: list[Argument] | tuple[Argument, ...]) -> Shape:
        """Return, of these arguments or input fields, a table and what to add where a client left one out.

        The table maps each GraphQL name to the Python name and the converter. Only a nullable argument
        without default can be left out; Python then wants its ``None`` all the same.
        """
        table = {self._names.member(item): (item.name, self.of(item.form)) for item in arguments}
        missing = {
            item.name: None
            for item in arguments
            if item.default is MISSING and isinstance(item.form, NullableForm)
        }
        return table, missing


def is_plain(shape: Shape) -> bool:
    """Return whether arguments of this shape can be passed to Python as they come."""
    table, missing = shape
    return not missing and all(
        name == python_name and converter is None for name, (python_name, converter) in table.items()
    )


class _InputObject:
    """Turns the dict of an input object into the user's dataclass."""

    __slots__ = ("cls", "missing", "table")

    table: dict[str, tuple[str, Converter | None]]
    missing: dict[str, None]

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __call__(self, value: Mapping[str, Any]) -> Any:
        return self.cls(**convert(self.table, self.missing, value))


def _plain_object(cls: type) -> Converter:
    return lambda value: cls(**value)


def convert(
    table: Mapping[str, tuple[str, Converter | None]], missing: Mapping[str, None], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``given`` with Python's names and values.

    Raises:
        ArgumentError: A value is not what its scalar or enum takes.
    """
    values: dict[str, Any] = dict(missing)
    name = ""
    try:
        for name, value in given.items():
            python_name, converter = table[name]
            values[python_name] = value if converter is None else converter(value)
    except ArgumentError as error:
        raise error.within(name) from None
    return values


def _nullable(inner: Converter) -> Converter:
    return lambda value: None if value is None else inner(value)


def _list(inner: Converter, kind: type[list[Any]] | type[tuple[Any, ...]]) -> Converter:
    def convert_list(values: list[Any]) -> list[Any] | tuple[Any, ...]:
        done: list[Any] = []
        try:
            for value in values:
                done.append(inner(value))
        except ArgumentError as error:
            raise error.within(len(done)) from None
        return done if kind is list else tuple(done)

    return convert_list


def _enum(name: str, members: Mapping[str, enum.Enum]) -> Converter:
    def convert_enum(value: str) -> enum.Enum:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise ArgumentError(f"expected a value of {name}, got {value!r}") from None

    return convert_enum
