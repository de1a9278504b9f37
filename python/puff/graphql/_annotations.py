"""Type hints to type forms: the shapes that GraphQL knows."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, Literal, NewType, Union, get_args, get_origin

from . import scalars
from ._scope import Scope
from ._where import Problem

Form = Union["ScalarForm", "ClassForm", "ListForm", "NullableForm"]
Returns = Literal["value", "objects", "rows", "joined"]


@dataclass(frozen=True)
class ScalarForm:
    """A scalar that may not be null."""

    scalar: scalars.Scalar


@dataclass(frozen=True)
class ClassForm:
    """A dataclass or an enum that may not be null."""

    cls: type


@dataclass(frozen=True)
class ListForm:
    """A list that may not be null; ``as_tuple`` when the hint was ``tuple[T, ...]``."""

    inner: Form
    as_tuple: bool = False


@dataclass(frozen=True)
class NullableForm:
    """Any of the others, or null."""

    inner: Form


_STREAMS = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)
_ASYNC_STREAMS = (
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)
_SUPPORTED = (
    "Use int, float, str, bool, ID, datetime, date, time, Decimal, UUID, bytes, dict, Any, an Enum, a "
    "@dataclass, or a list or Optional of these"
)


def shallow(hint: Any, scope: Scope) -> Any:
    """Return ``hint`` with text, forward references, aliases and ``Annotated`` replaced by what they mean.

    Only the outermost layer is resolved. ``puff.graphql.ID`` is kept, other ``NewType``s become their base.
    """
    while True:
        if isinstance(hint, str):
            hint = scope.evaluate(hint)
        elif isinstance(hint, ForwardRef):
            hint = scope.evaluate(hint.__forward_arg__)
        elif get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, NewType) and hint is not scalars.ID:
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # `type X = ...`, Python 3.12 and later
            hint = hint.__value__
        else:
            return hint


def parse(hint: Any, scope: Scope) -> Form:
    """Return the form of a hint that stands for one GraphQL type.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: GraphQL has no such type, or we do not support it.
    """
    hint = shallow(hint, scope)
    if hint is scalars.ID:
        return ScalarForm(scalars.ID_SCALAR)
    if hint is Any:
        return NullableForm(ScalarForm(scalars.JSON))
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union or origin is types.UnionType:
        return _parse_union(hint, args, scope)
    if origin in (dict, collections.abc.Mapping) or hint is dict:
        return ScalarForm(scalars.JSON)
    if hint is list or (origin in (list, collections.abc.Sequence) and not args):
        raise Problem(
            "the type hint is a list without saying of what", "Write list[...] with the element's type"
        )
    if origin in (list, collections.abc.Sequence):
        return ListForm(parse(args[0], scope))
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return ListForm(parse(args[0], scope), as_tuple=True)
        raise Problem(
            f"the tuple {_show(hint)} has no GraphQL type here",
            "A tuple of fixed length can only be all that a query or mutation resolver returns; use a "
            "@dataclass or a list",
        )
    if origin in _STREAMS or origin in _ASYNC_STREAMS:
        raise Problem(
            f"{_show(hint)} can only be what a subscription resolver returns", "Write list[...] for a list"
        )
    return _parse_class(hint)


def _parse_union(hint: Any, args: tuple[Any, ...], scope: Scope) -> Form:
    others = [arg for arg in args if arg is not type(None)]
    if len(others) == 1 and len(others) < len(args):
        inner = parse(others[0], scope)
        return inner if isinstance(inner, NullableForm) else NullableForm(inner)
    raise Problem(
        f"the union {_show(hint)} has no GraphQL type",
        "Only unions with None (Optional) are supported; choose one type, or a @dataclass for the cases",
    )


def _parse_class(hint: Any) -> Form:
    if hint is type(None) or hint is None:
        raise Problem(
            "the type hint is None, and GraphQL has no type without a value", "Return bool, for example"
        )
    if isinstance(hint, type):
        if hint in scalars.BY_TYPE:
            return ScalarForm(scalars.BY_TYPE[hint])
        if issubclass(hint, enum.Enum) and not issubclass(hint, enum.Flag):
            return ClassForm(hint)
        if "__dataclass_fields__" in vars(hint):
            return ClassForm(hint)
        if dataclasses.is_dataclass(hint):
            raise Problem(
                f"{_show(hint)} inherits from a dataclass and is none itself",
                "Decorate it with @dataclass too",
            )
        if hint.__module__ != "builtins":
            raise Problem(
                f"{_show(hint)} is not a type that GraphQL knows",
                f"Decorate it with @dataclass. {_SUPPORTED}",
            )
    raise Problem(f"{_show(hint)} is not a type that GraphQL knows", _SUPPORTED)


def parse_return(hint: Any, scope: Scope) -> tuple[Form, Returns]:
    """Return the field's form and the way its resolver gives the data, from a return annotation.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: It is none of the four return forms.
    """
    hint = shallow(hint, scope)
    args = get_args(hint)
    if get_origin(hint) is not tuple or (len(args) == 2 and args[1] is Ellipsis):
        return parse(hint, scope), "value"
    slots = [shallow(arg, scope) for arg in args[1:]]
    returns: Returns
    if len(slots) == 1 and (_is_list(slots[0]) or slots[0] == shallow(args[0], scope)):
        returns = "objects"
    elif len(slots) == 2 and _is_text(slots[0]) and _is_list(slots[1]):
        returns = "rows"
    elif len(slots) == 4 and _is_text(slots[0]) and all(map(_is_list, slots[1:])):
        returns = "joined"
    else:
        raise Problem(
            f"the return annotation {_show(hint)} is none of the forms of a resolver",
            "Write T or list[T] for a plain value, tuple[T, list[X]] for objects, tuple[T, str, list[Any]] "
            "for SQL and parameters, or tuple[T, str, list[Any], list[str], list[str]] for SQL joined to the "
            "parents",
        )
    return parse(args[0], scope), returns


def parse_stream(hint: Any, scope: Scope) -> Form:
    """Return the form of one event, from the return annotation of a subscription resolver.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: It is not an iterable of one GraphQL type.
    """
    hint = shallow(hint, scope)
    origin, args = get_origin(hint), get_args(hint)
    if origin in _ASYNC_STREAMS:
        raise Problem(
            f"a subscription runs in a greenlet and cannot return {_show(hint)}",
            "Write a plain generator (def, yield) that returns Iterable[...]; its waits do not block others",
        )
    if origin not in _STREAMS or not args:
        raise Problem(
            f"a subscription resolver yields events and {_show(hint)} is not an iterable of them",
            "Return Iterable[...], Iterator[...] or Generator[...] with the type of one event",
        )
    return parse(args[0], scope)


def _is_list(slot: Any) -> bool:
    kinds = (list, tuple, collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable)
    return slot is Any or slot in kinds or get_origin(slot) in kinds


def _is_text(slot: Any) -> bool:
    return slot is str or getattr(slot, "_name", None) == "LiteralString"


def _show(hint: Any) -> str:
    """Return a hint as its author would write it."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__qualname__
    return repr(hint).replace("typing.", "").replace("collections.abc.", "").replace("NoneType", "None")
