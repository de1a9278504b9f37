"""Subscriptions with real clients: npm's graphql-ws and graphql-sse, PyPI's gql; and the example's chat."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gql
import gql.transport.exceptions
import pytest
from feed import APP, closed, subscriptions
from gql.transport.websockets import WebsocketsTransport
from node_clients import NodeClient, subscribing
from stack import ROOT, Project, Server, serving
from support import eventually

WAITING = "subscription($name: String!) { waiting(name: $name) }"


@pytest.fixture(scope="module")
def server(new_project: Project) -> Iterator[Server]:
    with serving("--graphql", "feed_app:Schema", cwd=new_project({"feed_app.py": APP})) as server:
        # It answers once it has started, which takes long on a busy machine.
        server.graphql("{ hello }")
        yield server


def _url(server: Server, kind: str) -> str:
    if kind == "ws":
        return f"ws://127.0.0.1:{server.port}/subscriptions"
    return f"{server.url}/graphql"


# ------------------------------------------------------------------ npm


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_clients_of_npm_subscribe(server: Server, kind: str) -> None:
    url = _url(server, kind)
    query = "subscription($to: Int!) { count(to: $to) }"
    with subscribing(kind, url, query, variables={"to": 3}) as found:
        events = [event for event in found if event[0] not in ("connected", "closed")]
    assert events == [*(("next", {"data": {"count": n}}) for n in (1, 2, 3)), ("complete", None)]
    with subscribing(kind, url, "{ hello }") as found:
        events = [event for event in found if event[0] not in ("connected", "closed")]
    assert events == [("next", {"data": {"hello": "hello world"}}), ("complete", None)]


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_clients_of_npm_unsubscribe(server: Server, kind: str) -> None:
    name = f"npm {kind}"
    with subscribing(kind, _url(server, kind), WAITING, variables={"name": name}, take=1) as found:
        kinds = [what for what, _ in found]
    assert kinds[-1] in ("complete", "closed")
    assert "next" in kinds
    assert "error" not in kinds
    assert eventually(lambda: closed(server).count(name) == 1)


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_clients_of_npm_that_are_killed_leave_nothing(server: Server, kind: str) -> None:
    name = f"killed {kind}"
    with subscribing(kind, _url(server, kind), WAITING, variables={"name": name}) as found:
        while found.next()[0] != "next":
            pass
    assert eventually(lambda: closed(server).count(name) == 1)
    assert eventually(lambda: subscriptions(server) == [])


def test_clients_of_npm_are_told_what_is_wrong(server: Server) -> None:
    with subscribing("ws", _url(server, "ws"), "subscription { nothing }") as found:
        errors = next(value for what, value in found if what == "error")
    assert errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    with subscribing("sse", _url(server, "sse"), "subscription { broken(after: 1) }") as found:
        events = list(found)
    assert events[0] == ("next", {"data": {"broken": 0}})
    assert events[1][1]["errors"][0]["message"] == "out of numbers"
    assert events[2] == ("complete", None)


def test_graphql_ws_is_refused_and_taken(server: Server) -> None:
    url, query = _url(server, "ws"), "subscription { who }"
    with subscribing("ws", url, query, connectionParams={"say": "why"}) as found:
        events = dict(found)
    assert events["closed"] == {"code": 4403, "reason": "you know why"}
    with subscribing("ws", url, query, connectionParams={"user": "ann", "say": "hi"}) as found:
        events = dict(found)
    assert events["connected"] == {"hi": "there"}
    assert events["next"]["data"]["who"]["params"]["user"] == "ann"


# ------------------------------------------------------------------ PyPI


def test_gql_of_pypi_subscribes(server: Server) -> None:
    async def talk() -> list[Any]:
        transport = WebsocketsTransport(
            url=_url(server, "ws"), init_payload={"user": "bob"}, subprotocols=["graphql-transport-ws"]
        )
        async with gql.Client(transport=transport) as session:
            found = [
                answer["count"]
                async for answer in session.subscribe(gql.gql("subscription { count(to: 3) }"))
            ]
            found.append((await session.execute(gql.gql("{ who }")))["who"]["state"])
            async for answer in session.subscribe(gql.gql('subscription { waiting(name: "gql") }')):
                found.append(answer["waiting"])
                break
            with pytest.raises(gql.transport.exceptions.TransportQueryError, match="out of numbers"):
                async for _ in session.subscribe(gql.gql("subscription { broken(after: 0) }")):
                    pass
        return found

    found = asyncio.run(asyncio.wait_for(talk(), 30))
    assert found == [1, 2, 3, {"user": "bob"}, 1]
    assert eventually(lambda: closed(server).count("gql") == 1)


# ------------------------------------------------------------------ the chat

READ = """subscription($me: String) {
    read_messages_from_channel(connection_id: $me) { message_text from_connection_id num_processed }
}"""
SEND = """mutation($me: String!, $text: String!) {
    send_message_to_channel(connection_id: $me, message: $text)
}"""


def test_two_people_chat(tmp_path: Path, stop_services: Callable[[Path], None]) -> None:
    example = ROOT / "examples" / "puff-and-graphql" / "my_python_gql_app.py"
    shutil.copyfile(example, tmp_path / example.name)
    try:
        with serving("--graphql", "my_python_gql_app.schema", cwd=tmp_path) as server:
            _chat(server)
    finally:
        stop_services(tmp_path)


def _wait_for_subscription(server: Server, found: NodeClient) -> None:
    """Until the client hears what is said: Redis has to confirm its subscription first."""
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.05):
            server.graphql(SEND, me="the test", text="anybody there?")

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        _next(found, of_test=True)
    finally:
        stop.set()
        talking.join()


def _next(found: NodeClient, of_test: bool = False) -> Any:
    """The next message of a person, or the first of the test."""
    for what, value in found:
        assert what in ("connected", "next"), (what, value)
        message = value["data"]["read_messages_from_channel"] if what == "next" else None
        if message and (message["from_connection_id"] == "the test") == of_test:
            return message
    raise AssertionError("the client ended")


def _chat(server: Server) -> None:
    url = _url(server, "ws")
    ann, ben = (str(server.graphql("{ new_connection_id }")["data"]["new_connection_id"]) for _ in range(2))
    with (
        subscribing("ws", url, READ, variables={"me": ann}) as of_ann,
        subscribing("ws", url, READ, variables={"me": ben}) as of_ben,
        subscribing("ws", url, READ) as of_all,
    ):
        clients = {"ann": of_ann, "ben": of_ben, "all": of_all}
        for found in clients.values():
            _wait_for_subscription(server, found)
        for sender, text in [(ann, "hello"), (ben, "hi"), (ann, "how are you?"), (ben, "\u2603")]:
            assert server.graphql(SEND, me=sender, text=text)["data"]["send_message_to_channel"] is True
        messages = {
            name: [_next(found) for _ in range(count)]
            for (name, found), count in zip(clients.items(), (2, 2, 4), strict=True)
        }
    texts = {name: [message["message_text"] for message in found] for name, found in messages.items()}
    assert texts == {
        "ann": ["hi", "\u2603"],
        "ben": ["hello", "how are you?"],
        "all": ["hello", "hi", "how are you?", "\u2603"],
    }
    numbers = [message["num_processed"] for message in messages["all"]]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert {message["from_connection_id"] for message in messages["ann"]} == {ben}
