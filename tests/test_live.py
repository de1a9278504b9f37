"""WebSockets that are bound to channels: what is published goes to real clients without Python."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from frames import TEXT, frame, raw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_valkey import own_valkey
from stack import Project, Serve, Server, resident
from support import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

APP = """
from urllib.parse import parse_qs

import puff

pubsub = puff.global_pubsub()


def app(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    body = environ["wsgi.input"].read()
    answer = "done"
    match environ["PATH_INFO"]:
        case "/publish":
            keep = {"keep": int(query["keep"])} if "keep" in query else {}
            answer = pubsub.publish(query["channel"], body, **keep)
        case "/flood":
            for number in range(int(query["count"])):
                pubsub.publish(query["channel"], f"{number}:".encode() + body)
        case "/cut":
            answer = puff.global_redis().command("CLIENT", "KILL", "TYPE", "pubsub")
        case "/members":
            answer = sorted(member.id for member in pubsub.presence(query["channel"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(answer).encode()]


def told(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@puff.websocket("/room/{room}")
def room(ws, room):
    query = ws.query
    if query.pop("key", "right") != "right":
        ws.reject(401)
        return
    options = {name: value for name, value in query.items() if name in ("since", "format", "gap")}
    if "bytes" in query:
        options["gap"] = b"gap"
    position = ws.bind(room, echo="quiet" not in query, presence="presence" in query, **options)
    ws.send(f"bound {position}")
    for message in ws:
        command, _, rest = message.partition(" ")
        match command:
            case "say":
                pubsub.publish_as(ws.connection_id, room, rest)
            case "bind":
                ws.bind(rest)
                ws.send("bound")
            case "unbind":
                ws.send(str(ws.unbind(rest)))
            case "enter":
                ws.enter(room, rest, {"name": rest})
            case "leave":
                ws.send(str(ws.leave(room)))
            case "count":
                for number in range(int(rest)):
                    ws.send(f"own {number}")
            case "fail":
                raise ValueError("on purpose")
            case "end":
                return


@puff.websocket("/careful")
def careful(ws):
    try:
        ws.bind("anything")
    except ConnectionError:
        ws.reject(503, "no messages now\\n")


@puff.websocket("/wrong")
def wrong(ws):
    ws.send(told(ws.bind, ""))
    ws.send(told(ws.bind, "x" * 1025))
    ws.send(told(ws.bind, "a", since="yesterday"))
    ws.send(told(ws.bind, "a", format="xml"))
    ws.send(told(ws.bind, "a", gap=3))
    ws.send(told(ws.bind, "a", presence=True))
    ws.bind("a")
    ws.send(told(ws.bind, "a", since=puff.pubsub.START))
    ws.send(str(ws.unbind("b")))
    ws.send(told(ws.enter, "a", ""))
    ws.close()
    ws.send = None
    error = told(ws.bind, "c")
    print(f"too late: {error}", flush=True)
"""

MEMORY = {"PUFF_PUBSUB_URL": "memory:"}


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"app.py": APP, "puff.toml": 'wsgi = "app:app"\n'})


@pytest.fixture(scope="module", params=[{}, MEMORY], ids=["redis", "memory"])
def server(request: pytest.FixtureRequest, folder: Path, serve: Serve) -> Iterator[Server]:
    with serve(cwd=folder, env=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def redis(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve(cwd=folder) as server:
        yield server


@contextlib.contextmanager
def enter(server: Server, room: str, **query: str) -> Iterator[ClientConnection]:
    """A client in a room, once the room is bound."""
    with open_room(server, room, **query) as ws:
        assert str(ws.recv()).startswith("bound ")
        yield ws


def open_room(server: Server, room: str, **query: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}/room/{room}?{urlencode(query)}")


def publish(server: Server, channel: str, body: bytes, **options: Any) -> int:
    query = urlencode({"channel": channel, **options})
    return int(server.request("POST", f"/publish?{query}", body).text)


def receive(ws: ClientConnection, count: int = 1) -> list[Any]:
    return [ws.recv(timeout=20) for _ in range(count)]


def objects(ws: ClientConnection, count: int = 1) -> list[Any]:
    return [json.loads(message) for message in receive(ws, count)]


def closed(ws: ClientConnection) -> tuple[int, str]:
    """Reads on to the close: its code and reason."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.recv(timeout=20)
    assert ws.close_code is not None
    return ws.close_code, ws.close_reason or ""


def test_what_is_published_arrives(server: Server) -> None:
    with enter(server, "plain") as one, enter(server, "plain") as two, enter(server, "else") as other:
        for body in (b"a text", "\u00e9\U0001f600".encode(), b"\x00\xff", b"", b"x" * 100_000):
            assert publish(server, "plain", body) == 1
        expected = ["a text", "\u00e9\U0001f600", b"\x00\xff", "", "x" * 100_000]
        assert receive(one, 5) == receive(two, 5) == expected
        publish(server, "else", b"only there")
        assert receive(other) == ["only there"]
        one.send("say from me")
        assert receive(one) == receive(two) == ["from me"]


def test_two_nodes(redis: Server, folder: Path, serve: Serve) -> None:
    with serve(cwd=folder) as node, enter(redis, "wide") as here, enter(node, "wide") as there:
        assert publish(node, "wide", b"from there") == 2
        here.send("say from here")
        assert receive(here, 2) == receive(there, 2) == ["from there", "from here"]


def test_objects(server: Server) -> None:
    with enter(server, "o", format="json") as ws, enter(server, "o", format="text") as plain:
        bodies = [b'{"a":\r\n [1, "\\n"]}', b"12", b"hello", b"NaN", b"\xff", b'"\xe2\x80\xa8"']
        for body in bodies:
            publish(server, "o", body)
        found = receive(ws, len(bodies))
        # What is JSON is put in as it is, but for line breaks.
        assert '"data":{"a":   [1, "\\n"]}}' in found[0]
        read = [json.loads(each) for each in found]
        assert all(each["channel"] == "o" and each["from"] is None for each in read)
        assert [each["position"].rpartition("-")[2] for each in read] == ["1", "2", "3", "4", "5", "6"]
        told = [{k: v for k, v in each.items() if k in ("data", "text", "base64")} for each in read]
        assert told == [
            {"data": {"a": [1, "\n"]}},
            {"data": 12},
            {"text": "hello"},
            {"text": "NaN"},
            {"base64": "/w=="},
            {"data": "\u2028"},
        ]
        told = [each.get("data", each.get("base64")) for each in objects(plain, len(bodies))]
        assert told == ['{"a":\r\n [1, "\\n"]}', "12", "hello", "NaN", "/w==", '"\u2028"']
        ws.send('say {"by": "me"}')
        mine, *_ = objects(ws)
        assert mine["from"]
        assert mine["data"] == {"by": "me"}


def test_no_echo(server: Server) -> None:
    with enter(server, "echoes", quiet="1") as ws, enter(server, "echoes") as other:
        ws.send("say mine")
        assert receive(other) == ["mine"]
        other.send("say yours")
        assert receive(other) == ["yours"]
        assert receive(ws) == ["yours"]


def test_what_came_before_is_replayed(server: Server) -> None:
    positions = []
    with enter(server, "kept", format="json") as ws:
        for number in range(6):
            publish(server, "kept", b"%d" % number, keep=3)
        positions = [each["position"] for each in objects(ws, 6)]
    with open_room(server, "kept", since=positions[3]) as ws:
        # What is replayed and what the function sends come as they are written.
        assert sorted(receive(ws, 3)) == sorted(["4", "5", f"bound {positions[3]}"])
        publish(server, "kept", b"6", keep=3)
        assert receive(ws) == ["6"]
    with open_room(server, "kept", since=positions[0], format="json") as ws:
        found = [message for message in receive(ws, 5) if not message.startswith("bound ")]
        gap, *rest = [json.loads(message) for message in found]
        assert gap["channel"] == "kept"
        assert gap["gap"]["missed"] == 3
        assert gap["gap"]["last"] == positions[0]
        assert gap["gap"]["next"] == positions[4]
        assert [each["data"] for each in rest] == [4, 5, 6]
    with open_room(server, "kept", since=positions[0]) as ws:
        assert closed(ws) == (1013, "messages of kept were missed")


def test_a_gap_is_told(redis: Server) -> None:
    with (
        enter(redis, "holes", format="json") as told,
        enter(redis, "holes", gap="lost") as text,
        enter(redis, "holes", bytes="1") as data,
        enter(redis, "holes") as closes,
    ):
        publish(redis, "holes", b"1")
        assert receive(text) == receive(data) == receive(closes) == ["1"]
        first, *_ = objects(told)
        assert redis.get("/cut").text != "0"
        gap, *_ = objects(told)
        assert (gap["channel"], gap["gap"]["last"]) == ("holes", first["position"])
        assert receive(text) == ["lost"]
        assert receive(data) == [b"gap"]
        assert closed(closes) == (1013, "messages of holes were missed")
        publish(redis, "holes", b"2")
        assert receive(text) == receive(data) == ["2"]
        assert objects(told)[0]["data"] == 2


def test_redis_is_killed_and_comes_again(folder: Path, serve: Serve) -> None:
    with (
        own_valkey() as valkey,
        serve(cwd=folder, env={"PUFF_REDIS_URL": valkey.url}) as server,
        enter(server, "fall", gap="lost") as ws,
    ):
        publish(server, "fall", b"1")
        assert receive(ws) == ["1"]
        valkey.kill()
        assert server.get("/").text == "done"  # who needs no Redis notices nothing
        valkey.start()
        # One receiver is the server, which has subscribed again by itself.
        post = "/publish?channel=fall"
        assert eventually(lambda: server.request("POST", post, b"2").text == "1", 30)
        assert receive(ws, 2) == ["lost", "2"]


def test_without_redis_a_function_can_refuse(folder: Path, serve: Serve, tmp_path: Path) -> None:
    with serve(cwd=folder, env={"PUFF_PUBSUB_URL": f"unix://{tmp_path}/nothing.sock"}) as server:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{server.port}/careful")
        assert refused.value.response.status_code == 503
        with pytest.raises(InvalidStatus) as failed:
            open_room(server, "any")
        assert failed.value.response.status_code == 500
        assert eventually(lambda: "ServiceError" in server.log.read_text())


def test_who_is_refused_hears_nothing(server: Server) -> None:
    with enter(server, "secret") as inside:
        with pytest.raises(InvalidStatus) as refused:
            open_room(server, "secret", key="wrong")
        assert refused.value.response.status_code == 401
        with enter(server, "lobby") as outside:
            publish(server, "secret", b"psst")
            publish(server, "lobby", b"hello")
            assert receive(outside) == ["hello"]
        assert receive(inside) == ["psst"]


def test_unbind(server: Server) -> None:
    with enter(server, "first") as ws:
        ws.send("bind second")
        assert receive(ws) == ["bound"]
        publish(server, "second", b"2")
        assert receive(ws) == ["2"]
        ws.send("unbind first")
        assert receive(ws) == ["True"]
        publish(server, "first", b"never seen")
        publish(server, "second", b"still")
        assert receive(ws) == ["still"]
        ws.send("unbind first")
        assert receive(ws) == ["False"]
        ws.send("bind first")
        assert receive(ws) == ["bound"]
        publish(server, "first", b"again")
        assert receive(ws) == ["again"]


@pytest.mark.parametrize("way", ["end", "fail", "close", "lost"])
def test_the_end_ends_the_subscription(server: Server, way: str) -> None:
    channel = f"end-{way}"
    with enter(server, channel) as ws:
        assert publish(server, channel, b"1") == 1
        match way:
            case "end" | "fail":
                ws.send(way)
                assert closed(ws)[0] == (1000 if way == "end" else 1011)
            case "close":
                ws.close()
            case "lost":
                ws.socket.shutdown(2)
        assert eventually(lambda: publish(server, channel, b"2") == 0)


def test_a_server_that_stops_says_so(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder) as server, enter(server, "last") as ws:
        server.process.send_signal(signal.SIGTERM)
        assert closed(ws)[0] == 1001
        assert server.process.wait(10) == 0


def test_the_functions_messages_go_between(server: Server) -> None:
    with enter(server, "between") as ws:
        ws.send("count 2000")
        server.request("POST", "/flood?channel=between&count=300", b"x")
        found = receive(ws, 2300)
        assert [each for each in found if each.startswith("own")] == [f"own {n}" for n in range(2000)]
        assert [each for each in found if not each.startswith("own")] == [f"{n}:x" for n in range(300)]


def test_presence(server: Server) -> None:
    with enter(server, "tea", format="json", presence="1") as watcher:
        with enter(server, "tea") as ada:
            ada.send("enter ada")
            assert objects(watcher) == [{"channel": "tea", "joined": {"id": "ada", "info": {"name": "ada"}}}]
            assert server.get("/members?channel=tea").text == "['ada']"
            publish(server, "tea", b"1")
            assert objects(watcher)[0]["data"] == 1
            watcher.send("leave")
            assert receive(watcher) == ["False"]
        left = {"channel": "tea", "left": {"id": "ada", "info": {"name": "ada"}}}
        assert objects(watcher) == [left]


def test_misuse_is_told(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/wrong") as ws:
        assert receive(ws, 9) == [
            "ValueError: the channel: it is empty",
            "ValueError: the channel: it has 1025 bytes, at most 1024 are possible",
            "ValueError: the position: it is none that a message or a subscription had",
            'ValueError: "xml" is no format; there are "body", "json" and "text"',
            "TypeError: a message is str or bytes, not int",
            "ValueError: presence is told as JSON: bind with format='json' or 'text'",
            "ValueError: since: the connection listens to this channel already",
            "False",
            "ValueError: the member: it is empty",
        ]
        assert closed(ws)[0] == 1000
    assert eventually(lambda: "too late: WebSocketClosed: the WebSocket is closed" in server.log.read_text())


def test_a_client_that_stalls_costs_the_others_nothing(folder: Path, serve: Serve) -> None:
    bounds = {"PUFF_PUBSUB_QUEUE": "50", "PUFF_PUBSUB_QUEUE_BYTES": "1MiB"}
    with (
        serve("--websocket-timeout", "4s", cwd=folder, env=bounds) as server,
        enter(server, "busy", gap="lost") as reader,
        contextlib.ExitStack() as stack,
    ):
        stalled = [stack.enter_context(raw(server, "/room/busy?gap=lost")) for _ in range(5)]
        before = resident(server)
        body = b"x" * 50_000
        for number in range(600):
            publish(server, "busy", b"%d:" % number + body)
            # At once, though five others take nothing.
            assert str(reader.recv(timeout=20)).startswith(f"{number}:")
        # 30 MB were published. What waits for the five is bounded; so is what the system holds of it.
        assert resident(server) - before < 16 << 20
        for client in stalled:
            assert eventually(lambda client=client: given_up(client), 20)  # type: ignore[misc]
        assert publish(server, "busy", b"on") == 1
        assert reader.recv(timeout=20) == "on"


def given_up(client: Any) -> bool:
    """Whether the server has ended a connection that nobody reads: what is sent is answered by a reset."""
    try:
        client.send(frame(TEXT, b"there?"))
    except ConnectionError:
        return True
    return False


def test_a_client_that_was_slow_learns_of_its_gap(folder: Path, serve: Serve) -> None:
    bounds = {"PUFF_PUBSUB_QUEUE": "20", **MEMORY}
    with serve(cwd=folder, env=bounds) as server, enter(server, "slow", format="json") as client:
        # The client's library reads no more than it has room for.
        server.request("POST", "/flood?channel=slow&count=400", b'"%s"' % (b"x" * 50_000))
        publish(server, "slow", b'"end"')
        last, gap, gaps = 0, None, 0
        while True:
            (read,) = objects(client)
            if "gap" in read:
                # No message is between two gaps only where the first was all that waited.
                assert gap is None or gap["next"] is None
                gap, gaps = read["gap"], gaps + 1
                if gap["next"] is None:
                    # The end was among what had no room.
                    publish(server, "slow", b'"end"')
                continue
            number = int(read["position"].rpartition("-")[2])
            if gap is None:
                assert number == last + 1
            else:
                # A gap stands for something, and tells what comes after it.
                assert number > last + 1
                assert gap["next"] in (None, read["position"])
            last, gap = number, None
            # What is flooded is no JSON.
            if read.get("data") == "end":
                break
        # How many depends on how the flood and the socket take turns.
        assert gaps > 0
        assert last > 400


def test_a_policy_that_disconnects(folder: Path, serve: Serve) -> None:
    bounds = {"PUFF_PUBSUB_QUEUE": "20", "PUFF_PUBSUB_OVERFLOW": "disconnect", **MEMORY}
    with serve(cwd=folder, env=bounds) as server, raw(server, "/room/slow") as client:
        assert client.receive()[1].startswith(b"bound ")
        server.request("POST", "/flood?channel=slow&count=400", b"x" * 50_000)
        assert client.closed() == 1013


bodies = st.lists(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)), max_size=12)


def test_any_body_arrives_as_it_was(redis: Server) -> None:
    with enter(redis, "any") as plain, enter(redis, "any", format="text") as wrapped:

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(bodies)
        def arrives(bodies: list[bytes]) -> None:
            import base64

            for body in bodies:
                publish(redis, "any", body)
            found = receive(plain, len(bodies))
            assert [each.encode() if isinstance(each, str) else each for each in found] == bodies
            for each, body in zip(objects(wrapped, len(bodies)), bodies, strict=True):
                data = each["data"].encode() if "data" in each else base64.b64decode(each["base64"])
                assert data == body

        arrives()


def test_messages_are_fast(redis: Server) -> None:
    """Not a measurement: a hundred messages one after the other do not take a timer's time each."""
    with enter(redis, "fast") as ws:
        begun = time.monotonic()
        for number in range(100):
            publish(redis, "fast", b"%d" % number)
            assert ws.recv(timeout=20) == str(number)
        assert time.monotonic() - begun < 20
