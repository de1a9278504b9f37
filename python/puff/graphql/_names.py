"""GraphQL names of classes and members: verbatim or camelCase, valid and without duplicates."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import scalars
from ._model import Classes
from ._where import Problem, Where

_NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_RESERVED = scalars.BUILTIN | {scalar.name for scalar in scalars.BY_TYPE.values()}
_NOT_ENUM_VALUES = frozenset({"true", "false", "null"})


class Names:
    """The GraphQL name of everything in a schema.

    A class keeps its own name. A dataclass that is both an object and an argument is ``Post`` as the one and
    ``PostInput`` as the other, because GraphQL keeps the two kinds apart.
    """

    def __init__(self, classes: Classes, *, camel_case: bool) -> None:
        """Name every class.

        Raises:
            SchemaError: A name is no GraphQL name, or two classes have the same.
        """
        self._camel_case = camel_case
        self._objects = {cls: cls.__name__ for cls in (*classes.objects, *classes.enums)}
        self._inputs = {
            cls: cls.__name__ + ("Input" if cls in classes.objects else "") for cls in classes.inputs
        }
        self._check()

    def _check(self) -> None:
        taken: dict[str, type] = {}
        for cls, name in (*self._objects.items(), *self._inputs.items()):
            problem = _invalid(name)
            if name in _RESERVED:
                problem = Problem(f"{name!r} is the name of a scalar", "Rename the class")
            elif name in taken:
                problem = Problem(
                    f"two types of the schema are called {name!r}; the other is {Where(taken[name])}",
                    "Rename one of the classes",
                )
            if problem is not None:
                raise Where(cls).error(problem)
            taken[name] = cls

    def output(self, cls: type) -> str:
        """Return the name of an object type or an enum."""
        return self._objects[cls]

    def input(self, cls: type) -> str:
        """Return the name of an input object type or an enum."""
        return self._inputs[cls] if cls in self._inputs else self._objects[cls]

    def member(self, name: str) -> str:
        """Return the name of a field or an argument."""
        return camel(name) if self._camel_case else name

    def members(self, declared: Iterable[tuple[str, Where]]) -> None:
        """Check that the members of one class, or the arguments of one field, can live side by side.

        Raises:
            SchemaError: A name is no GraphQL name, or two members have the same.
        """
        taken: dict[str, str] = {}
        for python_name, where in declared:
            name = self.member(python_name)
            problem = _invalid(name)
            if name in taken:
                problem = Problem(
                    f"{python_name!r} and {taken[name]!r} are both called {name!r} in GraphQL",
                    "Rename one of them",
                )
            if problem is not None:
                raise where.error(problem)
            taken[name] = python_name


def check_enum_value(name: str, where: Where) -> None:
    """Check the name of an enum's member.

    Raises:
        SchemaError: GraphQL does not allow it.
    """
    problem = _invalid(name)
    if name in _NOT_ENUM_VALUES:
        problem = Problem(f"GraphQL reserves the enum value {name!r}", "Rename the member")
    if problem is not None:
        raise where.error(problem)


def camel(name: str) -> str:
    """Return a snake_case name in camelCase; underscores at the end (``from_``) go away.

    Example:
        >>> camel("was_input"), camel("from_"), camel("field1")
        ('wasInput', 'from', 'field1')
    """
    first, *others = [part for part in name.split("_") if part] or [name]
    return first + "".join(part[0].upper() + part[1:] for part in others)


def _invalid(name: str) -> Problem | None:
    if _NAME.fullmatch(name):
        return None
    return Problem(
        f"{name!r} is not a valid GraphQL name",
        "Use only the letters A-Z and a-z, digits and underscores, not two underscores at the start",
    )
