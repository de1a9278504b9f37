"""A schema with subscriptions of every kind, and a client that speaks their protocol."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from stack import Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

APP = '''
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

import puff
import puff.debug
from puff import graphql

pubsub = puff.global_pubsub()
closed = []


@dataclass
class Item:
    n: int
    text: str

    @classmethod
    def doubles(cls, context, /) -> tuple[list[Twice], str, list[Any], list[str], list[str]]:
        ns = [n for (n,) in context.parent_values(["n"])]
        return ..., "SELECT n, n * 2 AS twice FROM unnest($1::int[]) n", [ns], ["n"], ["n"]


@dataclass
class Twice:
    twice: int


@dataclass
class Query:
    @classmethod
    def hello(cls, context, /, name: str = "world") -> str:
        return f"hello {name}"

    @classmethod
    def slow(cls, context, /, seconds: float) -> bool:
        puff.sleep(seconds)
        return True

    @classmethod
    def failing(cls, context, /) -> int:
        raise ValueError("no number")

    @classmethod
    def who(cls, context, /) -> dict:
        return {
            "params": context.connection_params, "state": context.state, "token": context.auth_token,
            "agent": context.headers.get("user-agent"),
        }

    @classmethod
    def closed(cls, context, /) -> list[str]:
        return closed

    @classmethod
    def greenlets(cls, context, /) -> list[str]:
        return [each.name for each in puff.debug.greenlets() if not each.running]


@dataclass
class Mutation:
    @classmethod
    def publish(cls, context, /, channel: str, text: str) -> int:
        return pubsub.publish(channel, text)


@dataclass
class Subscription:
    @classmethod
    def count(cls, context, /, to: int, delay: float = 0.0) -> Iterator[int]:
        """Counts from 1."""
        for n in range(1, to + 1):
            if delay:
                puff.sleep(delay)
            yield n

    @classmethod
    def items(cls, context, /, form: str) -> Iterator[list[Item]]:
        items = [Item(1, "a"), Item(2, "b")]
        if form == "objects":
            yield items
        elif form == "tuple":
            yield ..., items
        elif form == "dicts":
            yield [{"n": 3, "text": "c"}]
        elif form == "sql":
            yield ..., "SELECT n, n::text AS text FROM generate_series(1, $1::int) n", [2]

    @classmethod
    def maybe(cls, context, /) -> Iterable[Optional[Item]]:
        return iter([Item(1, "a"), None])

    @classmethod
    def broken(cls, context, /, after: int) -> Iterator[int]:
        try:
            for n in range(after):
                yield n
            raise ValueError("out of numbers")
        finally:
            closed.append("broken")

    @classmethod
    def at_once(cls, context, /) -> Iterator[int]:
        raise LookupError("there is no such thing")

    @classmethod
    def wrong(cls, context, /) -> Iterator[int]:
        yield 1
        yield "two"
        yield ..., "SELECT 1", [], 4, 5, 6
        yield 4

    @classmethod
    def none(cls, context, /) -> Iterator[int]:
        return 5

    @classmethod
    def waiting(cls, context, /, name: str) -> Iterator[int]:
        """Gives one event, then waits for ever."""
        try:
            yield 1
            puff.sleep(3600)
        finally:
            closed.append(name)

    @classmethod
    def tidy(cls, context, /, name: str) -> Iterator[int]:
        """Waits while it cleans up."""
        try:
            yield 1
            puff.sleep(3600)
        finally:
            puff.sleep(0.05)
            closed.append(name)

    @classmethod
    def stubborn(cls, context, /, name: str) -> Iterator[int]:
        """Takes no exception for an answer."""
        while True:
            try:
                yield 1
                closed.append(f"{name} waits")
                puff.sleep(3600)
            except BaseException as error:
                closed.append(f"{name} {type(error).__name__}")
                if closed.count(f"{name} {type(error).__name__}") > 1:
                    raise

    @classmethod
    def flood(cls, context, /, name: str, size: int) -> Iterator[str]:
        """Never waits by itself."""
        n = 0
        try:
            while True:
                n += 1
                yield "x" * size
        finally:
            closed.append(f"{name} {n}")

    @classmethod
    def channel(cls, context, /, name: str) -> Iterator[str]:
        conn = pubsub.connection()
        conn.subscribe(name)
        yield "subscribed"
        while (message := conn.receive()) is not None:
            yield message.text

    @classmethod
    def who(cls, context, /) -> Iterator[dict]:
        context.state["own"] = len(context.state)
        yield {"params": context.connection_params, "state": context.state, "token": context.auth_token}


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription

    @classmethod
    def connect(cls, context, /):
        params = context.connection_params
        match params.get("say"):
            case "no":
                return False
            case "why":
                raise graphql.ConnectionRejected("you know why")
            case "boom":
                raise ValueError("a bug")
            case "odd":
                return 5
            case "slow":
                try:
                    if "thought" in params:
                        closed.append(f"{params['thought']} begins")
                    puff.sleep(params.get("seconds", 3600))
                finally:
                    closed.append(params.get("thought", "thought"))
            case "hi":
                return {"hi": "there"}
        context.state["user"] = params.get("user")
'''

CURRENT, LEGACY = "graphql-transport-ws", "graphql-ws"


class Client:
    """A client of the protocol, which does what it is told, right or wrong."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def receive(self, timeout: float = 20) -> Any:
        return json.loads(self.socket.recv(timeout))

    def is_silent(self, seconds: float = 0.2) -> bool:
        try:
            self.socket.recv(seconds)
        except TimeoutError:
            return True
        return False

    def closed(self, timeout: float = 20) -> tuple[int, str]:
        """Reads on to the close: its code and reason."""
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                self.socket.recv(timeout)
        except ConnectionClosed as end:
            # Nothing was received if the connection broke.
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        raise TimeoutError

    def init(self, **payload: Any) -> Any:
        self.send({"type": "connection_init", "payload": payload})
        return self.receive()

    def subscribe(self, query: str, id: str = "1", type: str = "subscribe", **variables: Any) -> None:
        self.send({"id": id, "type": type, "payload": {"query": query, "variables": variables}})

    def complete(self, id: str = "1") -> None:
        self.send({"id": id, "type": "complete"})

    def all(self, query: str, id: str = "1", **variables: Any) -> list[Any]:
        """The payloads of an operation to its end; the last is `complete`, or the payload of its error."""
        self.subscribe(query, id, **variables)
        found = []
        while True:
            message = self.receive()
            assert message["id"] == id, message
            if message["type"] == "complete":
                assert set(message) == {"id", "type"}
                return [*found, "complete"]
            found.append(message["payload"])
            if message["type"] == "error":
                return found


@contextlib.contextmanager
def opened(server: Server, protocol: str | None = CURRENT, **options: Any) -> Iterator[Client]:
    """A WebSocket on which nothing was said yet."""
    url = f"ws://127.0.0.1:{server.port}/subscriptions"
    subprotocols = None if protocol is None else [protocol]
    with connect(url, subprotocols=subprotocols, proxy=None, open_timeout=60, **options) as socket:  # type: ignore[arg-type]
        yield Client(socket)


@contextlib.contextmanager
def client(server: Server, protocol: str = CURRENT, **payload: Any) -> Iterator[Client]:
    """A client that is connected."""
    with opened(server, protocol) as found:
        answer = found.init(**payload)
        assert answer["type"] == "connection_ack", answer
        yield found


def closed(server: Server) -> list[str]:
    """What generators have noted at their ends."""
    return list(server.graphql("{ closed }")["data"]["closed"])


def greenlets(server: Server) -> list[str]:
    """The greenlets that wait."""
    return list(server.graphql("{ greenlets }")["data"]["greenlets"])


def subscriptions(server: Server) -> list[str]:
    """The greenlets of subscriptions."""
    return [name for name in greenlets(server) if name.startswith("Subscription.")]
