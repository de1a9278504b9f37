"""Names, descriptions, deprecations and privacy: what authors say beyond type hints."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import graphql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import puff.graphql as puff_graphql
from puff.graphql import SchemaDefinition, SchemaError, build_schema, load_schema
from puff.graphql._docs import split

Build = Callable[..., SchemaDefinition]
CheckSdl = Callable[[str], graphql.GraphQLSchema]
Fail = Callable[..., SchemaError]
Write = Callable[..., Path]

ALL = '''
@graphql.enum(name="Colour", values={"RED": "CRIMSON"}, deprecated={"PINK": "Too loud.", "GREY": ""})
class Color(enum.Enum):
    """A colour.

    Attributes:
        GREEN: As grass.
    """
    RED = "r"
    """As blood."""
    GREEN = "g"
    PINK = 3
    GREY = 4

@graphql.input(name="PostWish", description="What to look for.")
@graphql.type(name="Article")
@dataclass
class Post:
    """A text.

    Attributes:
        title: Its title.
        unknown: Of a field that is not there.
    """
    id: Annotated[ID, graphql.field(name="key", description="How to find it.")]
    title: str
    """Overridden: the text below wins."""
    old_body: Annotated[str | None, graphql.field(deprecated="Use `body`.")] = None
    color: Color = Color.RED
    secret: graphql.Private[object] = None
    also_secret: Annotated[Callable, graphql.field(private=True)] = print
    total = graphql.sql(int, "SELECT 1", name="sum_total", deprecated="No.")
    """All of it."""

    @classmethod
    @graphql.field(private=True)
    def helper(cls): ...

    @graphql.field(name="Words", deprecated="")
    @classmethod
    def count_words(
        cls,
        context,
        /,
        at_most: Annotated[int, graphql.field(name="max", deprecated="It has no effect.")] = 3,
        fold_case: bool = False,
    ) -> int:
        """How many words there are.

        Args:
            context: Nobody needs to know.
            at_most: Where to stop
                counting.
            fold_case: Whether `A` is `a`.

        Returns:
            A number.
        """

@dataclass
class Query:
    @classmethod
    def posts(cls, context, /, like: Post | None = None, color: Color = Color.RED) -> list[Post]:
        """All posts.

        :param like: Only posts like this one.
        :returns: them
        """
'''


def test_everything_that_can_be_said(build: Build) -> None:
    definition = build(ALL, camel_case=True)
    assert (
        definition.sdl
        == '''\
type Query {
  """
  All posts.

  :returns: them
  """
  posts(
    """
    Only posts like this one.
    """
    like: PostWish = null
    color: Colour! = CRIMSON
  ): [Article!]!
}

"""
A text.
"""
type Article {
  """
  How to find it.
  """
  key: ID!
  """
  Overridden: the text below wins.
  """
  title: String!
  oldBody: String @deprecated(reason: "Use `body`.")
  color: Colour!
  """
  All of it.
  """
  sum_total: Int! @deprecated(reason: "No.")
  """
  How many words there are.

  Returns:
      A number.
  """
  Words(
    """
    Where to stop
    counting.
    """
    max: Int! = 3 @deprecated(reason: "It has no effect.")
    """
    Whether `A` is `a`.
    """
    foldCase: Boolean! = false
  ): Int! @deprecated
}

"""
What to look for.
"""
input PostWish {
  """
  How to find it.
  """
  key: ID!
  """
  Overridden: the text below wins.
  """
  title: String!
  oldBody: String = null @deprecated(reason: "Use `body`.")
  color: Colour! = CRIMSON
}

"""
A colour.
"""
enum Colour {
  """
  As blood.
  """
  CRIMSON
  """
  As grass.
  """
  GREEN
  PINK @deprecated(reason: "Too loud.")
  GREY @deprecated
}
'''
    )
    assert definition.attributes == (("Article", "key", "id"), ("Article", "oldBody", "old_body"))
    assert definition.enums == (
        ("Colour", "RED", "CRIMSON"),
        ("Colour", "r", "CRIMSON"),
        ("Colour", "g", "GREEN"),
        ("Colour", "3", "PINK"),
        ("Colour", "4", "GREY"),
    )


def test_renamed_arguments_come_under_their_python_names(build: Build) -> None:
    definition = build(
        """
        @graphql.enum(values={"RED": "CRIMSON"})
        class Color(enum.Enum):
            RED = "r"
        @graphql.input(name="PointAt")
        @dataclass
        class Point:
            x: Annotated[int, graphql.field(name="left")]
            note: graphql.Private[str] = "mine"
            color: Color = Color.RED
        @dataclass
        class Query:
            @classmethod
            def echo(cls, context, /, point: Annotated[Point, graphql.field(name="at")]) -> Any:
                return point
        """
    )
    call = definition.resolvers[0].call
    assert call is not None
    point = call(None, None, {"at": {"left": 3, "color": "CRIMSON"}})
    assert (point.x, point.note, point.color.name) == (3, "mine", "RED")


def test_one_of(build: Build) -> None:
    definition = build(
        """
        @graphql.input(one_of=True)
        @dataclass
        class By:
            id: ID | None = None
            name: str | None = None
            either: By | None = None
        @dataclass
        class Query:
            @classmethod
            def find(cls, context, /, by: By = By(name="x")) -> Any:
                return by
        """
    )
    assert 'find(by: By! = {name: "x"}): JSON' in definition.sdl
    assert "input By @oneOf {\n  id: ID\n  name: String\n  either: By\n}" in definition.sdl
    call = definition.resolvers[0].call
    assert call is not None
    by = call(None, None, {"by": {"either": {"id": "7"}}})
    assert (by.name, by.either.id, by.either.name) == (None, "7", None)


def test_what_only_the_type_checker_imports_is_found(write: Write, check_sdl: CheckSdl) -> None:
    # `Author` is reached from posts.py alone, so nothing else could tell where it is.
    (write("shop/__init__", "", header=False)).write_text("")
    write(
        "shop/posts",
        """
        import typing
        if typing.TYPE_CHECKING:
            from .authors import Author as Writer
            import shop.authors as authors
            import shop.authors
        @dataclass
        class Post:
            author: Writer
            others: list[authors.Author]
            more: list[shop.authors.Author]
        """,
    )
    write(
        "shop/authors",
        """
        if TYPE_CHECKING:
            from shop.posts import Post
        @dataclass
        class Author:
            posts: list[Post]
        """,
    )
    write(
        "app",
        """
        from shop.posts import Post
        @dataclass
        class Query:
            @classmethod
            def posts(cls, context, /) -> list[Post]: ...
        @dataclass
        class Schema:
            query: Query
        """,
    )
    sdl = build_schema(importlib.import_module("app").Schema).sdl
    check_sdl(sdl)
    assert "type Post {\n  author: Author!\n  others: [Author!]!\n  more: [Author!]!\n}" in sdl
    assert "type Author {\n  posts: [Post!]!\n}" in sdl


ERRORS: dict[str, tuple[str, str, str]] = {
    "import for the type checker that fails": (
        "if TYPE_CHECKING:\n    from nowhere import Thing\n@dataclass\nclass Item:\n    thing: Thing  # HERE",
        "Item.thing",
        "the name 'Thing' is imported for the type checker from 'nowhere', and that fails (ModuleNotFoundError: "
        "No module named 'nowhere'). Correct the import",
    ),
    "invalid name": (
        "@dataclass\nclass Item:\n    a: Annotated[int, graphql.field(name='1st')]  # HERE",
        "Item.a",
        "'1st' is not a valid GraphQL name",
    ),
    "invalid type name": (
        "@graphql.type(name='a b')\n@dataclass\nclass Item:  # HERE\n    a: int",
        "Item",
        "'a b' is not a valid GraphQL name",
    ),
    "name taken": (
        "@dataclass\nclass Item:\n    a: int\n    b: Annotated[int, graphql.field(name='a')]  # HERE",
        "Item.b",
        "'b' and 'a' are both called 'a' in GraphQL. Rename one of them",
    ),
    "enum member that is not there": (
        "@graphql.enum(deprecated={'BLUE': 'x'})\nclass Color(enum.Enum):  # HERE\n    RED = 1\n"
        "@dataclass\nclass Item:\n    a: Color",
        "Color",
        "graphql.enum(...) speaks of the member 'BLUE', and the enum has none. Use the names of members",
    ),
    "enum alias": (
        "@graphql.enum(values={'ROT': 'x'})\nclass Color(enum.Enum):  # HERE\n    RED = 1\n    ROT = 1\n"
        "@dataclass\nclass Item:\n    a: Color",
        "Color",
        "graphql.enum(...) speaks of the member 'ROT'",
    ),
    "two members of one name": (
        "@graphql.enum(values={'RED': 'BLUE'})\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2  # HERE\n"
        "@dataclass\nclass Item:\n    a: Color",
        "Color.BLUE",
        "two members are called 'BLUE'. Rename one of them",
    ),
    "enum value renamed to a reserved one": (
        "@graphql.enum(values={'NO': 'false'})\nclass Color(enum.Enum):\n    NO = 1  # HERE\n"
        "@dataclass\nclass Item:\n    a: Color",
        "Color.NO",
        "GraphQL reserves the enum value 'false'",
    ),
    "field(...) inside": (
        "@dataclass\nclass Item:\n    a: list[Annotated[int, graphql.field(name='b')]]  # HERE",
        "Item.a",
        "graphql.field(...) stands inside a type hint. Put it into the outermost Annotated[...] of a field or an "
        "argument; of a resolver it is a decorator",
    ),
    "field(...) on the result": (
        "@dataclass\nclass Item:\n    @classmethod\n"
        "    def a(cls, context, /) -> Annotated[int, graphql.field(name='b')]: ...  # HERE",
        "Item.a",
        "graphql.field(...) stands inside a type hint",
    ),
    "private parameter": (
        "@dataclass\nclass Item:\n    @classmethod\n"
        "    def a(cls, context, /, x: graphql.Private[int] = 1) -> int: ...  # HERE",
        "Item.a(x:)",
        "a parameter cannot be private by its hint. Start its name with an underscore",
    ),
    "deprecated and required argument": (
        "@dataclass\nclass Item:\n    @classmethod\n"
        "    def a(cls, context, /, x: Annotated[int, graphql.field(deprecated='y')]) -> int: ...  # HERE",
        "Item.a(x:)",
        "it is deprecated, and clients have to give it all the same. Give it a default or allow None",
    ),
    "deprecated and required input field": (
        "@dataclass\nclass By:\n    x: Annotated[int, graphql.field(deprecated='y')]  # HERE\n"
        "@dataclass\nclass Item:\n    @classmethod\n    def a(cls, context, /, by: By) -> int: ...",
        "By.x",
        "it is deprecated, and clients have to give it all the same",
    ),
    "private input field without default": (
        "@dataclass\nclass By:\n    y: int\n    x: graphql.Private[int]  # HERE\n"
        "@dataclass\nclass Item:\n    @classmethod\n    def a(cls, context, /, by: By) -> int: ...",
        "By.x",
        "the field is private and has no default, so no client can fill it",
    ),
    "one_of with a required field": (
        "@graphql.input(one_of=True)\n@dataclass\nclass By:\n    x: int  # HERE\n"
        "@dataclass\nclass Item:\n    @classmethod\n    def a(cls, context, /, by: By) -> int: ...",
        "By.x",
        "a client gives one field of By (one_of) and not the others. Declare it as `x: ... | None = None`",
    ),
    "one_of with a default": (
        "@graphql.input(one_of=True)\n@dataclass\nclass By:\n    x: int | None = 3  # HERE\n"
        "@dataclass\nclass Item:\n    @classmethod\n    def a(cls, context, /, by: By) -> int: ...",
        "By.x",
        "a client gives one field of By (one_of) and not the others",
    ),
    "default of a one_of with nothing": (
        "@graphql.input(one_of=True)\n@dataclass\nclass By:\n    x: int | None = None\n"
        "@dataclass\nclass Item:\n    @classmethod\n    def a(cls, context, /, by: By = By()) -> int: ...  # HERE",
        "Item.a(by:)",
        "the default By(x=None) has 0 fields, and of a one_of there is exactly one. Give it one",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(fail: Fail, name: str) -> None:
    code, subject, text = ERRORS[name]
    error = fail(
        f"{code}\n@dataclass\nclass Query:\n    @classmethod\n    def f(cls, context, /) -> Item: ..."
    )
    assert f": {subject}: {text}" in str(error)
    assert error.file is not None
    lines = Path(error.file).read_text().split("\n")
    assert "# HERE" in lines[(error.line or 0) - 1]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "@graphql.enum\nclass Color:  # HERE\n    RED = 1",
            "Color: graphql.enum is for an Enum. Decorate an Enum with it",
        ),
        (
            "@graphql.type(name='C')\nclass Color(enum.Enum):  # HERE\n    RED = 1",
            "Color: graphql.type is for a dataclass.",
        ),
        (
            "@graphql.interface\nclass Color(enum.Enum):  # HERE\n    RED = 1",
            "Color: graphql.interface is for a dataclass.",
        ),
    ],
)
def test_a_decorator_of_another_kind(write: Write, code: str, text: str) -> None:
    path = write("app", code)
    with pytest.raises(SchemaError) as caught:
        load_schema("app")
    line = next(at for at, one in enumerate(path.read_text().split("\n"), 1) if "# HERE" in one)
    assert str(caught.value).startswith(f"{path}:{line}: {text}")


def test_what_field_and_type_cannot_decorate() -> None:
    with pytest.raises(TypeError, match=r"graphql.field\(...\) decorates a resolver, not a ConstantSql; sql"):
        puff_graphql.field(name="x")(puff_graphql.sql(int, "SELECT 1"))
    with pytest.raises(TypeError, match=r"graphql\.type is for a dataclass, not 5"):
        puff_graphql.type(5)  # type: ignore[call-overload]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs the type statement")
def test_type_statement_names_a_union(build: Build) -> None:
    definition = build(
        """
        type Found = Post | Author
        @dataclass
        class Post:
            id: int
        @dataclass
        class Author:
            id: int
        @dataclass
        class Query:
            @classmethod
            def found(cls, context, /) -> Found | None: ...
        """
    )
    assert "found: Found\n" in definition.sdl
    assert "union Found = Post | Author" in definition.sdl


def test_a_class_may_end_up_in_different_schemas(build: Build) -> None:
    definition = build(ALL)
    assert "foldCase" not in definition.sdl
    assert "fold_case" in definition.sdl


WORDS = st.text(alphabet="abc :()\n-", max_size=30)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x", "y", "zed"]), WORDS), max_size=4), WORDS, WORDS)
def test_docstrings_lose_nothing(entries: list[tuple[str, str]], before: str, after: str) -> None:
    section = "\n".join(f"    {name}: {' '.join(text.split())}" for name, text in entries)
    after = "\n".join(line.lstrip() for line in after.split("\n"))
    doc = f"{before}\n\nArgs:\n{section}\n\n{after}"
    rest, found = split(doc, ("Args",), {"x", "y", "zed"})
    if found:
        assert {name: " ".join(text.split()) for name, text in entries} == found
        assert "Args:" not in rest
        assert rest.split() == (before + " " + after).split()
    else:
        assert rest == doc


@settings(deadline=None)
@given(WORDS)
def test_any_docstring_can_be_split(doc: str) -> None:
    for known in (None, {"a"}):
        rest, found = split(doc, ("a", "b"), known)
        assert isinstance(rest, str)
        assert all(isinstance(text, str) for text in found.values())
