"""What is counted of GraphQL: subscriptions and their sockets by schema, the connections of borrowers."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import free_port, serving
from support import eventually
from test_metrics import Watched
from websockets.sync.client import ClientConnection, connect

SCHEMA = """
import os
from collections.abc import Iterator
from dataclasses import dataclass

import puff
from puff import graphql


@dataclass
class Query:
    @classmethod
    @graphql.borrow_db_context
    def borrowed(cls, context, /, until: str = "") -> str:
        with context.connection.cursor() as cursor:
            cursor.execute("SELECT 'done'")
            while until and not os.path.exists(until):
                puff.sleep(0.02)
            return cursor.fetchone()[0]

    @classmethod
    def watch(cls, context, /) -> int:
        context.state["kept"] = puff.global_graphql("office").subscribe("subscription { forever }")
        KEPT.append(context.state["kept"])
        return context.state["kept"].next(5)["data"]["forever"]

    @classmethod
    def leave(cls, context, /) -> int:
        KEPT.pop().close()
        return 0


KEPT = []


@dataclass
class Subscription:
    @classmethod
    def forever(cls, context, /) -> Iterator[int]:
        yield 1
        puff.sleep(600)


@dataclass
class Schema:
    query: Query
    subscription: Subscription


@dataclass
class Office:
    query: Query
    subscription: Subscription
"""

TOML = """
graphql = "schema:Schema"
postgres_pool_size = 5
graphql_borrow_pool_size = 2

[graphql_schema.office]
class = "schema:Office"
"""


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "schema.py").write_text(SCHEMA)
    (folder / "puff.toml").write_text(TOML)
    port = free_port()
    with serving("--metrics-bind", f"127.0.0.1:{port}", cwd=folder) as server:
        yield Watched(server, port)
    stop_services(folder)


@contextlib.contextmanager
def subscribed(site: Watched, path: str, times: int) -> Iterator[ClientConnection]:
    url = f"ws://127.0.0.1:{site.server.port}{path}"
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10))["type"] == "connection_ack"
        for number in range(times):
            payload = {"query": "subscription { forever }"}
            socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))
            assert json.loads(socket.recv(10))["payload"] == {"data": {"forever": 1}}
        yield socket


@contextlib.contextmanager
def streamed(site: Watched) -> Iterator[None]:
    client = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=10)
    headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    client.request("POST", "/graphql", json.dumps({"query": "subscription { forever }"}), headers)
    with contextlib.closing(client), client.getresponse() as stream:
        assert stream.readline()
        yield


def test_subscriptions_and_their_sockets_are_counted(site: Watched) -> None:
    def now(schema: str, *names: str) -> list[float]:
        found = site.numbers()
        return [found[f"puff_graphql_{name}{{schema={schema}}}"] for name in names]

    both = ("subscriptions", "websockets")
    started = ("subscriptions_started_total", "websockets_opened_total")
    assert [now(name, *both, *started) for name in ("default", "office")] == [[0.0] * 4] * 2
    with (
        subscribed(site, "/subscriptions", 3) as first,
        subscribed(site, "/graphql/office/subscriptions", 1),
    ):
        assert now("default", *both) == [3, 1]
        assert now("office", *both) == [1, 1]
        first.send(json.dumps({"type": "complete", "id": "0"}))
        assert eventually(lambda: now("default", *both) == [2, 1])
        # An event stream is a subscription without a WebSocket, and so is one in process.
        with streamed(site):
            assert eventually(lambda: now("default", *both) == [3, 1])
            assert site.server.graphql("{ watch }") == {"data": {"watch": 1}}
            assert now("office", *both) == [2, 1]
            assert site.server.graphql("{ leave }") == {"data": {"leave": 0}}
    assert eventually(lambda: [now(name, *both) for name in ("default", "office")] == [[0, 0], [0, 0]])
    assert [now(name, *started) for name in ("default", "office")] == [[4, 1], [2, 1]]


def test_the_pool_of_borrowers_is_one_of_the_pools(site: Watched) -> None:
    def now(state: str) -> float | None:
        return site.numbers().get(f"puff_postgres_connections{{pool=default.borrowed,state={state}}}")

    assert now("max") is None
    assert site.server.graphql("{ borrowed }") == {"data": {"borrowed": "done"}}
    assert eventually(lambda: (now("max"), now("idle"), now("in_use")) == (2, 1, 0))
    assert site.numbers()["puff_postgres_connections{pool=default,state=max}"] == 5
    with borrowing(site, 3):
        assert eventually(lambda: now("in_use") == 2)
        assert eventually(lambda: site.numbers()["puff_postgres_waiting{pool=default.borrowed}"] == 1)
    assert site.numbers()["puff_postgres_acquired_total{pool=default.borrowed}"] == 4
    assert eventually(lambda: site.get("/readyz").text == "ok\n")


@contextlib.contextmanager
def borrowing(site: Watched, count: int) -> Iterator[None]:
    """So many requests keep what they have borrowed, or wait for it, until the end."""
    free = site.server.log.parent / "free"
    free.unlink(missing_ok=True)
    query = f'{{ borrowed(until: "{free}") }}'
    threads = [threading.Thread(target=site.server.graphql, args=(query,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        free.touch()
        for thread in threads:
            thread.join(20)


def test_readiness_asks_the_pool_of_borrowers(site: Watched) -> None:
    def busy() -> bool:
        return site.get("/readyz").text.startswith("PostgreSQL pool default.borrowed: no answer within 2s")

    # All of its connections are busy, and whoever needs one would wait.
    with borrowing(site, 2):
        assert eventually(busy)
    assert eventually(lambda: site.get("/readyz").text == "ok\n")
