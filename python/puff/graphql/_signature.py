"""Reading a resolver's signature: whether it takes the parents, and its GraphQL arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._model import MISSING
from ._where import Problem

_SHAPE = "Write (cls, context, /, **arguments) or (cls, parents, context, /, **arguments), arguments by name"

_METHOD_SHAPE = "Write (self, context, /, **arguments), or make it a @classmethod"


@dataclass(frozen=True)
class Signature:
    """A resolver's signature, its hints not evaluated yet.

    ``parameters`` are (name, hint, default) of the GraphQL arguments; ``None`` as a hint means there is none.
    """

    takes_parents: bool
    parameters: tuple[tuple[str, Any, Any], ...]
    returns: Any


def is_method(function: Any) -> bool:
    """Return whether a plain function has the shape of an instance method that is a resolver."""
    try:
        names = list(inspect.signature(function).parameters)
    except (ValueError, TypeError, NameError):
        return False
    return len(names) > 1 and names[1].lstrip("_") == "context"


def read_signature(function: Callable[..., Any], *, method: bool = False) -> Signature:
    """Return the signature of a bound class method or a static method, or of a ``method`` with its self.

    Raises:
        Problem: It does not have the shape of a resolver.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, NameError) as error:
        raise Problem(f"its signature cannot be read ({error})", _SHAPE) from None
    parameters = list(signature.parameters.values())[1 if method else 0 :]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise Problem(
            "the resolver is an async function, and resolvers run in greenlets",
            "Write a plain def; its waits do not block others",
        )
    takes_parents = _leading(parameters)
    if method and takes_parents:
        raise Problem("a method works on one object, and takes no parents", _METHOD_SHAPE)
    arguments = parameters[2 if takes_parents else 1 :]
    found = []
    for parameter in arguments:
        default = MISSING if parameter.default is parameter.empty else parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise Problem(
                f"the parameter {parameter} cannot be a GraphQL argument",
                "Name each argument; if a decorator hides the signature, let it use functools.wraps",
            )
        if parameter.name.startswith("_"):
            if default is MISSING:
                raise Problem(
                    f"the parameter {parameter.name!r} is private and has no default, so nothing can fill it",
                    "Give it a default or a name without the leading underscore",
                )
            continue
        hint = None if parameter.annotation is parameter.empty else parameter.annotation
        found.append((parameter.name, hint, default))
    if signature.return_annotation is signature.empty:
        raise Problem(
            "the resolver has no return annotation, which decides the field's type",
            "Add one, for example `-> str`; if this is no resolver, start its name with an underscore",
        )
    return Signature(takes_parents, tuple(found), signature.return_annotation)


def _leading(parameters: list[inspect.Parameter]) -> bool:
    """Return whether the parents come before the context."""
    names = [parameter.name.lstrip("_") for parameter in parameters]
    slots = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters)
    if slots == 0:
        # Without the "/" only the names can tell.
        names = [
            name
            for name, item in zip(names, parameters, strict=True)
            if item.kind is item.POSITIONAL_OR_KEYWORD
        ]
        slots = 2 if names[:2] == ["parents", "context"] else 1 if names[:1] == ["context"] else 0
    wrong_order = names[:1] == (["context"] if slots == 2 else ["parents"])
    if slots not in (1, 2) or wrong_order:
        given = ", ".join(
            str(parameter) for parameter in parameters if parameter.kind is parameter.POSITIONAL_ONLY
        )
        problem = (
            f"the positional parameters ({given}, /) are not those of a resolver"
            if given
            else "the resolver does not take the context"
        )
        raise Problem(problem, _SHAPE)
    return slots == 2
