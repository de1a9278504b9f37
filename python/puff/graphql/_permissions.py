"""Permissions as authors write them: functions that say what a client may see or do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from typing import TYPE_CHECKING, Any

from ._where import Problem

if TYPE_CHECKING:
    from .._puff import Context

_SHAPE = "Write `def may(context, guarded) -> bool`, a plain function of two parameters"


@dataclass(frozen=True)
class Guarded:
    """What a permission is asked about.

    Attributes:
        type: The GraphQL type: that of the objects, or that which has the field. It is an interface where the
            permission comes from one.
        field: The GraphQL name of the field; None where the permission guards the objects of a type.
        arguments: The field's arguments as its resolver gets them, by their Python names.

    Example:
        >>> str(Guarded("Item", "price"))
        'Item.price'
    """

    type: str
    field: str | None = None
    arguments: Mapping[str, Any] = data_field(default_factory=dict)

    def __str__(self) -> str:
        return self.type if self.field is None else f"{self.type}.{self.field}"


Permission = Callable[["Context", Guarded], "bool | Sequence[bool | Exception]"]
"""A function that says whether a client may see or do something: see :func:`puff.graphql.field`."""


def given(permission: Permission | Sequence[Permission] | None) -> tuple[Any, ...] | None:
    """Return what an author gave as ``permission=``, one or several, unchecked; ``None`` for nothing."""
    if permission is None:
        return None
    return tuple(permission) if isinstance(permission, (list, tuple)) else (permission,)


def check(functions: tuple[Any, ...] | None) -> None:
    """Look at what an author gave as ``permission=``.

    Raises:
        Problem: It cannot be asked.
    """
    if functions == ():
        raise Problem("the list of permissions is empty", "Name a function, or leave out permission=")
    for function in functions or ():
        if not callable(function):
            raise Problem(f"the permission {function!r} is no function", _SHAPE)
        kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
        if any(is_kind(function) for is_kind in kinds):
            raise Problem(
                f"the permission {name_of(function)} is async or a generator, and gives no answer by itself",
                f"{_SHAPE}; its waits do not block others",
            )
        try:
            inspect.signature(function).bind(None, None)
        except (TypeError, ValueError):
            raise Problem(
                f"the permission {name_of(function)} does not take the context and what it guards", _SHAPE
            ) from None


def forbid(functions: tuple[Any, ...] | None) -> None:
    """Look at what an author gave as ``permission=`` where nothing is to be guarded.

    Raises:
        Problem: There is something.
    """
    if functions is not None:
        raise Problem(
            "a permission guards what clients read, and not what they send",
            "Put it at the field with the argument: its permission gets the arguments",
        )


def name_of(function: Any) -> str:
    """Return a function's name for messages."""
    return getattr(function, "__qualname__", None) or repr(function)
