"""Instance methods as resolvers: one call for each object of a layer, in one entry into Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def each(function: Callable[..., Any], cls: type, returns_form: bool) -> Callable[..., list[Any]]:
    """Returns `call(parents, context, arguments)` for an instance method, which is called once per parent.

    An exception is the error of its own parent.
    """

    def call(parents: list[Any], context: Any, arguments: dict[str, Any]) -> list[Any]:
        values: list[Any] = []
        for parent in parents:
            try:
                value = function(_instance(cls, parent), context, **arguments)
            except Exception as error:
                value = error
            else:
                if returns_form and type(value) is tuple and len(value) == 2 and value[0] is ...:
                    value = value[1]
            values.append(value)
        return values

    return call


def _instance(cls: type, parent: Any) -> Any:
    """The object that a method of `cls` is called on: a row becomes an instance, without `__init__`."""
    if not isinstance(parent, dict):
        return parent
    instance: Any = object.__new__(cls)
    try:
        instance.__dict__.update(parent)
    except AttributeError:  # A class with slots.
        for name, value in parent.items():
            with suppress(AttributeError):
                object.__setattr__(instance, name, value)
    return instance
