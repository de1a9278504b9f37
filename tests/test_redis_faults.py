"""What can go wrong with a Redis. Each fault has its class of redis-py's, whichever connection a command goes
over, and is over when it is over.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as peer
from own_valkey import OwnValkey, own_valkey
from support import eventually

import puff.redis


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey(settings={"enable-debug-command": "yes", "enable-protected-configs": "yes"}) as server:
        yield server


@pytest.fixture
def admin(valkey: OwnValkey) -> Iterator[Any]:
    """redis-py's own client, to make and mend faults."""
    with peer.Redis.from_url(valkey.url, decode_responses=True) as client:
        yield client
        client.flushall()


def client_of(valkey: OwnValkey, **options: Any) -> puff.redis.Redis:
    return puff.redis.Redis(host="127.0.0.1", port=valkey.port, **options)


@pytest.fixture
def client(valkey: OwnValkey) -> Iterator[puff.redis.Redis]:
    made = client_of(valkey)
    yield made
    made.close()


def each_way(client: puff.redis.Redis, *words: Any) -> Iterator[Callable[[], Any]]:
    """A command over a shared connection, in a pipeline, in a transaction and on a connection of its own."""
    yield lambda: client.execute_command(*words)
    for transaction in (False, True):
        pipe = client.pipeline(transaction=transaction)
        pipe.execute_command(*words)
        yield pipe.execute
    own = client.client()
    yield lambda: own.execute_command(*words)
    own.close()


def fails(client: puff.redis.Redis, expected: type[Exception], text: str, *words: Any) -> None:
    for call in each_way(client, *words):
        with pytest.raises(expected, match=text) as caught:
            call()
        # Not a class above it, which would tell less. A transaction that is not taken is one of these, too.
        assert type(caught.value) in (expected, peer.exceptions.ExecAbortError)


def works(client: puff.redis.Redis) -> None:
    for call in each_way(client, "SET", "k", "v"):
        assert call() in (True, [True])


def test_a_wrong_type(client: puff.redis.Redis, admin: Any) -> None:
    admin.rpush("list", 1)
    fails(client, peer.ResponseError, "WRONGTYPE|wrong kind of value", "GET", "list")
    works(client)


def test_a_user_who_must_not(valkey: OwnValkey, admin: Any) -> None:
    admin.execute_command("ACL SETUSER", "guest", "on", ">secret", "~open:*", "+@all", "-flushall", "-select")
    guest = client_of(valkey, username="guest", password="secret")
    no_permission = peer.exceptions.NoPermissionError
    fails(guest, no_permission, "no permissions to run the 'flushall' command", "FLUSHALL")
    fails(guest, no_permission, "no permissions to access|No permissions to access a key", "SET", "shut", 1)
    assert guest.set("open:door", 1) is True
    elsewhere = client_of(valkey, username="guest", password="secret", db=1)
    for call, kind in ((elsewhere.ping, peer.ConnectionError), (elsewhere.client, no_permission)):
        with pytest.raises(kind, match=r"cannot connect to Redis at 127.0.0.1.*'select' command"):
            call()
    for each in (guest, elsewhere):
        each.close()


def test_a_wrong_password(valkey: OwnValkey, admin: Any) -> None:
    wrong = client_of(valkey, username="nobody", password="hunter2")
    fails_with = "cannot connect to Redis at 127.0.0.1:.*WRONGPASS"
    for call in (wrong.ping, wrong.pipeline().get("k").execute, wrong.client, lambda: wrong.blpop("k", 1)):
        with pytest.raises(peer.AuthenticationError, match=fails_with) as caught:
            call()
        assert "hunter2" not in str(caught.value)
    admin.config_set("requirepass", "open sesame")
    try:
        nameless = client_of(valkey)
        with pytest.raises(peer.AuthenticationError, match="NOAUTH"):
            nameless.get("k")
    finally:
        admin.config_set("requirepass", "")


def test_a_full_memory(client: puff.redis.Redis, admin: Any) -> None:
    admin.config_set("maxmemory", 1)
    try:
        fails(client, peer.exceptions.OutOfMemoryError, "used memory > 'maxmemory'", "SET", "k", "v")
        assert client.get("k") is None
    finally:
        admin.config_set("maxmemory", 0)
    works(client)


def test_a_replica_takes_no_writes(client: puff.redis.Redis, admin: Any) -> None:
    admin.replicaof("127.0.0.1", 1)
    try:
        fails(client, peer.ReadOnlyError, "You can't write against a read only replica", "SET", "k", "v")
    finally:
        admin.replicaof("NO", "ONE")
    works(client)


def test_a_server_that_cannot_save(client: puff.redis.Redis, admin: Any, tmp_path: Path) -> None:
    """It takes no writes then (MISCONF), unless it is told otherwise."""
    folder, gone = admin.config_get("dir")["dir"], tmp_path / "gone"
    gone.mkdir()
    admin.config_set("dir", str(gone))
    gone.rmdir()
    admin.config_set("save", "3600 1000")
    try:
        admin.bgsave()
        assert eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
        fails(client, peer.ResponseError, "MISCONF", "SET", "k", "v")
        assert client.get("k") is None
    finally:
        admin.config_set("save", "")
        admin.config_set("dir", folder)
        admin.bgsave()
        assert eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "ok")
    works(client)


def test_a_server_that_reads_its_data(client: puff.redis.Redis, admin: Any, valkey: OwnValkey) -> None:
    client.set("k", "v")
    admin.mset({f"k{n}": "v" * 2000 for n in range(2000)})
    admin.config_set("loading-process-events-interval-bytes", 1024)
    admin.config_set("key-load-delay", 10_000)  # microseconds a key

    def reload() -> None:
        with peer.Redis.from_url(valkey.url) as other:
            other.execute_command("DEBUG", "RELOAD")

    reloading = threading.Thread(target=reload)
    reloading.start()

    def is_loading() -> bool:
        try:
            client.get("k")
        except peer.BusyLoadingError as error:
            return "is loading the dataset in memory" in str(error)
        return False

    try:
        assert eventually(is_loading)
        pipe = client.pipeline(transaction=False)
        with pytest.raises(peer.BusyLoadingError):
            pipe.get("k").execute()
        with pytest.raises(peer.BusyLoadingError):
            client.blpop("list", 1)
    finally:
        # A negative delay is none.
        admin.config_set("key-load-delay", 0)
        reloading.join(30)
    assert client.get("k") == b"v"


def test_a_server_that_is_killed_and_comes_back() -> None:
    with own_valkey() as valkey:
        client = client_of(valkey)
        works(client)
        own, pubsub = client.client(), client.pubsub()
        own.ping()
        pubsub.subscribe("c")
        assert pubsub.get_message(timeout=20)["type"] == "subscribe"
        waiting = puff.spawn(client.blpop, "nothing")
        assert eventually(lambda: client.info("clients")["blocked_clients"] == 1)
        valkey.kill()
        with pytest.raises(peer.ConnectionError):
            waiting.join(20)
        for call in (own.ping, *each_way_but_own(client)):
            with pytest.raises(peer.ConnectionError):
                call()
        with pytest.raises(peer.ConnectionError):
            pubsub.get_message(timeout=20)
        assert eventually(lambda: circuit_is_open(client), 20)
        valkey.start()
        assert eventually(lambda: answers(client), 20)
        works(client)
        assert own.ping() is True, "redis-py connects anew"
        assert client.blpop("nothing", 0.01) is None
        # It subscribes again.
        assert eventually(lambda: client.publish("c", "again") == 1 or heard(pubsub))
        assert eventually(lambda: client.status()["dedicated"]["in_use"] == 2)
        client.close()


def each_way_but_own(client: puff.redis.Redis) -> list[Callable[[], Any]]:
    return [lambda: client.get("k"), client.pipeline().get("k").execute, lambda: client.blpop("k", 1)]


def circuit_is_open(client: puff.redis.Redis) -> bool:
    try:
        client.ping()
    except puff.redis.CircuitOpenError:
        return True
    except peer.ConnectionError:
        return False
    return False


def answers(client: puff.redis.Redis) -> bool:
    try:
        return client.ping() is True
    except peer.ConnectionError:
        return False


def heard(pubsub: Any) -> bool:
    with contextlib.suppress(peer.ConnectionError):
        pubsub.get_message(timeout=0.05)
    return False


def test_what_is_too_large_for_the_server(client: puff.redis.Redis, admin: Any) -> None:
    """The server closes the connection then. The next command has another one."""
    limit = admin.config_get("proto-max-bulk-len")["proto-max-bulk-len"]
    admin.config_set("proto-max-bulk-len", 1 << 20)
    try:
        for call in each_way(client, "SET", "k", b"x" * (2 << 20)):
            with pytest.raises(
                (peer.ConnectionError, peer.ResponseError), match=r"lost the connection|Protocol"
            ):
                call()
            assert eventually(lambda: answers(client))
        assert client.get("k") is None
        works(client)
    finally:
        admin.config_set("proto-max-bulk-len", limit)
    large = b"x" * (32 << 20)
    assert client.set("large", large) is True
    assert client.get("large") == large
    admin.config_set("proto-max-bulk-len", 512 << 20)


def test_what_is_closed_stays_closed(valkey: OwnValkey) -> None:
    client = client_of(valkey)
    own, pubsub, pipe = client.client(), client.pubsub(), client.pipeline()
    pubsub.subscribe("c")
    assert pubsub.get_message(timeout=20)["type"] == "subscribe"
    waiting = [puff.spawn(client.blpop, "nothing"), puff.spawn(pubsub.get_message, timeout=None)]
    assert eventually(lambda: client.info("clients")["blocked_clients"] == 1)
    client.close()
    for greenlet in waiting:
        with pytest.raises(peer.ConnectionError, match="the Redis pool is closed"):
            greenlet.join(20)
    own.close()
    closed = (
        client.ping,
        pipe.get("k").execute,
        lambda: client.blpop("k", 1),
        client.client,
        lambda: client.pubsub().subscribe("c"),
        lambda: client.lock("l").acquire(),
        lambda: client.pipeline().watch("k"),
    )
    for call in closed:
        with pytest.raises(peer.ConnectionError, match="closed"):
            call()
    client.close()
