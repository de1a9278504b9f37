"""Interfaces, unions, and what object type a Python object is."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import graphql
import pytest

from puff.graphql import SchemaDefinition, SchemaError, build_schema

Build = Callable[..., SchemaDefinition]
CheckSdl = Callable[[str], graphql.GraphQLSchema]
Fail = Callable[..., SchemaError]
Load = Callable[[str], ModuleType]
Write = Callable[..., Path]

MEDIA = """
@graphql.interface
@dataclass
class Node:
    '''Something with an id.'''
    id: ID
    @classmethod
    def url(cls, parents, context, /, secure: bool = True) -> str: ...
    likes = graphql.sql(int, "SELECT ...", parents="id", children="node_id")

@graphql.interface
@dataclass
class Titled(Node):
    title: str | None

@dataclass
class Book(Titled):
    pages: int

@dataclass
class Film(Titled):
    title: str
    minutes: int
    @classmethod
    def url(cls, parents, context, /, secure: bool = True, size: int = 1) -> str: ...

@dataclass
class Person(Node):
    name: str

@dataclass
class _Draft(Titled):
    text: str

@dataclass
class Query:
    @classmethod
    def titled(cls, context, /) -> list[Titled]: ...
"""


def test_subclasses_implement_interfaces(build: Build) -> None:
    definition = build(MEDIA)
    assert (
        definition.sdl
        == '''\
type Query {
  titled: [Titled!]!
}

type Book implements Titled & Node {
  id: ID!
  title: String
  pages: Int!
  url(secure: Boolean! = true): String!
  likes: Int!
}

type Film implements Titled & Node {
  id: ID!
  title: String!
  minutes: Int!
  url(secure: Boolean! = true, size: Int! = 1): String!
  likes: Int!
}

type Person implements Node {
  id: ID!
  name: String!
  url(secure: Boolean! = true): String!
  likes: Int!
}

interface Titled implements Node {
  id: ID!
  title: String
  url(secure: Boolean! = true): String!
  likes: Int!
}

"""
Something with an id.
"""
interface Node {
  id: ID!
  url(secure: Boolean! = true): String!
  likes: Int!
}
'''
    )


def test_an_inherited_resolver_is_the_same_everywhere(build: Build) -> None:
    resolvers = build(MEDIA).resolvers
    ids: dict[str, dict[int, list[str]]] = {"url": {}, "likes": {}}
    for resolver in resolvers:
        if resolver.field_name in ids:
            ids[resolver.field_name].setdefault(resolver.id, []).append(resolver.type_name)
    assert sorted(ids["url"].values()) == [["Book", "Person", "Titled", "Node"], ["Film"]]
    assert sorted(ids["likes"].values()) == [["Book", "Film", "Person", "Titled", "Node"]]
    shared = {id(r.call) for r in resolvers if r.field_name == "url" and r.type_name != "Film"}
    assert len(shared) == 1
    function = next(r.function for r in resolvers if r.type_name == "Book" and r.field_name == "url")
    assert function.__self__.__name__ == "Node"  # type: ignore[union-attr]
    numbers = [r.id for r in resolvers]
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    firsts = [number for at, number in enumerate(numbers) if number not in numbers[:at]]
    assert firsts == sorted(firsts)  # a new number is the next one, which Rust relies on


def test_a_plain_base_below_an_interface(build: Build) -> None:
    definition = build(
        """
        class Mixin:
            @classmethod
            def hello(cls, context, /) -> str: ...
        @graphql.interface
        @dataclass
        class A(Mixin):
            x: int
        @dataclass
        class B(A):
            y: int
        @dataclass
        class C(Mixin):
            z: int
        @dataclass
        class Query:
            @classmethod
            def a(cls, context, /) -> A: ...
            @classmethod
            def c(cls, context, /) -> C: ...
        """
    )
    hello = [r for r in definition.resolvers if r.field_name == "hello"]
    assert [(r.type_name, r.function.__self__.__name__) for r in hello] == [  # type: ignore[union-attr]
        ("C", "C"),
        ("B", "A"),
        ("A", "A"),
    ]
    assert len({r.id for r in hello}) == 2


def test_slots_and_implementers_in_other_modules(write: Write, check_sdl: CheckSdl) -> None:
    write("nodes", "@graphql.interface\n@dataclass(slots=True)\nclass Node:\n    id: ID\n")
    write("photos", "import nodes\n@dataclass(slots=True)\nclass Photo(nodes.Node):\n    url: str\n")
    write(
        "app",
        """
        import nodes, photos
        @dataclass
        class Query:
            @classmethod
            def node(cls, context, /) -> nodes.Node | None: ...
        @dataclass
        class Schema:
            query: Query
        """,
    )
    sdl = build_schema(importlib.import_module("app").Schema).sdl
    check_sdl(sdl)
    assert "type Photo implements Node {\n  id: ID!\n  url: String!\n}" in sdl


def test_generic_interface(build: Build) -> None:
    definition = build(
        """
        T = TypeVar("T")
        @graphql.interface
        @dataclass
        class Box(Generic[T]):
            value: T
        @dataclass
        class NumberBox(Box[int]):
            unit: str
        @dataclass
        class WordBox(Box[str]):
            language: str
        @dataclass
        class Query:
            @classmethod
            def box(cls, context, /) -> Box[int]: ...
        """
    )
    assert "interface IntBox {\n  value: Int!\n}" in definition.sdl
    assert "type NumberBox implements IntBox {" in definition.sdl
    assert "WordBox" not in definition.sdl


UNION = """
@dataclass
class Post:
    id: int
@dataclass
class Author:
    name: str
"""


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("Found", "Found!"),
        ("Found | None", "Found"),
        ("list[Found]", "[Found!]!"),
        ("Annotated[Post | Author | None, graphql.union('Found')]", "Found"),
        ("Annotated[Union['Post', 'Author'], graphql.union('Found')]", "Found!"),
        ("tuple[list[Found], str, list]", "[Found!]!"),
    ],
)
def test_unions(build: Build, hint: str, expected: str) -> None:
    definition = build(
        UNION
        + f"""
Found = Annotated[Post | Author, graphql.union("Found", description="What was found.")]
@dataclass
class Query:
    @classmethod
    def search(cls, context, /) -> {hint}: ...
"""
    )
    assert f"search: {expected}\n" in definition.sdl
    assert "union Found = Post | Author\n" in definition.sdl


def test_union_of_members_known_by_it_alone_with_description(build: Build) -> None:
    definition = build(
        UNION
        + """
@dataclass
class Query:
    @classmethod
    def search(cls, context, /) -> Annotated[Post | Author, graphql.union("Found", description="Hits.")]: ...
"""
    )
    assert '"""\nHits.\n"""\nunion Found = Post | Author\n' in definition.sdl
    assert "type Post {" in definition.sdl
    assert "type Author {" in definition.sdl


def test_type_of_objects(load: Load) -> None:
    module = load(
        MEDIA
        + """
T = TypeVar("T")
@dataclass
class Page(Generic[T]):
    items: list[T]
@dataclass
class Shelf(Generic[T]):
    things: list[T]
@dataclass
class Anything:
    of: Annotated[Page[Book] | Page[Film] | Shelf[Book], graphql.union("AnyPage")]
@dataclass
class Root(Query):
    @classmethod
    def anything(cls, context, /) -> Anything: ...
@dataclass
class Schema:
    query: Root
"""
    )
    types = build_schema(module.Schema).types

    class SpecialBook(module.Book):  # type: ignore[misc, name-defined]
        """No dataclass of its own."""

    assert types.exact[module.Book] == "Book"
    assert types.exact[module.Shelf] == "BookShelf"
    assert module.Page not in types.exact
    assert types.of(SpecialBook("1", "Ulysses", 3)) == "Book"
    assert types.of(module.Page[module.Film]([])) == "FilmPage"
    with pytest.raises(
        TypeError, match=r"this Page could be BookPage or FilmPage; make it as Page\[\.\.\.\]"
    ):
        types.of(module.Page([]))
    with pytest.raises(TypeError, match="int is no object type of the schema; where a field's type is an"):
        types.of(5)
    with pytest.raises(TypeError, match="_Draft is no object type of the schema"):
        types.of(module._Draft("1", "x", "y"))


FILM = """
@dataclass
class Film(Node):
    minutes: int
"""
ERRORS: dict[str, tuple[str, str, str]] = {
    "narrowed to something else": (
        "@dataclass\nclass Bad(Node):\n    id: int  # HERE",
        "Bad.id",
        "the type is Int!, and the interface Node promises ID!. Use the same type, or one that is part of it",
    ),
    "widened to null": (
        "@dataclass\nclass Bad(Node):\n    id: ID | None  # HERE",
        "Bad.id",
        "the type is ID, and the interface Node promises ID!",
    ),
    "made private": (
        "@dataclass\nclass Bad(Node):\n    id: graphql.Private[ID]  # HERE\n    x: int",
        "Bad.id",
        "'id' is a field of the interface Node, and is missing here. Do not make it private or rename it",
    ),
    "renamed": (
        "@dataclass\nclass Bad(Node):\n    id: Annotated[ID, graphql.field(name='key')]  # HERE",
        "Bad.id",
        "'id' is a field of the interface Node, and is missing here",
    ),
    "argument left out": (
        "@dataclass\nclass Bad(Node):\n    @classmethod\n    def url(cls, context, /) -> str: ...  # HERE",
        "Bad.url",
        "the interface Node promises the argument 'secure' of type Boolean!. Take an argument of this name and type",
    ),
    "argument of another type": (
        "@dataclass\nclass Bad(Node):\n    @classmethod\n"
        "    def url(cls, context, /, secure: int = 1) -> str: ...  # HERE",
        "Bad.url",
        "the interface Node promises the argument 'secure' of type Boolean!",
    ),
    "required argument added": (
        "@dataclass\nclass Bad(Node):\n    @classmethod\n"
        "    def url(cls, context, /, size: int, secure: bool = True) -> str: ...  # HERE",
        "Bad.url",
        "the argument 'size' is required here, and the interface Node does not have it. Give it a default",
    ),
    "interface as an argument": (
        "@dataclass\nclass Other:\n    @classmethod\n    def f(cls, context, /, x: Node) -> int: ...  # HERE",
        "Other.f(x:)",
        "Node is an interface, and no client can send one. Use a @dataclass that is none",
    ),
    "union as an argument": (
        f"{UNION}\n@dataclass\nclass Other:\n    @classmethod\n"
        "    def f(cls, context, /, x: Annotated[Post | Author, graphql.union('U')]) -> int: ...  # HERE",
        "Other.f(x:)",
        "U is a union, and no client can send one. Use an input with one_of: a @dataclass with a field for each case",
    ),
    "union without a name": (
        f"{UNION}\n@dataclass\nclass Other:\n    found: Post | Author | None  # HERE",
        "Other.found",
        "the union Post | Author | None has no name, and GraphQL's unions have one. Write "
        'Annotated[Post | Author | None, graphql.union("Name")]',
    ),
    "union with an interface": (
        f"{UNION}\n@dataclass\nclass Other:\n    found: Annotated[Post | Node, graphql.union('U')]  # HERE",
        "Other.found",
        "the union Post | Node has no GraphQL type. A union is made of object types",
    ),
    "one name for two unions": (
        f"{UNION}\n@dataclass\nclass Other:\n    one: Annotated[Post | Author, graphql.union('U')]\n"
        "    two: Annotated[Author | Item, graphql.union('U')]  # HERE\n@dataclass\nclass Item:\n    x: int",
        "Other.two",
        "there are two unions called 'U', of different types. Write it once and use it everywhere",
    ),
    "union with the name of a type": (
        f"{UNION.replace('class Post:', 'class Post:  # HERE')}\n@dataclass\nclass Other:\n"
        "    one: Annotated[Post | Author, graphql.union('Author')]",
        "Post",
        "two types of the schema are called 'Author'; the other is app.Author",
    ),
    "list of lists of a union as rows": (
        f"{UNION}\n@dataclass\nclass Other:\n"
        "    one = graphql.sql(\"list[list[Annotated[Post | Author, graphql.union('U')]]]\", 'SELECT')  # HERE",
        "Other.one",
        "the rows of a statement cannot fill lists of lists",
    ),
    "undecorated subclass as a type": (
        "class Bad(Node): ...\n@dataclass\nclass Other:\n    x: Bad  # HERE",
        "Other.x",
        "Bad inherits from a dataclass and is none itself",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(fail: Fail, name: str) -> None:
    code, subject, text = ERRORS[name]
    other = "Other" if "class Other" in code else "Node"
    base, _, _ = MEDIA.partition("@graphql.interface\n@dataclass\nclass Titled")
    error = fail(
        f"{base}\n{FILM}\n{code}\n@dataclass\nclass Query:\n    @classmethod\n"
        f"    def node(cls, context, /) -> {other}: ..."
    )
    assert f": {subject}: {text}" in str(error)
    assert error.file is not None
    lines = Path(error.file).read_text().split("\n")
    assert "# HERE" in lines[(error.line or 0) - 1]


def test_an_interface_is_no_root(fail: Fail) -> None:
    error = fail(MEDIA + "\n@dataclass\nclass Schema:\n    query: Node\n")
    assert "Schema.query: the query of a schema must be a class with resolvers" in str(error)
