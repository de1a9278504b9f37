"""Redis pools with names: where they are declared, that they are apart, and what happens if one is away."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_valkey import OwnValkey, own_valkey
from stack import Project, Run, Serve, clean_environment, free_port
from support import eventually

MAIN = """
import json
import sys

import puff
import puff.redis

cache = puff.redis.Redis("cache", decode_responses=True)


def apart():
    puff.global_redis().set("k", "own")
    cache.set("k", "cache")
    puff.global_redis("jobs").set("k", "jobs")
    pubsub = cache.pubsub()
    pubsub.subscribe("c")
    heard = [pubsub.get_message(timeout=5)["type"], puff.global_redis("jobs").publish("c", "x")]
    with puff.global_redis("jobs").pipeline() as pipe:
        pipe.watch("k")
        watched = pipe.get("k").decode()
    own = puff.global_redis().get("k").decode()
    found = [own, cache.get("k"), cache.pipeline().get("k").execute(), watched]
    status = puff.global_redis("jobs").status()
    print(json.dumps([found, heard, [status["max_size"], status["dedicated"]["max_size"]]]))
    print(repr(puff.global_redis("jobs")), cache.connection_pool.native.address())


def names():
    print(json.dumps([puff.redis.Redis(name).get("k").decode() for name in sys.argv[1:]]))


def unknown():
    client = puff.redis.Redis("chache")
    for use in (client.ping, client.pipeline().get("k").execute, client.status, lambda: client.blpop("k", 1)):
        try:
            use()
        except Exception as error:
            print(f"{type(error).__name__}: {error}")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    try:
        if path == "/cache":
            text = cache.get("k") or "nothing"
        elif path == "/own":
            text = str(puff.global_redis().ping())
        else:
            text = "plain"
        status = "200 OK"
    except puff.redis.RedisError as error:
        text, status = f"{type(error).__name__}: {error}", "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as server:
        yield server


@pytest.fixture
def folder(new_project: Project) -> Path:
    return new_project({"main.py": MAIN}, services=False)


def declare(folder: Path, text: str) -> None:
    (folder / "puff.toml").write_text(text)


def test_pools_are_apart(folder: Path, valkey: OwnValkey, puff: Run) -> None:
    declare(
        folder,
        f"redis_url = '{valkey.url}/0'\n[redis.cache]\nurl = '{valkey.url}/1'\n"
        f"[redis.jobs]\nurl = '{valkey.url}/2'\nconnections = 1\ndedicated = 3\nresponse_timeout = '20s'\n",
    )
    done = puff("run", "main.apart", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    found = [["own", "cache", ["cache"], "jobs"], ["subscribe", 1], [1, 3]]
    assert json.loads(first) == found, "messages are the server's, not the database's"
    assert second == (
        f"<puff.redis._client.Redis(<puff.redis._connection.ConnectionPool(127.0.0.1:{valkey.port})>)>"
        f" 127.0.0.1:{valkey.port}"
    )


def test_variables_declare_pools_and_win(folder: Path, valkey: OwnValkey, puff: Run) -> None:
    declare(folder, f"[redis.cache]\nurl = 'redis://127.0.0.1:1'\n[redis.jobs]\nurl = '{valkey.url}/2'\n")
    env = {"PUFF_REDIS_CACHE_URL": f"{valkey.url}/1", "PUFF_REDIS_MORE_2_URL": f"{valkey.url}/1"}
    done = puff("run", "main.names", "cache", "jobs", "more_2", cwd=folder, env=env)
    assert (done.returncode, done.stdout) == (0, '["cache", "jobs", "cache"]\n'), done.stderr
    # Not through `puff`: the runtime starts in the background here.
    plain = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['', 'cache']; import main; main.names()"],
        cwd=folder,
        env=clean_environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (plain.returncode, plain.stdout) == (0, '["cache"]\n'), plain.stderr


def test_an_unknown_name_tells_the_known(folder: Path, puff: Run) -> None:
    declare(folder, "[redis.cache]\n[redis.jobs]\n")
    done = puff("run", "main.unknown", cwd=folder)
    wrong = 'this program has no Redis pool "chache": it has cache, jobs'
    kinds = ["ConnectionError", "ConnectionError", "ServiceError", "ConnectionError"]
    assert done.stdout.splitlines() == [f"{kind}: {wrong}" for kind in kinds], done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[redis.Big]", "puff.toml: redis.Big: the name of a pool is lower-case letters"),
        ("[redis.a]\nurls = 'x'", 'unknown key "redis.a.urls" (did you mean "url"?)'),
        ("[redis.a]\nurl = 'http://u:secret@h/d'", "puff.toml: redis.a.url: "),
        ("[redis.a]\nconnections = 0", 'redis.a.connections: "0" is not a whole number above 0'),
        ("[redis.a]\nresponse_timeout = 'soon'", 'redis.a.response_timeout: "soon" is not a duration'),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(folder: Path, puff: Run, text: str, message: str) -> None:
    declare(folder, text)
    done = puff("run", "main.names", cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("puff: error: ")
    assert message in line
    assert "secret" not in line


def test_a_pool_that_cannot_be_reached_harms_nobody_else(
    folder: Path, valkey: OwnValkey, serve: Serve
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    declare(folder, f"redis_url = '{valkey.url}'\n[redis.cache]\nurl = '{nowhere}'\n")
    with serve("--wsgi", "main:app", cwd=folder) as server:
        for _ in range(8):  # more than it takes to open the circuit
            answer = server.get("/cache")
            assert answer.status == 503
            assert nowhere.removeprefix("redis://") in answer.text
            assert server.get("/own").text == "True"
            assert server.get("/plain").text == "plain"
        # Between them one is let through, to see whether it is back.
        assert eventually(lambda: server.get("/cache").text.startswith("CircuitOpenError: "))


def test_a_server_without_any_redis_serves_what_needs_none(
    folder: Path, valkey: OwnValkey, serve: Serve
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    declare(folder, f"redis_url = '{nowhere}'\n[redis.cache]\nurl = '{nowhere}'\n")
    with serve("--wsgi", "main:app", cwd=folder) as server:
        assert [server.get(path).status for path in ("/plain", "/own", "/cache", "/plain")] == [
            200,
            503,
            503,
            200,
        ]


def test_a_pool_that_does_not_answer_costs_its_own_requests_only(folder: Path, serve: Serve) -> None:
    """A server that accepts connections and says nothing, as one that is stopped."""
    with own_valkey() as silent, own_valkey() as well:
        declare(
            folder,
            f"redis_url = '{well.url}'\n[redis.cache]\nurl = '{silent.url}'\nresponse_timeout = '1s'\n"
            "connect_timeout = '1s'\n",
        )
        with serve("--wsgi", "main:app", cwd=folder) as server:
            assert eventually(lambda: server.get("/cache").text == "nothing")
            silent.pause()
            try:
                began = time.monotonic()
                answer = server.get("/cache")
                # It has two connections at the most, of which perhaps one is open.
                assert answer.text.startswith(("TimeoutError: ", "ConnectionError: "))
                assert answer.status == 503
                assert 0.9 < time.monotonic() - began < 9
                assert server.get("/own").text == "True"
            finally:
                silent.go_on()
            assert eventually(lambda: server.get("/cache").text == "nothing")
