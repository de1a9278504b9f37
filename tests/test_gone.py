"""A client that goes before its answer: what its request ran in ends, or not, and nobody else notices."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import Serve, Server
from support import eventually

MOMENT = 15.0
"""How long an end may take; what is not ended waits longer."""

APP = """
import json
import os
from collections import Counter

import puff

WAIT = float(os.environ.get("WAIT", 30))
seen = Counter()
never = puff.Event()


def app(environ, start_response):
    view, name = environ["PATH_INFO"].strip("/").split("/")
    if view == "seen":
        body = json.dumps({key.split(":")[1]: n for key, n in seen.items() if key.split(":")[0] == name})
    else:
        body = VIEWS[view](name, start_response)
    if not isinstance(body, str):
        return body
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]


def waits(wait, cleaning=0.01):
    def view(name, start_response):
        seen[f"{name}:begun"] += 1
        try:
            wait(name)
            seen[f"{name}:finished"] += 1
        finally:
            if cleaning:
                puff.sleep(cleaning)
            seen[f"{name}:cleaned"] += 1
        return name

    return view


def query(name):
    puff.global_postgres().query(f"SELECT pg_sleep({WAIT}) AS gone_{name}")


def running(name, start_response):
    # Not among the statements that it finds: its own has another text.
    found = puff.global_postgres().query(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1",
        [f"SELECT pg_sleep%gone_{name}"],
    )
    return str(found[0]["n"])


class Body:
    def __init__(self, name):
        self.name, self.sent = name, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.sent += 1
        if self.sent == 1:
            return b"first"
        seen[f"{self.name}:begun"] += 1
        puff.sleep(WAIT)
        seen[f"{self.name}:finished"] += 1
        raise StopIteration

    def close(self):
        puff.sleep(0.01)
        seen[f"{self.name}:cleaned"] += 1


def stream(name, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body(name)


def tail(name, start_response):
    # All of its length is sent; what comes after that is the application's own affair.
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    yield b"o"
    yield b"k"
    seen[f"{name}:begun"] += 1
    puff.sleep(0.5)
    seen[f"{name}:finished"] += 1


def keeps(name, start_response):
    # Answers what it is told to forget.
    seen[f"{name}:begun"] += 1
    try:
        puff.sleep(WAIT)
    except BaseException as error:
        seen[f"{name}:{type(error).__name__}"] += 1
    puff.sleep(0.3)
    seen[f"{name}:finished"] += 1
    return name


VIEWS = {
    "sleep": waits(lambda name: puff.sleep(WAIT)),
    "doze": waits(lambda name: puff.sleep(3)),
    "nap": waits(lambda name: puff.sleep(0.02), cleaning=0),
    "event": waits(lambda name: never.wait(WAIT)),
    "query": waits(query),
    "running": running,
    "stream": stream,
    "tail": tail,
    "keeps": keeps,
}
"""

SCHEMA = """
from dataclasses import dataclass

import puff

from app import seen, waits


def resolver(name, seconds):
    waits(lambda _: puff.sleep(seconds))(name, None)
    return name


@dataclass
class Query:
    @classmethod
    def slow(cls, context, /, name: str) -> str:
        return resolver(name, 30)

    @classmethod
    def quick(cls, context, /) -> str:
        return "quick"


@dataclass
class Mutation:
    @classmethod
    def change(cls, context, /, name: str) -> str:
        return resolver(name, 1.5)


@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""


@pytest.fixture(scope="module")
def killing(folder: Path, serve: Serve) -> Iterator[Server]:
    """Ends what its clients leave."""
    with serve("--wsgi", "app:app", "--kill-gone", "true", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def patient(folder: Path, serve: Serve) -> Iterator[Server]:
    """Does not, but for GraphQL's queries."""
    options = ("--wsgi", "app:app", "--graphql", "schema:Schema")
    with serve(*options, cwd=folder, env={"WAIT": "3"}) as server:
        yield server


def seen(server: Server, name: str) -> dict[str, int]:
    """What a view has told of itself."""
    found: dict[str, int] = server.get(f"/seen/{name}").json()
    return found


@contextlib.contextmanager
def client(server: Server, path: str, body: bytes | None = None) -> Iterator[socket.socket]:
    """A client that has asked, and goes at the end of the block."""
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: puff\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        line.sendall(head.encode() + b"\r\n" + (body or b""))
        yield line


def begun(server: Server, name: str) -> bool:
    return eventually(lambda: "begun" in seen(server, name))


@pytest.mark.parametrize("view", ["sleep", "event", "query"])
def test_a_view_ends_with_its_client(killing: Server, view: str) -> None:
    name = f"ends{view}"
    with client(killing, f"/{view}/{name}"):
        assert begun(killing, name)
    assert eventually(lambda: "cleaned" in seen(killing, name), MOMENT)
    assert seen(killing, name) == {"begun": 1, "cleaned": 1}


def test_its_query_is_cancelled_at_the_server(killing: Server) -> None:
    running = lambda: killing.get("/running/sql").text  # noqa: E731
    with client(killing, "/query/sql"):
        assert eventually(lambda: running() == "1")
    assert eventually(lambda: running() == "0", MOMENT)
    assert "finished" not in seen(killing, "sql")


def test_a_stream_ends_where_it_waits(killing: Server) -> None:
    with client(killing, "/stream/body") as line:
        assert begun(killing, "body")
        assert b"first" in line.recv(1000)
    assert eventually(lambda: "cleaned" in seen(killing, "body"), MOMENT)
    assert seen(killing, "body") == {"begun": 1, "cleaned": 1}


def test_what_follows_a_whole_answer_goes_on(killing: Server) -> None:
    with client(killing, "/tail/whole") as line:
        received = b""
        while not received.endswith(b"ok"):
            received += line.recv(1000)
        assert begun(killing, "whole")
    assert eventually(lambda: "finished" in seen(killing, "whole"), MOMENT)


@pytest.mark.parametrize("path", ["/stream/head", "/tail/headtail"])
def test_a_head_request_is_not_taken_for_one_that_has_gone(killing: Server, path: str) -> None:
    assert killing.request("HEAD", path).status == 200
    assert killing.get("/nap/after").text == "after"


def test_a_view_is_told_once_and_may_finish(killing: Server) -> None:
    with client(killing, "/keeps/stubborn"):
        assert begun(killing, "stubborn")
    assert eventually(lambda: "finished" in seen(killing, "stubborn"), MOMENT)
    assert seen(killing, "stubborn") == {"begun": 1, "GreenletExit": 1, "finished": 1}


def test_without_the_setting_a_view_finishes(patient: Server) -> None:
    with client(patient, "/sleep/sleeps"), client(patient, "/query/queries"):
        assert begun(patient, "sleeps")
        assert begun(patient, "queries")
    for name in ("sleeps", "queries"):
        assert eventually(lambda name=name: "cleaned" in seen(patient, name), 30)
        assert seen(patient, name) == {"begun": 1, "finished": 1, "cleaned": 1}


def test_neighbours_are_left_alone(killing: Server) -> None:
    with client(killing, "/doze/stays") as stays:
        for number in range(10):
            with client(killing, f"/sleep/leaves{number}"):
                assert begun(killing, f"leaves{number}")
        for number in range(10):
            assert eventually(lambda n=number: "cleaned" in seen(killing, f"leaves{n}"), MOMENT)
        assert stays.recv(1000).endswith(b"stays")
        # And its connection is as good as before.
        stays.sendall(b"GET /nap/again HTTP/1.1\r\nHost: puff\r\n\r\n")
        assert stays.recv(1000).endswith(b"again")


def test_a_worker_that_has_gone_on_is_not_hit(killing: Server) -> None:
    """Clients go at every moment of a view of 20 ms, also at its end, and others come into its worker."""
    with socket.create_connection(("127.0.0.1", killing.port), timeout=30) as steady:
        for number in range(300):
            with client(killing, "/nap/goes") as line:
                if number % 30 == 29:
                    assert line.recv(1000).endswith(b"goes")
                else:
                    time.sleep(number % 30 / 1000)
            steady.sendall(b"GET /nap/steady HTTP/1.1\r\nHost: puff\r\n\r\n")
            received = steady.recv(1000)
            assert received.startswith(b"HTTP/1.1 200"), (number, received)
            assert received.endswith(b"steady"), (number, received)
    assert seen(killing, "steady") == {"begun": 300, "finished": 300, "cleaned": 300}
    # Some were cut short, some were not, and each that began was cleaned up.
    assert eventually(lambda: seen(killing, "goes")["begun"] == seen(killing, "goes")["cleaned"], MOMENT)
    goes = seen(killing, "goes")
    assert 0 < goes["finished"] < goes["begun"], goes
    assert "error in" not in killing.log.read_text()


def graphql(document: str) -> bytes:
    return json.dumps({"query": document}).encode()


def test_a_query_ends_with_its_client(patient: Server) -> None:
    with client(patient, "/graphql", graphql('{ slow(name: "query") }')):
        assert begun(patient, "query")
    assert eventually(lambda: "cleaned" in seen(patient, "query"), MOMENT)
    assert seen(patient, "query") == {"begun": 1, "cleaned": 1}
    assert patient.graphql("{ quick }") == {"data": {"quick": "quick"}}


def test_a_mutation_finishes(patient: Server) -> None:
    with client(patient, "/graphql", graphql('mutation { change(name: "mutation") }')):
        assert begun(patient, "mutation")
    assert eventually(lambda: "cleaned" in seen(patient, "mutation"), MOMENT)
    assert seen(patient, "mutation") == {"begun": 1, "finished": 1, "cleaned": 1}


def test_a_value_that_is_no_truth_is_refused(folder: Path, puff: Callable[..., object]) -> None:
    ended = puff("runserver", "--wsgi", "app:app", "--kill-gone", "perhaps", cwd=folder)
    assert getattr(ended, "returncode", None) == 2
    assert "kill-gone" in getattr(ended, "stderr", "").replace("_", "-")
