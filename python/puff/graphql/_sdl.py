"""Writing the schema in GraphQL's schema definition language."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterable

from . import scalars
from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm
from ._literals import Literals, quote
from ._model import Argument, Classes, Field
from ._names import Names, check_enum_value
from ._where import Problem, Where

_DEFAULT_ROOT_NAMES = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]")


def write_sdl(classes: Classes, names: Names) -> str:
    """Return the schema's text: roots and objects, inputs, enums and scalars, each in declared order.

    Raises:
        SchemaError: A name, a default or a cycle of inputs is not possible in GraphQL.
    """
    return _Writer(classes, names).write()


class _Writer:
    def __init__(self, classes: Classes, names: Names) -> None:
        self._classes = classes
        self._names = names
        self._literals = Literals(classes, names)

    def write(self) -> str:
        classes = self._classes
        _check_input_cycles(classes)
        blocks = [
            *self._schema(),
            *(self._object(cls, fields) for cls, fields in classes.objects.items()),
            *(self._input(cls, fields) for cls, fields in classes.inputs.items()),
            *(self._enum(cls) for cls in classes.enums),
            *(_scalar(scalar) for scalar in classes.scalars.values()),
        ]
        return "\n\n".join(blocks) + "\n"

    def _schema(self) -> Iterable[str]:
        """Write the schema block where the usual names of the roots do not say it all."""
        roots = {kind: self._names.output(cls) for kind, cls in self._classes.roots.items()}
        usual = all(_DEFAULT_ROOT_NAMES[kind] == name for kind, name in roots.items())
        others = {self._names.output(cls) for cls in (*self._classes.objects, *self._classes.enums)}
        others |= {self._names.input(cls) for cls in self._classes.inputs}
        mistaken = (others - set(roots.values())) & set(_DEFAULT_ROOT_NAMES.values())
        description = _class_description(self._classes.schema)
        if not usual or mistaken or description:
            lines = [f"  {kind}: {name}" for kind, name in roots.items()]
            yield _described(description, _block("schema", lines))

    def _object(self, cls: type, fields: list[Field]) -> str:
        self._names.members((field.name, field.where) for field in fields)
        lines = [_described(field.description, self._field(field), "  ") for field in fields]
        return _described(_class_description(cls), _block(f"type {self._names.output(cls)}", lines))

    def _field(self, field: Field) -> str:
        self._names.members((argument.name, argument.where) for argument in field.arguments)
        arguments = ", ".join(map(self._argument, field.arguments))
        arguments = f"({arguments})" if arguments else ""
        return f"  {self._names.member(field.name)}{arguments}: {_reference(field.form, self._names.output)}"

    def _argument(self, argument: Argument) -> str:
        reference = _reference(argument.form, self._names.input)
        return f"{self._names.member(argument.name)}: {reference}{self._literals.default(argument)}"

    def _input(self, cls: type, fields: list[Argument]) -> str:
        self._names.members((field.name, field.where) for field in fields)
        lines = [f"  {self._argument(field)}" for field in fields]
        return _described(_class_description(cls), _block(f"input {self._names.input(cls)}", lines))

    def _enum(self, cls: type[enum.Enum]) -> str:
        lines = []
        for member in cls:
            check_enum_value(member.name, Where(cls, member.name))
            lines.append(f"  {member.name}")
        return _described(_class_description(cls), _block(f"enum {self._names.output(cls)}", lines))


def _scalar(scalar: scalars.Scalar) -> str:
    specified = f" @specifiedBy(url: {quote(scalar.specified_by)})" if scalar.specified_by else ""
    return _described(scalar.description, f"scalar {scalar.name}{specified}")


def _block(head: str, lines: list[str]) -> str:
    return "\n".join([f"{head} {{", *lines, "}"])


def _reference(form: Form, name: Callable[[type], str]) -> str:
    if isinstance(form, NullableForm):
        return _reference(form.inner, name).removesuffix("!")
    if isinstance(form, ListForm):
        return f"[{_reference(form.inner, name)}]!"
    return f"{form.scalar.name if isinstance(form, ScalarForm) else name(form.cls)}!"


def _described(description: str, definition: str, indent: str = "") -> str:
    if not description:
        return definition
    if _UNPRINTABLE.search(description):
        # A block string has no escapes for control characters; an ordinary string has.
        text = quote(description)
        return f"{indent}{text}\n{definition}"
    text = description.replace('"""', '\\"""')
    lines = [f"{indent}{line}".rstrip() for line in ('"""', *text.split("\n"), '"""')]
    return "\n".join([*lines, definition])


def _class_description(cls: type) -> str:
    """Return a class's own docstring, without the ones that Python makes up."""
    doc = vars(cls).get("__doc__") or ""
    automatic = doc.startswith(f"{cls.__name__}(") and doc.endswith(")") and "\n" not in doc
    if automatic or (issubclass(cls, enum.Enum) and doc == "An enumeration."):
        return ""
    return inspect.cleandoc(doc)


def _check_input_cycles(classes: Classes) -> None:
    """Refuse an input that must contain itself, directly or through others: no client could ever write one.

    Raises:
        SchemaError: At the field that closes the circle.
    """
    finished: set[type] = set()

    def visit(cls: type, inside: tuple[type, ...]) -> None:
        for field in classes.inputs[cls]:
            form = field.form
            if not isinstance(form, ClassForm) or form.cls not in classes.inputs or form.cls in finished:
                continue
            if form.cls in (*inside, cls):
                raise field.where.error(
                    Problem(
                        f"the input {form.cls.__name__} must contain itself, so it would never end",
                        "Make one field of the circle Optional or a list",
                    )
                )
            visit(form.cls, (*inside, cls))
        finished.add(cls)

    for cls in classes.inputs:
        visit(cls, ())
