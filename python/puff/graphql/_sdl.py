"""Writing the schema in GraphQL's schema definition language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from . import scalars
from ._annotations import ClassForm, Form, ListForm, NullableForm, ScalarForm, UnionForm
from ._docs import describe_class
from ._literals import Literals, quote
from ._model import Argument, Classes, EnumValue, Field
from ._names import Names
from ._options import Kind, TypeOptions, type_options
from ._where import Problem

_DEFAULT_ROOT_NAMES = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]")


def write_sdl(classes: Classes, names: Names) -> str:
    """Return the schema's text, each kind in the order in which the walk found it: roots and objects,
    interfaces, unions, inputs, enums and scalars.

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
            *(self._object(form, fields, "type") for form, fields in classes.objects.items()),
            *(self._object(form, fields, "interface") for form, fields in classes.interfaces.items()),
            *(self._union(union) for union in classes.unions.values()),
            *(self._input(form, fields) for form, fields in classes.inputs.items()),
            *(self._enum(form, values) for form, values in classes.enums.items()),
            *(_scalar(scalar) for scalar in classes.scalars.values()),
        ]
        return "\n\n".join(blocks) + "\n"

    def _schema(self) -> Iterable[str]:
        """Write the schema block where the usual names of the roots do not say it all."""
        classes, names = self._classes, self._names
        roots = {kind: names.output(form) for kind, form in classes.roots.items()}
        usual = all(_DEFAULT_ROOT_NAMES[kind] == name for kind, name in roots.items())
        others = {names.output(form) for form in (*classes.objects, *classes.interfaces, *classes.enums)}
        others |= {names.input(form) for form in classes.inputs} | set(classes.unions)
        mistaken = (others - set(roots.values())) & set(_DEFAULT_ROOT_NAMES.values())
        description = describe_class(classes.schema)[0]
        if not usual or mistaken or description:
            lines = [f"  {kind}: {name}" for kind, name in roots.items()]
            yield _described(description, _block("schema", lines))

    def _object(self, form: ClassForm, fields: list[Field], kind: Kind) -> str:
        self._names.members(fields)
        implements = " & ".join(map(self._names.output, self._classes.implements.get(form, ())))
        head = f"{kind} {self._names.output(form)}" + (f" implements {implements}" if implements else "")
        lines = [_described(field.description, self._field(field), "  ") for field in fields]
        return _described(_class_description(form, kind), _block(head, lines))

    def _field(self, field: Field) -> str:
        self._names.members(field.arguments)
        arguments = ""
        if any(argument.description for argument in field.arguments):
            lines = [
                _described(argument.description, f"    {self._argument(argument)}", "    ")
                for argument in field.arguments
            ]
            arguments = "\n".join(["(", *lines, "  )"])
        elif field.arguments:
            arguments = f"({', '.join(map(self._argument, field.arguments))})"
        name, type_name = self._names.member(field), reference(field.form, self._names.output)
        return f"  {name}{arguments}: {type_name}{_deprecated(field.options.deprecated)}"

    def _argument(self, argument: Argument) -> str:
        name, type_name = self._names.member(argument), reference(argument.form, self._names.input)
        default = self._literals.default(argument)
        return f"{name}: {type_name}{default}{_deprecated(argument.options.deprecated)}"

    def _union(self, union: UnionForm) -> str:
        members = " | ".join(map(self._names.output, union.members))
        return _described(union.description, f"union {union.name} = {members}")

    def _input(self, form: ClassForm, fields: list[Argument]) -> str:
        self._names.members(fields)
        options = type_options(form.cls, "input")
        one_of = " @oneOf" if options is not None and options.one_of else ""
        lines = [_described(field.description, f"  {self._argument(field)}", "  ") for field in fields]
        head = f"input {self._names.input(form)}{one_of}"
        return _described(_class_description(form, "input"), _block(head, lines))

    def _enum(self, form: ClassForm, values: list[EnumValue]) -> str:
        lines = [
            _described(value.description, f"  {value.name}{_deprecated(value.deprecated)}", "  ")
            for value in values
        ]
        head = f"enum {self._names.output(form)}"
        return _described(_class_description(form, "enum"), _block(head, lines))


def _deprecated(reason: str | None) -> str:
    if reason is None:
        return ""
    return f" @deprecated(reason: {quote(reason)})" if reason else " @deprecated"


def _scalar(scalar: scalars.Scalar) -> str:
    specified = f" @specifiedBy(url: {quote(scalar.specified_by)})" if scalar.specified_by else ""
    return _described(scalar.description, f"scalar {scalar.name}{specified}")


def _block(head: str, lines: list[str]) -> str:
    return "\n".join([f"{head} {{", *lines, "}"])


def reference(form: Form, name: Callable[[ClassForm], str]) -> str:
    """Return a form as the type of a field or an argument."""
    if isinstance(form, NullableForm):
        return reference(form.inner, name).removesuffix("!")
    if isinstance(form, ListForm):
        return f"[{reference(form.inner, name)}]!"
    if isinstance(form, ClassForm):
        return f"{name(form)}!"
    return f"{form.scalar.name if isinstance(form, ScalarForm) else form.name}!"


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


def _class_description(form: ClassForm, kind: Kind) -> str:
    given = (type_options(form.cls, kind) or TypeOptions()).description
    return describe_class(form.cls)[0] if given is None else given


def _check_input_cycles(classes: Classes) -> None:
    """Refuse an input that must contain itself, directly or through others: no client could ever write one.

    Raises:
        SchemaError: At the field that closes the circle.
    """
    finished: set[ClassForm] = set()

    def visit(outer: ClassForm, inside: tuple[ClassForm, ...]) -> None:
        options = type_options(outer.cls, "input")
        if options is not None and options.one_of:
            return
        for field in classes.inputs[outer]:
            form = field.form
            if not isinstance(form, ClassForm) or form not in classes.inputs or form in finished:
                continue
            if form in (*inside, outer):
                raise field.where.error(
                    Problem(
                        f"the input {form.cls.__name__} must contain itself, so it would never end",
                        "Make one field of the circle Optional or a list",
                    )
                )
            visit(form, (*inside, outer))
        finished.add(outer)

    for form in classes.inputs:
        visit(form, ())
