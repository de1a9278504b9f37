"""From a ``Schema`` class to SDL and resolvers."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ._annotations import ClassForm, NullableForm, UnionForm
from ._collect import collect
from ._conformance import check_implementations
from ._connections import Edge
from ._enums import other_texts
from ._guards import Guard, Guards
from ._model import Classes
from ._names import Names
from ._resolvers import Resolver, make_resolvers
from ._sdl import write_sdl
from ._types import TypeNames
from ._where import Problem, Where
from .errors import SchemaError
from .scalars import Scalar


@dataclass(frozen=True)
class SchemaDefinition:
    """A schema as Rust takes it over.

    Attributes:
        sdl: The schema's text; the same classes always give the same text.
        resolvers: Every field with a resolver; those with the same ``id`` are the same resolver.
        attributes: (GraphQL type, GraphQL field, Python attribute or column) of each field that is read from
            its parent, where the two names differ.
        of_rows: (GraphQL type, GraphQL field, column) of each field that is read from another place where its
            parent is a row; None as the column: it is the row itself.
        types: Which object type a Python object is.
        enums: For each enum, texts beside the names of its values that stand for one: (enum, text, value).
        scalars: The scalars whose values are not written by the usual rules.
        permissions: What is asked before something is shown.
        guarded: (GraphQL object type, GraphQL field or None for its objects, number among the permissions).
        costs: (GraphQL object type, GraphQL field, its cost, the size of its list) of each field whose author
            says one of the two.
        connect: The class method `connect(cls, context, /)`, which is asked about each WebSocket, or None.
    """

    sdl: str
    resolvers: tuple[Resolver, ...]
    attributes: tuple[tuple[str, str, str], ...]
    of_rows: tuple[tuple[str, str, str | None], ...]
    types: TypeNames
    enums: tuple[tuple[str, str, str], ...]
    scalars: tuple[Scalar, ...]
    permissions: tuple[Guard, ...]
    guarded: tuple[tuple[str, str | None, int], ...]
    costs: tuple[tuple[str, str, int | None, int | None], ...]
    connect: Callable[..., object] | None


def build_schema(schema_class: type, *, camel_case: bool = False) -> SchemaDefinition:
    """Return the GraphQL schema that a ``Schema`` dataclass describes.

    Its fields ``query``, ``mutation`` and ``subscription`` name dataclasses. Their annotated fields become
    GraphQL fields, and so do their public class methods, the resolvers. The schema's own class method
    ``connect`` is asked about each client that connects by a WebSocket. Nothing is called while building.

    Args:
        schema_class: The dataclass with the roots.
        camel_case: Whether ``was_input`` becomes ``wasInput``; otherwise names are taken verbatim.

    Raises:
        SchemaError: The classes do not make a schema; the error names class, field, file and line.

    Example:
        >>> @dataclass
        ... class Query:
        ...     @classmethod
        ...     def hello(cls, context, /, name: str = "world") -> str:
        ...         return f"Hello, {name}"
        >>> @dataclass
        ... class Schema:
        ...     query: Query
        >>> print(build_schema(Schema).sdl, end="")
        type Query {
          hello(name: String! = "world"): String!
        }
    """
    require_dataclass(schema_class)
    classes = collect(schema_class)
    names = Names(classes, camel_case=camel_case)
    sdl = write_sdl(classes, names)
    check_implementations(classes, names)
    attributes = tuple(
        (names.output(form), names.member(field), field.name)
        for form, fields in (*classes.objects.items(), *classes.interfaces.items())
        for field in fields
        if field.source is None and names.member(field) != field.name
    )
    enums = tuple(
        (names.output(form), text, name)
        for form, values in classes.enums.items()
        for text, name in other_texts(values).items()
    )
    unusual = tuple(
        scalar
        for scalar in classes.scalars.values()
        if scalar.cells != "auto"
        or scalar.parse is not None
        or (scalar.encode is not None and not scalar.built_in)
    )
    guards = Guards(classes, names)
    costs = tuple(
        (names.output(form), names.member(field), field.options.cost, field.options.list_size)
        for form, fields in classes.objects.items()
        for field in fields
        if field.options.cost is not None or field.options.list_size is not None
    )
    return SchemaDefinition(
        sdl,
        make_resolvers(classes, names),
        attributes,
        tuple(_of_rows(classes, names)),
        TypeNames(classes, names),
        enums,
        unusual,
        tuple(guards.all),
        tuple(guards.guarded),
        costs,
        _connect(schema_class),
    )


def _of_rows(classes: Classes, names: Names) -> Iterator[tuple[str, str, str | None]]:
    """Yield what the edges of a connection are if they are rows: each is its node, with a cursor beside."""
    for form, fields in classes.objects.items():
        if not issubclass(form.cls, Edge):
            continue
        for field in fields:
            inner = field.form.inner if isinstance(field.form, NullableForm) else field.form
            is_object = isinstance(inner, UnionForm) or (
                isinstance(inner, ClassForm) and inner not in classes.enums
            )
            if field.source is None and field.name == "cursor":
                yield names.output(form), names.member(field), "puff_cursor"
            elif field.source is None and field.name == "node" and is_object:
                yield names.output(form), names.member(field), None


def _connect(schema_class: type) -> Callable[..., object] | None:
    """Return the schema's question to clients of WebSockets.

    Raises:
        SchemaError: It is no class method with one parameter.
    """
    raw = inspect.getattr_static(schema_class, "connect", None)
    if raw is None:
        return None
    where = Where(schema_class, "connect")
    if not isinstance(raw, (classmethod, staticmethod)):
        raise where.error(
            Problem(
                "it is asked before there is any object", "Write a @classmethod: connect(cls, context, /)"
            )
        )
    found: Callable[..., object] = schema_class.connect  # type: ignore[attr-defined]
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        raise where.error(
            Problem("it does not take the context, and nothing else", "Write connect(cls, context, /)")
        ) from None
    return found


def require_dataclass(schema_class: object) -> type:
    """Return ``schema_class`` if it can be a schema.

    Raises:
        SchemaError: It is not a class, or not a dataclass itself.
    """
    if not isinstance(schema_class, type):
        raise SchemaError(
            f"the schema is {schema_class!r} and not a class",
            "Name a @dataclass with query, mutation, subscription",
        )
    if "__dataclass_fields__" not in vars(schema_class):
        raise Where(schema_class).error(
            Problem("the schema is not a dataclass", "Decorate it with @dataclass")
        )
    return schema_class
