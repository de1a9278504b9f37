"""From a ``Schema`` class to SDL and resolvers."""

from dataclasses import dataclass

from ._collect import collect
from ._names import Names
from ._resolvers import Resolver, make_resolvers
from ._sdl import write_sdl
from ._where import Problem, Where
from .errors import SchemaError


@dataclass(frozen=True)
class SchemaDefinition:
    """A schema as Rust takes it over.

    Attributes:
        sdl: The schema's text; the same classes always give the same text.
        resolvers: Every field with a resolver; the index is the resolver's id.
        attributes: (GraphQL type, GraphQL field, Python attribute or column) of each field that is read from
            its parent, where the two names differ.
    """

    sdl: str
    resolvers: tuple[Resolver, ...]
    attributes: tuple[tuple[str, str, str], ...]


def build_schema(schema_class: type, *, camel_case: bool = False) -> SchemaDefinition:
    """Return the GraphQL schema that a ``Schema`` dataclass describes.

    Its fields ``query``, ``mutation`` and ``subscription`` name dataclasses. Their annotated fields become
    GraphQL fields, and so do their public class methods, the resolvers. Nothing is called while building.

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
    attributes = tuple(
        (names.output(cls), names.member(field.name), field.name)
        for cls, fields in classes.objects.items()
        for field in fields
        if field.source is None and names.member(field.name) != field.name
    )
    return SchemaDefinition(sdl, make_resolvers(classes, names), attributes)


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
