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
    UnionForm,
    bindings,
    parse,
    parse_member,
    parse_return,
    parse_stream,
)
from ._connections import Connection, PageOptions, check_pages, page_options
from ._constants import Constant
from ._costs import check_costs, forbid_costs
from ._deferred import Deferred
from ._docs import describe_class, describe_function
from ._enums import read_enum
from ._interfaces import implementations, interfaces_of, is_interface, owner_of
from ._members import constant_default, data_fields, declared_twice, place_of, resolver_names
from ._model import MISSING, Argument, Classes, Field, Source
from ._options import FieldOptions, class_permission, field_options, type_options
from ._permissions import check, forbid
from ._scope import Scope, UnresolvedName
from ._signature import is_method, read_signature
from ._sql import ConstantSql
from ._where import Problem, Where

_ROOTS = ("query", "mutation", "subscription")
_NO_DEFAULTS = (types.FunctionType, types.MethodType, ConstantSql, Constant, Deferred)
"""What is a resolver, and no default value of a data field."""


def collect(schema: type) -> Classes:
    """Return everything that a schema class reaches, with all type hints resolved.

    Raises:
        SchemaError: Some class cannot be part of a GraphQL schema.
    """
    return _Collector(schema).run()


class _Collector:
    """The walk. Each member of each class is a job; a job whose hint names an unknown class waits for others.

    Waiting is what makes hints work that name classes which only other modules know: the class is found by
    another way and then known by its name.
    """

    def __init__(self, schema: type) -> None:
        self._classes = Classes(schema)
        self._known: dict[str, type] = {}
        self._jobs: deque[tuple[Where, Callable[[], None]]] = deque()
        self._fields: dict[ClassForm, list[Field | None]] = {}
        self._inputs: dict[ClassForm, list[Argument | None]] = {}
        self._used_as_type: set[ClassForm] = set()
        self._bindings: dict[ClassForm, dict[type, dict[Any, Form]]] = {}
        self._resolvers: dict[tuple[ClassForm, str], Field] = {}
        self._docs: dict[type, dict[str, str]] = {}

    def run(self) -> Classes:
        self._add_roots()
        self._work()
        classes = self._classes
        classes.inputs = {form: [item for item in items if item] for form, items in self._inputs.items()}
        for form, items in self._fields.items():
            kind = classes.interfaces if is_interface(form.cls) else classes.objects
            kind[form] = [item for item in items if item]
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
        for form in self._classes.roots.values():
            self._add_type(form)

    def _add_root(self, kind: str, hint: Any, where: Where) -> None:
        form = parse(hint, Scope(where.cls, self._known))
        if isinstance(form, NullableForm):
            form = form.inner
        if not isinstance(form, ClassForm) or issubclass(form.cls, enum.Enum) or is_interface(form.cls):
            raise Problem(f"the {kind} of a schema must be a class with resolvers", "Name a @dataclass")
        for other, root in self._classes.roots.items():
            if root == form and resolver_names(root.cls):
                raise Problem(
                    f"{root.cls.__name__} is both the {other} and the {kind}",
                    "Write one class for each of them",
                )
        self._classes.roots[kind] = form

    def _drop_empty_roots(self) -> None:
        classes = self._classes
        for kind, form in list(classes.roots.items()):
            if kind != "query" and not classes.objects.get(form) and form not in self._used_as_type:
                del classes.roots[kind]
                classes.objects.pop(form, None)
        for form, fields in (*classes.objects.items(), *classes.interfaces.items()):
            if not fields:
                raise Where(form.cls).error(
                    Problem(
                        "the class has no fields, and GraphQL has no objects without",
                        "Add a field or a resolver",
                    )
                )

    # ---- classes

    def _add_type(self, form: ClassForm) -> None:
        """Take in an object type or an interface, its interfaces, and if it is one, who implements it."""
        if form in self._fields:
            return
        cls = form.cls
        self._know(cls)
        slots = self._fields[form] = []
        try:
            for base in cls.__mro__:
                check(class_permission(base))
        except Problem as problem:
            raise Where(base).error(problem) from None
        interfaces = interfaces_of(form, self._known)
        if interfaces:
            self._classes.implements[form] = interfaces
        is_root = form in self._classes.roots.values()
        for name, field in data_fields(cls).items():
            where = place_of(cls, name)
            if isinstance(field.default, _NO_DEFAULTS):
                raise where.error(declared_twice(name, field.default))
            self._job(slots, where, self._data_field(form, name, field, where, is_root))
        for name in resolver_names(cls):
            where = place_of(cls, name)
            owner = owner_of(form, interfaces, name)
            self._job(slots, where, self._resolver_field(owner, name, where))
        for interface in interfaces:
            self._add_type(interface)
        if is_interface(cls):
            self._jobs.append((Where(cls), lambda: self._add_implementations(form)))

    def _add_implementations(self, interface: ClassForm) -> None:
        for cls in implementations(interface.cls):
            # Of a generic interface, other classes may implement it for other types.
            if interface in interfaces_of(ClassForm(cls), self._known):
                self._add_type(ClassForm(cls))

    def _add_input(self, form: ClassForm, where: Where) -> None:
        if form in self._inputs:
            return
        cls = form.cls
        if is_interface(cls):
            raise Problem(
                f"{cls.__name__} is an interface, and no client can send one", "Use a @dataclass that is none"
            )
        self._know(cls)
        slots = self._inputs[form] = []
        fields = data_fields(cls, private=True)
        if not any(field.init and not name.startswith("_") for name, field in fields.items()):
            raise where.error(Problem(f"the input {cls.__name__} has no fields", "Add a field to it"))
        for name, field in fields.items():
            place = place_of(cls, name)
            if not field.init:
                continue
            if name.startswith("_"):
                _check_private(field, place)
            else:
                self._job(slots, place, self._input_field(form, name, field, place))

    def _know(self, cls: type) -> None:
        self._known.setdefault(cls.__name__, cls)

    def _job(self, slots: list[Any], where: Where, read: Callable[[], Any]) -> None:
        """Queue ``read``, whose result takes its declared place in ``slots`` whenever it is ready."""
        index = len(slots)
        slots.append(None)

        def job() -> None:
            slots[index] = read()

        self._jobs.append((where, job))

    def _scope(self, form: ClassForm, where: Where, function: Callable[..., Any] | None = None) -> Scope:
        """Return the scope of a member's hints, in the class that declares it."""
        if form not in self._bindings:
            self._bindings[form] = bindings(form, self._known)
        return Scope(where.cls, self._known, self._bindings[form].get(where.cls), function)

    # ---- members

    def _data_field(
        self, form: ClassForm, name: str, field: dataclasses.Field[Any], where: Where, is_root: bool
    ) -> Callable[[], Field | None]:
        def read() -> Field | None:
            parsed, options = parse_member(field.type, self._scope(form, where))
            if parsed is None:
                return None
            check(options.permission)
            check_costs(options)
            if is_root:
                raise Problem(
                    "a data field needs a parent to be read from, and a root class has none",
                    "Turn it into a resolver: a @classmethod that returns the value, constant(...), "
                    "or sql(...)",
                )
            return Field(name, self._output(parsed), where, options, self._doc(options.description, where))

        return read

    def _input_field(
        self, form: ClassForm, name: str, field: dataclasses.Field[Any], where: Where
    ) -> Callable[[], Argument | None]:
        options = type_options(form.cls, "input")
        one_of = options is not None and options.one_of

        def read() -> Argument | None:
            parsed, options = parse_member(field.type, self._scope(form, where))
            if parsed is None:
                _check_private(field, where)
                return None
            forbid(options.permission)
            forbid_costs(options)
            default = constant_default(field)
            if one_of:
                if not isinstance(parsed, NullableForm) or default not in (None, MISSING):
                    raise Problem(
                        f"a client gives one field of {form.cls.__name__} (one_of) and not the others",
                        f"Declare it as `{name}: ... | None = None`",
                    )
                default = MISSING
            argument = Argument(
                name,
                self._input(parsed, where),
                where,
                options,
                self._doc(options.description, where),
                default,
            )
            _check_deprecated(argument)
            return argument

        return read

    def _resolver_field(self, owner: ClassForm, name: str, where: Where) -> Callable[[], Field]:
        """Return what reads a resolver; those who inherit it from an interface get the very same field."""
        raw = inspect.getattr_static(owner.cls, name)
        root = next((kind for kind, root in self._classes.roots.items() if root == owner), None)

        def read() -> Field:
            found = self._resolvers.get((owner, name))
            if found is None:
                made = raw
                if isinstance(raw, Deferred):
                    made = raw.resolver(owner.cls, name, self._scope(owner, where))
                if isinstance(made, ConstantSql):
                    found = self._statement(owner, name, made, root, where)
                elif isinstance(made, Constant):
                    found = self._constant(owner, name, made, root, where)
                else:
                    found = self._resolver(owner, name, made, root, where)
                self._resolvers[owner, name] = found
            return found

        return read

    def _resolver(self, owner: ClassForm, name: str, raw: Any, root: str | None, where: Where) -> Field:
        method = not isinstance(raw, (classmethod, staticmethod))
        if method and (root is not None or not is_method(raw)):
            raise Problem(
                "it works on one object (self), and a resolver works on a whole layer",
                "Put @classmethod on top of it (above other decorators), or start its name with an "
                "underscore if it is no resolver. A method of an object type may be one as "
                "(self, context, /, **arguments)",
            )
        function = raw.__get__(None, owner.cls)
        signature = read_signature(function, method=method)
        scope = self._scope(owner, where, function)
        returns: Returns = "value"
        if root == "subscription":
            form = parse_stream(signature.returns, scope)
        else:
            form, returns = parse_return(signature.returns, scope)
        description, texts = describe_function(function)
        options = field_options(raw)
        check(options.permission)
        check_costs(options)
        arguments = tuple(
            self._argument(argument, hint, default, scope, where.of_argument(argument), texts)
            for argument, hint, default in signature.parameters
        )
        description = description if options.description is None else options.description
        if method and returns in ("rows", "joined"):
            raise Problem(
                "a method that returns SQL would run one statement for each object",
                "Write it as a @classmethod, which returns one statement for all of them",
            )
        pages = page_options(raw)
        if pages is not None:
            _check_pages(pages, form, returns, arguments, root)
            arguments = (*arguments, *_page_arguments(where))
        elif returns in ("rows", "joined") and _is_connection(form):
            raise Problem(
                "the rows of a statement are no connection by themselves",
                "Put @graphql.connection(order_by=...) below @classmethod",
            )
        source = Source(returns, function, signature.takes_parents, owner.cls if method else None, pages)
        output = self._output(form, is_rows=returns in ("rows", "joined"))
        return Field(name, output, where, options, description, arguments, source)

    def _argument(
        self, name: str, hint: Any, default: Any, scope: Scope, where: Where, texts: dict[str, str]
    ) -> Argument:
        try:
            if hint is None:
                raise Problem("the parameter has no type hint", "Add one, for example `limit: int`")
            form, options = parse_member(hint, scope)
            if form is None:
                raise Problem(
                    "a parameter cannot be private by its hint", "Start its name with an underscore"
                )
            forbid(options.permission)
            forbid_costs(options)
            description = texts.get(name, "") if options.description is None else options.description
            argument = Argument(name, self._input(form, where), where, options, description, default)
            _check_deprecated(argument)
        except Problem as problem:
            problem.where = where
            raise
        return argument

    def _constant(
        self, owner: ClassForm, name: str, constant: Constant, root: str | None, where: Where
    ) -> Field:
        if root == "subscription":
            raise Problem("a subscription cannot be a constant", "Write a generator that yields its events")
        form = parse(constant.returns, self._scope(owner, where))
        options = constant.options
        check(options.permission)
        description = self._doc(options.description, where)
        source = Source("value", constant)
        return Field(name, self._output(form), where, options, description, source=source)

    def _statement(
        self, owner: ClassForm, name: str, constant: ConstantSql, root: str | None, where: Where
    ) -> Field:
        if root == "subscription":
            raise Problem("a subscription cannot be constant SQL", "Write a generator that yields its events")
        if root is not None and constant.parent_keys:
            raise Problem("a root class has no parents to join with", "Leave out parents= and children=")
        form = parse(constant.returns, self._scope(owner, where))
        if _is_connection(form):
            raise Problem(
                "constant SQL cannot be a connection, whose statement depends on the page",
                "Write a resolver that returns the statement, with @graphql.connection(order_by=...)",
            )
        source = Source("joined" if constant.parent_keys else "rows", constant)
        options = constant.options
        check(options.permission)
        check_costs(options)
        description = self._doc(options.description, where)
        return Field(name, self._output(form, is_rows=True), where, options, description, source=source)

    def _doc(self, given: str | None, where: Where) -> str:
        """Return the description of a data field or constant, from the class if none is given."""
        if given is not None:
            return given
        if where.cls not in self._docs:
            self._docs[where.cls] = describe_class(where.cls)[1]
        return self._docs[where.cls].get(where.member or "", "")

    # ---- forms

    def _output(self, form: Form, *, is_rows: bool = False) -> Form:
        """Take the classes in an output type into the schema."""
        leaf, depth = _leaf(form)
        if isinstance(leaf, ScalarForm):
            self._add_scalar(leaf.scalar)
            return form
        if isinstance(leaf, ClassForm) and issubclass(leaf.cls, enum.Enum):
            self._add_enum(leaf)
            return form
        if depth > 1 and is_rows:
            raise Problem(
                "the rows of a statement cannot fill lists of lists",
                "Return objects, or one list of a @dataclass that has the inner list, say as a jsonb column",
            )
        if isinstance(leaf, UnionForm):
            self._add_union(leaf)
        else:
            self._used_as_type.add(leaf)
            self._add_type(leaf)
        return form

    def _input(self, form: Form, where: Where) -> Form:
        """Take the classes in an argument's or input field's type into the schema."""
        leaf, _ = _leaf(form)
        if isinstance(leaf, ScalarForm):
            self._add_scalar(leaf.scalar)
        elif isinstance(leaf, UnionForm):
            raise Problem(
                f"{leaf.name} is a union, and no client can send one",
                "Use an input with one_of: a @dataclass with a field for each case",
            )
        elif issubclass(leaf.cls, enum.Enum):
            self._add_enum(leaf)
        else:
            self._add_input(leaf, where)
        return form

    def _add_scalar(self, scalar: scalars.Scalar) -> None:
        if scalar.name in scalars.BUILTIN and scalar.built_in:
            return
        known = self._classes.scalars.setdefault(scalar.name, scalar)
        if known != scalar:
            raise Problem(
                f"there are two scalars called {scalar.name!r}",
                "Make it once and use it everywhere, or name one of them differently",
            )

    def _add_enum(self, form: ClassForm) -> None:
        if form not in self._classes.enums:
            self._know(form.cls)
            self._classes.enums[form] = read_enum(form.cls)

    def _add_union(self, union: UnionForm) -> None:
        known = self._classes.unions.setdefault(union.name, union)
        # Python may hand out `A | B` where `B | A` is written.
        if set(known.members) != set(union.members):
            raise Problem(
                f"there are two unions called {union.name!r}, of different types",
                "Write it once and use it everywhere, or name one of them differently",
            )
        for member in union.members:
            self._used_as_type.add(member)
            self._add_type(member)


_PAGE_FIELDS = {"edges", "nodes", "page_info", "total_count"}
_PAGE_ARGUMENTS = {
    "first": (scalars.BY_TYPE[int], "How many items, from the first on."),
    "after": (scalars.BY_TYPE[str], "The cursor that they come after."),
    "last": (scalars.BY_TYPE[int], "How many items, up to the last."),
    "before": (scalars.BY_TYPE[str], "The cursor that they come before."),
}


def _page_arguments(where: Where) -> list[Argument]:
    """Return the arguments that the field of a connection has beside those of its resolver."""
    return [
        Argument(name, NullableForm(ScalarForm(scalar)), where, FieldOptions(name=name), text)
        for name, (scalar, text) in _PAGE_ARGUMENTS.items()
    ]


def _is_connection(form: Form) -> bool:
    leaf, _ = _leaf(form)
    return isinstance(leaf, ClassForm) and issubclass(leaf.cls, Connection)


def _check_pages(
    pages: PageOptions, form: Form, returns: Returns, arguments: tuple[Argument, ...], root: str | None
) -> None:
    """Look at a resolver under ``graphql.connection``.

    Raises:
        Problem: It cannot have pages.
    """
    check_pages(pages)
    leaf, depth = _leaf(form)
    if not isinstance(leaf, ClassForm) or not issubclass(leaf.cls, Connection) or depth:
        raise Problem(
            "graphql.connection decorates it, and its type is no connection",
            "Return tuple[Connection[Post], str, list[Any]], for example",
        )
    if returns not in ("rows", "joined") or root == "subscription":
        raise Problem(
            "graphql.connection makes pages of the rows of a statement, and it returns none",
            "Return (..., sql, params), also in the annotation, or take the decorator away",
        )
    more = [name for name in data_fields(leaf.cls) if name not in _PAGE_FIELDS]
    if more:
        raise Problem(
            f"the rows of a statement say nothing of {leaf.cls.__name__}.{more[0]}",
            "Turn it into a resolver, or put it into the class of the edges",
        )
    for argument in arguments:
        if argument.name in _PAGE_ARGUMENTS:
            raise Problem(
                f"graphql.connection brings the argument {argument.name!r} along",
                "Remove it from the resolver, which need not know the page",
            )


def _check_private(field: dataclasses.Field[Any], where: Where) -> None:
    if field.default is MISSING and field.default_factory is MISSING:
        raise where.error(
            Problem(
                "the field is private and has no default, so no client can fill it",
                "Give it a default or make it public",
            )
        )


def _check_deprecated(argument: Argument) -> None:
    required = argument.default is MISSING and not isinstance(argument.form, NullableForm)
    if argument.options.deprecated is not None and required:
        raise Problem(
            "it is deprecated, and clients have to give it all the same", "Give it a default or allow None"
        )


def _leaf(form: Form) -> tuple[ScalarForm | ClassForm | UnionForm, int]:
    """Return what is inside the lists and Optionals of a form, and how many lists there are."""
    depth = 0
    while isinstance(form, (ListForm, NullableForm)):
        depth += isinstance(form, ListForm)
        form = form.inner
    return form, depth
