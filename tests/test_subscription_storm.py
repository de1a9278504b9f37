"""Many subscriptions: sockets that break leave nothing behind; events are neither lost nor reordered.

`PUFF_STORM_SOCKETS` and `PUFF_STORM_SECONDS` make the second test larger than it is by default.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feed import APP, CURRENT, subscriptions
from frames import TEXT, Raw, frame, handshake
from stack import Line, Project, Server, serving
from support import eventually
from websockets.asyncio.client import ClientConnection, connect

SOCKETS = int(os.environ.get("PUFF_STORM_SOCKETS", "100"))
SECONDS = float(os.environ.get("PUFF_STORM_SECONDS", "3"))
EVENTS = 10
"""How many events each client gets in a second."""

STORM = APP.replace(
    "class Query:",
    """class Query:
    @classmethod
    def receivers(cls, context, /, channel: str) -> int:
        return puff.global_redis().command("PUBSUB", "NUMSUB", channel)[1]

    @classmethod
    def sessions(cls, context, /) -> int:
        return puff.global_postgres().query("SELECT count(*)::int AS n FROM pg_stat_activity")[0]["n"]

    @classmethod
    def busy(cls, context, /) -> float:
        import time
        return time.thread_time()
""",
)


@pytest.fixture(scope="module")
def server(new_project: Project) -> Iterator[Server]:
    folder = new_project({"feed_app.py": STORM})
    with serving("--graphql", "feed_app:Schema", "--websocket-grace", "1s", cwd=folder) as server:
        # It answers once it has started, which takes long on a busy machine.
        server.graphql("{ hello }")
        yield server


def ask(server: Server, query: str) -> Any:
    answer = server.graphql(query)
    assert "errors" not in answer, answer
    return next(iter(answer["data"].values()))


# ------------------------------------------------------------------ sockets that break

OPERATIONS = [
    'subscription { channel(name: "storm") }',
    "subscription { count(to: 1000000, delay: 0.005) }",
    'subscription { waiting(name: "w") }',
    'subscription { tidy(name: "t") }',
    'subscription { flood(name: "f", size: 1000) }',
    'subscription { items(form: "sql") { n doubles { twice } } }',
    "subscription { broken(after: 3) }",
    "query { slow(seconds: 0.2) }",
]


def _message(**fields: Any) -> bytes:
    return frame(TEXT, json.dumps(fields).encode())


def _cut(server: Server, chance: random.Random) -> None:
    """A client that says some of what clients say, and breaks off anywhere, also within a frame."""
    said = [
        handshake("/subscriptions", f"Sec-WebSocket-Protocol: {CURRENT}"),
        _message(type="connection_init", payload={"user": "x"}),
    ]
    for number in range(chance.randint(1, 5)):
        query = chance.choice(OPERATIONS)
        said.append(_message(type="subscribe", id=str(number), payload={"query": query}))
    if chance.random() < 0.3:
        said.append(_message(type="complete", id="0"))
    data = b"".join(said)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        # The server sends a close of its own to those that are too early with their operations.
        client = Raw(connection)
        client.send(said[0])
        client.head()
        client.send(said[1])
        client.receive()
        rest = data[len(said[0]) + len(said[1]) :]
        client.send(rest if chance.random() < 0.7 else rest[: chance.randrange(len(rest))])
        time.sleep(chance.random() * 0.3)
        if chance.random() < 0.5:
            # A reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut_stream(server: Server, chance: random.Random) -> None:
    body = json.dumps({"query": chance.choice(OPERATIONS)}).encode()
    with Line(server) as line:
        head = ("POST /graphql HTTP/1.1", "Content-Type: application/json", "Accept: text/event-stream")
        line.send(*head, f"Content-Length: {len(body)}", body=body)
        time.sleep(chance.random() * 0.3)


def test_sockets_that_break_leave_nothing_behind(server: Server) -> None:
    before = ask(server, "{ sessions }")
    failures: list[BaseException] = []
    chance = random.Random(7)
    seeds = iter([chance.random() for _ in range(500)])
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                seed = next(seeds, None)
            if seed is None:
                return
            try:
                (_cut_stream if seed < 0.1 else _cut)(server, random.Random(seed))
            except BaseException as error:
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(25)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not failures, failures[:3]
    assert eventually(lambda: subscriptions(server) == [], 30), subscriptions(server)
    assert eventually(lambda: ask(server, '{ receivers(channel: "storm") }') == 0)
    assert eventually(lambda: server.get("/").status == 200)
    # One for each connection of the pool at most.
    assert ask(server, "{ sessions }") <= before + 10
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    assert eventually(lambda: len(list(descriptors.iterdir())) < 100)
    assert "panic" not in server.log.read_text()


# ------------------------------------------------------------------ events in order


def test_events_are_neither_lost_nor_reordered(server: Server) -> None:
    total = int(SECONDS * EVENTS)
    query = "subscription($to: Int!, $delay: Float!) { count(to: $to, delay: $delay) }"

    async def take(number: int, ready: asyncio.Semaphore) -> None:
        url = f"ws://127.0.0.1:{server.port}/subscriptions"
        async with ready:
            socket: ClientConnection = await connect(
                url,
                subprotocols=[CURRENT],  # type: ignore[list-item]
                compression=None,
                ping_interval=None,
                proxy=None,
                open_timeout=60,
            )
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": query, "variables": {"to": total, "delay": 1 / EVENTS}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        for n in range(1, total + 1):
            assert (
                await socket.recv() == f'{{"id":"1","type":"next","payload":{{"data":{{"count":{n}}}}}}}'
            ), number
        assert json.loads(await socket.recv())["type"] == "complete"
        await socket.close()

    async def everybody() -> None:
        ready = asyncio.Semaphore(50)
        clients = [take(number, ready) for number in range(SOCKETS)]
        await asyncio.wait_for(asyncio.gather(*clients), SECONDS * 4 + 60)

    busy, began = ask(server, "{ busy }"), time.monotonic()
    asyncio.run(everybody())
    seconds = time.monotonic() - began
    share = (ask(server, "{ busy }") - busy) / seconds
    print(
        f"\n{SOCKETS} subscriptions, {SOCKETS * total} events in {seconds:.1f} s "
        f"({SOCKETS * total / seconds:.0f}/s): the hub's thread was busy for {share:.0%} of the time"
    )
    assert eventually(lambda: subscriptions(server) == [])
