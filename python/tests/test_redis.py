"""`puff.redis`: redis-py's client on the pool of plain Python's runtime, from threads and greenlets."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as peer
from redis.backoff import NoBackoff
from redis.retry import Retry

import puff
import puff.redis

Run = Callable[..., Any]
CLIENT = puff.redis.Redis()
TEXT = puff.redis.Redis(decode_responses=True)


@pytest.fixture
def key() -> Iterator[str]:
    """The name of a key that nobody else uses, and that is gone afterwards."""
    name = f"test:{uuid.uuid4()}"
    yield name
    keys = list(CLIENT.scan_iter(f"{name}*"))
    if keys:
        CLIENT.delete(*keys)


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return False


def test_the_short_way(run: Run, key: str) -> None:
    assert run(CLIENT.get, key) is None
    assert run(CLIENT.set, key, b"\x00\xff") is True
    assert run(CLIENT.get, key) == b"\x00\xff"
    assert run(CLIENT.mget, [key, key + "none"]) == [b"\x00\xff", None]
    assert run(CLIENT.mget, key, key) == [b"\x00\xff"] * 2
    assert run(CLIENT.mget, []) == []
    assert run(partial(CLIENT.set, key, 41, ex=60)) is True
    assert run(partial(CLIENT.set, key, 42, nx=True)) is None
    assert run(partial(CLIENT.set, key, 41, get=True)) == b"41"
    assert run(CLIENT.incr, key) == 42
    assert run(CLIENT.incrby, key, -2) == 40
    assert run(CLIENT.delete, key, key + "none") == 1
    for wrong in (None, True, object(), [1]):
        with pytest.raises(peer.DataError, match="Invalid input of type"):
            run(CLIENT.set, key, wrong)


def test_types_of_responses_are_those_of_redis_py(run: Run, key: str) -> None:
    assert run(partial(CLIENT.hset, key, mapping={"a": 1, "b": 2.5})) == 2
    assert run(CLIENT.hgetall, key) == {b"a": b"1", b"b": b"2.5"}
    assert run(TEXT.hgetall, key) == {"a": "1", "b": "2.5"}
    run(CLIENT.delete, key)
    assert run(CLIENT.sadd, key, "x", b"y") == 2
    assert run(CLIENT.smembers, key) == {b"x", b"y"}
    run(CLIENT.delete, key)
    assert run(CLIENT.zadd, key, {"a": 1.5, "b": 2}) == 2
    assert run(partial(CLIENT.zrange, key, 0, -1, withscores=True)) == [(b"a", 1.5), (b"b", 2.0)]
    assert run(CLIENT.zscore, key, "a") == 1.5
    assert run(CLIENT.expire, key, 60) is True
    assert run(CLIENT.exists, key, key) == 2
    assert isinstance(run(CLIENT.info, "server")["redis_version"], str)
    assert run(CLIENT.config_get, "maxmemory") == {"maxmemory": "0"}
    assert run(CLIENT.execute_command, "config get", "maxmemory") == {"maxmemory": "0"}
    assert run(TEXT.ping) is True
    assert run(CLIENT.echo, "x") == b"x"
    assert run(CLIENT.dump, key) == run(TEXT.dump, key)
    assert "GET" in {name.upper() for name in run(CLIENT.command)}
    assert run(CLIENT.command, "ECHO", "x") == b"x"


def test_other_encodings(run: Run, key: str) -> None:
    latin = puff.redis.Redis(encoding="latin-1", decode_responses=True)
    assert run(latin.set, key, "é") is True
    assert run(CLIENT.get, key) == b"\xe9"
    assert run(latin.get, key) == "é"
    assert run(latin.pipeline().get(key).mget([key]).execute) == ["é", ["é"]]
    with pytest.raises(UnicodeDecodeError):
        run(TEXT.get, key)
    lax = puff.redis.Redis(encoding_errors="replace", decode_responses=True)
    assert run(lax.get, key) == "\ufffd"
    with lax.pipeline() as pipe:
        run(pipe.watch, key)
        assert run(pipe.get, key) == "\ufffd"


def test_pipelines(run: Run, key: str) -> None:
    for transaction in (True, False):
        pipe = CLIENT.pipeline(transaction=transaction)
        pipe.set(key, 1).incr(key).expire(key, 60).hgetall(key + "h").mget([])
        assert len(pipe) == 5
        assert run(pipe.execute) == [True, 2, True, {}, []]
        assert run(pipe.execute) == []
        pipe.set(key, "x").lpush(key, 1).get(key)
        with pytest.raises(
            peer.ResponseError, match=r"Command # 2 \(LPUSH .* 1\) of pipeline .*WRONGTYPE|wrong kind"
        ):
            run(pipe.execute)
        pipe.lpush(key, 1).get(key)
        error, value = run(pipe.execute, False)
        assert isinstance(error, peer.ResponseError)
        assert value == b"x"
    pipe = CLIENT.pipeline()
    pipe.set(key, "y").execute_command("NOSUCH")
    with pytest.raises(peer.ResponseError, match=r"Command # 2 \(NOSUCH\) of pipeline caused error"):
        run(pipe.execute)
    assert run(CLIENT.get, key) == b"x", "nothing of it was done"
    with pytest.raises(peer.DataError):
        run(CLIENT.pipeline().set(key, object()).execute)
    with pytest.raises(peer.DataError, match="SELECT is not possible here"):
        run(CLIENT.pipeline(transaction=False).select(1).execute)


def test_watching(run: Run, key: str) -> None:
    def add_one(pipe: puff.redis.Pipeline) -> None:
        value = int(pipe.get(key) or 0)
        pipe.multi()
        pipe.set(key, value + 1)

    assert run(CLIENT.transaction, add_one, key) == [True]
    assert run(CLIENT.get, key) == b"1"
    with CLIENT.pipeline() as pipe:
        run(pipe.watch, key)
        run(CLIENT.set, key, "other")
        pipe.multi()
        pipe.set(key, "mine")
        with pytest.raises(peer.WatchError):
            run(pipe.execute)
    assert run(CLIENT.get, key) == b"other"
    assert eventually(lambda: CLIENT.status()["dedicated"]["in_use"] == 0)


def test_many_greenlets_count_with_optimistic_locks(key: str) -> None:
    def add_one(pipe: puff.redis.Pipeline) -> None:
        value = int(pipe.get(key) or 0)
        pipe.multi()
        pipe.set(key, value + 1)

    puff.join_all([puff.spawn(CLIENT.transaction, add_one, key) for _ in range(20)])
    assert CLIENT.get(key) == b"20"


def test_scripts_and_locks(run: Run, key: str) -> None:
    script = CLIENT.register_script("return {KEYS[1], tonumber(ARGV[1]) + 1}")
    run(CLIENT.script_flush)
    assert run(script, [key], [41]) == [key.encode(), 42]
    run(CLIENT.script_flush)
    pipe = CLIENT.pipeline()
    script([key], [1], client=pipe)
    assert run(pipe.execute) == [[key.encode(), 2]]

    def body() -> None:
        with CLIENT.lock(key, timeout=20) as lock:
            assert lock.owned()
            assert not CLIENT.lock(key, timeout=20).acquire(blocking_timeout=0.05)
            with pytest.raises(peer.exceptions.LockError):
                CLIENT.lock(key).release()
        assert CLIENT.get(key) is None

    run(body)


def test_commands_that_wait(run: Run, key: str) -> None:
    began = time.monotonic()
    assert run(CLIENT.blpop, key, 0.1) is None
    assert time.monotonic() - began >= 0.09
    waiting = puff.spawn(CLIENT.brpop, key)
    assert eventually(lambda: CLIENT.status()["dedicated"]["in_use"] == 1)
    assert run(CLIENT.rpush, key, "x") == 1
    assert waiting.join(20) == (key.encode(), b"x")
    run(CLIENT.xadd, key + "s", {"f": "v"}, "1-1")
    found = run(CLIENT.xread, {key + "s": 0}, None, 100)
    assert found == [[(key + "s").encode(), [(b"1-1", {b"f": b"v"})]]]


def test_a_killed_greenlet_gives_its_connection_back(key: str) -> None:
    for _ in range(3):
        victims = [puff.spawn(CLIENT.blpop, key) for _ in range(64)]  # all that there are
        assert eventually(lambda: CLIENT.status()["dedicated"]["in_use"] == 64)
        for victim in victims:
            victim.kill()
        assert eventually(lambda: CLIENT.status()["dedicated"]["in_use"] == 0)
    CLIENT.rpush(key, "x")
    assert CLIENT.blpop(key, 1) == (key.encode(), b"x")


def test_pubsub(run: Run, key: str) -> None:
    def body() -> list[Any]:
        heard: list[Any] = []
        with TEXT.pubsub() as pubsub:
            pubsub.subscribe(key, **{key + "h": heard.append})
            pubsub.psubscribe(key + "*")
            for _ in range(3):
                assert pubsub.get_message(timeout=20)["type"] in ("subscribe", "psubscribe")
            assert pubsub.get_message(timeout=0.01) is None
            assert TEXT.publish(key, "hello") == 2
            heard += [pubsub.get_message(timeout=20) for _ in range(2)]
            TEXT.publish(key + "h", "handled")
            pubsub.get_message(timeout=20)
            pubsub.unsubscribe(key)
            heard += [message["type"] for message in (pubsub.get_message(timeout=20),) if message]
        return heard

    first, second, third, *_ = run(body)
    assert (first["type"], first["channel"], first["data"]) == ("message", key, "hello")
    assert (second["type"], second["pattern"]) == ("pmessage", key + "*")
    assert third["data"] == "handled"
    assert eventually(lambda: CLIENT.status()["dedicated"]["in_use"] == 0)


def test_closing_ends_who_listens(key: str) -> None:
    pubsub = CLIENT.pubsub()
    pubsub.subscribe(key)

    subscribed = puff.Event()

    def listen() -> str:
        try:
            for message in pubsub.listen():
                assert message["type"] == "subscribe"
                subscribed.set()
        except peer.ConnectionError as error:
            return str(error)
        return "nothing"

    listening = puff.spawn(listen)
    # By the time the hub does something else, it waits for the next message.
    assert subscribed.wait(20)
    puff.run_in_hub(pubsub.connection.disconnect)
    assert "closed" in listening.join(20)
    pubsub.close()


def test_monitor_and_a_client_of_ones_own(run: Run, key: str) -> None:
    def body() -> tuple[Any, ...]:
        with CLIENT.monitor() as monitor:
            CLIENT.get(key)
            while key not in (seen := monitor.next_command())["command"]:
                pass
        with CLIENT.client() as own:
            own.client_setname("mine")
            assert own.client_getname() == "mine"
            own.select(1)
            own.set(key, 1)
            own.delete(key)
            names = [client["name"] for client in CLIENT.client_list()]
        return seen["command"], "mine" in names, CLIENT.exists(key)

    assert run(body) == (f"GET {key}", True, 0)
    assert eventually(lambda: "mine" not in [client["name"] for client in CLIENT.client_list()])
    for command in ("MULTI", "SELECT 1", "WATCH k", "QUIT"):
        with pytest.raises(peer.DataError, match="needs a connection of its own"):
            run(CLIENT.execute_command, command)


def test_iterators(run: Run, key: str) -> None:
    run(CLIENT.mset, {f"{key}:{n}": n for n in range(100)})
    assert len(run(lambda: list(CLIENT.scan_iter(f"{key}:*", count=7)))) == 100
    run(partial(CLIENT.hset, key, mapping={str(n): n for n in range(50)}))
    assert run(lambda: dict(TEXT.hscan_iter(key))) == {str(n): str(n) for n in range(50)}


def test_errors_are_those_of_redis_py(run: Run, key: str) -> None:
    run(CLIENT.set, key, "x")
    with pytest.raises(peer.ResponseError, match="wrong kind of value") as caught:
        run(CLIENT.lpush, key, 1)
    assert type(caught.value) is peer.ResponseError
    with pytest.raises(peer.exceptions.NoScriptError):
        run(CLIENT.evalsha, "0" * 40, 0)
    nowhere = puff.redis.Redis(unix_socket_path="/nowhere/redis.sock", password="hunter2")
    for call in (
        nowhere.ping,
        nowhere.pipeline().get("k").execute,
        lambda: nowhere.blpop("k"),
        nowhere.monitor,
    ):
        with pytest.raises(peer.ConnectionError, match="cannot connect to Redis at /nowhere/redis") as failed:
            run(call)
        assert "hunter2" not in str(failed.value)
    with pytest.raises(peer.ConnectionError, match=r"no Redis pool \"none\""):
        run(puff.redis.Redis("none").ping)
    with pytest.raises(UnicodeEncodeError):
        run(CLIENT.get, "\ud800")


def test_passwords_and_databases(run: Run, key: str) -> None:
    path = run(lambda: CLIENT.ping() and CLIENT.connection_pool.native.address())
    run(CLIENT.execute_command, "ACL", "SETUSER", key, "on", ">secret", "~*", "+@all")
    own = puff.redis.Redis(unix_socket_path=path, username=key, password="secret", db=3)
    assert run(own.acl_whoami) == key
    assert run(own.set, key, 1) is True
    assert run(CLIENT.get, key) is None
    assert run(own.delete, key) == 1
    run(own.close)
    for call in (own.ping, own.pipeline().get("k").execute, lambda: own.blpop("k", 1), own.client):
        with pytest.raises(peer.ConnectionError, match="closed"):
            run(call)
    for login in ({"password": "wrong"}, {"username": "nobody", "password": "x"}):
        wrong = puff.redis.Redis(unix_socket_path=path, **{"username": key, **login})
        for call in (wrong.ping, wrong.client):
            with pytest.raises(peer.AuthenticationError, match="WRONGPASS"):
                run(call)
    run(CLIENT.execute_command, "ACL", "SETUSER", key, "nopass")
    nameless = puff.redis.Redis(unix_socket_path=path, username=key)
    assert run(nameless.acl_whoami) == key, "a user without a password is not the default one"
    from_url = puff.redis.Redis.from_url(f"unix://{path}?db=3&decode_responses=true")
    assert run(from_url.echo, "x") == "x"
    run(CLIENT.execute_command, "ACL", "DELUSER", key)


def test_callbacks_of_ones_own(run: Run, key: str) -> None:
    own = puff.redis.Redis()
    own.set_response_callback("GET", lambda response, **options: "mine")
    own.set_response_callback("DEL", lambda response, **options: "gone")
    assert run(own.get, key) == "mine"
    assert run(own.pipeline().get(key).delete(key).execute) == ["mine", "gone"]
    assert run(own.delete, key) == "gone"
    assert run(CLIENT.get, key) is None


def test_what_a_constructor_refuses() -> None:
    with pytest.raises(TypeError, match="said by its settings"):
        puff.redis.Redis(password="x")
    with pytest.raises(TypeError, match="not both"):
        puff.redis.Redis("cache", host="localhost")
    with pytest.raises(TypeError, match="colour is no option"):
        puff.redis.Redis(colour="red")
    with pytest.raises(ValueError, match="expected redis://"):
        puff.redis.Redis(url="http://example")
    with pytest.raises(peer.DataError, match="speaks RESP3"):
        puff.redis.Redis(protocol=2)
    with pytest.raises(
        TypeError, match=r"is a puff.redis.ConnectionPool, not redis.connection.ConnectionPool"
    ):
        puff.redis.Redis(connection_pool=peer.ConnectionPool())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has its settings already"):
        puff.redis.Redis(connection_pool=CLIENT.connection_pool, decode_responses=True)


def test_retries_are_redis_pys(run: Run) -> None:
    seen: list[Exception] = []

    class Counting(Retry):
        def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:
            return super().call_with_retry(do, lambda *each: seen.append(each[0]), *args, **kwargs)

        def __deepcopy__(self, memo: Any) -> Counting:
            return self

    client = puff.redis.Redis(unix_socket_path="/nowhere", retry=Counting(NoBackoff(), 2))
    with pytest.raises(peer.ConnectionError):
        run(client.ping)
    assert len(seen) == 3


def test_one_client_serves_threads_and_greenlets(key: str) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(CLIENT.incr(key))) for _ in range(10)]
    greenlets = [puff.spawn(CLIENT.incr, key) for _ in range(100)]
    for thread in threads:
        thread.start()
    found += puff.join_all(greenlets)
    for thread in threads:
        thread.join(30)
    assert sorted(found) == list(range(1, 111))


def test_the_programs_client() -> None:
    client = puff.global_redis()
    assert isinstance(client, puff.redis.Redis)
    assert puff.global_redis() is client
    assert puff.global_redis("cache") is not client
    assert puff.global_redis("cache") is puff.global_redis("cache")
    with pytest.raises(TypeError, match="is a str"):
        puff.global_redis(3)  # type: ignore[arg-type]


WITHOUT = """
import sys
sys.modules["redis"] = None  # as if it were not installed
import puff
client = puff.global_redis()
print(client.set("a", "b"), client.get("a"), client.command("DEL", "a"), repr(client))
for attempt in (lambda: client.hgetall, lambda: __import__("puff.redis")):
    try:
        attempt()
    except (AttributeError, ImportError) as error:
        print(f"{type(error).__name__}: {error}")
"""


def test_without_redis_py(project: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "True b'b' 1 puff.global_redis()",
        "AttributeError: without redis-py there is command, get and set, no hgetall: puff.redis needs "
        'redis-py, which is not installed: pip install "puff-py[redis]"',
        'ImportError: puff.redis needs redis-py, which is not installed: pip install "puff-py[redis]"',
    ]


def test_what_a_client_has_made_outlives_it() -> None:
    path = CLIENT.ping() and CLIENT.connection_pool.native.address()
    url = f"unix://{path}"
    pipe = puff.redis.Redis(url=url).pipeline()
    pubsub = puff.redis.Redis(url=url).pubsub()
    gc.collect()
    assert pipe.set("outlives", "1").get("outlives").execute() == [True, b"1"]
    pubsub.subscribe("outlives")
    assert pubsub.get_message(timeout=20)["type"] == "subscribe"
    pubsub.close()
