"""Whether classes keep what their interfaces promise."""

from __future__ import annotations

from ._annotations import ClassForm, Form, ListForm, NullableForm, UnionForm
from ._model import MISSING, Argument, Classes, Field
from ._names import Names
from ._sdl import reference
from ._where import Problem, Where


def check_implementations(classes: Classes, names: Names) -> None:
    """Check that every class has what its interfaces promise; overriding can break that.

    Raises:
        SchemaError: At the member that does not fit.
    """
    for form, interfaces in classes.implements.items():
        fields = classes.objects.get(form) or classes.interfaces.get(form) or []
        own = {names.member(field): field for field in fields}
        for interface in interfaces:
            for promised in classes.interfaces[interface]:
                field = own.get(names.member(promised))
                if field is None:
                    raise Where(form.cls, promised.name).error(
                        Problem(
                            f"{names.member(promised)!r} is a field of the interface "
                            f"{names.output(interface)}, and is missing here",
                            "Do not make it private or rename it",
                        )
                    )
                problem = _misfit(field, promised, names.output(interface), classes, names)
                if problem is not None:
                    raise field.where.error(problem)


def _misfit(field: Field, promised: Field, interface: str, classes: Classes, names: Names) -> Problem | None:
    if not _is_subtype(field.form, promised.form, classes):
        return Problem(
            f"the type is {reference(field.form, names.output)}, and the interface {interface} promises "
            f"{reference(promised.form, names.output)}",
            "Use the same type, or one that is part of it",
        )
    own = {names.member(argument): argument for argument in field.arguments}
    for argument in promised.arguments:
        mine = own.pop(names.member(argument), None)
        if mine is None or mine.form != argument.form:
            return Problem(
                f"the interface {interface} promises the argument {names.member(argument)!r} of type "
                f"{reference(argument.form, names.input)}",
                "Take an argument of this name and type",
            )
    required = next((name for name, argument in own.items() if _is_required(argument)), None)
    if required is None:
        return None
    return Problem(
        f"the argument {required!r} is required here, and the interface {interface} does not have it",
        "Give it a default",
    )


def _is_required(argument: Argument) -> bool:
    return argument.default is MISSING and not isinstance(argument.form, NullableForm)


def _is_subtype(form: Form, promised: Form, classes: Classes) -> bool:
    if form == promised:
        return True
    if isinstance(promised, NullableForm):
        inner = form.inner if isinstance(form, NullableForm) else form
        return _is_subtype(inner, promised.inner, classes)
    if isinstance(form, ListForm) and isinstance(promised, ListForm):
        return _is_subtype(form.inner, promised.inner, classes)
    if isinstance(promised, UnionForm):
        return form in promised.members
    return isinstance(form, ClassForm) and promised in classes.implements.get(form, ())
