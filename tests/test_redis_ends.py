"""A server that is asked to stop while its requests wait for Redis, for ever if nobody ended them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey, own_valkey
from stack import Project, Server, running, serving
from support import eventually

PROGRAM = """
import sys

import puff
import puff.redis

client = puff.redis.Redis()


def get_message():
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    while True:
        pubsub.get_message(timeout=None)


def listen():
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    for _ in pubsub.listen():
        pass


def monitor():
    with client.monitor() as commands:
        while True:
            commands.next_command()


def on_a_thread():
    puff.spawn_blocking(told, "a thread", lambda: client.blpop("nothing"))


WAYS = {
    "blpop": lambda: client.blpop("nothing"),
    "xread": lambda: client.xread({"nothing": "$"}, block=0),
    "own": lambda: client.client().blpop("nothing"),
    "get_message": get_message,
    "listen": listen,
    "monitor": monitor,
    "thread": on_a_thread,
}


def told(name, function):
    try:
        function()
    except BaseException as error:
        print(f"{name}: {type(error).__name__}: {error}", flush=True)
        raise
    finally:
        print(f"{name}: cleaned up", flush=True)


def app(environ, start_response):
    told(environ["PATH_INFO"][1:], WAYS[environ["PATH_INFO"][1:]])
    start_response("200 OK", [])
    return [b""]


def main():
    told("main", WAYS[sys.argv[1]])
"""
WAYS = ["blpop", "xread", "own", "get_message", "listen", "monitor", "thread"]


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"app.py": PROGRAM}, services=False)


def waiting(valkey: OwnValkey) -> list[str]:
    """What clients wait for in Redis."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        last = [each["cmd"] for each in client.client_list()]
    return sorted(each for each in last if each in ("blpop", "xread", "subscribe", "monitor"))


@contextlib.contextmanager
def asked(server: Server) -> Iterator[None]:
    """Has a request of each kind under way."""

    def ask(way: str) -> None:
        with contextlib.suppress(OSError, Exception):
            server.get(f"/{way}")

    threads = [threading.Thread(target=ask, args=(way,)) for way in WAYS]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_server_stops_in_time(folder: Path, valkey: OwnValkey, workers: int) -> None:
    everything = ["blpop"] * 3 + ["monitor"] + ["subscribe"] * 2 + ["xread"]
    options = ["--wsgi", "app:app", "--shutdown-timeout", "500ms"]
    options += ["--workers", str(workers)] if workers else []
    with serving(*options, cwd=folder, env={"PUFF_REDIS_URL": valkey.url}) as server, asked(server):
        assert eventually(lambda: waiting(valkey) == everything)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 12, "half a second, and a moment for the rest"
        log = server.log.read_text()
    for way in WAYS:
        assert f"{way}: GreenletExit: " in log
        assert f"{way}: cleaned up" in log
    assert "a thread: RuntimeError: " in log, "greenlets end; threads are told"
    assert "Traceback" not in log
    assert eventually(lambda: waiting(valkey) == [])


@pytest.mark.parametrize("way", ["blpop", "xread", "get_message"])
def test_a_program_stops_at_once(folder: Path, valkey: OwnValkey, way: str) -> None:
    with running("run", "app.main", way, cwd=folder, env={"PUFF_REDIS_URL": valkey.url}) as program:
        assert eventually(lambda: len(waiting(valkey)) == 1, 30)
        assert program.stop() == 143
        assert program.out == "main: SystemExit: 143\nmain: cleaned up\n"
        assert program.err == ""
    assert eventually(lambda: waiting(valkey) == [])
