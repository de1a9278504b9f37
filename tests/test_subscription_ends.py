"""What clients of subscriptions are told of errors, and what of its client a subscription knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feed import CURRENT, Client, client
from stack import Serve, Server
from support import eventually, open_folder
from websockets.sync.client import connect

APP = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from puff import graphql


def write(value):
    if value == 2:
        raise ValueError("a secret of the server")
    if value == 3:
        raise graphql.GraphQLError("three is not for you", code="THREE")
    return value * 10


Tens = Annotated[int, graphql.scalar("Tens", serialize=write)]


@dataclass
class Row:
    n: int

    @classmethod
    def label(cls, parents, context, /) -> list[str]:
        return [f"row {row.n}" for row in parents]


@dataclass
class Query:
    @classmethod
    def tens(cls, context, /) -> list[Tens | None]:
        return [1, 2, 3]

    @classmethod
    def rows(cls, context, /) -> list[Row]:
        return [Row(1)]


@dataclass
class Subscription:
    @classmethod
    def refused(cls, context, /, early: bool) -> Iterator[int]:
        if early:
            raise graphql.Forbidden("not here", extensions={"who": 7})
        return _refused()

    @classmethod
    def failing(cls, context, /) -> Iterator[int]:
        yield 1
        raise ValueError("a secret of the server")

    @classmethod
    def tens(cls, context, /) -> Iterator[Tens | None]:
        yield from (1, 2, 3, 4)

    @classmethod
    def values(cls, context, /) -> Iterator[int | None]:
        yield ValueError("a secret of the server")
        yield graphql.GraphQLError("none today", code="NONE")
        yield object()
        yield 4

    @classmethod
    def rows(cls, context, /) -> Iterator[list[Row]]:
        yield [Row(1), Row(2)]
        yield [Row(3)]

    @classmethod
    def peer(cls, context, /) -> Iterator[str]:
        yield repr(context.peer)


def _refused():
    yield 1
    raise graphql.GraphQLError("that was all", code="ALL")


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "ends.py").write_text(APP)
        yield folder


@pytest.fixture(scope="module", params=["shown", "masked"])
def server(request: pytest.FixtureRequest, folder: Path, serve: Serve) -> Iterator[Server]:
    mask = "true" if request.param == "masked" else "false"
    with serve("--graphql", "ends:Schema", "--graphql-mask-errors", mask, cwd=folder) as server:
        server.masks = request.param == "masked"  # type: ignore[attr-defined]
        yield server


@pytest.fixture
def hidden(server: Server) -> str:
    """What clients read of an exception that nobody meant for them."""
    return "the resolver failed" if server.masks else "a secret of the server"  # type: ignore[attr-defined]


def streamed(server: Server, query: str, **headers: str) -> list[Any]:
    """The payloads of an event stream."""
    body = json.dumps({"query": query}).encode()
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", **headers}
    text = server.request("POST", "/graphql", body, headers).text
    return [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")
    ]


def both(server: Server, query: str) -> list[Any]:
    """The payloads of a subscription, which both transports agree on; the last one is that of its `error`."""
    with client(server) as found:
        answers = found.all(query)
    events = streamed(server, query)
    last = answers[-1]
    expected = answers[:-1] if last == "complete" else [*answers[:-1], {"errors": last}]
    assert events == expected
    return answers


def test_an_error_for_the_client_ends_the_subscription(server: Server) -> None:
    first, (error,) = both(server, "subscription { it: refused(early: false) }")
    assert first == {"data": {"it": 1}}
    assert error == {
        "message": "that was all",
        "locations": [{"line": 1, "column": 16}],
        "path": ["it"],
        "extensions": {"code": "ALL"},
    }
    ((error,),) = both(server, "subscription { refused(early: true) }")
    assert (error["message"], error["extensions"]) == ("not here", {"code": "FORBIDDEN", "who": 7})
    # It is for the client, and no news for the log.
    log = server.log.read_text()
    assert "that was all" not in log
    assert "not here" not in log


def test_other_exceptions_are_masked_and_logged(server: Server, hidden: str) -> None:
    first, (error,) = both(server, "subscription { failing }")
    assert first == {"data": {"failing": 1}}
    assert (error["message"], error["extensions"]["code"]) == (hidden, "RESOLVER_ERROR")
    assert eventually(lambda: "subscription Subscription.failing failed" in server.log.read_text())


def test_what_serialize_raises_is_masked_as_well(server: Server, hidden: str) -> None:
    for answer in (server.graphql("{ tens }"),):
        assert answer["data"] == {"tens": [10, None, None]}
        assert [error["message"] for error in answer["errors"]] == [hidden, "three is not for you"]
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["RESOLVER_ERROR", "THREE"]
    one, two, three, four, end = both(server, "subscription { tens }")
    assert (one, four, end) == ({"data": {"tens": 10}}, {"data": {"tens": 40}}, "complete")
    assert (two["data"], two["errors"][0]["message"]) == ({"tens": None}, hidden)
    assert (three["data"], three["errors"][0]["extensions"]) == ({"tens": None}, {"code": "THREE"})
    assert eventually(lambda: "an event of Subscription.tens has 1 exceptions" in server.log.read_text())


def test_exceptions_in_the_place_of_events(server: Server, hidden: str) -> None:
    one, two, three, four, _ = both(server, "subscription { values }")
    assert one["errors"][0]["message"] == hidden
    assert two["errors"][0]["extensions"] == {"code": "NONE"}
    assert ("has no JSON form" in three["errors"][0]["message"]) == (hidden != "the resolver failed")
    assert four == {"data": {"values": 4}}
    assert eventually(lambda: "an event of Subscription.values has" in server.log.read_text())
    log = server.log.read_text()
    assert "ValueError: a secret of the server" in log
    assert "none today" not in log


def test_the_peer(server: Server) -> None:
    with client(server) as found:
        address, port = found.socket.local_address[:2]
        assert found.all("subscription { peer }")[0] == {"data": {"peer": repr((address, port))}}
    ((answer),) = streamed(server, "subscription { peer }")
    assert answer["data"]["peer"].startswith("('127.0.0.1', ")


QUERY = "subscription { rows { n label } }"


def paths(answer: Any) -> list[list[str]]:
    return [layer["path"] for layer in answer["extensions"]["puff"]["layers"]]


def test_traces_of_events(server: Server) -> None:
    def ask(found: Client, query: str, **extensions: Any) -> Any:
        found.send({"id": "1", "type": "subscribe", "payload": {"query": query, "extensions": extensions}})
        answers = []
        while (message := found.receive())["type"] != "complete":
            answers.append(message["payload"])
        return answers

    with client(server) as found:
        first, second = ask(found, QUERY, puff={"trace": True})
        below = [
            [(layer["path"], layer["field"], layer["parents"]) for layer in event["children"]]
            for answer in (first, second)
            for event in answer["extensions"]["puff"]["layers"]
        ]
        assert below == [[(["rows", "label"], "label", 2)], [(["rows", "label"], "label", 1)]]
        assert first["extensions"]["puff"]["execute_us"] > 0
        # Each operation asks for itself; an answer of a query has one as over HTTP.
        assert all("extensions" not in answer for answer in ask(found, QUERY))
        (answer,) = ask(found, "{ rows { label } }", puff={"trace": True})
        assert paths(answer) == [["rows"]]
    url = f"ws://127.0.0.1:{server.port}/subscriptions"
    headers = {"Puff-Trace": "1"}
    with connect(url, subprotocols=[CURRENT], proxy=None, additional_headers=headers) as socket:  # type: ignore[list-item]
        found = Client(socket)
        found.init()
        assert all(paths(answer) for answer in ask(found, QUERY))
    assert all(paths(answer) for answer in streamed(server, QUERY, **{"Puff-Trace": "1"}))
    assert all("extensions" not in answer for answer in streamed(server, QUERY))


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_strangers_get_no_traces(server: Server, header: str) -> None:
    headers = {"Puff-Trace": "1", header: "for=192.0.2.1"}
    assert all("extensions" not in answer for answer in streamed(server, QUERY, **headers))


def test_nobody_gets_traces_where_they_are_off(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "ends:Schema", "--graphql-trace", "off", cwd=folder) as server:
        assert all("extensions" not in answer for answer in streamed(server, QUERY, **{"Puff-Trace": "1"}))
