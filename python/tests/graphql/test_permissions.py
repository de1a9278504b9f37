"""What guards what, and what authors read who guard wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from puff import graphql
from puff.graphql import SchemaDefinition, SchemaError

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]

ALL = """
def one(context, guarded): return True
def two(context, guarded): return True

class Mixin:
    @classmethod
    @graphql.field(permission=two)
    def more(cls, context, /) -> int: return 1

@graphql.interface(permission=one)
@dataclass
class Node:
    id: Annotated[ID, graphql.field(permission=one)]
    title: Annotated[str, graphql.field(permission=one)]

@graphql.type(permission=[one, two])
@dataclass
class Film(Mixin, Node):
    title: Annotated[str, graphql.field(name="name_of_it", permission=two)]

@dataclass
class Book(Node):
    pages = graphql.sql(int, "SELECT 1", permission=two)

@dataclass
class Query:
    @classmethod
    def nodes(cls, context, /) -> list[Node]: return []

@graphql.type(permission=one)
@dataclass
class Mutation:
    @classmethod
    def free(cls, context, /) -> int: return 1
    @classmethod
    @graphql.field(permission=two)
    def dear(cls, context, /, wasGiven: int) -> int: return 1

@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""


def guards(definition: SchemaDefinition) -> dict[str, list[str]]:
    """For each guarded thing its functions, each with the place that asks for it."""
    return {
        type_name if field is None else f"{type_name}.{field}": [
            f"{link.type if link.field is None else f'{link.type}.{link.field}'} {function.__name__}"
            for link in definition.permissions[number].links
            for function in link.functions
        ]
        for type_name, field, number in definition.guarded
    }


def test_the_permissions_of_a_type_are_those_of_its_interfaces_and_its_own(build: Build) -> None:
    definition = build(ALL.replace('name="name_of_it", ', ""), camel_case=True)
    assert guards(definition) == {
        "Film": ["Node one", "Film one", "Film two"],
        "Film.id": ["Node.id one"],
        "Film.title": ["Node.title one", "Film.title two"],
        "Film.more": ["Film.more two"],
        "Book": ["Node one"],
        "Book.id": ["Node.id one"],
        "Book.title": ["Node.title one"],
        "Book.pages": ["Book.pages two"],
        "Mutation": ["Mutation one"],
        "Mutation.free": ["Mutation one"],
        "Mutation.dear": ["Mutation one", "Mutation.dear two"],
    }
    numbers = {(type_name, field): number for type_name, field, number in definition.guarded}
    assert numbers["Film", "id"] == numbers["Book", "id"]
    assert numbers["Film", "title"] != numbers["Book", "title"]


def test_nothing_is_guarded_by_default(build: Build) -> None:
    definition = build(
        "@dataclass\nclass Query:\n    @classmethod\n    def a(cls, context, /) -> int: return 1\n"
    )
    assert (definition.permissions, definition.guarded) == ((), ())


@pytest.mark.parametrize(
    ("permission", "problem"),
    [
        ("'admin'", "the permission 'admin' is no function"),
        ("[]", "the list of permissions is empty"),
        ("[may, 7]", "the permission 7 is no function"),
        ("short", "the permission short does not take the context and what it guards"),
        ("Staff", "the permission Staff does not take the context and what it guards"),
        ("later", "the permission later is async or a generator, and gives no answer by itself"),
        ("many", "the permission many is async or a generator, and gives no answer by itself"),
    ],
)
@pytest.mark.parametrize("place", ["data", "resolver", "sql", "type", "interface"])
def test_a_permission_that_cannot_be_asked_names_its_place(
    fail: Fail, permission: str, problem: str, place: str
) -> None:
    at = dict.fromkeys(["data", "resolver", "sql", "type", "interface"], "") | {
        place: f"permission={permission}"
    }
    error = fail(f"""
        class Staff: pass
        async def later(context, guarded): return True
        def many(context, guarded): yield True
        def may(context, guarded): return True
        def short(context): return True

        @graphql.interface({at["interface"]})
        @dataclass
        class Above:
            id: int

        @graphql.type({at["type"]})
        @dataclass
        class Item(Above):
            name: Annotated[str, graphql.field({at["data"]})]
            count = graphql.sql(int, "SELECT 1"{", " * bool(at["sql"])}{at["sql"]})

        @dataclass
        class Query:
            @classmethod
            @graphql.field({at["resolver"]})
            def items(cls, context, /) -> list[Item]: return []
    """)
    assert (error.class_name, error.field) == {
        "data": ("Item", "name"),
        "resolver": ("Query", "items"),
        "sql": ("Item", "count"),
        "type": ("Item", None),
        "interface": ("Above", None),
    }[place]
    assert error.problem == problem
    assert error.line is not None


@pytest.mark.parametrize("argument", ["key: Annotated[int, guard]", "wish: Wish"])
def test_what_clients_send_is_not_guarded(fail: Fail, argument: str) -> None:
    error = fail(f"""
        guard = graphql.field(permission=lambda context, guarded: True)

        @dataclass
        class Wish:
            key: Annotated[int, guard]

        @dataclass
        class Query:
            @classmethod
            def items(cls, context, /, {argument}) -> int: return 1
    """)
    assert error.problem == "a permission guards what clients read, and not what they send"
    assert "key" in (error.argument, error.field)


def test_objects_that_can_be_called_are_permissions(build: Build) -> None:
    definition = build("""
        class Role:
            __hash__ = None
            def __init__(self, name): self.name = name
            def __call__(self, context, guarded): return True

        @dataclass
        class Query:
            @classmethod
            @graphql.field(permission=[Role("a"), Role("b")])
            def a(cls, context, /) -> int: return 1
    """)
    assert [function.name for function in definition.permissions[0].links[0].functions] == ["a", "b"]


def test_what_is_guarded_reads_as_it_is_written() -> None:
    assert str(graphql.Guarded("Item")) == "Item"
    assert str(graphql.Guarded("Item", "price", {"unit": 1})) == "Item.price"
