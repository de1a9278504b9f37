"""What authors say beyond type hints: ``field`` and the decorators of classes, and how it is read back."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, overload

from ._permissions import Permission, given
from ._where import Problem, Where

_MARK = "__puff_graphql__"

Kind = Literal["type", "input", "interface", "enum"]
_GUARDED: tuple[Kind, ...] = ("type", "interface")
T = TypeVar("T")
Class = TypeVar("Class", bound="builtins.type[Any]")


@dataclass(frozen=True)
class FieldOptions:
    """What :func:`field` was given. In ``Annotated`` it belongs to the hint; called, it marks a resolver."""

    name: str | None = None
    description: str | None = None
    deprecated: str | None = None
    private: bool = False
    permission: tuple[Any, ...] | None = None
    cost: int | None = None
    list_size: int | None = None

    def __call__(self, resolver: T) -> T:
        """Mark a resolver: a function, or a class method or static method of one.

        Raises:
            TypeError: It is something else.
        """
        function = getattr(resolver, "__func__", resolver)
        if not callable(function):
            raise TypeError(
                f"graphql.field(...) decorates a resolver, not a {builtins.type(resolver).__name__}; "
                "sql(...) and constant(...) take all of their words themselves"
            )
        setattr(function, _MARK, self)
        return resolver


NO_OPTIONS = FieldOptions()


def field(
    *,
    name: str | None = None,
    description: str | None = None,
    deprecated: str | None = None,
    private: bool = False,
    permission: Permission | Sequence[Permission] | None = None,
    cost: int | None = None,
    list_size: int | None = None,
) -> FieldOptions:
    """Say more about a field, an argument or an input field than its type hint does.

    Of a data field, an argument or a field of an input it goes into ``Annotated``; of a resolver it is a
    decorator, below ``@classmethod``.

    Args:
        name: The GraphQL name, taken as it is, also with camelCase on.
        description: The description, instead of one from a docstring.
        deprecated: Why the field should not be used any more, and what to use instead.
        private: Whether it is no part of the schema. A name with a leading underscore says the same.
        permission: A function, or several that all have to agree, for a field of an object type.
            ``permission(context, guarded)`` is called once for all objects of a layer, in a greenlet, so it
            may wait; ``guarded`` is a :class:`Guarded`. True grants, False refuses, and so does an
            exception: ``Unauthenticated`` and ``Forbidden`` are for that. It may return a list as well, with
            one of these for each parent (see ``context.parent_values``). What is refused is not asked for.
        cost: As how many fields of the answer it counts in the estimate of what a request asks for, instead
            of one; what is selected below it counts by itself.
        list_size: How long the estimate takes its list to be (of a connection, the list within) if the
            client does not say so with an argument ``first``, ``last`` or ``limit``.

    Example:
        >>> def staff(context, guarded):
        ...     return context.state.get("role") == "staff"
        >>> @dataclass
        ... class Post:
        ...     id: int
        ...     text: Annotated[str, field(name="body", description="In Markdown.")]
        ...     notes: Annotated[str | None, field(permission=staff)] = None
        ...
        ...     @classmethod
        ...     @field(deprecated="Use `body`.")
        ...     def summary(cls, parents, context, /) -> str:
        ...         return [post.text[:40] for post in parents]
    """
    return FieldOptions(name, description, deprecated, private, given(permission), cost, list_size)


Private = Annotated[T, FieldOptions(private=True)]
"""A data field that is no part of the schema: ``password: Private[str]``."""


@dataclass(frozen=True)
class TypeOptions:
    """What a decorator of a class was given."""

    name: str | None = None
    description: str | None = None
    one_of: bool = False
    values: Mapping[str, str] = data_field(default_factory=dict)
    deprecated: Mapping[str, str] = data_field(default_factory=dict)
    permission: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class UnionOptions:
    """What :func:`union` was given."""

    name: str
    description: str = ""


@overload
def type(cls: Class, /) -> Class: ...
@overload
def type(
    *,
    name: str | None = ...,
    description: str | None = ...,
    permission: Permission | Sequence[Permission] | None = ...,
) -> Callable[[Class], Class]: ...
def type(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
) -> Any:
    """Say how a dataclass appears as an object type. Without it, it appears under its own name.

    Args:
        name: The GraphQL name. In that of a generic class, ``{T}`` stands for the name of what ``T`` is.
        description: The description, instead of the docstring.
        permission: As with :func:`field`, for all objects of this type, whichever field they come from, and
            of classes that inherit from it. It is asked before the field's resolver, unless the field's type
            is an interface or a union. For a root class it guards all fields.

    Example:
        >>> @type(name="Person")
        ... @dataclass
        ... class PersonRow:
        ...     name: str
    """
    return _marker(cls, "type", TypeOptions(name, description, permission=given(permission)))


@overload
def interface(cls: Class, /) -> Class: ...
@overload
def interface(
    *,
    name: str | None = ...,
    description: str | None = ...,
    permission: Permission | Sequence[Permission] | None = ...,
) -> Callable[[Class], Class]: ...
def interface(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
) -> Any:
    """Make a dataclass an interface. The dataclasses that inherit from it implement it.

    They have its fields and its resolvers. A resolver that they do not override is called once for a layer,
    whatever types are in it; its ``cls`` is the interface. All dataclasses that inherit from it and have been
    imported when the schema is built belong to the schema.

    Args:
        name: The GraphQL name, instead of that of the class.
        description: The description, instead of the docstring.
        permission: As with :func:`type`, for the objects of all types that implement it.

    Example:
        >>> @interface
        ... @dataclass
        ... class Node:
        ...     id: int
        >>> @dataclass
        ... class Photo(Node):
        ...     url: str
    """
    return _marker(cls, "interface", TypeOptions(name, description, permission=given(permission)))


@overload
def input(cls: Class, /) -> Class: ...
@overload
def input(
    *, name: str | None = ..., description: str | None = ..., one_of: bool = ...
) -> Callable[[Class], Class]: ...
def input(
    cls: Any = None, /, *, name: str | None = None, description: str | None = None, one_of: bool = False
) -> Any:
    """Say how a dataclass appears as an input object, that is, as the type of an argument.

    Args:
        name: The GraphQL name. Without it, that of the class; with ``Input`` behind it if the class is the
            type of a field as well.
        description: The description, instead of the docstring.
        one_of: Whether a client gives exactly one of the fields (``@oneOf``). All of them are ``T | None``
            then, with None as their default.

    Example:
        >>> @input(one_of=True)
        ... @dataclass
        ... class UserBy:
        ...     id: int | None = None
        ...     email: str | None = None
    """
    return _marker(cls, "input", TypeOptions(name, description, one_of))


@overload
def enum(cls: Class, /) -> Class: ...
@overload
def enum(
    *,
    name: str | None = ...,
    description: str | None = ...,
    values: Mapping[str, str] = ...,
    deprecated: Mapping[str, str] = ...,
) -> Callable[[Class], Class]: ...
def enum(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    values: Mapping[str, str] | None = None,
    deprecated: Mapping[str, str] | None = None,
) -> Any:
    """Say how an ``Enum`` appears in the schema. Without it, it appears under its own name with its members'.

    Args:
        name: The GraphQL name, instead of that of the class.
        description: The description, instead of the docstring.
        values: GraphQL names of members, by the members' names.
        deprecated: Why members should not be used any more, by their names.

    Example:
        >>> from enum import Enum
        >>> @enum(values={"RED": "CRIMSON"}, deprecated={"PINK": "Use CRIMSON."})
        ... class Color(Enum):
        ...     RED = 1
        ...     PINK = 2
    """
    return _marker(cls, "enum", TypeOptions(name, description, False, values or {}, deprecated or {}))


def union(name: str, *, description: str = "") -> UnionOptions:
    """Name a union of object types, in ``Annotated``.

    Args:
        name: The GraphQL name.
        description: The description.

    Example:
        >>> @dataclass
        ... class Book:
        ...     title: str
        >>> @dataclass
        ... class Author:
        ...     name: str
        >>> Found = Annotated[Book | Author, union("Found")]
    """
    return UnionOptions(name, description)


def _marker(cls: Any, kind: Kind, options: TypeOptions) -> Any:
    def mark(cls: Any) -> Any:
        is_class = isinstance(cls, builtins.type)
        if not is_class or issubclass(cls, Enum) != (kind == "enum"):
            what = "an Enum" if kind == "enum" else "a dataclass"
            problem = Problem(
                f"graphql.{kind} is for {what}", f"Decorate {what} with it, or use another decorator"
            )
            if is_class:
                raise Where(cls).error(problem)
            raise TypeError(f"{problem.problem}, not {cls!r}. {problem.fix}.")
        # In the class's own dictionary: what inherits from an interface is none by that.
        setattr(cls, _MARK, {**vars(cls).get(_MARK, {}), kind: options})
        return cls

    return mark if cls is None else mark(cls)


def type_options(cls: builtins.type, kind: Kind) -> TypeOptions | None:
    """Return what the decorator ``kind`` of the class was given, or ``None`` if the class has none."""
    found: Mapping[str, TypeOptions] = vars(cls).get(_MARK, {})
    return found.get(kind)


def class_permission(cls: builtins.type) -> tuple[Any, ...] | None:
    """Return the permissions that the decorators of the class itself were given."""
    for kind in _GUARDED:
        options = type_options(cls, kind)
        if options is not None and options.permission is not None:
            return options.permission
    return None


def field_options(resolver: Any) -> FieldOptions:
    """Return what ``field`` says about a resolver."""
    found = getattr(getattr(resolver, "__func__", resolver), _MARK, None)
    return found if isinstance(found, FieldOptions) else NO_OPTIONS
