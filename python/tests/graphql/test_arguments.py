"""Arguments and input objects: their SDL, their defaults, and what the user's function receives."""

from __future__ import annotations

import datetime
import decimal
import importlib
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import graphql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from puff.graphql import ArgumentError, Resolver, SchemaDefinition, build_schema
from puff.graphql._literals import quote

Build = Callable[..., SchemaDefinition]
CheckSdl = Callable[[str], graphql.GraphQLSchema]
Load = Callable[[str], ModuleType]

POINT = """
class Color(enum.Enum):
    RED = "r"

class Level(enum.IntEnum):
    LOW = 1

@dataclass
class Point:
    x: int
    y: int = 2
    note: str | None = "unset"
    tags: list[str] = field(default_factory=list)
"""


def echo(build: Build, parameters: str, extra: str = "", **options: Any) -> tuple[SchemaDefinition, Resolver]:
    """Build a schema whose only resolver hands back the arguments that it gets."""
    definition = build(
        extra
        + f"""
@dataclass
class Query:
    @classmethod
    def echo(cls, context, /, {parameters}) -> Any:
        return {{key: value for key, value in locals().items() if key not in ("cls", "context")}}
""",
        **options,
    )
    return definition, definition.resolvers[0]


def call(resolver: Resolver, **arguments: Any) -> Any:
    assert resolver.call is not None
    return resolver.call(None, None, arguments)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("x: int", "x: Int!"),
        ("x: int = 3", "x: Int! = 3"),
        ("x: int = -2147483648", "x: Int! = -2147483648"),
        ("x: float = 3", "x: Float! = 3"),
        ("x: float = 1e22", "x: Float! = 1e+22"),
        ("x: int = Level.LOW", "x: Int! = 1"),
        ("x: bool = True", "x: Boolean! = true"),
        ("x: str = 'a\"b\\n\\x01\\x7fé😀'", r'x: String! = "a\"b\n\u0001\u007fé😀"'),
        ("x: Optional[str] = None", "x: String = null"),
        ("x: Optional[str] = 'y'", 'x: String = "y"'),
        ("x: Optional[str]", "x: String"),
        ("x: ID = ID('7')", 'x: ID! = "7"'),
        ("x: list[int] = [1, 2]", "x: [Int!]! = [1, 2]"),
        ("x: tuple[int, ...] = (1, 2)", "x: [Int!]! = [1, 2]"),
        ("x: list[list[int]]", "x: [[Int!]!]!"),
        ("x: Color = Color.RED", "x: Color! = RED"),
        ("x: Any = None", "x: JSON = null"),
        (
            "x: dict = {'a': [1, {'b': 'c'}], 'd': None, 'e': True}",
            'x: JSON! = {a: [1, {b: "c"}], d: null, e: true}',
        ),
        ("x: datetime.date = datetime.date(2024, 2, 29)", 'x: Date! = "2024-02-29"'),
        ("x: datetime.time = datetime.time(12, 30)", 'x: Time! = "12:30:00"'),
        ("x: datetime.datetime = datetime.datetime(2024, 2, 29)", 'x: DateTime! = "2024-02-29T00:00:00"'),
        ("x: decimal.Decimal = decimal.Decimal('1.10')", 'x: Decimal! = "1.10"'),
        ("x: uuid.UUID = uuid.UUID(int=1)", 'x: UUID! = "00000000-0000-0000-0000-000000000001"'),
        ("x: bytes = b'\\x00\\xff'", 'x: Bytes! = "AP8="'),
        ("x: Point = Point(1)", 'x: Point! = {x: 1, y: 2, note: "unset", tags: []}'),
        ("x: list[Point] | None = None", "x: [Point!] = null"),
        ("x: int, y: str = 'a', z: bool = False", 'x: Int!, y: String! = "a", z: Boolean! = false'),
    ],
)
def test_sdl(build: Build, parameter: str, expected: str) -> None:
    definition, _ = echo(build, parameter, POINT)
    assert f"  echo({expected}): JSON\n" in definition.sdl


INPUT_CLASSES = """
class Color(enum.Enum):
    RED = "r"
    GREEN = "g"

@dataclass
class Point:
    x_pos: int
    note: str | None
    color: Color = Color.GREEN
    _secret: int = 0
    computed: int = field(default=5, init=False)

@dataclass
class Filter:
    '''What to look for.'''
    points: list[Point]
    when: datetime.date | None = None
    also: Filter | None = None
    tags: list[str] = field(default_factory=list)
"""


def test_input_objects(build: Build) -> None:
    definition, resolver = echo(build, "filter: Filter", INPUT_CLASSES)
    assert (
        '"""\nWhat to look for.\n"""\ninput Filter {\n  points: [Point!]!\n  when: Date = null\n'
        "  also: Filter = null\n  tags: [String!]! = []\n}\n\n"
        "input Point {\n  x_pos: Int!\n  note: String\n  color: Color! = GREEN\n}" in definition.sdl
    )
    got = call(
        resolver,
        filter={
            "points": [{"x_pos": 1, "color": "RED"}, {"x_pos": 2, "note": "n", "color": "GREEN"}],
            "when": "2024-02-29",
            "also": {"points": [], "when": None, "also": None, "tags": ["t"]},
            "tags": [],
        },
    )["filter"]
    module = importlib.import_module("app")
    red, green = module.Color.RED, module.Color.GREEN
    assert got == module.Filter(
        [module.Point(1, None, red), module.Point(2, "n", green)],
        datetime.date(2024, 2, 29),
        module.Filter([], None, None, ["t"]),
        [],
    )


def test_input_objects_in_camel_case(build: Build) -> None:
    definition, resolver = echo(build, "my_point: Point, from_: int = 1", INPUT_CLASSES, camel_case=True)
    assert "echo(myPoint: Point!, from: Int! = 1): JSON" in definition.sdl
    assert "  xPos: Int!" in definition.sdl
    got = call(resolver, myPoint={"xPos": 3, "note": None, "color": "RED"}, **{"from": 4})
    assert (got["my_point"].x_pos, got["from_"]) == (3, 4)
    assert definition.attributes == ()  # of objects only


def test_class_used_both_ways_is_called_input_as_an_argument(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Post:
            title: str
            parent: Post | None = None
            @classmethod
            def size(cls, context, /) -> int: ...
        @dataclass
        class Query:
            @classmethod
            def posts(cls, context, /, like: Post) -> list[Post]: ...
        """
    )
    assert "posts(like: PostInput!): [Post!]!" in definition.sdl
    assert "type Post {\n  title: String!\n  parent: Post\n  size: Int!\n}" in definition.sdl
    assert "input PostInput {\n  title: String!\n  parent: PostInput = null\n}" in definition.sdl


@pytest.mark.parametrize(
    ("hint", "given_value", "expected"),
    [
        ("int", 1, 1),
        ("list[int]", [1], [1]),
        ("tuple[int, ...]", [1], (1,)),
        ("tuple[uuid.UUID, ...]", [str(uuid.UUID(int=1))], (uuid.UUID(int=1),)),
        (
            "datetime.datetime",
            "2024-02-29T12:30:00Z",
            datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
        ),
        ("datetime.datetime", "2024-02-29", datetime.datetime(2024, 2, 29)),
        ("datetime.time", "12:30z", datetime.time(12, 30, tzinfo=datetime.timezone.utc)),
        ("datetime.date | None", None, None),
        ("decimal.Decimal", 0.1, decimal.Decimal("0.1")),
        ("decimal.Decimal", "1.10", decimal.Decimal("1.10")),
        ("bytes", "AP8=", b"\x00\xff"),
        ("list[bytes | None]", ["AA==", None], [b"\x00", None]),
        ("ID", "7", "7"),
        ("Any", {"a": [1]}, {"a": [1]}),
    ],
)
def test_values(build: Build, hint: str, given_value: Any, expected: Any) -> None:
    _, resolver = echo(build, f"x: {hint}")
    got = call(resolver, x=given_value)["x"]
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("hint", "given_value", "message"),
    [
        ("datetime.date", "tomorrow", "x: expected an ISO 8601 date, got 'tomorrow'"),
        ("datetime.date", 5, "x: expected an ISO 8601 date, got 5"),
        ("datetime.datetime", "", "x: expected an ISO 8601 date and time, got ''"),
        ("decimal.Decimal", "NaN", "x: expected a decimal number, got 'NaN'"),
        ("decimal.Decimal", "one", "x: expected a decimal number, got 'one'"),
        ("decimal.Decimal", True, "x: expected a decimal number, got True"),
        ("list[uuid.UUID]", [str(uuid.UUID(int=1)), "no"], "x.1: expected a UUID, got 'no'"),
        ("bytes", "€" * 100, f"x: expected base64 text, got '{'€' * 56}..."),
        (
            "Filter",
            {"points": [{"x_pos": 1, "color": "BLUE"}]},
            "x.points.0.color: expected a value of Color, got 'BLUE'",
        ),
    ],
)
def test_bad_values(build: Build, hint: str, given_value: Any, message: str) -> None:
    _, resolver = echo(build, f"x: {hint}", INPUT_CLASSES)
    with pytest.raises(ArgumentError) as caught:
        call(resolver, x=given_value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("decorator", "signature", "takes_parents"),
    [
        ("classmethod", "cls, context, /", False),
        ("classmethod", "cls, context, /, x: int = 1", False),
        ("classmethod", "cls, parents, context, /", True),
        ("classmethod", "cls, parents, context, /, x: int = 1", True),
        ("classmethod", "cls, _parents, _context, /, *, x: int = 1", True),
        ("classmethod", "cls, p, c, /, x: Optional[int]", True),
        ("classmethod", "cls, info, /", False),
        ("classmethod", "cls, context", False),
        ("classmethod", "cls, parents, context, x: int = 1", True),
        ("classmethod", "cls, context, /, x: int = 1, _cache: Any = None", False),
        ("staticmethod", "context, /", False),
        ("staticmethod", "parents, context, /, x: uuid.UUID = uuid.UUID(int=1)", True),
    ],
)
def test_shapes(build: Build, decorator: str, signature: str, takes_parents: bool) -> None:
    definition = build(
        f"""
        @dataclass
        class Query:
            @{decorator}
            def shape({signature}) -> Any:
                return locals()
        """
    )
    (resolver,) = definition.resolvers
    assert resolver.takes_parents is takes_parents
    assert resolver.call is not None
    got = list(resolver.call("PARENTS", "CONTEXT", {}).values())
    assert ("PARENTS" in got) is takes_parents
    assert "CONTEXT" in got


def test_left_out_nullable_arguments_arrive_as_none(build: Build) -> None:
    _, resolver = echo(build, "a: int, b: Optional[str], c: list[int] | None")
    assert call(resolver, a=1) == {"a": 1, "b": None, "c": None}
    assert call(resolver, a=1, b="x", c=[1]) == {"a": 1, "b": "x", "c": [1]}


def test_plain_arguments_are_passed_as_they_come(build: Build) -> None:
    _, resolver = echo(build, "a: int, b: str = 'x', c: list[int] = []")
    values = [1]
    assert call(resolver, a=1, b="y", c=values)["c"] is values


def test_exceptions_of_the_function_pass_through(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Even:
            n: int
            def __post_init__(self):
                if self.n % 2:
                    raise ValueError("odd")
        @dataclass
        class Query:
            @classmethod
            def half(cls, context, /, even: Even) -> int:
                return even.n // 2
        """
    )
    (resolver,) = definition.resolvers
    assert call(resolver, even={"n": 4}) == 2
    with pytest.raises(ValueError, match=r"^odd$"):
        call(resolver, even={"n": 3})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.from_regex(r"[_A-Za-z][_0-9A-Za-z]*", fullmatch=True), inner)
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@example(default={"a": ['\x7f\x00"\\', -0.0, 1e-7]})
@given(default=json_values)
def test_any_json_default_survives(
    schema_with_default: Callable[[Any], str], check_sdl: CheckSdl, default: Any
) -> None:
    schema = check_sdl(schema_with_default(default))
    assert schema.query_type is not None
    argument = schema.query_type.fields["f"].args["x"].ast_node
    assert argument is not None
    assert argument.default_value is not None
    read = graphql.value_from_ast_untyped(argument.default_value)
    assert read == default


@pytest.fixture
def schema_with_default(load: Load) -> Callable[[Any], str]:
    module = load(
        """
        @dataclass
        class Query:
            @classmethod
            def f(cls, context, /, x: Any = None) -> int: ...
        @dataclass
        class Schema:
            query: Query
        """
    )

    def sdl(default: Any) -> str:
        module.Query.f.__func__.__defaults__ = (default,)
        return build_schema(module.Schema).sdl

    return sdl


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('\ud800\udfff\x00\x7f"\\'))))
def test_any_string_can_be_quoted(text: str) -> None:
    node = graphql.parse_value(quote(text))
    assert isinstance(node, graphql.StringValueNode)
    assert node.value == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
