"""Everything an author can get wrong: each error names class, field and line, and says what to do."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puff.graphql import SchemaDefinition, SchemaError, build_schema

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]
Write = Callable[..., Path]


def query(body: str, before: str = "") -> str:
    """Return user code whose Query has ``body``; the line that is wrong carries ``# HERE``."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    return f"{before}\n@dataclass\nclass Query:\n{lines}\n"


OK = "@classmethod\ndef ok(cls, context, /) -> int: ..."
THING = "@classmethod\ndef thing(cls, context, /) -> Thing: ..."
CASES: dict[str, tuple[str, str, str]] = {
    # name: (code, what the error is about, its text)
    "unresolvable type": (
        query(
            "@classmethod\ndef posts(cls, context, /) -> list[Pots]: ...  # HERE",
            "@dataclass\nclass Post:\n    x: int",
        ),
        "Query.posts",
        "the name 'Pots' in the type hint 'list[Pots]' cannot be resolved. Did you mean 'Post'? If not, import the "
        "class at the top of the module or define it there; a class inside a function cannot be found",
    ),
    "unresolvable field type": (
        query(THING, "@dataclass\nclass Thing:\n    a: int\n    b: Qxz | None  # HERE"),
        "Thing.b",
        "the name 'Qxz' in the type hint 'Qxz | None' cannot be resolved. Import the class at the top of the module "
        "or define it there; a class inside a function cannot be found",
    ),
    "unresolvable nested text": (
        query("@classmethod\ndef f(cls, context, /) -> list['Qxz']: ...  # HERE"),
        "Query.f",
        "the name 'Qxz' cannot be resolved",
    ),
    "missing typing import": (
        query("@classmethod\ndef f(cls, context, /) -> Deque[int]: ...  # HERE", "del Deque"),
        "Query.f",
        "the name 'Deque' in the type hint 'Deque[int]' cannot be resolved. Add `from typing import Deque` to the "
        "module",
    ),
    "hint with a missing attribute": (
        query("@classmethod\ndef f(cls, context, /) -> uuid.Nope: ...  # HERE"),
        "Query.f",
        "the type hint 'uuid.Nope' cannot be evaluated (AttributeError: module 'uuid' has no attribute 'Nope')",
    ),
    "hint that is no expression": (
        query("@classmethod\ndef f(cls, context, /) -> 'list of int': ...  # HERE"),
        "Query.f",
        "the type hint 'list of int' cannot be evaluated (SyntaxError",
    ),
    "set": (
        query(THING, "@dataclass\nclass Thing:\n    tags: set[str]  # HERE"),
        "Thing.tags",
        "set[str] is not a type that GraphQL knows. Use int, float, str, bool, ID, BigInt, datetime, date, time, "
        "timedelta, Decimal, UUID, bytes, dict, Any, an Enum, a @dataclass, graphql.scalar(...), or a list or "
        "Optional of these",
    ),
    "plain class": (
        query("@classmethod\ndef f(cls, context, /) -> Plain: ...  # HERE", "class Plain:\n    x: int"),
        "Query.f",
        "Plain is not a type that GraphQL knows. Decorate it with @dataclass. Use int,",
    ),
    "builtin class": (
        query("@classmethod\ndef f(cls, context, /) -> object: ...  # HERE"),
        "Query.f",
        "object is not a type that GraphQL knows. Use int,",
    ),
    "lambda as a type": (
        query("@classmethod\ndef f(cls, context, /) -> '(lambda: 1)': ...  # HERE"),
        "Query.f",
        "is not a type that GraphQL knows. Use int,",
    ),
    "type variable": (
        query("@classmethod\ndef f(cls, context, /) -> T: ...  # HERE", "T = TypeVar('T')"),
        "Query.f",
        "the type variable ~T stands for no type here. Inherit from Generic[...] with it, and say what it is where the "
        "class is used: Page[Post]",
    ),
    "flag": (
        query(
            "@classmethod\ndef f(cls, context, /) -> Bits: ...  # HERE", "class Bits(enum.Flag):\n    A = 1"
        ),
        "Query.f",
        "Bits is not a type that GraphQL knows",
    ),
    "subclass without decorator": (
        query(
            "@classmethod\ndef f(cls, context, /) -> B: ...  # HERE",
            "@dataclass\nclass A:\n    x: int\nclass B(A):\n    y: int",
        ),
        "Query.f",
        "B inherits from a dataclass and is none itself. Decorate it with @dataclass too",
    ),
    "union": (
        query("@classmethod\ndef f(cls, context, /) -> int | str | None: ...  # HERE"),
        "Query.f",
        "the union int | str | None has no GraphQL type. A union is made of object types (a @dataclass each); choose one "
        "type, or a @dataclass for the cases",
    ),
    "bare list": (
        query("@classmethod\ndef f(cls, context, /) -> list: ...  # HERE"),
        "Query.f",
        "the type hint is a list without saying of what. Write list[...] with the element's type",
    ),
    "bare typing list": (
        query("@classmethod\ndef f(cls, context, /) -> List: ...  # HERE"),
        "Query.f",
        "the type hint is a list without saying of what",
    ),
    "none": (
        query("@classmethod\ndef f(cls, context, /) -> None: ...  # HERE"),
        "Query.f",
        "the type hint is None, and GraphQL has no type without a value. Return bool, for example",
    ),
    "lists of lists of rows": (
        query(
            "@classmethod\ndef f(cls, context, /) -> tuple[list[list[Query] | None], str, list]: ...  # HERE"
        ),
        "Query.f",
        "the rows of a statement cannot fill lists of lists. Return objects, or one list of a @dataclass that has "
        "the inner list, say as a jsonb column",
    ),
    "tuple in a field": (
        query(THING, "@dataclass\nclass Thing:\n    pair: Tuple[int, str]  # HERE"),
        "Thing.pair",
        "the tuple Tuple[int, str] has no GraphQL type here. A tuple of fixed length can only be all that a query or "
        "mutation resolver returns; use a @dataclass or a list",
    ),
    "optional tuple": (
        query("@classmethod\ndef f(cls, context, /) -> Optional[tuple[int, str, list]]: ...  # HERE"),
        "Query.f",
        "the tuple tuple[int, str, list] has no GraphQL type here",
    ),
    "iterable in a query": (
        query("@classmethod\ndef f(cls, context, /) -> Iterable[int]: ...  # HERE"),
        "Query.f",
        "Iterable[int] can only be what a subscription resolver returns. Write list[...] for a list",
    ),
    "no return annotation": (
        query("@classmethod\ndef f(cls, context, /):  # HERE\n    return 1"),
        "Query.f",
        "the resolver has no return annotation, which decides the field's type. Add one, for example `-> str`; if this "
        "is no resolver, start its name with an underscore",
    ),
    **{
        f"return form {hint}": (
            query(f"@classmethod\ndef f(cls, context, /) -> {hint}: ...  # HERE"),
            "Query.f",
            f"the return annotation {hint} is none of the forms of a resolver. Write T or list[T] for a plain value, "
            "tuple[T, list[X]] for objects, tuple[T, str, list[Any]] for SQL and parameters, or "
            "tuple[T, str, list[Any], list[str], list[str]] for SQL joined to the parents",
        )
        for hint in (
            "Tuple[int]",
            "Tuple[int, str]",
            "tuple[int, list, str]",
            "tuple[int, str, list, list]",
            "tuple[int, str, list, str, str]",
            "tuple[int, str, list, list, list, list]",
        )
    },
    "parameter without hint": (
        query("@classmethod\ndef f(cls, context, /, a: int, limit=5) -> int: ...  # HERE"),
        "Query.f(limit:)",
        "the parameter has no type hint. Add one, for example `limit: int`",
    ),
    "parameter of unsupported type": (
        query("@classmethod\ndef f(cls, context, /, tags: set) -> int: ...  # HERE"),
        "Query.f(tags:)",
        "set is not a type that GraphQL knows",
    ),
    "parameter of unknown type": (
        query("@classmethod\ndef f(cls, context, /, a: int, *, tags: list[Qxz]) -> int: ...  # HERE"),
        "Query.f(tags:)",
        "the name 'Qxz' in the type hint 'list[Qxz]' cannot be resolved",
    ),
    "star arguments": (
        query("@classmethod\ndef f(cls, context, /, *args: int) -> int: ...  # HERE"),
        "Query.f",
        "the parameter *args: 'int' cannot be a GraphQL argument. Name each argument; if a decorator hides the "
        "signature, let it use functools.wraps",
    ),
    "private parameter": (
        query("@classmethod\ndef f(cls, context, /, _x: int) -> int: ...  # HERE"),
        "Query.f",
        "the parameter '_x' is private and has no default, so nothing can fill it. Give it a default or a name without "
        "the leading underscore",
    ),
    "no context": (
        query("@classmethod\ndef f(cls, limit: int) -> int: ...  # HERE"),
        "Query.f",
        "the resolver does not take the context. Write (cls, context, /, **arguments) or (cls, parents, context, /, "
        "**arguments), arguments by name",
    ),
    "no parameters": (
        query("@staticmethod\ndef f() -> int: ...  # HERE"),
        "Query.f",
        "the resolver does not take the context",
    ),
    "parents without context": (
        query("@classmethod\ndef f(cls, parents, /) -> int: ...  # HERE"),
        "Query.f",
        "the positional parameters (parents, /) are not those of a resolver. Write (cls, context, /",
    ),
    "wrong order": (
        query("@classmethod\ndef f(cls, context, parents, /) -> int: ...  # HERE"),
        "Query.f",
        "the positional parameters (context, parents, /) are not those of a resolver",
    ),
    "too many positional": (
        query("@classmethod\ndef f(cls, parents, context, x, /) -> int: ...  # HERE"),
        "Query.f",
        "the positional parameters (parents, context, x, /) are not those of a resolver",
    ),
    "unreadable signature": (
        query("f = staticmethod(type)  # HERE"),
        "Query.f",
        "its signature cannot be read (no signature found",
    ),
    "async resolver": (
        query("@classmethod\nasync def f(cls, context, /) -> int: ...  # HERE"),
        "Query.f",
        "the resolver is an async function, and resolvers run in greenlets. Write a plain def; its waits do not block "
        "others",
    ),
    "context by keyword": (
        query("@classmethod\ndef f(cls, *, context) -> int: ...  # HERE"),
        "Query.f",
        "the resolver does not take the context",
    ),
    "instance method": (
        query(
            THING,
            "@dataclass\nclass Thing:\n    x: int\n    def double(self) -> int:  # HERE\n        return 2",
        ),
        "Thing.double",
        "it works on one object (self), and a resolver works on a whole layer. Put @classmethod on top of it (above "
        "other decorators), or start its name with an underscore if it is no resolver",
    ),
    "property": (
        query(
            THING,
            "@dataclass\nclass Thing:\n    x: int\n    @property\n    def double(self) -> int:  # HERE\n        return 2",
        ),
        "Thing.double",
        "it works on one object (self)",
    ),
    "lambda": (query(OK + "\nf = lambda context: 1  # HERE"), "Query.f", "it works on one object (self)"),
    "data field of a root": (
        query("version: str = '1'  # HERE"),
        "Query.version",
        "a data field needs a parent to be read from, and a root class has none. Turn it into a resolver: a "
        "@classmethod that returns the value, constant(...), or sql(...)",
    ),
    "declared twice": (
        query(
            THING,
            "@dataclass\nclass Thing:\n    name: str  # HERE\n    @classmethod\n    def name(cls, context, /) -> str: ...",
        ),
        "Thing.name",
        "'name' is declared twice, as a data field and as a resolver. Remove one of them or rename it",
    ),
    "camelCase collision": (
        query(THING, "@dataclass\nclass Thing:\n    pub_date: str\n    pubDate: str  # HERE"),
        "Thing.pubDate",
        "'pubDate' and 'pub_date' are both called 'pubDate' in GraphQL. Rename one of them",
    ),
    "camelCase collision of arguments": (
        query(
            "@classmethod\ndef f(cls, context, /, from_: int, _: int = 0, *, fro_m: int, from__: int) -> int: ...  # HERE"
        ),
        "Query.f(from__:)",
        "'from__' and 'from_' are both called 'from' in GraphQL",
    ),
    "duplicate class name": (
        query(
            THING + "\n@classmethod\ndef other(cls, context, /) -> Outer.Thing: ...",
            "@dataclass\nclass Thing:\n    x: int\nclass Outer:\n    @dataclass\n    class Thing:  # HERE\n        y: int",
        ),
        "Thing",
        "two types of the schema are called 'Thing'; the other is app.Thing (",
    ),
    "name of a scalar": (
        query(
            "@classmethod\ndef f(cls, context, /) -> Date: ...", "@dataclass\nclass Date:  # HERE\n    x: int"
        ),
        "Date",
        "'Date' is the name of a scalar. Rename the class",
    ),
    "invalid field name": (
        query(THING, "@dataclass\nclass Thing:\n    größe: int  # HERE"),
        "Thing.größe",
        "'größe' is not a valid GraphQL name. Use only the letters A-Z and a-z, digits and underscores, not two "
        "underscores at the start",
    ),
    "invalid class name": (
        query(
            "@classmethod\ndef f(cls, context, /) -> __Thing: ...".replace("__Thing", "'__Thing'"),
            "@dataclass\nclass __Thing:  # HERE\n    x: int",
        ),
        "__Thing",
        "'__Thing' is not a valid GraphQL name",
    ),
    "invalid argument name": (
        query("@classmethod\ndef f(cls, context, /, ñ: int) -> int: ...  # HERE"),
        "Query.f(ñ:)",
        "'ñ' is not a valid GraphQL name",
    ),
    "reserved enum value": (
        query(
            "@classmethod\ndef f(cls, context, /) -> Answer: ...",
            "class Answer(enum.Enum):\n    yes = 1\n    null = 2  # HERE",
        ),
        "Answer.null",
        "GraphQL reserves the enum value 'null'. Rename the member",
    ),
    "invalid enum value": (
        query(
            "@classmethod\ndef f(cls, context, /) -> Answer: ...",
            "class Answer(enum.Enum):\n    ñ = 1  # HERE",
        ),
        "Answer.ñ",
        "'ñ' is not a valid GraphQL name",
    ),
    "empty enum": (
        query(
            "@classmethod\ndef f(cls, context, /, x: Answer) -> int: ...",
            "class Answer(enum.Enum):  # HERE\n    pass",
        ),
        "Answer",
        "the enum has no members. Add one",
    ),
    "empty object": (
        query(THING, "@dataclass\nclass Thing:  # HERE\n    _x: int"),
        "Thing",
        "the class has no fields, and GraphQL has no objects without. Add a field or a resolver",
    ),
    "empty query": ("@dataclass\nclass Query:  # HERE\n    pass", "Query", "the class has no fields"),
    "empty input": (
        query(
            "@classmethod\ndef f(cls, context, /, x: Thing) -> int: ...  # HERE",
            "@dataclass\nclass Thing:\n    pass",
        ),
        "Query.f(x:)",
        "the input Thing has no fields. Add a field to it",
    ),
    "input without anything to give": (
        query(
            "@classmethod\ndef f(cls, context, /, x: Thing) -> int: ...  # HERE",
            "@dataclass\nclass Thing:\n    a: int = field(init=False)",
        ),
        "Query.f(x:)",
        "the input Thing has no fields. Add a field to it",
    ),
    "private input field": (
        query(
            "@classmethod\ndef f(cls, context, /, x: Thing) -> int: ...",
            "@dataclass\nclass Thing:\n    a: int\n    _b: int  # HERE",
        ),
        "Thing._b",
        "the field is private and has no default, so no client can fill it. Give it a default or make it public",
    ),
    "input that contains itself": (
        query(
            "@classmethod\ndef f(cls, context, /, x: A) -> int: ...",
            "@dataclass\nclass A:\n    b: B\n@dataclass\nclass B:\n    a: A  # HERE",
        ),
        "B.a",
        "the input A must contain itself, so it would never end. Make one field of the circle Optional or a list",
    ),
    "default None": (
        query("@classmethod\ndef f(cls, context, /, x: int = None) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default is None and the type hint does not allow it. Add `| None` to the type hint",
    ),
    "default of another type": (
        query("@classmethod\ndef f(cls, context, /, x: int = 'a') -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default 'a' does not fit the type hint, int. Change one of the two",
    ),
    "default True for int": (
        query("@classmethod\ndef f(cls, context, /, x: list[int] = [True]) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default True does not fit the type hint, int",
    ),
    "default datetime for date": (
        query(
            "@classmethod\ndef f(cls, context, /, x: datetime.date = datetime.datetime(2024, 1, 1)) -> int: ...  # HERE"
        ),
        "Query.f(x:)",
        "the default datetime.datetime(2024, 1, 1, 0, 0) does not fit the type hint, date",
    ),
    "default that is no list": (
        query("@classmethod\ndef f(cls, context, /, x: list[int] = 3) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default 3 does not fit the type hint, a list",
    ),
    "default of another class": (
        query(
            "@classmethod\ndef f(cls, context, /, x: A = 3) -> int: ...  # HERE",
            "@dataclass\nclass A:\n    x: int",
        ),
        "Query.f(x:)",
        "the default 3 does not fit the type hint, A",
    ),
    "default beyond 32 bits": (
        query("@classmethod\ndef f(cls, context, /, x: int = 2**31) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default 2147483648 does not fit GraphQL's Int, which has 32 bits. Use a smaller number",
    ),
    "default infinity": (
        query("@classmethod\ndef f(cls, context, /, x: float = float('inf')) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default inf cannot be written as a GraphQL value. Use None as the default (with `| None` in the type "
        "hint) and fill it in the resolver",
    ),
    "default JSON with odd keys": (
        query("@classmethod\ndef f(cls, context, /, x: dict = {'a b': 1}) -> int: ...  # HERE"),
        "Query.f(x:)",
        "the default {'a b': 1} cannot be written as a GraphQL value",
    ),
    "default factory": (
        query(
            "@classmethod\ndef f(cls, context, /, x: A) -> int: ...",
            "@dataclass\nclass A:\n    x: uuid.UUID = field(default_factory=uuid.uuid4)  # HERE",
        ),
        "A.x",
        "its default_factory may return something else each time, and a GraphQL default is a constant. Use list, dict, "
        "tuple or an input dataclass as the factory, or make the field Optional",
    ),
    "failing factory": (
        query(
            "@classmethod\ndef f(cls, context, /, x: A) -> int: ...",
            "@dataclass\nclass B:\n    y: int\n@dataclass\nclass A:\n    x: B = field(default_factory=B)  # HERE",
        ),
        "A.x",
        "its default_factory fails (TypeError: B.__init__() missing 1 required positional argument: 'y'). Repair the "
        "factory",
    ),
    "annotated sql": (
        query("total: int = graphql.sql(int, 'SELECT 1')  # HERE"),
        "Query.total",
        "sql(...) is the default value of a data field here. Remove the type hint: `total = sql(...)`",
    ),
    "sql with parents in a root": (
        query("total = graphql.sql(int, 'SELECT 1', parents='a', children='b')  # HERE"),
        "Query.total",
        "a root class has no parents to join with. Leave out parents= and children=",
    ),
    "sql of an unknown type": (
        query("total = graphql.sql('list[Nope]', 'SELECT 1')  # HERE"),
        "Query.total",
        "the name 'Nope' in the type hint 'list[Nope]' cannot be resolved",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_author_errors(fail: Fail, name: str) -> None:
    code, subject, text = CASES[name]
    error = fail(code, camel_case="camelCase" in name)
    assert error.file is not None
    source = Path(error.file).read_text(encoding="utf-8").split("\n")
    here = next(number for number, line in enumerate(source, 1) if "# HERE" in line)
    head = f"{error.file}:{error.line}: {subject}: "
    assert str(error).startswith(head)
    assert str(error)[len(head) :].startswith(text) or text in str(error)
    assert error.line == here
    assert str(error).endswith(".")
    assert "\n" not in str(error)


ROOT_CASES: dict[str, tuple[str, str, str]] = {
    "no query": (
        "@dataclass\nclass Schema:\n    mutation: Query",
        "Schema",
        "the schema has no query. Add `query: Query` with your query class",
    ),
    "unknown root": (
        "@dataclass\nclass Schema:\n    query: Query\n    mutations: Query",
        "Schema.mutations",
        "a schema has no 'mutations'. Its fields are query, mutation and subscription",
    ),
    "root that is no class": (
        "@dataclass\nclass Schema:\n    query: list[Query]",
        "Schema.query",
        "the query of a schema must be a class with resolvers. Name a @dataclass",
    ),
    "root that is unknown": (
        "@dataclass\nclass Schema:\n    query: Qxz",
        "Schema.query",
        "the name 'Qxz' cannot be resolved",
    ),
    "one class for two": (
        "@dataclass\nclass Schema:\n    query: Query\n    mutation: Query",
        "Schema.mutation",
        "Query is both the query and the mutation. Write one class for each of them",
    ),
    "no dataclass": (
        "class Schema:\n    query: Query",
        "Schema",
        "the schema is not a dataclass. Decorate it with",
    ),
    "list from a subscription": (
        query("@classmethod\ndef f(cls, context, /) -> list[int]: ...").replace("Query", "Subscription"),
        "Subscription.f",
        "a subscription resolver yields events and list[int] is not an iterable of them. Return Iterable[...], "
        "Iterator[...] or Generator[...] with the type of one event",
    ),
    "async generator": (
        query("@classmethod\ndef f(cls, context, /) -> AsyncIterator[int]: ...").replace(
            "Query", "Subscription"
        ),
        "Subscription.f",
        "a subscription runs in a greenlet and cannot return AsyncIterator[int]. Write a plain generator (def, yield) "
        "that returns Iterable[...]; its waits do not block others",
    ),
    "subscription to SQL": (
        query("f = graphql.sql(int, 'SELECT 1')").replace("Query", "Subscription"),
        "Subscription.f",
        "a subscription cannot be constant SQL. Write a generator that yields its events",
    ),
}


@pytest.mark.parametrize("name", ROOT_CASES)
def test_root_errors(fail: Fail, name: str) -> None:
    code, subject, text = ROOT_CASES[name]
    if "class Subscription" in code:
        code += "\n@dataclass\nclass Schema:\n    query: Query\n    subscription: Subscription"
    error = fail(f"@dataclass\nclass Query:\n    {OK.replace(chr(10), chr(10) + '    ')}\n{code}")
    assert f": {subject}: {text}" in str(error)
    assert error.line is not None


def test_error_is_data(fail: Fail) -> None:
    error = fail(query("@classmethod\ndef f(cls, context, /, x=1) -> int: ..."))
    assert (error.class_name, error.field, error.argument) == ("Query", "f", "x")
    assert error.problem == "the parameter has no type hint"
    assert error.fix == "Add one, for example `limit: int`"


def test_class_without_source_is_named_all_the_same() -> None:
    namespace: dict[str, Any] = {"__name__": "typed_in"}
    exec(
        "import dataclasses\n"
        "class Query:\n"
        "    @classmethod\n"
        "    def f(cls, context, /) -> int: ...\n"
        "    @classmethod\n"
        "    def g(cls, context, /): ...\n"
        "Query = dataclasses.dataclass(Query)\n",
        namespace,
    )
    schema = dataclasses.make_dataclass("Schema", [("query", namespace["Query"])])
    with pytest.raises(SchemaError) as caught:
        build_schema(schema)
    assert str(caught.value).startswith("Query.g: the resolver has no return annotation")
    assert (caught.value.file, caught.value.line) == (None, None)


def test_schema_must_be_a_class() -> None:
    with pytest.raises(SchemaError, match="the schema is 5 and not a class"):
        build_schema(5)  # type: ignore[arg-type]


def test_error_in_an_inherited_member_is_shown_where_it_stands(write: Write) -> None:
    base = write(
        "base", "@dataclass\nclass Base:\n    @classmethod\n    def f(cls, context, /): ...  # HERE\n"
    )
    write(
        "app",
        "import base\n@dataclass\nclass Query(base.Base):\n    pass\n@dataclass\nclass Schema:\n    query: Query\n",
    )
    with pytest.raises(SchemaError) as caught:
        build_schema(importlib.import_module("app").Schema)
    line = base.read_text().split("\n").index("    def f(cls, context, /): ...  # HERE") + 1
    assert str(caught.value).startswith(f"{base}:{line}: Base.f: ")
