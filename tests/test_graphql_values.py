"""Values that clients give for scalars: taken with all their digits, or refused before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from stack import Serve, Server
from support import open_folder

SCHEMA = """
import datetime, decimal, uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from puff import graphql

RAN = []


def parse_code(text):
    if text == "?":
        raise KeyError("a secret of the server")
    if text == "!":
        raise graphql.GraphQLError("not this one")
    if not text.isupper():
        raise ValueError("codes are capital letters")
    return text.encode()


Code = Annotated[bytes, graphql.scalar("Code", parse=parse_code, serialize=bytes.decode)]


@dataclass
class All:
    big: graphql.BigInt | None = None
    moment: datetime.datetime | None = None
    day: datetime.date | None = None
    clock: datetime.time | None = None
    length: datetime.timedelta | None = None
    exact: decimal.Decimal | None = None
    key: uuid.UUID | None = None
    data: bytes | None = None
    code: Code | None = None
    codes: list[Code] | None = None
    inner: "All | None" = None


@dataclass
class Query:
    @classmethod
    def echo(cls, context, /, value: All | None = None, code: Code | None = None) -> str:
        RAN.append("echo")
        return repr(value)

    @classmethod
    def big(cls, context, /, value: graphql.BigInt) -> graphql.BigInt:
        return value

    @classmethod
    def exact(cls, context, /, value: decimal.Decimal) -> decimal.Decimal:
        return value

    @classmethod
    def free(cls, context, /, value: graphql.JSON) -> graphql.JSON:
        return value

    @classmethod
    def shown(cls, context, /, value: graphql.JSON) -> str:
        return repr(value)

    @classmethod
    def ran(cls, context, /) -> list[str]:
        ran = list(RAN)
        RAN.clear()
        return ran


@dataclass
class Mutation:
    @classmethod
    def note(cls, context, /, code: Code | None = None, key: uuid.UUID | None = None) -> int:
        RAN.append("note")
        return len(RAN)


@dataclass
class Subscription:
    @classmethod
    def codes(cls, context, /, code: Code) -> Iterator[str]:
        yield code.decode()


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "puff.toml").write_text("graphql = 'schema:Schema'\n")
        with serve(cwd=folder) as server:
            yield server


WRONG = {
    "big": ["1.5", "", "x", [], True, "9" * 5000],
    "moment": ["2024-02-30T00:00:00", "yesterday", 5, {}],
    "day": ["2024-13-01", "", 20240101],
    "clock": ["25:00", "", []],
    "length": ["P", "1 day", 3, "P99999999999999D"],
    "exact": ["NaN", "Infinity", "1,5", [1], False],
    "key": ["6fa459ea", 5, {"a": 1}, "g" * 32],
    "data": ["a", "é", 5],
    "code": ["abc", "?", "!", 5, ["A"]],
}


def refusals(server: Server, query: str, accept: str = "application/json", **variables: Any) -> list[Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Accept": accept}
    answer = server.request("POST", "/graphql", body, headers)
    assert answer.status == (200 if accept == "application/json" else 400), answer
    assert "data" not in answer.json()
    errors = answer.json()["errors"]
    assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}
    assert all("secret" not in error["message"] for error in errors)
    found: list[Any] = errors
    return found


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_refuse_the_request(server: Server, name: str) -> None:
    server.graphql("{ ran }")
    for value in WRONG[name]:
        given = {"inner": {name: value}}
        query = "query($value: All) { echo again: echo(value: $value) }"
        for accept in ("application/json", "application/graphql-response+json"):
            (error,) = refusals(server, query, accept, value=given)
            assert error["locations"] == [{"line": 1, "column": 7}]
            assert error["message"].startswith(f"variable `$value.inner.{name}`: "), error
        if isinstance(value, str):
            literal = f"{{ echo\n  again: echo(value: {{inner: {{{name}: {json.dumps(value)}}}}}) }}"
            (error,) = refusals(server, literal)
            assert error["locations"] == [{"line": 2, "column": 33 + len(name)}], error
    assert server.graphql("{ ran }")["data"]["ran"] == []


def test_a_mutation_does_nothing_if_a_later_field_of_it_is_wrong(server: Server) -> None:
    server.graphql("{ ran }")
    query = "mutation($code: Code, $key: UUID) { a: note b: note(code: $code) c: note(key: $key) }"
    first, second = refusals(server, query, code="abc", key="x")
    assert first["message"] == "variable `$code`: 'abc' is no Code: codes are capital letters"
    assert second["message"] == "variable `$key`: expected a UUID, got 'x'"
    (error,) = refusals(server, 'mutation { a: note b: note(code: "abc") }')
    assert error["locations"] == [{"line": 1, "column": 34}]
    assert server.graphql("{ ran }")["data"]["ran"] == []
    answer = server.graphql(query, code="ABC", key="6fa459ea-ee8a-3ca4-894e-db77e160355e")
    assert answer == {"data": {"a": 1, "b": 2, "c": 3}}


def test_each_element_has_its_place(server: Server) -> None:
    query = "query($codes: [Code!], $code: Code) { echo(value: {codes: $codes}, code: $code) }"
    errors = refusals(server, query, codes=["A", "b", "C", "d"], code="?")
    assert [error["message"].split(":")[0] for error in errors] == [
        "variable `$codes[1]`",
        "variable `$codes[3]`",
        "variable `$code`",
    ]
    assert errors[-1]["message"] == "variable `$code`: '?' is no Code"


@pytest.mark.parametrize(
    ("field", "number", "answer"),
    [
        ("big", "9007199254740993", '"9007199254740993"'),
        (
            "big",
            "123456789012345678901234567890123456789012345",
            '"123456789012345678901234567890123456789012345"',
        ),
        ("exact", "0.1", "0.1"),
        ("exact", "12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        ("exact", "1e-30", "0.000000000000000000000000000001"),
        ("exact", "1e999999999", "1E+999999999"),
        ("free", "[9007199254740993, 0.1234567890123456789]", "[9007199254740993,0.1234567890123456789]"),
        ("free", '{"a": 1e22, "b": 1.5, "a": 2}', '{"b":1.5,"a":2}'),
        ("shown", "[1.1, 1e3, 18446744073709551616]", '"[1.1, 1000.0, 18446744073709551616]"'),
        ("shown", "0.1234567890123456789", "\"Decimal('0.1234567890123456789')\""),
    ],
)
@pytest.mark.parametrize("how", ["variable", "literal", "get"])
def test_numbers_keep_their_digits(server: Server, field: str, number: str, answer: str, how: str) -> None:
    scalar = {"big": "BigInt", "exact": "Decimal"}.get(field, "JSON")
    query, variables = f"query($v: {scalar}!) {{ {field}(value: $v) }}", f'{{"v": {number}}}'
    if how == "literal":
        if "{" in number:
            pytest.skip("an object's fields have no quotation marks in a document")
        query, variables = f"{{ {field}(value: {number}) }}", "{}"
    if how == "get":
        got = server.get("/graphql?" + urlencode({"query": query, "variables": variables}))
    else:
        body = f'{{"query": {json.dumps(query)}, "variables": {variables}}}'.encode()
        got = server.request("POST", "/graphql", body, {"Content-Type": "application/json"})
    assert got.text == f'{{"data":{{"{field}":{answer}}}}}'


def test_a_subscription_is_refused_too(server: Server) -> None:
    body = json.dumps(
        {"query": "subscription($c: Code!) { codes(code: $c) }", "variables": {"c": "abc"}}
    ).encode()
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    text = server.request("POST", "/graphql", body, headers).text
    (event,) = [line for line in text.splitlines() if line.startswith("data: {")]
    (error,) = json.loads(event.removeprefix("data: "))["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"] == "variable `$c`: 'abc' is no Code: codes are capital letters"
