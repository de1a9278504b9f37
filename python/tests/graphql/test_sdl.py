"""The text of the schema: order, descriptions, scalars, enums, roots, constant SQL."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import graphql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puff.graphql import EmptyObject, SchemaDefinition, build_schema, sql

Build = Callable[..., SchemaDefinition]
CheckSdl = Callable[[str], graphql.GraphQLSchema]
Load = Callable[[str], ModuleType]


def test_everything_in_declared_order(build: Build) -> None:
    definition = build(
        '''
        class Color(enum.Enum):
            """What one sees.

            Two lines.
            """
            RED = 1
            GREEN = 2
            VERMILION = 1  # an alias, no value of its own
        @dataclass
        class Post:
            """A text."""
            id: ID
            _draft: bool
            color: Color
            LIMIT: ClassVar[int] = 3
            other = "no field"
            made: datetime.datetime
            key: uuid.UUID
            def _helper(self): ...
            @classmethod
            def zebra(cls, context, /) -> int: ...
            @classmethod
            def author(cls, context, /) -> tuple[Author, str, list, list[str], list[str]]:
                """Who wrote it."""
            @classmethod
            def _private(cls): ...
        @dataclass
        class Author:
            name: str
        @dataclass
        class Query:
            @classmethod
            def posts(cls, context, /) -> list[Post]: ...
        @dataclass
        class Schema:
            """All about posts."""
            query: Query
        '''
    )
    assert (
        definition.sdl
        == '''\
"""
All about posts.
"""
schema {
  query: Query
}

type Query {
  posts: [Post!]!
}

"""
A text.
"""
type Post {
  id: ID!
  color: Color!
  made: DateTime!
  key: UUID!
  zebra: Int!
  """
  Who wrote it.
  """
  author: Author!
}

type Author {
  name: String!
}

"""
What one sees.

Two lines.
"""
enum Color {
  RED
  GREEN
}

"""
A date with a time in ISO 8601 format, such as 2024-02-29T12:30:00+00:00.
"""
scalar DateTime

"""
A universally unique identifier.
"""
scalar UUID @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc9562")
'''
    )


@pytest.fixture
def documented(load: Load) -> Any:
    return load(
        """
        @dataclass
        class Query:
            @classmethod
            def f(cls, context, /) -> int: ...
        @dataclass
        class Schema:
            query: Query
        """
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('"\\\n\t \r'))))
def test_any_docstring_is_a_valid_description(documented: Any, check_sdl: CheckSdl, text: str) -> None:
    documented.Query.f.__func__.__doc__ = documented.Query.__doc__ = f"begin {text} end"
    schema = check_sdl(build_schema(documented.Schema).sdl)
    words = f"begin {text} end".encode("utf-16", "surrogatepass").decode("utf-16", "replace").split()
    assert schema.query_type is not None
    for description in (schema.query_type.description, schema.query_type.fields["f"].description):
        assert description is not None
        # Block strings drop the blanks at line ends; the words must be all there.
        assert "".join(description.split()) == "".join(words)


@pytest.mark.parametrize(
    ("query", "mutation", "expected"),
    [
        ("Query", "Mutation", ""),
        ("RootQuery", "Mutation", "schema {\n  query: RootQuery\n  mutation: Mutation\n}"),
        ("Query", "EmptyMutation", ""),
        ("Query", "graphql.EmptyObject", ""),
        ("Query", "Optional[Mutation]", ""),
    ],
)
def test_roots(build: Build, query: str, mutation: str, expected: str) -> None:
    definition = build(
        f"""
        @dataclass
        class Query:
            @classmethod
            def f(cls, context, /) -> int: ...
        @dataclass
        class RootQuery(Query):
            pass
        @dataclass
        class Mutation:
            @classmethod
            def g(cls, context, /) -> int: ...
        @dataclass
        class EmptyMutation:
            pass
        @dataclass
        class Schema:
            query: {query}
            mutation: {mutation}
            subscription: EmptyMutation
        """
    )
    assert definition.sdl.startswith(expected or "type Query {\n  f: Int!\n}")
    assert ("schema {" in definition.sdl) == bool(expected)
    assert ("g: Int!" in definition.sdl) == ("Empty" not in mutation)
    assert "Empty" not in definition.sdl


def test_an_object_called_mutation_is_not_taken_for_the_root(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Mutation:
            gene: str
        @dataclass
        class Query:
            @classmethod
            def mutations(cls, context, /) -> list[Mutation]: ...
        """
    )
    assert definition.sdl.startswith("schema {\n  query: Query\n}\n")
    assert graphql.build_schema(definition.sdl).mutation_type is None


def test_query_may_be_the_type_of_a_field(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Payload:
            query: Query
        @dataclass
        class Query:
            @classmethod
            def payload(cls, context, /) -> Payload: ...
        """
    )
    assert "  query: Query!\n" in definition.sdl


def test_constant_sql(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Post:
            title_text: str
        @dataclass
        class Author:
            id: int
            posts = graphql.sql(
                "list[Post]", "SELECT author_id, title_text FROM post WHERE author_id = ANY($1)",
                parents="id", children="author_id",
            )
            twins = graphql.sql(list["Author"], "SELECT ...", parents=["a", "b"], children=("c", "d"))
        @dataclass
        class Query:
            total = graphql.sql(int, "SELECT count(*) FROM post")
            authors = graphql.sql(list[Author], "SELECT id FROM author")
        """,
        camel_case=True,
    )
    assert "type Query {\n  total: Int!\n  authors: [Author!]!\n}" in definition.sdl
    assert "  posts: [Post!]!\n  twins: [Author!]!\n" in definition.sdl
    table = [
        (r.type_name, r.field_name, r.returns, r.parent_keys, r.child_keys) for r in definition.resolvers
    ]
    assert table == [
        ("Query", "total", "rows", (), ()),
        ("Query", "authors", "rows", (), ()),
        ("Author", "posts", "joined", ("id",), ("author_id",)),
        ("Author", "twins", "joined", ("a", "b"), ("c", "d")),
    ]
    assert definition.resolvers[0].sql == "SELECT count(*) FROM post"
    assert {(r.kind, r.call, r.function, r.takes_parents, r.subscription) for r in definition.resolvers} == {
        ("sql", None, None, False, False)
    }
    assert definition.attributes == (("Post", "titleText", "title_text"),)


def test_constant_sql_checks_its_parameters() -> None:
    with pytest.raises(ValueError, match="the statement is empty"):
        sql(int, " ")
    with pytest.raises(ValueError, match=r"parents names 2 column\(s\) and children 1"):
        sql(int, "SELECT 1", parents=["a", "b"], children="c")


def test_empty_object_is_made_like_any_dataclass() -> None:
    assert EmptyObject() == EmptyObject()
