"""GraphQL over HTTP to the letter: the specification's own audits, what is refused, limits, documents."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gql
import gql.transport.exceptions
import node_clients
import pytest
from http2 import http2
from stack import Answer, Run, Serve, Server
from support import eventually, open_folder

APP = """
from dataclasses import dataclass
from typing import Any

import puff
from puff import graphql


@dataclass
class Item:
    id: int
    name: str

    @classmethod
    def items(cls, context, /, first: int | None = None) -> list["Item"]:
        return [Item(1, "one")]


@dataclass
class Query:
    @classmethod
    def items(cls, context, /, first: int | None = None) -> list[Item]:
        return [Item(n, f"item {n}") for n in range(3)]

    @classmethod
    def hello(cls, context, /, name: str = "world") -> str:
        return f"hello {name}"

    @classmethod
    def count(cls, context, /, numbers: list[int]) -> int:
        return len(numbers)

    @classmethod
    def slow(cls, context, /) -> tuple[list[Item], str, list[Any]]:
        return ..., "SELECT 1 AS id, 'slept' AS name FROM pg_sleep(30)", []

    @classmethod
    def rows(cls, context, /, count: int) -> tuple[list[Item], str, list[Any]]:
        return ..., "SELECT n AS id, repeat('x', 100) AS name FROM generate_series(1, $1) n", [count]


@dataclass
class Mutation:
    @classmethod
    def change(cls, context, /) -> int:
        return 1


@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""

JSON = {"Content-Type": "application/json"}
NEWER = {"Accept": "application/graphql-response+json"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "items.py").write_text(APP)
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "items:Schema", cwd=folder) as server:
        yield server


def post(server: Server, query: Any, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = json.dumps({"query": query, **more}).encode()
    return server.request("POST", "/graphql", body, {**JSON, **(headers or {})})


def get(server: Server, headers: dict[str, str], **parameters: str) -> Answer:
    query = urllib.parse.urlencode(parameters)
    return server.request("GET", f"/graphql?{query}", None, headers)


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The first error of an answer that has this status and code, and no data."""
    assert answer.status == status, answer.text
    content = answer.json()
    assert "data" not in content
    (error, *_) = content["errors"]
    assert error["extensions"]["code"] == code, error
    return dict(error)


# ---------------------------------------------------------------------------- the specification


def test_all_audits_of_the_specification(server: Server) -> None:
    command = [str(node_clients.node()), "audit.mjs", f"{server.url}/graphql"]
    run = subprocess.run(
        command, cwd=node_clients.TARGET, capture_output=True, text=True, timeout=120, check=True
    )
    audits = [json.loads(line) for line in run.stdout.splitlines()]
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == 61


@pytest.fixture
def own_event_loop() -> Iterator[None]:
    """For gql, which takes the event loop that is there, or makes one and leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("own_event_loop")
@pytest.mark.parametrize("transport", ["aiohttp.AIOHTTPTransport", "requests.RequestsHTTPTransport"])
def test_the_client_gql(server: Server, transport: str) -> None:
    module, name = transport.split(".")
    transports = importlib.import_module(f"gql.transport.{module}")
    client = gql.Client(
        transport=getattr(transports, name)(url=f"{server.url}/graphql"), fetch_schema_from_transport=True
    )
    query = gql.gql("query($n: [Int!]!) { count(numbers: $n) items { id } }")
    query.variable_values = {"n": [1, 2]}
    answer = client.execute(query)
    assert answer == {"count": 2, "items": [{"id": 0}, {"id": 1}, {"id": 2}]}
    query.variable_values = {"n": ["x"]}
    with pytest.raises(gql.transport.exceptions.TransportQueryError) as raised:
        client.execute(query)
    assert raised.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


# ---------------------------------------------------------------------------- what clients get wrong


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "code"),
    [
        ("POST", JSON, b"", 400, "BAD_REQUEST"),
        ("POST", JSON, b"{", 400, "BAD_REQUEST"),
        ("POST", JSON, b"\xff\xfe{}", 400, "BAD_REQUEST"),
        ("POST", JSON, b"null", 400, "BAD_REQUEST"),
        ("POST", JSON, b"[]", 400, "BAD_REQUEST"),
        ("POST", JSON, b'[{"query": "{ hello }"}]', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"query": {}}', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"query": "{ hello }", "variables": "{}"}', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"query": "{ hello }", "operationName": {}}', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"query": "{ hello }", "extensions": 1}', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"documentId": 7}', 400, "BAD_REQUEST"),
        ("POST", JSON, b'{"a":' * 50_000, 400, "BAD_REQUEST"),
        ("POST", JSON, b" " * (1 << 20) + b"x", 413, "BAD_REQUEST"),
        ("POST", {}, b'{"query": "{ hello }"}', 415, "BAD_REQUEST"),
        ("POST", {"Content-Type": "text/plain"}, b'{"query": "{ hello }"}', 415, "BAD_REQUEST"),
        ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"query={hello}", 415, "BAD_REQUEST"),
        ("POST", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415, "BAD_REQUEST"),
        ("POST", {"Content-Type": "application/json; charset=utf-16"}, b"{}", 415, "BAD_REQUEST"),
        ("POST", {**JSON, "Accept": "text/html"}, b'{"query": "{ hello }"}', 406, "BAD_REQUEST"),
        ("POST", {**JSON, "Accept": "application/json;q=0"}, b'{"query": "{ hello }"}', 406, "BAD_REQUEST"),
        ("PUT", JSON, b'{"query": "{ hello }"}', 405, "BAD_REQUEST"),
        ("DELETE", {}, b"", 405, "BAD_REQUEST"),
        ("OPTIONS", {}, b"", 405, "BAD_REQUEST"),
    ],
)
def test_a_wrong_request(
    server: Server, method: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    for more in ({}, NEWER) if "Accept" not in headers else ({},):
        answer = server.request(method, "/graphql", body, {**headers, **more})
        error = refused(answer, status, code)
        assert len(error["message"]) > 10
        assert answer.headers["content-type"].startswith(more.get("Accept", "application/json"))
        assert status != 405 or answer.headers["allow"] == "GET, POST"
    assert post(server, "{ hello }").json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": "{"}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": "[]"}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "extensions": "7"}, 400, "BAD_REQUEST"),
        ({"query": "mutation { change }"}, 405, "OPERATION_NOT_ALLOWED"),
        (
            {"query": "query A { hello } mutation B { change }", "operationName": "B"},
            405,
            "OPERATION_NOT_ALLOWED",
        ),
        ({"documentId": "nope"}, 400, "PERSISTED_QUERY_NOT_SUPPORTED"),
    ],
)
def test_a_wrong_get(server: Server, parameters: dict[str, str], status: int, code: str) -> None:
    answer = get(server, NEWER, **parameters)
    refused(answer, status, code)
    assert status != 405 or answer.headers["allow"] == "POST"


def test_a_get(server: Server) -> None:
    parameters = {"query": "query($n: String!) { hello(name: $n) }", "variables": '{"n": "get"}'}
    assert get(server, {}, **parameters).json() == {"data": {"hello": "hello get"}}
    twice = server.request("GET", "/graphql?query={hello}&query={hello}", None, {})
    assert "twice" in refused(twice, 400, "BAD_REQUEST")["message"]


def test_a_get_of_another_site(server: Server) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    refused(get(server, foreign, query="{ hello }"), 403, "CROSS_SITE_REQUEST")
    refused(get(server, {"Origin": "https://evil.example"}, query="{ hello }"), 403, "CROSS_SITE_REQUEST")
    for fine in (
        {"Sec-Fetch-Site": "same-origin"},
        {**foreign, "GraphQL-Require-Preflight": "1"},
        {**foreign, "Apollo-Require-Preflight": "true"},
    ):
        assert get(server, fine, query="{ hello }").status == 200


# ---------------------------------------------------------------------------- limits

DEEP = "{" + "items{" * 40 + "id" + "}" * 40 + "}"
ALIASES = "{" + " ".join(f"a{n}: hello" for n in range(10_000)) + "}"
FEW_TOO_MANY = "{" + " ".join(f"a{n}: hello" for n in range(201)) + "}"
CYCLE = "{ items { ...a } } fragment a on Item { items { ...b } } fragment b on Item { items { ...a } }"
WIDE = "{ items { items { items { items { items { items { id name } } } } } } }"
DIRECTIVES = "{ hello " + "@include(if: true) " * 300 + "}"
BOMB = "{ items { ...f0 } } " + " ".join(
    f"fragment f{n} on Item {{ a{n}: items {{ ...f{n + 1} }} b{n}: items {{ ...f{n + 1} }} }}"
    for n in range(20)
)
BOMB += " fragment f20 on Item { id }"
INTROSPECTION = (
    "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"
)


@pytest.mark.parametrize(
    ("query", "code", "place"),
    [
        (DEEP, "LIMIT_EXCEEDED", True),
        ("{" + "items{" * 20_000, "LIMIT_EXCEEDED", True),
        (ALIASES, "LIMIT_EXCEEDED", True),
        (FEW_TOO_MANY, "LIMIT_EXCEEDED", True),
        (CYCLE, "GRAPHQL_VALIDATION_FAILED", True),
        (WIDE, "LIMIT_EXCEEDED", True),
        ("{ items(first: 100000) { id name items { id } } }", "LIMIT_EXCEEDED", True),
        (DIRECTIVES, "LIMIT_EXCEEDED", True),
        (BOMB, "LIMIT_EXCEEDED", True),
        (INTROSPECTION, "LIMIT_EXCEEDED", True),
        ("{ count(numbers: [" + "1," * 30_000 + "]) }", "LIMIT_EXCEEDED", True),
        ("{" + "hello " * 7_000 + "}", None, False),
        ("#" * 300_000, "LIMIT_EXCEEDED", False),
    ],
    ids=lambda value: f"{value[:24]}~{len(value)}" if isinstance(value, str) else "",
)
def test_a_hostile_document(server: Server, query: str, code: str | None, place: bool) -> None:
    post(server, "{ hello }")  # the first request of a server takes longer
    start = time.monotonic()
    answer = post(server, query, NEWER)
    print(f"{len(query)} bytes: {(time.monotonic() - start) * 1000:.1f} ms")
    if code is None:
        assert answer.status == 200
        return
    error = refused(answer, 400, code)
    assert bool(error.get("locations")) == place, error


def test_the_estimate_follows_variables(server: Server) -> None:
    query = "query($n: Int) { items(first: $n) { id name items { id } } }"
    assert "errors" not in post(server, query, variables={"n": 100}).json()
    assert "errors" not in post(server, query).json()
    error = refused(post(server, query, variables={"n": 100_000}), 200, "LIMIT_EXCEEDED")
    assert "the answer may have 1300001 fields by estimate; 250000 are allowed" in error["message"]


def test_limits_are_settings(folder: Path, serve: Serve) -> None:
    settings = {
        "max_depth": "2",
        "max_aliases": "1",
        "max_directives": "1",
        "max_root_fields": "2",
        "max_tokens": "100",
        "max_complexity": "50",
        "max_rows": "10",
        "max_response": "2KiB",
        "max_body": "1KiB",
        "timeout": "4s",
        "introspection": "false",
    }
    env = {f"PUFF_GRAPHQL_{name.upper()}": value for name, value in settings.items()}
    with serve("--graphql", "items:Schema", cwd=folder, env=env) as server:
        for query, message in (
            ("{ items { items { items { id } } } }", "nested deeper than 2 fields"),
            ("{ a: hello b: hello }", "more than 1 aliases"),
            ("{ hello @skip(if: true) @include(if: true) }", "more than 1 directives"),
            ("{ hello items { id } __typename }", "3 root fields; 2 are allowed"),
            ('{ hello(name: "' + '") hello(name: "' * 40 + '") }', "token"),
            ("{ items { id name items { id } } }", "allowed: ask for fewer items"),
            ("{ __schema { queryType { name } } }", "introspection is switched off"),
        ):
            answer = post(server, query, NEWER)
            assert answer.status == 400, answer.text
            assert message in answer.json()["errors"][0]["message"]
        answer = post(server, "{ rows(count: 11) { id } }").json()
        assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert answer["errors"][0]["path"] == ["rows"]
        assert refused(post(server, "x" * 2000), 413, "BAD_REQUEST")
        assert "data" in post(server, "{ rows(count: 10) { id name } }").json()
        start = time.monotonic()
        refused(post(server, "{ slow { id } }", NEWER), 504, "TIMED_OUT")
        assert time.monotonic() - start < 25
        assert post(server, "{ hello }").json() == {"data": {"hello": "hello world"}}


# ---------------------------------------------------------------------------- batches and documents


def test_a_request_that_takes_too_long_for_the_server(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "items:Schema", "--request-timeout", "2s", cwd=folder) as server:
        slow = post(server, "{ slow { id } }")
        assert (slow.status, slow.body) == (504, b"the request took too long\n")
        hello = {"data": {"hello": "hello world"}}
        assert eventually(lambda: post(server, "{ hello }").json() == hello)


def test_the_same_answers_over_http2(server: Server) -> None:
    """There requests pass the router, which those of HTTP/1 do not."""
    for method, path, headers, body in (
        ("POST", "/graphql", JSON, b'{"query": "{ hello }"}'),
        ("POST", "/graphql", JSON | NEWER, b'{"query": "{ nothing }"}'),
        ("POST", "/graphql", JSON, b"{"),
        ("POST", "/graphql", {"Content-Type": "text/plain"}, b"x"),
        ("GET", "/graphql?query={hello}", {}, b""),
        ("PUT", "/graphql", JSON, b"{}"),
        ("POST", "/graphql/", JSON, b"{}"),
    ):
        ours = server.request(method, path, body, headers)
        with http2(server) as connection:
            lowered = [(name.lower(), value) for name, value in headers.items()]
            reply = connection.reply(connection.send(*lowered, method=method, path=path, body=body))
        assert (reply.status, reply.body) == (ours.status, ours.body), (method, path)
        assert reply["content-type"] == ours.headers.get("content-type")


def test_batches_by_setting(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "items:Schema", "--graphql-max-batch", "3", cwd=folder) as server:

        def batch(*requests: Any) -> Answer:
            return server.request("POST", "/graphql", json.dumps(requests).encode(), JSON)

        answer = batch({"query": "{ hello }"}, {"query": "{ nope }"}, {"query": "mutation { change }"})
        first, second, third = answer.json()
        assert (answer.status, first, third) == (
            200,
            {"data": {"hello": "hello world"}},
            {"data": {"change": 1}},
        )
        assert second["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert batch({"query": "{ hello }"}).json() == [{"data": {"hello": "hello world"}}]
        assert post(server, "{ hello }").json() == {"data": {"hello": "hello world"}}
        assert "4 requests; 3" in refused(batch(*[{"query": "{ hello }"}] * 4), 400, "BAD_REQUEST")["message"]
        refused(batch(), 400, "BAD_REQUEST")
        refused(batch({"query": "{ hello }"}, 1), 400, "BAD_REQUEST")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_documents_by_id(folder: Path, serve: Serve, kind: str) -> None:
    text = "query($n: String!) { hello(name: $n) }"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if kind == "file":
        place = folder / "documents.json"
        place.write_text(json.dumps({"hello-1": text}))
    else:
        place = folder / "documents"
        place.mkdir()
        (place / "hello-1.graphql").write_text(text)
    with serve("--graphql", "items:Schema", "--graphql-documents", str(place), cwd=folder) as server:
        persisted = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
        for named in ({"documentId": "hello-1"}, {"documentId": f"sha256:{digest}"}, persisted):
            body = json.dumps({**named, "variables": {"n": "id"}}).encode()
            answer = server.request("POST", "/graphql", body, JSON)
            assert answer.json() == {"data": {"hello": "hello id"}}
        answer = get(server, {}, documentId="hello-1", variables='{"n": "id"}')
        assert answer.json() == {"data": {"hello": "hello id"}}
        unknown = server.request("POST", "/graphql", b'{"documentId": "other"}', JSON)
        error = refused(unknown, 200, "PERSISTED_QUERY_NOT_FOUND")
        assert error["message"].startswith("PersistedQueryNotFound")
        assert post(server, "{ hello }").json() == {"data": {"hello": "hello world"}}
    only = ("--graphql-documents", str(place), "--graphql-documents-only", "true")
    with serve("--graphql", "items:Schema", *only, cwd=folder) as server:
        refused(post(server, "{ hello }", NEWER), 403, "DOCUMENT_NOT_TRUSTED")
        assert post(server, text, variables={"n": "text"}).json() == {"data": {"hello": "hello text"}}
        assert get(server, {}, documentId="hello-1", variables='{"n": "id"}').status == 200


# ---------------------------------------------------------------------------- automatic persisted queries


def persisted(text: str, version: int = 1) -> dict[str, Any]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"persistedQuery": {"version": version, "sha256Hash": digest}}


def test_automatic_persisted_queries(folder: Path, serve: Serve) -> None:
    text = "query($n: String!) { hello(name: $n) }"
    by_hash: dict[str, Any] = {"extensions": persisted(text), "variables": {"n": "hash"}}

    def ask(server: Server, request: dict[str, Any], headers: dict[str, str] = JSON) -> Answer:
        return server.request("POST", "/graphql", json.dumps(request).encode(), headers)

    with serve("--graphql", "items:Schema", cwd=folder) as server:
        error = refused(ask(server, by_hash), 200, "PERSISTED_QUERY_NOT_SUPPORTED")
        assert error["message"] == "PersistedQueryNotSupported"
    with serve("--graphql", "items:Schema", "--graphql-persisted-queries", "2", cwd=folder) as server:
        unknown = ask(server, by_hash)
        assert refused(unknown, 200, "PERSISTED_QUERY_NOT_FOUND")["message"] == "PersistedQueryNotFound"
        assert unknown.headers["cache-control"] == "private, no-cache, must-revalidate"
        refused(ask(server, by_hash, {**JSON, **NEWER}), 400, "PERSISTED_QUERY_NOT_FOUND")
        # A hash of something else, and a version that does not exist.
        wrong = ask(server, {**by_hash, "query": "{ hello }"})
        assert "sha256Hash" in refused(wrong, 400, "BAD_REQUEST")["message"]
        refused(ask(server, {**by_hash, "extensions": persisted(text, version=2)}), 400, "BAD_REQUEST")
        refused(ask(server, by_hash), 200, "PERSISTED_QUERY_NOT_FOUND")
        assert ask(server, {**by_hash, "query": text}).json() == {"data": {"hello": "hello hash"}}
        for _ in range(2):
            assert ask(server, by_hash).json() == {"data": {"hello": "hello hash"}}
        extensions = json.dumps(persisted(text))
        answer = get(server, {}, extensions=extensions, variables='{"n": "get"}')
        assert answer.json() == {"data": {"hello": "hello get"}}
        # What is not valid is kept as well, and as wrong as ever; a mutation is none for a GET.
        for document, code in (("{ nope }", "GRAPHQL_VALIDATION_FAILED"), ("{", "GRAPHQL_PARSE_FAILED")):
            for request in ({"query": document}, {}):
                answer = ask(server, {**request, "extensions": persisted(document)})
                refused(answer, 200, code)
        mutation = "mutation { change }"
        assert get(server, {}, query=mutation, extensions=json.dumps(persisted(mutation))).status == 405
        # Two are kept: the first has gone, and comes back as it came.
        refused(ask(server, by_hash), 200, "PERSISTED_QUERY_NOT_FOUND")
        assert ask(server, {**by_hash, "query": text}).status == 200
        assert ask(server, by_hash).json() == {"data": {"hello": "hello hash"}}


def test_persisted_queries_beside_documents(folder: Path, serve: Serve) -> None:
    known, other = "{ hello }", '{ hello(name: "other") }'
    place = folder / "trusted.json"
    place.write_text(json.dumps({"hello": known}))
    both = ("--graphql-documents", str(place), "--graphql-persisted-queries", "10")
    with serve("--graphql", "items:Schema", *both, cwd=folder) as server:

        def ask(**request: Any) -> Answer:
            return server.request("POST", "/graphql", json.dumps(request).encode(), JSON)

        assert ask(extensions=persisted(known)).json() == {"data": {"hello": "hello world"}}
        assert ask(documentId="hello").json() == {"data": {"hello": "hello world"}}
        refused(ask(extensions=persisted(other)), 200, "PERSISTED_QUERY_NOT_FOUND")
        refused(ask(documentId="no"), 200, "PERSISTED_QUERY_NOT_FOUND")
        assert ask(query=other, extensions=persisted(other)).json() == {"data": {"hello": "hello other"}}
        assert ask(extensions=persisted(other)).json() == {"data": {"hello": "hello other"}}


def test_a_hash_beside_documents_does_not_refuse_its_own_text(folder: Path, serve: Serve) -> None:
    (folder / "documents.json").write_text(json.dumps({"known": "{ hello }"}))
    text = "query($n: String!) { hello(name: $n) }"
    with serve("--graphql", "items:Schema", "--graphql-documents", "documents.json", cwd=folder) as server:

        def ask(**request: Any) -> Answer:
            body = {"extensions": persisted(text), "variables": {"n": "hash"}, **request}
            return server.request("POST", "/graphql", json.dumps(body).encode(), JSON)

        # Clients send the text when they are told that the hash is not known.
        refused(ask(), 200, "PERSISTED_QUERY_NOT_FOUND")
        assert ask(query=text).json() == {"data": {"hello": "hello hash"}}


def test_persisted_queries_and_documents_only_exclude_each_other(folder: Path, puff: Run) -> None:
    place = folder / "only.json"
    place.write_text("{}")
    options = ("--graphql-documents", str(place), "--graphql-documents-only", "true")
    done = puff(
        "runserver", "--graphql", "items:Schema", *options, "--graphql-persisted-queries", "1", cwd=folder
    )
    assert done.returncode == 2
    assert "graphql_persisted_queries" in done.stderr


def test_apollo_client_of_javascript_persists(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "items:Schema", "--graphql-persisted-queries", "10", cwd=folder) as server:
        node = node_clients.node()
        for method in ("GET", "POST"):
            command = [
                str(node),
                "persisted.mjs",
                f"{server.url}/graphql",
                f"query {method} {{ hello }}",
                method,
            ]
            run = subprocess.run(
                command, cwd=node_clients.TARGET, capture_output=True, text=True, timeout=60, check=True
            )
            answers, requests = map(json.loads, run.stdout.splitlines())
            assert [answer["hello"] for answer in answers] == ["hello world"] * 2
            # The hash alone; for a document that is new, the text with it; from then on the hash again.
            assert [request["text"] for request in requests] == [False, True, False]
