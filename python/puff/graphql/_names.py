"""GraphQL names of classes and members: verbatim or camelCase, valid and without duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from . import scalars
from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm, UnionForm
from ._model import Classes, Member
from ._options import Kind, TypeOptions, type_options
from ._where import Problem, Where

_NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_RESERVED = scalars.BUILTIN | {scalar.name for scalar in (*scalars.BY_TYPE.values(), scalars.BIG_INT)}


class Names:
    """The GraphQL name of everything in a schema.

    A class keeps its own name unless its decorator gives another. A dataclass that is both an object and an
    argument is ``Post`` as the one and ``PostInput`` as the other, because GraphQL keeps the two kinds apart.
    ``Page[Post]`` of a generic class is ``PostPage``.
    """

    def __init__(self, classes: Classes, *, camel_case: bool) -> None:
        """Name every class.

        Raises:
            SchemaError: A name is no GraphQL name, or two classes have the same.
        """
        self._camel_case = camel_case
        self._objects: dict[ClassForm, str] = {}
        self._inputs: dict[ClassForm, str] = {}
        for enum in classes.enums:
            self._objects[enum] = _given(enum, "enum") or enum.cls.__name__
        for form in (*classes.objects, *classes.interfaces):
            kind: Kind = "interface" if form in classes.interfaces else "type"
            self._objects[form] = self._of_class(form, kind, self._output_name)
        for form in classes.inputs:
            self._inputs[form] = self._of_class(form, "input", self._input_name)
        self._check(classes)

    def _of_class(self, form: ClassForm, kind: Kind, name_of: Callable[[Form], str]) -> str:
        given = _given(form, kind)
        arguments = [name_of(argument) for argument in form.arguments]
        if given is not None:
            parameters = [parameter.__name__ for parameter in getattr(form.cls, "__parameters__", ())]
            for parameter, argument in zip(parameters, arguments, strict=False):
                given = given.replace(f"{{{parameter}}}", argument)
            return given
        name = _given(form, "type") or form.cls.__name__ if kind == "input" else form.cls.__name__
        suffix = "Input" if kind == "input" and form in self._objects else ""
        return "".join(arguments) + name + suffix

    def _output_name(self, form: Form) -> str:
        """Return the name of a type argument, lists and Optionals in words."""
        return self._in_words(form, "type", self._output_name)

    def _input_name(self, form: Form) -> str:
        return self._in_words(form, "input", self._input_name)

    def _in_words(self, form: Form, kind: Kind, name_of: Callable[[Form], str]) -> str:
        if isinstance(form, NullableForm):
            return f"Optional{name_of(form.inner)}"
        if isinstance(form, ListForm):
            return f"{name_of(form.inner)}List"
        if isinstance(form, ScalarForm):
            return form.scalar.name
        if isinstance(form, UnionForm):
            return form.name
        if form in self._objects and kind == "type":
            return self._objects[form]
        interface: Kind = "interface" if type_options(form.cls, "interface") else kind
        return self._of_class(form, interface, name_of)

    def _check(self, classes: Classes) -> None:
        named = [
            *((name, Where(form.cls)) for form, name in (*self._objects.items(), *self._inputs.items())),
            *((union.name, Where(union.members[0].cls)) for union in classes.unions.values()),
        ]
        taken: dict[str, Where] = {}
        own_scalars = {scalar.name for scalar in classes.scalars.values() if not scalar.built_in}
        for name, where in named:
            problem = invalid_name(name)
            if name in _RESERVED or name in own_scalars:
                problem = Problem(f"{name!r} is the name of a scalar", "Rename the class")
            elif name in taken:
                problem = Problem(
                    f"two types of the schema are called {name!r}; the other is {taken[name]}",
                    "Rename one of the classes",
                )
            if problem is not None:
                raise where.error(problem)
            taken[name] = where
        for name in own_scalars:
            problem = invalid_name(name)
            if name in scalars.BUILTIN:
                problem = Problem(f"the scalar {name!r} is GraphQL's own", "Name yours differently")
            if problem is not None:
                raise Where(classes.schema).error(problem)

    def output(self, form: ClassForm) -> str:
        """Return the name of an object type, an interface or an enum."""
        return self._objects[form]

    def input(self, form: ClassForm) -> str:
        """Return the name of an input object type or an enum."""
        return self._inputs[form] if form in self._inputs else self._objects[form]

    def member(self, member: Member) -> str:
        """Return the name of a field or an argument."""
        if member.options.name is not None:
            return member.options.name
        return camel(member.name) if self._camel_case else member.name

    def members(self, declared: Iterable[Member]) -> None:
        """Check that the members of one class, or the arguments of one field, can live side by side.

        Raises:
            SchemaError: A name is no GraphQL name, or two members have the same.
        """
        taken: dict[str, str] = {}
        for member in declared:
            name = self.member(member)
            problem = invalid_name(name)
            if name in taken:
                problem = Problem(
                    f"{member.name!r} and {taken[name]!r} are both called {name!r} in GraphQL",
                    "Rename one of them",
                )
            if problem is not None:
                raise member.where.error(problem)
            taken[name] = member.name


def camel(name: str) -> str:
    """Return a snake_case name in camelCase; underscores at the end (``from_``) go away.

    Example:
        >>> camel("was_input"), camel("from_"), camel("field1")
        ('wasInput', 'from', 'field1')
    """
    first, *others = [part for part in name.split("_") if part] or [name]
    return first + "".join(part[0].upper() + part[1:] for part in others)


def invalid_name(name: str) -> Problem | None:
    """Return what is wrong with a name, if anything is."""
    if _NAME.fullmatch(name):
        return None
    return Problem(
        f"{name!r} is not a valid GraphQL name",
        "Use only the letters A-Z and a-z, digits and underscores, not two underscores at the start",
    )


def _given(form: ClassForm, kind: Kind) -> str | None:
    return (type_options(form.cls, kind) or TypeOptions()).name
