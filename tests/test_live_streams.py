"""Event streams of WSGI applications: what is published goes out as server-sent events without Python."""

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
from http2 import http2
from playwright.sync_api import Browser
from stack import Line, Project, Serve, Server
from support import eventually
from tools import packages, tools

APP = """
from urllib.parse import parse_qs

import puff
from flask import Flask, Response, request
from puff.web import event_stream

pubsub = puff.global_pubsub()
flask = Flask(__name__)


@flask.get("/flask/<channel>")
def view(channel):
    stream = event_stream(channel)
    return Response(stream, headers=stream.headers, direct_passthrough=True)


@flask.get("/wrapped/<channel>")
def wrapped(channel):
    return Response(event_stream(channel), content_type="text/event-stream")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    if path.startswith(("/flask/", "/wrapped/")):
        return flask(environ, start_response)
    if path.startswith("/events/"):
        if "retry" in query:
            query["retry"] = float(query["retry"])
        channels = path[8:].split(",")
        try:
            stream = event_stream(channels[0] if len(channels) == 1 else channels, **query)
        except (ValueError, ConnectionError) as error:
            start_response("400 Bad Request", [])
            return [str(error).encode()]
        start_response("200 OK", stream.headers)
        return stream
    body = environ["wsgi.input"].read()
    answer = "done"
    match path:
        case "/publish":
            keep = {"keep": int(query["keep"])} if "keep" in query else {}
            answer = pubsub.publish(query["channel"], body, **keep)
        case "/flood":
            for number in range(int(query["count"])):
                pubsub.publish(query["channel"], f"{number}:".encode() + body)
        case "/cut":
            answer = puff.global_redis().command("CLIENT", "KILL", "TYPE", "pubsub")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(answer).encode()]
"""

MEMORY = {"PUFF_PUBSUB_URL": "memory:"}


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"app.py": APP, "puff.toml": 'wsgi = "app:app"\n'})


@pytest.fixture(scope="module", params=[{}, MEMORY], ids=["redis", "memory"])
def server(request: pytest.FixtureRequest, folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--max-requests", "4", cwd=folder, env=request.param) as server:
        yield server


class Stream:
    """An event stream that is read as browsers read it."""

    def __init__(self, line: Line, path: str, *headers: str, opened: bool = True) -> None:
        line.send(f"GET {path} HTTP/1.1", *headers)
        self.answer = line.answer()
        self.id = ""
        self.retry: str | None = None
        self.comments = 0
        if opened:
            assert self.answer.status == 200
            # The beginning has an id and no data: it is no event.
            while not self.id:
                self.line()

    def line(self) -> tuple[str, str] | None:
        """A field; `("", "")` where an event ends, None at the end of the stream."""
        text = self.answer.readline().decode()
        if not text:
            return None
        name, _, value = text.rstrip("\n").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                self.id = value
            case "retry":
                self.retry = value
            case "":
                self.comments += text.startswith(":")
        return name, value

    def next(self) -> tuple[str, str] | None:
        """The next event, its type and data; None at the end of the stream."""
        kind, data = "message", list[str]()
        while (field := self.line()) is not None:
            match field:
                case ("event", value):
                    kind = value
                case ("data", value):
                    data.append(value)
                case ("", _) if data:
                    return kind, "\n".join(data)
        return None

    def take(self, count: int) -> list[str]:
        found = [self.next() for _ in range(count)]
        return [each[1] for each in found if each is not None and each[0] == "message"]


def publish(server: Server, channel: str, body: bytes, **options: Any) -> int:
    query = urlencode({"channel": channel, **options})
    return int(server.request("POST", f"/publish?{query}", body).text)


@pytest.mark.parametrize("path", ["/events/", "/flask/", "/wrapped/"])
def test_what_is_published_arrives(server: Server, path: str) -> None:
    channel = f"plain{path[1:-1]}"
    with Line(server) as one, Line(server) as two:
        streams = Stream(one, path + channel), Stream(two, path + channel)
        headers = streams[0].answer.headers
        assert headers["Content-Type"].startswith("text/event-stream")
        if path != "/wrapped/":
            assert headers["Cache-Control"] == "no-cache"
            assert headers["X-Accel-Buffering"] == "no"
        bodies = [b"a text", "\u00e9".encode(), b"two\nlines", b"a\r\nb\rc\n", b"", b"x" * 100_000]
        for body in bodies:
            assert publish(server, channel, body) == 1
        publish(server, channel, b"\xff\x00")
        expected = ["a text", "\u00e9", "two\nlines", "a\nb\nc\n", "", "x" * 100_000]
        for stream in streams:
            assert stream.take(6) == expected
            assert stream.next() == ("base64", "/wA=")
            assert stream.id.endswith("-7")


def test_django(tmp_path: Path, serve: Serve) -> None:
    app = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)

import puff
from puff.contrib.django.http import EventStreamResponse
from puff.web import event_stream


def events(request, channel):
    return EventStreamResponse(event_stream(channel))


def publish(request):
    return HttpResponse(puff.global_pubsub().publish(request.GET["channel"], request.body))


urlpatterns = [path("events/<channel>", events), path("publish", publish)]
app = get_wsgi_application()
"""
    (tmp_path / "site_app.py").write_text(app)
    path = str(packages(tools()))
    with (
        serve("--wsgi", "site_app:app", cwd=tmp_path, env={**MEMORY, "PYTHONPATH": path}) as server,
        Line(server) as line,
    ):
        stream = Stream(line, "/events/django")
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert server.get("/publish?channel=django").text == "1"
        assert stream.next() == ("message", "")


def test_objects_types_and_retry(server: Server) -> None:
    with Line(server) as one, Line(server) as two:
        stream = Stream(one, "/events/o?format=json&event=news&retry=1.5")
        text = Stream(two, "/events/o?format=text")
        assert stream.retry == "1500"
        publish(server, "o", b'{"a":\n1}')
        kind, data = stream.next() or ("", "")
        assert kind == "news"
        assert json.loads(data) == {"channel": "o", "position": stream.id, "from": None, "data": {"a": 1}}
        assert json.loads((text.next() or ("", ""))[1])["data"] == '{"a":\n1}'


def test_a_client_that_comes_again_goes_on(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, "/events/again")
        first = stream.id
        publish(server, "again", b"1", keep=3)
        assert stream.take(1) == ["1"]
        last = stream.id
    for number in (2, 3, 4):
        publish(server, "again", b"%d" % number, keep=3)
    with Line(server) as line:
        assert Stream(line, "/events/again", f"Last-Event-ID: {last}").take(3) == ["2", "3", "4"]
    with Line(server) as line:
        assert Stream(line, f"/events/again?since={last}").take(3) == ["2", "3", "4"]
    with Line(server) as line:
        # What the client has seen counts, not where newcomers begin.
        stream = Stream(line, f"/events/again?since={last}", f"Last-Event-ID: {first}")
        kind, data = stream.next() or ("", "")
        assert kind == "gap"
        gap = json.loads(data)["gap"]
        assert (gap["next"], gap["missed"]) == (last[:-1] + "2", 1)
        assert stream.take(3) == ["2", "3", "4"]
    with Line(server) as line:
        stream = Stream(line, "/events/again", "Last-Event-ID: of another stream")
        assert (stream.next() or ("", ""))[0] == "gap"
        publish(server, "again", b"5")
        assert stream.take(1) == ["5"]


def test_several_channels(server: Server) -> None:
    with Line(server) as line:
        stream = Stream(line, "/events/left,right?format=json")
        publish(server, "left", b"1", keep=5)
        publish(server, "right", b"2", keep=5)
        assert [json.loads(each)["channel"] for each in stream.take(2)] == ["left", "right"]
        last = stream.id
        assert len(last.split(",")) == 2
    publish(server, "right", b"3", keep=5)
    publish(server, "left", b"4", keep=5)
    with Line(server) as line:
        stream = Stream(line, "/events/left,right?format=json", f"Last-Event-ID: {last}")
        assert {json.loads(each)["data"] for each in stream.take(2)} == {3, 4}


def test_a_gap_is_an_event(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder) as server, Line(server) as line:
        stream = Stream(line, "/events/holes")
        publish(server, "holes", b"1")
        assert stream.take(1) == ["1"]
        assert server.get("/cut").text != "0"
        kind, data = stream.next() or ("", "")
        assert kind == "gap"
        assert json.loads(data)["gap"]["last"] == stream.id
        publish(server, "holes", b"2")
        assert stream.take(1) == ["2"]


def test_a_browser(server: Server, browser: Browser) -> None:
    with contextlib.closing(browser.new_page()) as page:
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.evaluate("""() => {
            window.seen = [];
            window.source = new EventSource("/events/browser");
            source.onmessage = event => seen.push([event.data, event.lastEventId]);
            return new Promise(opened => { source.onopen = opened; });
        }""")
        for number in range(3):
            publish(server, "browser", b"%d" % number)
        page.wait_for_function("seen.length == 3", timeout=20_000)
        seen = page.evaluate("seen")
        assert [data for data, _ in seen] == ["0", "1", "2"]
        assert len({position for _, position in seen}) == 3


def test_bad_input(server: Server) -> None:
    many = ",".join(str(number) for number in range(101))
    for path, says in [
        ("", "the channel: it is empty"),
        ("a,a", 'the channels: "a" is among them twice'),
        (many, "the channels: there are 101, 1 to 100 are possible"),
        ("a?since=x", "since: it is no id of an event of these channels"),
        ("a?format=xml", '"xml" is no format; there are "body", "json" and "text"'),
        ("a?event=x%0Ay", "the type of the events: it has a line break"),
        ("a?retry=-1", "retry: "),
    ]:
        answer = server.get(f"/events/{path}")
        assert answer.status == 400
        assert answer.text.startswith(says)
    # HTTP has no body here, and the subscription ends.
    answer = server.request("HEAD", "/events/headless")
    assert (answer.status, answer.body) == (200, b"")
    assert eventually(lambda: publish(server, "headless", b"") == 0)


def test_streams_take_no_turns_but_places(folder: Path, serve: Serve) -> None:
    options = ("--max-requests", "2", "--websockets-max", "3", "--event-stream-keep-alive", "50ms")
    with serve(*options, cwd=folder, env=MEMORY) as server, Line(server) as one, Line(server) as two:
        first, second = Stream(one, "/events/places"), Stream(two, "/events/places")
        with Line(server) as three:
            Stream(three, "/events/places")
            refused = server.get("/events/places")
            assert refused.status == 503
            assert refused.headers["retry-after"] == "1"
            assert publish(server, "places", b"x") == 1
        assert first.take(1) == second.take(1) == ["x"]
        # It says something when there is nothing.
        while first.comments < 3:
            first.line()
        # A client that goes leaves its place.
        assert eventually(lambda: has_place(server))


def has_place(server: Server) -> bool:
    with Line(server) as line:
        return Stream(line, "/events/places", opened=False).answer.status == 200


def test_the_end_of_a_client_ends_the_subscription(server: Server) -> None:
    with Line(server) as line:
        Stream(line, "/events/gone")
        assert publish(server, "gone", b"1") == 1
    assert eventually(lambda: publish(server, "gone", b"2") == 0)


def test_the_servers_end_ends_streams(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder, env=MEMORY) as server, Line(server) as one, Line(server) as two:
        streams = Stream(one, "/events/end"), Stream(two, "/wrapped/end")
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        # Whole answers: the clients come again.
        assert [stream.next() for stream in streams] == [None, None]
        assert server.process.wait(15) == 0
        assert time.monotonic() - begun < 9, "ten seconds, if it were waited for"


def test_a_client_that_stalls_costs_the_others_nothing(folder: Path, serve: Serve) -> None:
    env = {"PUFF_PUBSUB_QUEUE": "20", **MEMORY}
    with (
        serve("--write-timeout", "3s", cwd=folder, env=env) as server,
        Line(server) as one,
        Line(server) as two,
    ):
        reader, _stalled = Stream(one, "/events/busy"), Stream(two, "/events/busy")
        for number in range(300):
            publish(server, "busy", b"%d:" % number + b"x" * 50_000)
            assert reader.take(1)[0].startswith(f"{number}:")
        # It is given up with its connection, and its subscription ends.
        reader.answer.close()
        one.socket.close()
        assert eventually(lambda: publish(server, "busy", b"more") == 0, 20)


def test_over_http2(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder, env=MEMORY) as server, http2(server) as client:
        stream = client.send(path="/events/two")
        assert client.head(stream).status == 200
        begun = len(client.reply(stream, until=1).body)
        publish(server, "two", b"over two")
        assert b"data: over two\n" in client.reply(stream, until=begun + 10).body
        client.reset(stream)
        assert eventually(lambda: publish(server, "two", b"x") == 0)
