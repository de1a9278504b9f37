"""Subscriptions as event streams over HTTP: graphql-sse's protocol, one connection for each operation."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from feed import APP, closed, subscriptions
from http2 import http2
from stack import Line, Project, Serve, Server, serving
from support import eventually

WAITING = 'subscription { waiting(name: "%s") }'


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"feed_app.py": APP})


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    options = ("--graphql-keep-alive", "100ms", "--max-requests", "4", "--websockets-max", "10")
    with serving("--graphql", "feed_app:Schema", *options, cwd=folder) as server:
        # It answers once it has started, which takes long on a busy machine.
        server.graphql("{ hello }")
        yield server


class Stream:
    """An answer that is read event by event."""

    def __init__(self, line: Line, query: str, *headers: str, accept: str = "text/event-stream") -> None:
        body = json.dumps({"query": query}).encode()
        head = ("POST /graphql HTTP/1.1", "Content-Type: application/json", f"Accept: {accept}")
        line.send(*head, f"Content-Length: {len(body)}", *headers, body=body)
        self.line = line
        self.answer = line.answer("POST")
        self.comments = 0

    def next(self) -> tuple[str, Any]:
        """The next event; the kind is empty at the end of the stream."""
        kind, data = "", []
        while True:
            text = self.answer.readline().decode()
            if not text:
                return "", None
            text = text.rstrip("\n")
            if text.startswith(":"):
                self.comments += 1
            elif text.startswith("event: "):
                kind = text[7:]
            elif text.startswith("data:"):
                data.append(text[5:].strip())
            elif not text and kind:
                joined = "\n".join(data)
                return kind, json.loads(joined) if joined else None

    def all(self) -> list[tuple[str, Any]]:
        found = []
        while (event := self.next())[0]:
            found.append(event)
        return found


def events(server: Server, query: str, **options: Any) -> list[tuple[str, Any]]:
    with Line(server) as line:
        return Stream(line, query, **options).all()


def test_events_come_in_order_and_then_the_end(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, "subscription { count(to: 20) }")
        assert stream.answer.status == 200
        assert stream.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.answer.headers["Cache-Control"] == "no-cache"
        expected = [*(("next", {"data": {"count": n}}) for n in range(1, 21)), ("complete", None)]
        assert stream.all() == expected
        # The connection is good for more.
        line.send("GET /graphql?query=%7Bhello%7D HTTP/1.1")
        assert json.loads(line.answer().read()) == {"data": {"hello": "hello world"}}


def test_queries_and_mutations_have_one_answer(server: Server) -> None:
    end = ("complete", None)
    assert events(server, "{ hello }") == [("next", {"data": {"hello": "hello world"}}), end]
    mutation = 'mutation { publish(channel: "nobody", text: "x") }'
    assert events(server, mutation) == [("next", {"data": {"publish": 0}}), end]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: 1) b: count(to: 1) }", "GRAPHQL_VALIDATION_FAILED"),
        ("", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_what_is_wrong_is_an_event(server: Server, query: str, code: str) -> None:
    (kind, answer), end = events(server, query)
    assert kind == "next"
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] in (code, "GRAPHQL_PARSE_FAILED")
    assert end == ("complete", None)


def test_a_generator_that_raises_ends_with_its_error(server: Server) -> None:
    first, second, end = events(server, "subscription { broken(after: 1) }")
    assert first == ("next", {"data": {"broken": 0}})
    assert second[1]["errors"][0]["message"] == "out of numbers"
    assert end == ("complete", None)


def test_clients_that_take_anything_get_events_of_subscriptions_only(server: Server) -> None:
    accept = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
    with Line(server) as line:
        stream = Stream(line, "subscription { count(to: 1) }", accept=accept)
        assert stream.all() == [("next", {"data": {"count": 1}}), ("complete", None)]
        stream = Stream(line, "{ hello }", accept=accept)
        assert stream.answer.headers["Content-Type"].startswith("application/graphql-response+json")
        assert json.loads(stream.answer.read()) == {"data": {"hello": "hello world"}}
        # Who takes no events is told where they are.
        stream = Stream(line, "subscription { count(to: 1) }", accept="*/*")
        (error,) = json.loads(stream.answer.read())["errors"]
        assert error["extensions"]["code"] == "OPERATION_NOT_ALLOWED"
        assert "text/event-stream" in error["message"]


def test_a_browsers_event_source_asks_by_get(server: Server) -> None:
    query = urlencode({"query": "subscription { count(to: 1) }"})
    answer = server.get(f"/graphql?{query}", Accept="text/event-stream")
    assert b'event: next\ndata: {"data":{"count":1}}\n\n' in answer.body
    assert answer.body.endswith(b"event: complete\ndata:\n\n")
    query = urlencode({"query": 'mutation { publish(channel: "a", text: "b") }'})
    answer = server.get(f"/graphql?{query}", Accept="text/event-stream")
    assert b"OPERATION_NOT_ALLOWED" in answer.body


def test_a_stream_is_kept_alive(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, WAITING % "kept alive")
        assert stream.next()[0] == "next"
        told = [stream.answer.readline() for _ in range(6)]
        assert [text[:1] for text in told[::2]] == [b":"] * 3
        assert told[1::2] == [b"\n"] * 3
    # Between events they do no harm.
    assert [kind for kind, _ in events(server, "subscription { count(to: 2, delay: 0.5) }")] == [
        *["next"] * 2,
        "complete",
    ]


def test_a_client_that_goes_closes_its_generator(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, WAITING % "goes")
        assert stream.next()[0] == "next"
    assert eventually(lambda: closed(server).count("goes") == 1)
    assert eventually(lambda: subscriptions(server) == [])


def test_streams_take_no_turns_but_places(server: Server) -> None:
    lines = [Line(server) for _ in range(11)]
    try:
        for number, line in enumerate(lines[:10]):
            # More than the requests that may be worked on at a time.
            assert Stream(line, WAITING % f"place {number}").next()[0] == "next"
        assert server.graphql("{ hello }")["data"] == {"hello": "hello world"}
        refused = Stream(lines[10], WAITING % "eleven").answer
        assert refused.status == 503
        assert refused.headers["Retry-After"] == "1"
    finally:
        for line in lines:
            line.__exit__()
    assert eventually(lambda: subscriptions(server) == [])
    assert events(server, "{ hello }")[-1] == ("complete", None)


def test_pages_of_other_origins_get_none(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, WAITING % "evil", "Origin: https://evil.example")
        assert stream.answer.status == 403


def test_a_slow_client_makes_its_generator_wait(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, 'subscription { flood(name: "stream", size: 10000) }')
        assert stream.next()[0] == "next"
        for _ in range(10):
            assert server.graphql("{ hello }")["data"] == {"hello": "hello world"}
            time.sleep(0.02)
    assert eventually(lambda: any(end.startswith("stream ") for end in closed(server)))
    (end,) = (end for end in closed(server) if end.startswith("stream "))
    assert int(end.split()[1]) < 3000


def test_http2_has_streams_as_well(server: Server) -> None:
    with http2(server) as connection:
        query = urlencode({"query": "subscription { count(to: 2) }"})
        status, body = connection.answer(
            connection.send(("accept", "text/event-stream"), path=f"/graphql?{query}")
        )
        assert status == 200
        assert body.count(b"event: next") == 2
        assert body.endswith(b"event: complete\ndata:\n\n")


def test_the_servers_end_ends_streams(serve: Serve, folder: Path) -> None:
    with serve("--graphql", "feed_app:Schema", cwd=folder) as server, Line(server) as line:
        stream = Stream(line, WAITING % "end")
        assert stream.next()[0] == "next"
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        # Without the word for the end: the client may ask again elsewhere.
        assert stream.all() == []
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 9, "ten seconds, if it were waited for"
