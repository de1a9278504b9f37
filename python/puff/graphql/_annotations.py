"""Type hints to type forms: the shapes that GraphQL knows."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Generic,
    Literal,
    NewType,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from . import scalars
from ._options import NO_OPTIONS, FieldOptions, UnionOptions, type_options
from ._scope import Scope
from ._where import Problem

Form = Union["ScalarForm", "ClassForm", "UnionForm", "ListForm", "NullableForm"]
Returns = Literal["value", "objects", "rows", "joined"]


@dataclass(frozen=True)
class ScalarForm:
    """A scalar that may not be null."""

    scalar: scalars.Scalar


@dataclass(frozen=True)
class ClassForm:
    """A dataclass or an enum that may not be null; of a generic class, with what its parameters stand for."""

    cls: type
    arguments: tuple[Form, ...] = ()


@dataclass(frozen=True)
class UnionForm:
    """One of several object types, not null."""

    name: str
    members: tuple[ClassForm, ...]
    description: str = ""


@dataclass(frozen=True)
class ListForm:
    """A list that may not be null; ``as_tuple`` when the hint was ``tuple[T, ...]``."""

    inner: Form
    as_tuple: bool = False


@dataclass(frozen=True)
class NullableForm:
    """Any of the others, or null."""

    inner: Form


@dataclass(frozen=True)
class _Alias:
    """The name of a ``type`` statement around a hint."""

    name: str


_STREAMS = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)
_ASYNC_STREAMS = (
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)
_SUPPORTED = (
    "Use int, float, str, bool, ID, BigInt, datetime, date, time, timedelta, Decimal, UUID, bytes, dict, "
    "Any, an Enum, a @dataclass, graphql.scalar(...), or a list or Optional of these"
)


def peel(hint: Any, scope: Scope) -> tuple[Any, tuple[Any, ...]]:
    """Return ``hint`` with text, forward references, aliases and ``Annotated`` replaced by what they mean.

    Only the outermost layers are resolved. The second value is what ``Annotated`` says, the outermost first;
    a ``type`` statement adds the name of its alias. ``puff.graphql.ID`` is kept, other ``NewType``s become
    their base.
    """
    notes: tuple[Any, ...] = ()
    while True:
        if isinstance(hint, str):
            hint = scope.evaluate(hint)
        elif isinstance(hint, ForwardRef):
            hint = scope.evaluate(hint.__forward_arg__)
        elif get_origin(hint) is Annotated:
            notes += hint.__metadata__
            hint = hint.__origin__
        elif isinstance(hint, NewType) and hint is not scalars.ID:
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # `type X = ...`, Python 3.12 and later
            notes += (_Alias(hint.__name__),)
            hint = hint.__value__
        else:
            return hint, notes


def shallow(hint: Any, scope: Scope) -> Any:
    """Return ``hint`` without its outermost layers; see :func:`peel`."""
    return peel(hint, scope)[0]


def parse_member(hint: Any, scope: Scope) -> tuple[Form | None, FieldOptions]:
    """Return the form of a data field's or an argument's hint and what ``field`` says in it.

    The form is ``None`` if the field is private: its hint need not be a type that GraphQL knows.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: GraphQL has no such type, or we do not support it.
    """
    hint, notes = peel(hint, scope)
    options = next((note for note in notes if isinstance(note, FieldOptions)), NO_OPTIONS)
    notes = tuple(note for note in notes if not isinstance(note, FieldOptions))
    return None if options.private else _parse(hint, notes, scope), options


def parse(hint: Any, scope: Scope) -> Form:
    """Return the form of a hint that stands for one GraphQL type.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: GraphQL has no such type, or we do not support it.
    """
    return _parse(*peel(hint, scope), scope)


def _parse(hint: Any, notes: tuple[Any, ...], scope: Scope) -> Form:
    origin, args = get_origin(hint), get_args(hint)
    is_union = origin is Union or origin is types.UnionType
    for note in notes:
        if isinstance(note, FieldOptions):
            raise Problem(
                "graphql.field(...) stands inside a type hint",
                "Put it into the outermost Annotated[...] of a field or an argument; of a resolver it is a "
                "decorator",
            )
        if isinstance(note, scalars.Scalar):
            nullable = is_union and type(None) in args
            return NullableForm(ScalarForm(note)) if nullable else ScalarForm(note)
    if is_union:
        return _parse_union(hint, notes, args, scope)
    if hint is scalars.ID:
        return ScalarForm(scalars.ID_SCALAR)
    if hint is Any:
        return NullableForm(ScalarForm(scalars.JSON))
    if isinstance(hint, TypeVar):
        if hint not in scope.bound:
            raise Problem(
                f"the type variable {hint} stands for no type here",
                "Inherit from Generic[...] with it, and say what it is where the class is used: Page[Post]",
            )
        bound: Form = scope.bound[hint]
        return bound
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
            f"the tuple {show(hint)} has no GraphQL type here",
            "A tuple of fixed length can only be all that a query or mutation resolver returns; use a "
            "@dataclass or a list",
        )
    if origin in _STREAMS or origin in _ASYNC_STREAMS:
        raise Problem(
            f"{show(hint)} can only be what a subscription resolver returns", "Write list[...] for a list"
        )
    return _parse_class(hint, origin, args, scope)


def _parse_union(hint: Any, notes: tuple[Any, ...], args: tuple[Any, ...], scope: Scope) -> Form:
    others = [arg for arg in args if arg is not type(None)]
    nullable = len(others) < len(args)
    if len(others) == 1:
        inner = parse(others[0], scope)
        return inner if isinstance(inner, NullableForm) else NullableForm(inner)
    members = [parse(other, scope) for other in others]
    objects = [
        member
        for member in members
        if isinstance(member, ClassForm)
        and not issubclass(member.cls, enum.Enum)
        and type_options(member.cls, "interface") is None
    ]
    if len(objects) < len(members):
        raise Problem(
            f"the union {show(hint)} has no GraphQL type",
            "A union is made of object types (a @dataclass each); choose one type, or a @dataclass for the "
            "cases",
        )
    named = [note for note in notes if isinstance(note, UnionOptions)]
    named += [UnionOptions(note.name) for note in notes if isinstance(note, _Alias)]
    if not named:
        raise Problem(
            f"the union {show(hint)} has no name, and GraphQL's unions have one",
            f'Write Annotated[{show(hint)}, graphql.union("Name")]',
        )
    union = UnionForm(named[0].name, tuple(objects), named[0].description)
    return NullableForm(union) if nullable else union


def _parse_class(hint: Any, origin: Any, args: tuple[Any, ...], scope: Scope) -> Form:
    if hint is type(None) or hint is None:
        raise Problem(
            "the type hint is None, and GraphQL has no type without a value", "Return bool, for example"
        )
    cls = origin if isinstance(origin, type) else hint
    if isinstance(cls, type):
        if cls in scalars.BY_TYPE:
            return ScalarForm(scalars.BY_TYPE[cls])
        if issubclass(cls, enum.Enum) and not issubclass(cls, enum.Flag):
            return ClassForm(cls)
        if "__dataclass_fields__" in vars(cls):
            parameters = getattr(cls, "__parameters__", ())
            if parameters and not args:
                names = ", ".join(parameter.__name__ for parameter in parameters)
                raise Problem(
                    f"{show(cls)} is generic, and its {names} stands for no type here",
                    f"Write {cls.__name__}[...]",
                )
            return ClassForm(cls, tuple(parse(arg, scope) for arg in args))
        if dataclasses.is_dataclass(cls):
            raise Problem(
                f"{show(cls)} inherits from a dataclass and is none itself",
                "Decorate it with @dataclass too",
            )
        if cls.__module__ != "builtins" and not args:
            raise Problem(
                f"{show(cls)} is not a type that GraphQL knows",
                f"Decorate it with @dataclass. {_SUPPORTED}",
            )
    raise Problem(f"{show(hint)} is not a type that GraphQL knows", _SUPPORTED)


def bindings(form: ClassForm, known: Mapping[str, type]) -> dict[type, dict[Any, Form]]:
    """Return, for a class and each of its bases, what their type parameters stand for.

    Raises:
        UnresolvedName: A name in a base's arguments is not known (yet).
        Problem: An argument is not a type that GraphQL knows.
    """
    found: dict[type, dict[Any, Form]] = {}

    def visit(cls: type, arguments: tuple[Form, ...]) -> None:
        found[cls] = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
        scope = Scope(cls, known, found[cls])
        for base in vars(cls).get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and origin is not Generic and origin is not Protocol:
                visit(origin, tuple(parse(arg, scope) for arg in get_args(base)))
        for base in cls.__bases__:
            if base not in found:
                visit(base, ())

    visit(form.cls, form.arguments)
    return found


def parse_return(hint: Any, scope: Scope) -> tuple[Form, Returns]:
    """Return the field's form and the way its resolver gives the data, from a return annotation.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: It is none of the four return forms.
    """
    hint, notes = peel(hint, scope)
    args = get_args(hint)
    if get_origin(hint) is not tuple or (len(args) == 2 and args[1] is Ellipsis):
        return _parse(hint, notes, scope), "value"
    slots = [shallow(arg, scope) for arg in args[1:]]
    returns: Returns
    if len(slots) == 1 and (_is_list(slots[0]) or slots[0] == shallow(args[0], scope)):
        returns = "objects"
    elif len(slots) == 2 and _is_text(slots[0]) and _is_params(slots[1]):
        returns = "rows"
    elif len(slots) == 4 and _is_text(slots[0]) and _is_params(slots[1]) and all(map(_is_list, slots[2:])):
        returns = "joined"
    else:
        raise Problem(
            f"the return annotation {show(hint)} is none of the forms of a resolver",
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
            f"a subscription runs in a greenlet and cannot return {show(hint)}",
            "Write a plain generator (def, yield) that returns Iterable[...]; its waits do not block others",
        )
    if origin not in _STREAMS or not args:
        raise Problem(
            f"a subscription resolver yields events and {show(hint)} is not an iterable of them",
            "Return Iterable[...], Iterator[...] or Generator[...] with the type of one event",
        )
    return parse(args[0], scope)


def _is_list(slot: Any) -> bool:
    kinds = (list, tuple, collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable)
    return slot is Any or slot in kinds or get_origin(slot) in kinds


def _is_params(slot: Any) -> bool:
    """Whether a slot is for the parameters of a statement: a list, or a dict by name."""
    return _is_list(slot) or slot is dict or get_origin(slot) in (dict, collections.abc.Mapping)


def _is_text(slot: Any) -> bool:
    return slot is str or getattr(slot, "_name", None) == "LiteralString"


def show(hint: Any) -> str:
    """Return a hint as its author would write it."""
    if hint is type(None):
        return "None"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__qualname__
    if isinstance(hint, types.UnionType) or get_origin(hint) is Union:
        return " | ".join(map(show, get_args(hint)))
    return repr(hint).replace("typing.", "").replace("collections.abc.", "").replace("NoneType", "None")
