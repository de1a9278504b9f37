"""Pub-sub through the public door: one process, several processes on one Redis, and without Redis."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from stack import Run, Serve, free_port, run_puff, running
from support import open_folder

MAIN = """
import contextlib
import json
import os
import pathlib
import sys
import time

import puff
from puff.pubsub import START, Gap, Join, Leave, Message

pubsub, redis = puff.global_pubsub(), puff.global_redis()
COUNT = 40


def show(event):
    match event:
        case Message():
            return event.text
        case Join():
            return f"+{event.member.id}"
        case Leave():
            return f"-{event.member.id}"
        case Gap():
            return "?" if event.presence else f"gap {event.missed}"
    return event


def take(connection, count):
    return [show(connection.receive(timeout=10)) for _ in range(count)]


def until(check):
    deadline = time.monotonic() + 120
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit("it never happened")
        puff.sleep(0.01)


def one():
    found = {}
    with pubsub.connection() as reader:
        found["start"] = reader.subscribe("kept") == START
        pubsub.publish("kept", "1", keep=10)
        pubsub.publish_json("kept", {"n": 2}, keep=10)
        pubsub.publish_bytes("kept", bytearray(b"\\xff3"), keep=10, keep_seconds=60.5)
        first, second, third = (reader.receive(5) for _ in range(3))
        found["three"] = [first.text, second.json(), third.body == b"\\xff3", third.from_connection_id]
        position = first.position
    with pubsub.connection() as late:
        found["since"] = late.subscribe("kept", since=position) == position
        found["replayed"] = [late.receive(5).body.decode("latin-1") for _ in range(2)]
        late.unsubscribe("kept")
        for number in range(4, 8):
            pubsub.publish("kept", str(number), keep=2)
        late.subscribe("kept", since=position, gaps=True)
        found["gap"] = take(late, 3)
        late.unsubscribe("kept")
        late.subscribe("kept", since=position)
        found["logged"] = take(late, 2)
    with pubsub.connection() as silent:
        silent.subscribe("echo", echo=False)
        silent.publish("echo", "mine")
        pubsub.publish("echo", "yours")
        found["echo"] = take(silent, 1)
        found["nothing"] = silent.receive(timeout=0.01)

    def read(connection):
        for event in connection:
            texts.append(event.text)

    texts = []
    iterated = pubsub.connection()
    iterated.subscribe("loop")
    reading = puff.spawn(read, iterated)
    pubsub.publish("loop", "a")
    pubsub.publish("loop", "b")
    until(lambda: len(texts) == 2)
    iterated.close()
    iterated.close()
    reading.join(5)
    found["iterated"] = texts
    print(json.dumps(found))


def presence():
    with pubsub.connection() as watcher, pubsub.connection() as phone, pubsub.connection() as laptop:
        watcher.subscribe("room", presence=True)
        phone.enter("room", "ada", {"status": "here"})
        laptop.enter("room", "ada", {"status": "there"})
        laptop.enter("room", "ada", {"status": "away"})
        watcher.enter("room")
        found = [take(watcher, 2) == ["+ada", "+" + watcher.id]]
        found.append(next(repr(member) for member in pubsub.presence("room") if member.id == "ada"))
        found += [phone.leave("room"), phone.leave("room")]
        laptop.close()
        found += take(watcher, 1)
        watcher.unsubscribe("room")
        found.append([member.id for member in pubsub.presence("room")] == [watcher.id])
    print(json.dumps(found))


def slow():
    policies = {}
    with (
        pubsub.connection(overflow="drop_oldest") as oldest,
        pubsub.connection() as newest,
        pubsub.connection() as after,
    ):
        ended = pubsub.connection(overflow="disconnect")
        for connection in (oldest, ended, newest):
            connection.subscribe("busy", gaps=True)
        after.subscribe("after")
        for number in range(20):
            pubsub.publish("busy", str(number))
        pubsub.publish("other", "")
        until(lambda: pubsub.publish("busy", "last") >= 0)
        pubsub.publish("after", "")
        after.receive(timeout=20)  # what was published before has come
        policies["oldest"], policies["newest"] = take(oldest, 6), take(newest, 6)
        try:
            ended.receive(1)
        except ConnectionError as error:
            policies["ended"] = str(error).endswith("its queue was full")
    print(json.dumps(policies))


def refusals():
    connection = pubsub.connection()
    attempts = [
        lambda: connection.subscribe(""),
        lambda: connection.subscribe("x" * 1025),
        lambda: connection.subscribe("puff:presence:x"),
        lambda: connection.subscribe("c", since="yesterday"),
        lambda: pubsub.publish("c", b"x" * 2000),
        lambda: pubsub.publish("c", "x", keep=0),
        lambda: pubsub.publish("c", "x", keep=1, keep_seconds=float("nan")),
        lambda: pubsub.connection(overflow="newest").subscribe("c"),
        lambda: connection.enter("c", ""),
        lambda: connection.enter("c", "me", "x" * 5000),
        lambda: connection.enter("c", "me", object()),
        lambda: pubsub.connection_with_id("").subscribe("c"),
        connection.close,
        lambda: connection.subscribe("c"),
        lambda: connection.receive(),
        lambda: connection.enter("c"),
    ]
    for attempt in attempts:
        try:
            attempt()
        except Exception as error:
            print(type(error).__name__, error)


def unreachable():
    for attempt in (lambda: pubsub.publish("c", "x"), lambda: pubsub.connection().subscribe("c")):
        started = time.monotonic()
        try:
            attempt()
        except ConnectionError as error:
            print(type(error).__name__, time.monotonic() - started < 15)
            print(error)


def node():
    "One of several: `puff run main.node NAME NAMES...`"
    me, *all_of_us = sys.argv[1:]
    with pubsub.connection() as connection, pubsub.connection() as other:
        connection.subscribe("all", gaps=True, echo=False)
        other.subscribe("all", gaps=True)
        print("id", connection.id, other.id, flush=True)
        until(lambda: pathlib.Path("go").exists())
        for number in range(COUNT):
            connection.publish("all", json.dumps([me, number]))
        counts = [dict.fromkeys(all_of_us, 0), dict.fromkeys(all_of_us, 0)]
        others = len(all_of_us) - 1
        for reader, seen, senders in ((connection, counts[0], others), (other, counts[1], others + 1)):
            for _ in range(senders * COUNT):
                event = reader.receive(timeout=20)
                if not isinstance(event, Message):
                    raise SystemExit(f"{event}")
                sender, number = event.json()
                if number != seen[sender]:
                    raise SystemExit(f"{number} of {sender} instead of {seen[sender]}")
                seen[sender] += 1
        if connection.receive(timeout=0.3) is not None:
            raise SystemExit("an echo")
        print("read", json.dumps(counts), flush=True)
        until(lambda: pathlib.Path(f"stop-{me}").exists())
    until(lambda: pathlib.Path("end").exists())


def where():
    print(redis.command("CONFIG", "GET", "unixsocket")[b"unixsocket"].decode())


def subscribers():
    print(redis.command("PUBSUB", "NUMSUB", "all")[1])


def watch():
    with pubsub.connection() as watcher:
        watcher.subscribe("room", presence=True)
        print("watching", flush=True)
        while True:
            print(show(watcher.receive(timeout=90)), flush=True)


def stay():
    connection = pubsub.connection()
    connection.enter("room", sys.argv[1])
    print("entered", flush=True)
    puff.sleep(600)


def view(environ, start_response):
    if environ["PATH_INFO"] == "/use":
        connection = pubsub.connection()
        connection.subscribe("metered")
        pubsub.publish("metered", "x")
        connection.receive(timeout=5)
        globals()["kept"] = connection
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A project whose private Valkey runs as long as the module."""
    with open_folder() as made:
        (made / "main.py").write_text(MAIN)
        with running("run", "main.watch", cwd=made) as keeper:
            keeper.wait_for("watching")
            yield made


MEMORY = {"PUFF_PUBSUB_URL": "memory:"}
BOTH = pytest.mark.parametrize("env", [{}, MEMORY], ids=["redis", "memory"])


def answer(folder: Path, function: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    done = run_puff("run", f"main.{function}", *arguments, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@BOTH
def test_positions_histories_and_iteration(folder: Path, env: dict[str, str]) -> None:
    done = run_puff("run", "main.one", cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "start": True,
        "three": ["1", {"n": 2}, True, None],
        "since": True,
        "replayed": ['{"n":2}', "\xff3"],
        "gap": ["gap 4", "6", "7"],
        "logged": ["6", "7"],
        "echo": ["yours"],
        "nothing": None,
        "iterated": ["a", "b"],
    }
    assert "messages of channel 'kept' may have been missed" in done.stderr


@BOTH
def test_presence(folder: Path, env: dict[str, str]) -> None:
    *found, alone = json.loads(answer(folder, "presence", env=env))
    assert found == [True, "Member(id='ada', info={'status': 'away'})", True, False, "-ada"]
    assert alone


@BOTH
def test_slow_connections(folder: Path, env: dict[str, str]) -> None:
    found = json.loads(answer(folder, "slow", env={"PUFF_PUBSUB_QUEUE": "5", **env}))
    assert found["newest"] == ["0", "1", "2", "3", "4", "gap None"]
    assert found["oldest"] == ["gap 16", "16", "17", "18", "19", "last"]
    assert found["ended"] is True


@BOTH
def test_bad_input(folder: Path, env: dict[str, str]) -> None:
    lines = answer(folder, "refusals", env={"PUFF_PUBSUB_MAX_MESSAGE": "1KiB", **env}).splitlines()
    assert lines == [
        "ValueError the channel: it is empty",
        "ValueError the channel: it has 1025 bytes, at most 1024 are possible",
        "ValueError the channel: its name begins as those that Puff uses for presence do",
        "ValueError the position: it is none that a message or a subscription had",
        "ValueError the message: it has 2000 bytes, at most 1024 are allowed",
        "ValueError the history: 0 messages, 1 to 10000 are possible",
        f"ValueError the history: {lines[6].partition(': ')[2]}",
        'ValueError the policy for slow connections: "newest" is none; '
        "there are gap, drop_oldest and disconnect",
        "ValueError the member: it is empty",
        "ValueError what is told of the member: it has 5002 bytes, at most 4096 are possible",
        "TypeError Object of type object is not JSON serializable",
        "ValueError the connection id: it is empty",
        *["RuntimeError this pub-sub connection is closed"] * 3,
    ]
    assert "366 days" in lines[6]


def test_redis_that_is_not_there_or_does_not_let_in(folder: Path, tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/nothing.sock", _with_wrong_password(folder)):
        lines = answer(folder, "unreachable", env={"PUFF_PUBSUB_URL": url}).splitlines()
        assert lines[::2] == ["ServiceError True"] * 2
        assert all("cannot connect to Redis" in line for line in lines[1::2]), lines


def _with_wrong_password(folder: Path) -> str:
    return f"unix://{answer(folder, 'where').strip()}?username=nobody&password=wrong"


def test_a_request_that_needs_no_redis_is_not_harmed(folder: Path, serve: Serve, tmp_path: Path) -> None:
    env = {"PUFF_PUBSUB_URL": f"unix://{tmp_path}/nothing.sock"}
    with serve("--wsgi", "main:view", cwd=folder, env=env) as server:
        assert server.get("/").text == "fine"
        assert server.get("/use").status == 500
        assert server.get("/").text == "fine"


@pytest.mark.parametrize("count", [2, 5])
def test_processes_on_one_redis(folder: Path, count: int) -> None:
    names = [f"n{number}" for number in range(count)]
    for left in ("go", "end", *(f"stop-{name}" for name in names)):
        (folder / left).unlink(missing_ok=True)
    with ExitStack() as stack:
        nodes = [stack.enter_context(running("run", "main.node", name, *names, cwd=folder)) for name in names]
        for node in nodes:
            node.wait_for("id ")
        ids = [each for node in nodes for each in node.out.split()[1:3]]
        assert len(set(ids)) == 2 * count
        assert answer(folder, "subscribers").strip() == str(count), "one subscription for each process"
        (folder / "go").touch()
        for name, node in zip(names, nodes, strict=True):
            node.wait_for("read ")
            others, everybody = json.loads(node.out.partition("read ")[2])
            assert everybody == dict.fromkeys(names, 40)
            assert others == {**dict.fromkeys(names, 40), name: 0}, "no echo"
        for left, name in enumerate(names, 1):
            (folder / f"stop-{name}").touch()
            _eventually_subscribed(folder, count - left)
        (folder / "end").touch()
        assert [node.process.wait(20) for node in nodes] == [0] * count


def _eventually_subscribed(folder: Path, expected: int) -> None:
    found = ""
    for _ in range(20):
        found = answer(folder, "subscribers").strip()
        if found == str(expected):
            return
    pytest.fail(f"{found} processes are subscribed, not {expected}")


def test_members_of_a_killed_process_leave_by_themselves(folder: Path) -> None:
    env = {"PUFF_PUBSUB_PRESENCE_TTL": "1s"}
    with running("run", "main.watch", cwd=folder, env=env) as watcher:
        watcher.wait_for("watching")
        with running("run", "main.stay", "mortal", cwd=folder, env=env) as member:
            watcher.wait_for("+mortal")
            member.wait_for("entered")
            os.kill(member.process.pid, signal.SIGKILL)
            watcher.wait_for("-mortal", seconds=20)


def test_metrics(folder: Path, serve: Serve) -> None:
    port = free_port()
    with serve("--wsgi", "main:view", "--metrics-bind", f"127.0.0.1:{port}", cwd=folder) as server:
        assert server.get("/use").text == "fine"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            text = page.read().decode()
    found = dict(re.findall(r"^(puff_pubsub_\w+) (\S+)$", text, re.MULTILINE))
    assert found["puff_pubsub_connections"] == "1"
    assert found["puff_pubsub_channels"] == "1"
    assert found["puff_pubsub_up"] == "1"
    assert found["puff_pubsub_published_total"] == "1"
    assert found["puff_pubsub_delivered_total"] == "1"
    assert found["puff_pubsub_gaps_total"] == "0"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PUFF_PUBSUB_HISTORY", "chat", "PUFF_PUBSUB_HISTORY"),
        ("PUFF_PUBSUB_OVERFLOW", "newest", "drop_oldest"),
        ("PUFF_PUBSUB_URL", "memory", "redis://"),
    ],
)
def test_settings_that_are_wrong(folder: Path, puff: Run, name: str, value: str, says: str) -> None:
    done = puff("run", "main.one", cwd=folder, env={name: value})
    assert done.returncode == 2
    assert says in done.stderr
