"""What a type hint says of a field with objects of a model: one or many, and of which type."""

from __future__ import annotations

import collections.abc
import types
from typing import Any, NamedTuple, Union, get_args, get_origin

from puff.graphql import Connection
from puff.graphql._annotations import peel, show
from puff.graphql._options import NO_OPTIONS, FieldOptions
from puff.graphql._scope import Scope
from puff.graphql._where import Problem

from ._models import model_type, types_of

_LISTS = (list, collections.abc.Sequence)


class Shape(NamedTuple):
    """What a hint says.

    Attributes:
        node: The type of the objects.
        many: Whether there are several.
        pages: Whether they come in pages, as a connection.
        nullable: Whether all of it may be null.
    """

    node: Any
    many: bool = False
    pages: bool = False
    nullable: bool = False

    def hint(self) -> Any:
        """Return the hint again, with all names in it resolved."""
        inner: Any = self.node
        if self.many:
            inner = Connection[inner] if self.pages else list[inner]
        return inner | None if self.nullable else inner


def read_shape(hint: Any, scope: Scope, model: Any = None) -> tuple[Shape, FieldOptions]:
    """Read a hint, and what `graphql.field` says in it.

    Args:
        hint: The hint, or its text.
        scope: Where its names are looked up.
        model: The model that its type has to be of; None for any.

    Raises:
        UnresolvedName: A name in it is not known (yet).
        Problem: It is no hint for objects of a model.
    """
    found, notes = peel(hint, scope)
    options = next((note for note in notes if isinstance(note, FieldOptions)), NO_OPTIONS)
    nullable = many = pages = False
    found, nullable = _optional(found, scope)
    origin, args = get_origin(found), get_args(found)
    if origin in _LISTS and args:
        many, (found, _) = True, peel(args[0], scope)
    elif origin is Connection:
        many = pages = True
        found, _ = peel(args[0], scope)
    known = model_type(found) if isinstance(found, type) else None
    if known is None:
        raise Problem(
            f"{show(found)} is no type of a model",
            "Decorate its class with puff.contrib.django.graphql.type(...), or write a resolver",
        )
    if model is not None and not issubclass(model, known.model) and not issubclass(known.model, model):
        raise Problem(
            f"{found.__name__} is a type of the model {known.model.__name__}, and the relation has objects "
            f"of {model.__name__}",
            "Name a type of that model",
        )
    return Shape(found, many, pages, nullable), options


def only_type(model: Any) -> Any:
    """Return the type that has been made of a model.

    Raises:
        Problem: There is none, or more than one.
    """
    found = types_of.get(model, [])
    if len(found) == 1:
        return found[0]
    if not found:
        raise Problem(
            f"it has objects of the model {model.__name__}, which has no type",
            f"Make one with @type({model.__name__}, fields=[...]) and import it, or leave the relation out",
        )
    names = ", ".join(cls.__name__ for cls in found)
    raise Problem(
        f"it has objects of the model {model.__name__}, which has several types: {names}",
        f"Say which one with a type hint in the class, such as list[{found[0].__name__}]",
    )


def title(name: str) -> str:
    """Return the name of a field as part of that of a class.

    Example:
        >>> title("latest_works")
        'LatestWorks'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _optional(hint: Any, scope: Scope) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    others = [arg for arg in get_args(hint) if arg is not type(None)]
    return (peel(others[0], scope)[0], True) if len(others) == 1 else (hint, False)
