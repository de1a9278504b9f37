"""Walking from the ``Schema`` class to every class that it reaches."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
from collections import deque
from collections.abc import Callable
from typing import Any

from . import scalars
from ._annotations import (
    ClassForm,
    Form,
    ListForm,
    NullableForm,
    Returns,
    ScalarForm,
    parse,
    parse_return,
    parse_stream,
)
from ._members import constant_default, data_fields, declared_twice, description_of, place_of, resolver_names
from ._model import MISSING, Argument, Classes, Field, Source
from ._scope import Scope, UnresolvedName
from ._signature import read_signature
from ._sql import ConstantSql
from ._where import Problem, Where

_ROOTS = ("query", "mutation", "subscription")


def collect(schema: type) -> Classes:
    """Return everything that a schema class reaches, with all type hints resolved.

    Raises:
        SchemaError: Some class cannot be part of a GraphQL schema.
    """
    return _Collector(schema).run()


class _Collector:
    """The walk. Each member of each class is a job; a job whose hint names an unknown class waits for others.

    Waiting is what makes hints work across modules that import each other only for the type checker: the
    class is found by another way and then known by its name.
    """

    def __init__(self, schema: type) -> None:
        self._classes = Classes(schema)
        self._known: dict[str, type] = {}
        self._jobs: deque[tuple[Where, Callable[[], None]]] = deque()
        self._fields: dict[type, list[Field | None]] = {}
        self._inputs: dict[type, list[Argument | None]] = {}
        self._used_as_type: dict[type, Where] = {}

    def run(self) -> Classes:
        self._add_roots()
        self._work()
        classes = self._classes
        classes.inputs = {cls: [item for item in items if item] for cls, items in self._inputs.items()}
        classes.objects = {cls: [item for item in items if item] for cls, items in self._fields.items()}
        self._drop_empty_roots()
        return classes

    def _work(self) -> None:
        while self._jobs:
            waiting: list[tuple[Where, Callable[[], None], UnresolvedName]] = []
            known_before = len(self._known)
            while self._jobs:
                where, job = self._jobs.popleft()
                try:
                    job()
                except UnresolvedName as problem:
                    waiting.append((where, job, problem))
                except Problem as problem:
                    raise (problem.where or where).error(problem) from None
            if waiting and len(self._known) == known_before:
                where, _, unresolved = waiting[0]
                raise (unresolved.where or where).error(unresolved) from None
            self._jobs.extend((where, job) for where, job, _ in waiting)

    # ---- roots

    def _add_roots(self) -> None:
        schema = self._classes.schema
        fields = data_fields(schema)
        for name in fields:
            if name not in _ROOTS:
                raise place_of(schema, name).error(
                    Problem(f"a schema has no {name!r}", "Its fields are query, mutation and subscription")
                )
        if "query" not in fields:
            raise Where(schema).error(
                Problem("the schema has no query", "Add `query: Query` with your query class")
            )
        for kind in _ROOTS:
            if kind in fields:
                where = place_of(schema, kind)
                try:
                    self._add_root(kind, fields[kind].type, where)
                except Problem as problem:
                    raise where.error(problem) from None
        # Only now that all roots are known: their members have rules of their own.
        for cls in self._classes.roots.values():
            self._add_object(cls)

    def _add_root(self, kind: str, hint: Any, where: Where) -> None:
        form = parse(hint, Scope.of_class(where.cls, self._known))
        if isinstance(form, NullableForm):
            form = form.inner
        if not isinstance(form, ClassForm) or issubclass(form.cls, enum.Enum):
            raise Problem(f"the {kind} of a schema must be a class with resolvers", "Name a @dataclass")
        for other, cls in self._classes.roots.items():
            if cls is form.cls and resolver_names(cls):
                raise Problem(
                    f"{cls.__name__} is both the {other} and the {kind}", "Write one class for each of them"
                )
        self._classes.roots[kind] = form.cls

    def _drop_empty_roots(self) -> None:
        classes = self._classes
        for kind, cls in list(classes.roots.items()):
            if kind != "query" and not classes.objects.get(cls) and cls not in self._used_as_type:
                del classes.roots[kind]
                classes.objects.pop(cls, None)
        for cls, fields in classes.objects.items():
            if not fields:
                raise Where(cls).error(
                    Problem(
                        "the class has no fields, and GraphQL has no objects without",
                        "Add a field or a resolver",
                    )
                )

    # ---- classes

    def _add_object(self, cls: type) -> None:
        if cls in self._fields:
            return
        self._know(cls)
        slots = self._fields[cls] = []
        for name, field in data_fields(cls).items():
            where = place_of(cls, name)
            if isinstance(field.default, (types.FunctionType, types.MethodType, ConstantSql)):
                raise where.error(declared_twice(name, field.default))
            if cls in self._classes.roots.values():
                raise where.error(
                    Problem(
                        "a data field needs a parent to be read from, and a root class has none",
                        "Turn it into a resolver: a @classmethod that returns the value, or sql(...)",
                    )
                )
            self._job(slots, where, self._data_field(name, field, where))
        for name in resolver_names(cls):
            where = place_of(cls, name)
            self._job(slots, where, self._resolver_field(cls, name, where))

    def _add_input(self, cls: type, where: Where) -> None:
        if cls in self._inputs:
            return
        self._know(cls)
        slots = self._inputs[cls] = []
        fields = data_fields(cls, private=True)
        if not any(field.init and not name.startswith("_") for name, field in fields.items()):
            raise where.error(Problem(f"the input {cls.__name__} has no fields", "Add a field to it"))
        for name, field in fields.items():
            place = place_of(cls, name)
            if not field.init:
                continue
            if not name.startswith("_"):
                self._job(slots, place, self._input_field(name, field, place))
            elif field.default is MISSING and field.default_factory is MISSING:
                raise place.error(
                    Problem(
                        "the field is private and has no default, so no client can fill it",
                        "Give it a default or a name without the leading underscore",
                    )
                )

    def _know(self, cls: type) -> None:
        self._known.setdefault(cls.__name__, cls)

    def _job(self, slots: list[Any], where: Where, read: Callable[[], Any]) -> None:
        """Queue ``read``, whose result takes its declared place in ``slots`` whenever it is ready."""
        index = len(slots)
        slots.append(None)

        def job() -> None:
            slots[index] = read()

        self._jobs.append((where, job))

    # ---- members

    def _data_field(self, name: str, field: dataclasses.Field[Any], where: Where) -> Callable[[], Field]:
        def read() -> Field:
            form = parse(field.type, Scope.of_class(where.cls, self._known))
            return Field(name, self._output(form, where), where)

        return read

    def _input_field(self, name: str, field: dataclasses.Field[Any], where: Where) -> Callable[[], Argument]:
        def read() -> Argument:
            form = parse(field.type, Scope.of_class(where.cls, self._known))
            return Argument(name, self._input(form, where), where, constant_default(field))

        return read

    def _resolver_field(self, cls: type, name: str, where: Where) -> Callable[[], Field]:
        raw = inspect.getattr_static(cls, name)
        root = next((kind for kind, root in self._classes.roots.items() if root is cls), None)
        if isinstance(raw, ConstantSql):
            return lambda: self._constant(name, raw, root, where)

        def read() -> Field:
            if not isinstance(raw, (classmethod, staticmethod)):
                raise Problem(
                    "it works on one object (self), and a resolver works on a whole layer",
                    "Put @classmethod on top of it (above other decorators), or start its name with an "
                    "underscore if it is no resolver",
                )
            function = getattr(cls, name)
            signature = read_signature(function)
            scope = Scope.of_function(where.cls, function, self._known)
            returns: Returns = "value"
            if root == "subscription":
                form = parse_stream(signature.returns, scope)
            else:
                form, returns = parse_return(signature.returns, scope)
            arguments = tuple(
                self._argument(argument, hint, default, scope, where.of_argument(argument))
                for argument, hint, default in signature.parameters
            )
            source = Source(returns, function, signature.takes_parents)
            return Field(name, self._output(form, where), where, description_of(function), arguments, source)

        return read

    def _argument(self, name: str, hint: Any, default: Any, scope: Scope, where: Where) -> Argument:
        try:
            if hint is None:
                raise Problem("the parameter has no type hint", "Add one, for example `limit: int`")
            return Argument(name, self._input(parse(hint, scope), where), where, default)
        except Problem as problem:
            problem.where = where
            raise

    def _constant(self, name: str, constant: ConstantSql, root: str | None, where: Where) -> Field:
        if root == "subscription":
            raise Problem("a subscription cannot be constant SQL", "Write a generator that yields its events")
        if root is not None and constant.parent_keys:
            raise Problem("a root class has no parents to join with", "Leave out parents= and children=")
        form = parse(constant.returns, Scope.of_class(where.cls, self._known))
        source = Source("joined" if constant.parent_keys else "rows", constant)
        return Field(name, self._output(form, where), where, source=source)

    # ---- forms

    def _output(self, form: Form, where: Where) -> Form:
        """Take the classes in an output type into the schema."""
        leaf, depth = _leaf(form)
        if isinstance(leaf, ScalarForm):
            self._add_scalar(leaf.scalar)
        elif issubclass(leaf.cls, enum.Enum):
            self._add_enum(leaf.cls)
        else:
            if depth > 1:
                raise Problem(
                    f"lists of lists of {leaf.cls.__name__} objects are not supported yet",
                    "Return one list, or a list of a @dataclass that holds the inner list",
                )
            self._used_as_type.setdefault(leaf.cls, where)
            self._add_object(leaf.cls)
        return form

    def _input(self, form: Form, where: Where) -> Form:
        """Take the classes in an argument's or input field's type into the schema."""
        leaf, _ = _leaf(form)
        if isinstance(leaf, ScalarForm):
            self._add_scalar(leaf.scalar)
        elif issubclass(leaf.cls, enum.Enum):
            self._add_enum(leaf.cls)
        else:
            self._add_input(leaf.cls, where)
        return form

    def _add_scalar(self, scalar: scalars.Scalar) -> None:
        if scalar.name not in scalars.BUILTIN:
            self._classes.scalars.setdefault(scalar.name, scalar)

    def _add_enum(self, cls: type[enum.Enum]) -> None:
        if not cls.__members__:
            raise Where(cls).error(Problem("the enum has no members", "Add one"))
        self._know(cls)
        self._classes.enums.setdefault(cls)


def _leaf(form: Form) -> tuple[ScalarForm | ClassForm, int]:
    """Return what is inside the lists and Optionals of a form, and how many lists there are."""
    depth = 0
    while isinstance(form, (ListForm, NullableForm)):
        depth += isinstance(form, ListForm)
        form = form.inner
    return form, depth
