"""WebSockets to Python functions: a function in a greenlet talks with a real client."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from frames import CLOSE, PING, PONG, TEXT, Raw, frame, handshake, raw
from stack import Run, Serve, Server
from support import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

APP = """
import json
from pathlib import Path

import puff

seen = {}


def note(name, what):
    seen.setdefault(name, []).append(what)
    with Path(f"{name}.notes").open("a") as file:
        file.write(f"{what}\\n")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path.startswith("/seen/"):
        return [json.dumps(seen.get(path[6:], [])).encode()]
    return [f"WSGI {environ['REQUEST_METHOD']} {path}".encode()]


@puff.websocket("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


def rooms(ws, room, user):
    facts = {
        "path": ws.path, "query": ws.query, "query_string": ws.query_string, "cookies": ws.cookies,
        "agent": ws.headers["x-agent"], "room": room, "user": user, "scheme": ws.scheme,
        "client": ws.client[0], "subprotocol": ws.subprotocol, "closed": ws.closed, "code": ws.close_code,
    }
    ws.send(json.dumps(facts))


@puff.websocket("/files/{*rest}")
def files(ws, rest):
    ws.send(rest)


@puff.websocket("/choose")
def choose(ws):
    chosen = next((name for name in ("v3", "v2") if name in ws.subprotocols), None)
    ws.accept(chosen, {"Set-Cookie": "seen=1", "X-Name": "caf\\u00e9"})
    ws.send(f"{ws.subprotocol} of {ws.subprotocols}")


@puff.websocket("/refuse/{how}")
def refuse(ws, how):
    if how == "reject":
        ws.reject(401, "who are you?", {"WWW-Authenticate": "Bearer"})
        note("refuse", "went on")
        puff.sleep(0.05)
        note("refuse", "to the end")
        ws.send("too late")
    elif how == "raise":
        raise RuntimeError("on purpose")
    elif how == "leave":
        raise SystemExit(3)
    elif how == "close":
        ws.close()
    elif how == "wait":
        puff.sleep(30)


@puff.websocket("/misuse")
def misuse(ws):
    def told(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    answers = [
        told(ws.accept, "v9"), told(ws.accept, None, {"Upgrade": "x"}),
        told(ws.accept, None, {"a": "b\\r\\nc"}),
        told(ws.reject, 200), told(ws.accept), told(ws.accept), told(ws.reject),
        told(ws.send, 3), told(ws.send, [1, 2]), told(ws.send, None), told(ws.send, "\\ud800"),
        told(ws.close, 1005), told(ws.close, 2999), told(ws.close, 70000), told(ws.close, 1000, "x" * 124),
    ]
    ws.send(json.dumps(answers))
    ws.send(bytearray(b"array"))
    ws.send(memoryview(b"view"))


@puff.websocket("/close/{code}")
def close(ws, code):
    ws.receive()
    ws.send("last")
    ws.close(int(code), "by the function")
    ws.close(1000, "again")
    try:
        ws.send("more")
    except puff.WebSocketClosed as error:
        note(f"close-{code}", f"send {error.code} {error.reason}")
    try:
        ws.receive()
    except puff.WebSocketClosed as error:
        note(f"close-{code}", f"receive {error.code} {error.reason}")


@puff.websocket("/fail")
def fail(ws):
    ws.receive()
    raise ValueError("broken on purpose")


@puff.websocket("/let-through")
def let_through(ws):
    while True:
        ws.receive()


@puff.websocket("/patience")
def patience(ws):
    try:
        ws.receive(timeout=0.05)
    except TimeoutError as error:
        ws.send(str(error))
    try:
        with puff.timeout(0.05):
            ws.receive(timeout=10)
    except TimeoutError as error:
        ws.send(str(error))
    ws.send(ws.receive(timeout=10))


@puff.websocket("/watch/{name}")
def watch(ws, name):
    ws.accept()
    note(name, "begun")
    try:
        for message in ws:
            note(name, message)
        note(name, f"closed {ws.close_code} {ws.close_reason}")
    finally:
        puff.sleep(0.01)
        note(name, "cleaned")


@puff.websocket("/sleep/{name}")
def sleep(ws, name):
    ws.accept()
    note(name, "begun")
    try:
        puff.sleep(60)
    finally:
        puff.sleep(0.01)
        note(name, "cleaned")


@puff.websocket("/later/{name}")
def later(ws, name):
    ws.accept()
    while not ws.closed:
        puff.sleep(0.01)
    note(name, [message for message in ws])


@puff.websocket("/pour/{name}")
def pour(ws, name):
    sent = 0
    try:
        while True:
            ws.send(b"x" * 10_000)
            sent += 1
            seen[name] = [sent]
    except puff.WebSocketClosed as error:
        note(name, f"closed {error.code}")


@puff.websocket("/drink/{name}")
def drink(ws, name):
    ws.accept()
    while not seen.get("drink"):
        puff.sleep(0.01)
    taken = 0
    for message in ws:
        taken += len(message)
        seen[name] = [taken]
    note(name, "done")


@puff.websocket("/greedy")
def greedy(ws):
    # Neither direction is ever empty: the others have to get their turns all the same.
    for message in ws:
        ws.send(message)


@puff.websocket("/crowd")
def crowd(ws):
    def talk(n):
        for turn in range(100):
            ws.send(f"{n}:{turn}:" + "x" * 500)

    ws.accept()
    puff.join_all([puff.spawn(talk, n) for n in range(8)])


@puff.websocket("/thread")
def thread(ws):
    @puff.blocking
    def talk():
        while True:
            ws.send(ws.receive(timeout=5).upper())

    talk()


@puff.websocket("/relay")
def relay(ws):
    # Two greenlets at a time receive: each message goes to one of them.
    def serve(name):
        for message in ws:
            ws.send(f"{message} {name}")

    ws.accept()
    puff.join_all([puff.spawn(serve, name) for name in "ab"])


@puff.websocket("/async")
async def coroutine(ws):
    ws.send("never")
"""

CONFIG = """
wsgi = "chat:app"

[websockets]
"/rooms/{room}/{user}" = "chat:rooms"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("websockets")
    (folder / "chat.py").write_text(APP)
    (folder / "puff.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--websocket-grace", "3s", cwd=folder) as server:
        yield server


def talk(server: Server, path: str, **options: Any) -> ClientConnection:
    """A client that has connected."""
    url = f"ws://127.0.0.1:{server.port}{path}"
    return connect(url, compression=None, proxy=None, open_timeout=10, close_timeout=10, **options)


def notes(server: Server, name: str) -> Any:
    """What a function has noted under a name."""
    return server.get(f"/seen/{name}").json()


# ---------------------------------------------------------------------------- messages


def test_messages_come_back_as_they_were(server: Server) -> None:
    with talk(server, "/echo", max_size=None) as client:
        for message in ("hello", "", "grüße, 世界 🐡", b"", b"\x00\xff", "x" * 65536, b"y" * (1 << 20)):
            client.send(message)
            assert client.recv(10) == message
        client.send(["in", " three", " frames"])
        assert client.recv(10) == "in three frames"
        for number in range(1000):
            client.send(str(number))
        assert [client.recv(10) for _ in range(1000)] == [str(number) for number in range(1000)]
    assert client.close_code == 1000


def test_what_a_function_knows_of_its_client(server: Server) -> None:
    headers = {"X-Agent": "tester", "Cookie": "a=1; b=two"}
    with talk(server, "/rooms/big%20hall/J%C3%BCrgen?q=1&x=%20&q=2", additional_headers=headers) as client:
        facts = json.loads(client.recv(10))
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    assert facts == {
        "path": "/rooms/big hall/Jürgen",
        "query": {"q": "2", "x": " "},
        "query_string": "q=1&x=%20&q=2",
        "cookies": {"a": "1", "b": "two"},
        "agent": "tester",
        "room": "big hall",
        "user": "Jürgen",
        "scheme": "ws",
        "client": "127.0.0.1",
        "subprotocol": None,
        "closed": False,
        "code": None,
    }
    assert client.close_code == 1000
    with talk(server, "/files/a/b%2Fc") as client:
        assert client.recv(10) == "a/b/c"


def test_a_subprotocol_is_chosen(server: Server) -> None:
    with talk(server, "/choose", subprotocols=["v1", "v2"]) as client:
        assert client.subprotocol == "v2"
        assert client.recv(10) == "v2 of ['v1', 'v2']"
        assert client.response is not None
        assert client.response.headers["Set-Cookie"] == "seen=1"
    with talk(server, "/choose") as client:
        assert client.subprotocol is None
        assert client.recv(10) == "None of []"


def test_misuse_is_told(server: Server) -> None:
    with talk(server, "/misuse") as client:
        answers = json.loads(client.recv(10))
        assert (client.recv(10), client.recv(10)) == (b"array", b"view")
    known = "only []"
    assert answers == [
        f'ValueError: the client does not offer the subprotocol "v9", {known}',
        "ValueError: the header Upgrade is set by the server",
        'ValueError: "a": "b\\r\\nc" is no header',
        "ValueError: 200 is no status that rejects a WebSocket: give one from 300 to 999",
        None,
        "RuntimeError: the client was accepted or rejected before: call accept() first",
        "RuntimeError: the client was accepted or rejected before",
        "TypeError: a message is str or bytes, not int",
        "TypeError: a message is str or bytes, not list",
        "TypeError: a message is str or bytes, not NoneType",
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' in position 0: "
        "surrogates not allowed",
        "ValueError: 1005 is no code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999",
        "ValueError: 2999 is no code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999",
        "ValueError: 70000 is no code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999",
        "ValueError: a reason has at most 123 bytes",
    ]


def test_waiting_has_a_limit(server: Server) -> None:
    with talk(server, "/patience") as client:
        assert client.recv(10) == "no message within 0.05 s"
        assert "0.05" in str(client.recv(10))
        client.send("in time")
        assert client.recv(10) == "in time"


def test_greenlets_and_threads_share_a_websocket(server: Server) -> None:
    with talk(server, "/crowd") as client:
        found = [str(message) for message in client]
    assert len(found) == 800
    for n in range(8):
        mine = [message.split(":") for message in found if message.startswith(f"{n}:")]
        assert [int(turn) for _, turn, _ in mine] == list(range(100))
        assert {len(text) for _, _, text in mine} == {500}
    with talk(server, "/thread") as client:
        client.send("aloud")
        assert client.recv(10) == "ALOUD"
    with talk(server, "/relay") as client:
        for number in range(50):
            client.send(str(number))
        assert {str(client.recv(10)).split()[0] for _ in range(50)} == {str(n) for n in range(50)}


def test_others_get_their_turns(server: Server) -> None:
    """A function that always finds a message, and room for the next, does not have the hub to itself."""
    stop = threading.Event()
    with talk(server, "/greedy") as client:

        def flood() -> None:
            with contextlib.suppress(ConnectionClosed):
                while not stop.is_set():
                    client.send("x")

        def drain() -> None:
            for _ in client:
                pass

        threads = [threading.Thread(target=work) for work in (flood, drain)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert server.get("/here").text == "WSGI GET /here"
        stop.set()
        threads[0].join(10)
        client.close()
        threads[1].join(10)


# ---------------------------------------------------------------------------- before the first message


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/refuse/reject", 401, "who are you?"),
        ("/refuse/raise", 500, "internal server error\n"),
        ("/refuse/leave", 500, "internal server error\n"),
        ("/refuse/close", 403, "Forbidden\n"),
        ("/refuse/return", 403, "Forbidden\n"),
        ("/async", 500, "internal server error\n"),
        ("/files/%ff", 400, "the path is not UTF-8\n"),
    ],
)
def test_a_function_refuses_its_client(server: Server, path: str, status: int, text: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        talk(server, path)
    response = refused.value.response
    assert (response.status_code, response.body.decode().lower()) == (status, text.lower())
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
        # What it does then is its own affair.
        assert eventually(lambda: notes(server, "refuse") == ["went on", "to the end"])


def test_errors_are_in_the_log(server: Server) -> None:
    with contextlib.suppress(InvalidStatus):
        talk(server, "/refuse/raise")
    with contextlib.suppress(InvalidStatus):
        talk(server, "/async")
    for text in (
        "error in the function of WebSocket(/refuse/raise)",
        "RuntimeError: on purpose",
        "coroutine is a coroutine function",
    ):
        assert eventually(lambda text=text: text in server.log.read_text()), text  # type: ignore[misc]


def test_a_deadline_for_the_decision(folder: Path, serve: Serve) -> None:
    with serve("--request-timeout", "4s", cwd=folder) as server:
        with pytest.raises(InvalidStatus) as refused:
            talk(server, "/refuse/wait")
        assert refused.value.response.status_code == 504
        # Not for the conversation.
        with talk(server, "/echo") as client:
            time.sleep(4.5)
            client.send("still there")
            assert client.recv(10) == "still there"


def test_pages_of_others_are_refused(server: Server, folder: Path, serve: Serve) -> None:
    own = f"http://127.0.0.1:{server.port}"
    for origin in (own, None):
        with talk(server, "/echo", origin=origin) as client:
            client.send("x")
            assert client.recv(10) == "x"
    for origin in (
        "https://evil.example",
        "null",
        f"{own}.evil.example",
        f"https://127.0.0.1:{server.port + 1}",
    ):
        with pytest.raises(InvalidStatus) as refused:
            talk(server, "/echo", origin=origin)
        assert refused.value.response.status_code == 403
    with serve("--websocket-origins", "https://shop.example", cwd=folder) as other:
        with talk(other, "/echo", origin="https://shop.example"):
            pass
        with pytest.raises(InvalidStatus):
            talk(other, "/echo", origin=f"http://127.0.0.1:{other.port}")


def answer_to(server: Server, *pieces: bytes) -> tuple[int, bytes]:
    """Status and rest of the answer to raw bytes, read to the end of the connection or for a moment."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"".join(pieces))
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                break
            received += chunk
    return int(received.split(b" ", 2)[1]), received


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 12", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13", 426),
        (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: x", 400),
        (b"Sec-WebSocket-Key: ", b"X-Key: ", 400),
        (b"Connection: Upgrade", b"Connection: close", 400),
        (b"GET /echo", b"POST /echo", 400),
        (b"HTTP/1.1", b"HTTP/1.0", 400),
        (b"Host:", b"Content-Length: 1\r\nHost:", 400),
        (b"Upgrade: websocket", b"Upgrade: WebSocket, other", 101),
        (b"Connection: Upgrade", b"Connection: keep-alive, UPGRADE", 101),
        (b"Upgrade: websocket", b"Upgrade: h2c", 200),
    ],
)
def test_wrong_handshakes(server: Server, old: bytes, new: bytes, status: int) -> None:
    request = handshake("/echo")
    assert old in request
    found, answer = answer_to(server, request.replace(old, new), b"x" if b"Content-Length" in new else b"")
    assert found == status, answer
    if status == 426:
        assert b"sec-websocket-version: 13\r\n" in answer.lower()


def test_everything_else_is_the_applications(server: Server) -> None:
    assert server.get("/echo").text == "WSGI GET /echo"
    assert answer_to(server, handshake("/elsewhere"))[0] == 200
    with pytest.raises(InvalidStatus) as refused:
        talk(server, "/elsewhere")
    assert refused.value.response.status_code == 200


def test_a_server_of_websockets_alone(tmp_path: Path, serve: Serve, puff: Run) -> None:
    (tmp_path / "chat.py").write_text(APP)
    (tmp_path / "puff.toml").write_text('[websockets]\n"/mine" = "chat.echo"\n')
    with serve(cwd=tmp_path) as server:
        for path in ("/mine", "/echo"):
            with talk(server, path) as client:
                client.send(path)
                assert client.recv(10) == path
        assert server.get("/").status == 404
        assert eventually(lambda: "WebSockets on /mine, /echo" in server.log.read_text())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('[websockets]\n"/a" = "chat:nothing"', 'module "chat" has no attribute "nothing"'),
        ('[websockets]\n"/a" = "nowhere:f"', 'no Python module "nowhere"'),
        ('[websockets]\n"/a" = "chat:seen"', 'websockets: chat:seen of "/a" is no function'),
        ('[websockets]\n"a" = "chat:echo"', "websockets: the path of a WebSocket starts with /"),
        ('[websockets]\n"/{" = "chat:echo"', 'websockets: "/{": '),
        (
            '[websockets]\n"/echo" = "chat:echo"',
            'puff.websocket: "/echo": the path "/echo" has a function already',
        ),
        ('[websockets]\n"/a" = 3', 'websockets."/a": a table of paths and functions'),
        ('websocket_origins = "shop.example"\nwsgi = "chat:app"', '"shop.example" is not same, * or origins'),
        ('websocket_ping = "soon"\nwsgi = "chat:app"', '"soon" is not a duration'),
    ],
)
def test_wrong_configurations(tmp_path: Path, puff: Run, config: str, message: str) -> None:
    (tmp_path / "chat.py").write_text(APP)
    (tmp_path / "puff.toml").write_text(config)
    result = puff("runserver", "--bind", "127.0.0.1:0", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


# ---------------------------------------------------------------------------- the end


@pytest.mark.parametrize("code", [1000, 1008, 3000, 4999])
def test_a_function_closes(server: Server, code: int) -> None:
    with talk(server, f"/close/{code}") as client:
        client.send("now")
        assert client.recv(10) == "last"
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    assert (client.close_code, client.close_reason) == (code, "by the function")
    expected = [f"send {code} by the function", f"receive {code} by the function"]
    assert eventually(lambda: notes(server, f"close-{code}") == expected)


def test_a_function_that_fails_closes_with_1011(server: Server) -> None:
    with talk(server, "/fail") as client:
        client.send("now")
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    assert (client.close_code, client.close_reason) == (1011, "internal error")
    assert eventually(lambda: "ValueError: broken on purpose" in server.log.read_text())


def test_the_client_closes(server: Server) -> None:
    with talk(server, "/watch/leaver") as client:
        client.send("one")
        client.close(3001, "enough")
    assert eventually(lambda: notes(server, "leaver") == ["begun", "one", "closed 3001 enough", "cleaned"])
    with raw(server, "/watch/silent") as quiet:
        quiet.send(frame(CLOSE))
        assert quiet.closed() == 1005
        assert quiet.is_at_end()
    assert eventually(lambda: notes(server, "silent") == ["begun", "closed 1005 ", "cleaned"])
    # Not caught by the function, that is an end like any other.
    before = server.log.read_text()
    with talk(server, "/let-through") as client:
        client.send("x")
    assert server.get("/").status == 200
    assert "error in the function" not in server.log.read_text()[len(before) :]


def vanish(client: Raw) -> None:
    """Resets the connection, as a client does that crashes."""
    client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.connection.close()


@pytest.mark.parametrize("way", ["reset", "end"])
def test_a_client_that_is_lost_wakes_its_function(server: Server, way: str) -> None:
    with raw(server, f"/watch/{way}") as client:
        client.send(frame(TEXT, b"one"))
        assert eventually(lambda: notes(server, way) == ["begun", "one"])
        if way == "reset":
            vanish(client)
    expected = ["begun", "one", "closed 1006 the connection broke", "cleaned"]
    assert eventually(lambda: notes(server, way) == expected)


def test_a_function_without_its_client_has_a_while(server: Server) -> None:
    """What waits for something else is killed, after the grace; what has come is not lost."""
    with talk(server, "/sleep/sleeper"):
        assert eventually(lambda: notes(server, "sleeper") == ["begun"])
    assert eventually(lambda: notes(server, "sleeper") == ["begun", "cleaned"])
    with talk(server, "/later/reader") as client:
        client.send("one")
        client.send("two")
    assert eventually(lambda: notes(server, "reader") == [["one", "two"]])


def test_a_client_that_goes_before_the_decision_ends_the_function(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(handshake("/refuse/wait"))
        time.sleep(0.2)
    # Its place is free again, and nothing is logged as an error.
    with talk(server, "/echo") as client:
        client.send("x")
        assert client.recv(10) == "x"


def test_a_server_that_stops_says_so(folder: Path, serve: Serve) -> None:
    with serve("--websocket-grace", "3s", cwd=folder) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(talk(server, f"/watch/stop{n}")) for n in range(20)]
        asleep = stack.enter_context(talk(server, "/sleep/stop-sleeper"))
        # One that answers nothing does not keep it.
        stack.enter_context(raw(server, "/echo"))
        assert eventually(lambda: notes(server, "stop-sleeper") == ["begun"])
        server.process.send_signal(signal.SIGTERM)
        for client in (*idle, asleep):
            with pytest.raises(ConnectionClosed):
                client.recv(10)
            assert (client.close_code, client.close_reason) == (1001, "the server stops")
        assert server.process.wait(15) == 0
    for n in range(20):
        text = (folder / f"stop{n}.notes").read_text()
        assert text == "begun\nclosed 1001 the server stops\ncleaned\n"
    assert (folder / "stop-sleeper.notes").read_text() == "begun\ncleaned\n"


# ---------------------------------------------------------------------------- limits


def test_pings(folder: Path, serve: Serve) -> None:
    options = ("--websocket-ping", "200ms", "--websocket-timeout", "8s")
    with (
        serve(*options, cwd=folder) as server,
        raw(server, "/watch/polite") as polite,
        raw(server, "/watch/mute") as mute,
    ):
        # A ping is answered at once, with what it carries.
        polite.send(frame(PING, b"are you there?"))
        while (answer := polite.receive()) == (PING, b""):
            pass  # the server's own
        assert answer == (PONG, b"are you there?")
        given_up = ["begun", "closed 1006 the client does not answer", "cleaned"]
        deadline = time.monotonic() + 30
        while notes(server, "mute") != given_up and time.monotonic() < deadline:
            opcode, payload = polite.receive()
            assert opcode == PING
            polite.send(frame(PONG, payload))
        assert notes(server, "mute") == given_up
        polite.send(frame(TEXT, b"alive"))
        assert eventually(lambda: notes(server, "polite") == ["begun", "alive"])
        assert mute.receive() == (PING, b"")
        with pytest.raises((EOFError, ConnectionError)):
            mute.closed()


def memory(server: Server) -> int:
    """The server's resident memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_a_slow_client_parks_the_sender(folder: Path, serve: Serve) -> None:
    timeout = ("--websocket-timeout", "12s")
    with serve(*timeout, cwd=folder) as server, raw(server, "/pour/slow") as client:
        sent: list[int] = []

        def settled() -> bool:
            sent.extend(notes(server, "slow") or [0])
            return len(sent) > 10 and sent[-1] == sent[-10] > 0

        assert eventually(settled)
        # What the sockets hold, and the queue.
        assert sent[-1] * 10_000 < 16 << 20
        # It goes on when the client reads.
        for _ in range(3000):
            assert len(client.receive()[1]) == 10_000
        assert eventually(lambda: notes(server, "slow")[0] > sent[-1])
        # And ends when it does not.
        assert eventually(lambda: notes(server, "slow")[-1] == "closed 1006", 60)


def test_a_client_that_floods_is_held_back(server: Server) -> None:
    before = memory(server)
    message = frame(TEXT, b"x" * 1000)
    with raw(server, "/drink/flood") as client:
        client.connection.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000:
                client.send(message)
                sent += 1
        assert sent * 1000 < 32 << 20
        assert memory(server) - before < 16 << 20


def test_there_is_a_limit_of_websockets(folder: Path, serve: Serve) -> None:
    with serve("--websockets-max", "2", cwd=folder) as server:
        with talk(server, "/echo"), talk(server, "/echo"):
            with pytest.raises(InvalidStatus) as refused:
                talk(server, "/echo")
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "1"
            assert server.get("/").status == 200

        def has_room() -> bool:
            try:
                with talk(server, "/echo"):
                    return True
            except InvalidStatus:
                return False

        assert eventually(has_room)
        # Those that were refused have taken no place.
        for _ in range(5):
            with pytest.raises(InvalidStatus):
                talk(server, "/refuse/reject")
        assert eventually(has_room)


def test_many_idle_websockets_are_small(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder) as server, contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(raw(server, "/echo"))
        before = memory(server)
        clients = [stack.enter_context(raw(server, "/echo")) for _ in range(400)]
        each = (memory(server) - before) / len(clients)
        print(f"{each / 1024:.1f} KiB for each idle WebSocket")
        assert each < 64 << 10
        # They all still work.
        for number, client in enumerate(clients):
            client.send(frame(TEXT, str(number).encode()))
        for number, client in enumerate(clients):
            assert client.receive() == (TEXT, str(number).encode())


def test_over_tls(folder: Path, serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    options = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with serve(*options, cwd=folder) as server:
        url = f"wss://127.0.0.1:{server.port}/rooms/a/b"
        options_of_client: dict[str, Any] = {"compression": None, "proxy": None}
        with connect(url, ssl=context, additional_headers={"X-Agent": "t"}, **options_of_client) as client:
            assert json.loads(client.recv(10))["scheme"] == "wss"
            with pytest.raises(ConnectionClosed):
                client.recv(10)
        assert client.close_code == 1000
