"""`puff.redis` in a cluster: what needs a connection of its own has one to the node of its keys; TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as peer
import trustme
from own_cluster import OwnCluster, own_cluster, own_tls_cluster
from stack import Run
from support import eventually

import puff
import puff.redis

KEYS = ["a", "b", "c", "d", "e", "f"]
"""Each node has some of them."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[OwnCluster]:
    with own_cluster() as started:
        yield started


@pytest.fixture
def client(cluster: OwnCluster) -> Iterator[puff.redis.Redis]:
    made = puff.redis.Redis.from_url(cluster.url, decode_responses=True)
    yield made
    made.delete(*KEYS)
    made.close()


def count(pipe: puff.redis.Pipeline, key: str) -> None:
    value = int(pipe.get(key) or 0)
    pipe.multi()
    pipe.set(key, value + 1)


# ------------------------------------------------------------------------ WATCH


def test_keys_are_watched_where_they_are(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    assert {cluster.owner(key) for key in KEYS} == {0, 1, 2}
    for key in KEYS:
        greenlets = [
            puff.spawn(client.transaction, lambda pipe, key=key: count(pipe, key), key) for _ in range(10)
        ]
        assert puff.join_all(greenlets) == [[True]] * 10
        assert client.get(key) == "10"
    for key in KEYS:
        with client.pipeline() as pipe:
            pipe.watch(key)
            client.set(key, "theirs")
            pipe.multi()
            pipe.set(key, "ours")
            with pytest.raises(peer.WatchError):
                pipe.execute()
        assert client.get(key) == "theirs"
    assert client.status()["dedicated"]["in_use"] == 0


def test_connections_to_several_nodes_are_not_more_than_there_may_be(cluster: OwnCluster) -> None:
    few = puff.redis.Redis.from_url(cluster.url, max_connections=2)
    for _ in range(3):
        for key in KEYS:
            with few.pipeline() as pipe:
                pipe.watch(key)
            assert few.blpop(f"list:{key}", 0.01) is None
    status = few.status()["dedicated"]
    assert (status["in_use"], status["max_size"]) == (0, 2)
    assert 1 <= status["idle"] <= 2
    few.close()


def test_several_keys_of_one_slot(client: puff.redis.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.watch("{c}1", "{c}2")
        pipe.watch("{c}3")
        assert pipe.mget("{c}1", "{c}2") == [None, None]
        pipe.multi()
        pipe.set("{c}1", 1).set("{c}2", 2).mget("{c}1", "{c}2")
        assert pipe.execute() == [True, True, ["1", "2"]]
    assert client.delete("{c}1", "{c}2") == 2


@pytest.mark.parametrize("other", KEYS[1:])
def test_keys_of_several_slots_are_refused(client: puff.redis.Redis, other: str) -> None:
    """Whether they are on one node or on two."""
    cross_slot = peer.exceptions.ClusterCrossSlotError
    with client.pipeline() as pipe, pytest.raises(cross_slot):
        pipe.watch("a", other)
    with client.pipeline() as pipe:
        pipe.watch("a")
        pipe.multi()
        pipe.set("a", 1).set(other, 2)
        with pytest.raises((cross_slot, peer.exceptions.ExecAbortError)):
            pipe.execute()
    assert client.mget("a", other) == [None, None]
    with pytest.raises(cross_slot, match="the keys of a transaction are not all in one slot"):
        client.pipeline().set("a", 1).set(other, 2).execute()
    assert client.pipeline(transaction=False).set("a", 1).set(other, 2).execute() == [True, True]


def test_a_key_of_another_node_is_refused_at_once(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    other = next(key for key in KEYS if cluster.owner(key) != cluster.owner("a"))
    with client.pipeline() as pipe:
        pipe.watch("a")
        with pytest.raises(peer.exceptions.ClusterCrossSlotError, match="have to be in one slot"):
            pipe.get(other)


def test_a_slot_that_moves_is_as_a_change_of_the_keys(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    client.set("b", 1)
    attempts = []

    def change(pipe: puff.redis.Pipeline) -> None:
        if not attempts:
            cluster.move("b")
        attempts.append(1)
        count(pipe, "b")

    assert client.transaction(change, "b") == [True]
    assert len(attempts) == 2
    assert client.get("b") == "2"


# ------------------------------------------------------------------------ commands without keys


def test_keys_of_all_nodes_are_found(client: puff.redis.Redis) -> None:
    names = {f"scanned:{number}" for number in range(300)}
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.set(name, 1)
    assert pipe.execute() == [True] * 300
    for options in ({}, {"count": 1000}, {"count": 7, "match": "scanned:*"}):
        found = [key for key in client.scan_iter(**options) if key.startswith("scanned:")]
        assert set(found) == names
    assert sorted(client.scan_iter(match="scanned:1?")) == sorted(f"scanned:1{digit}" for digit in range(10))
    assert sorted(client.keys("scanned:2?")) == sorted(f"scanned:2{digit}" for digit in range(10))
    assert client.dbsize() == 300
    assert client.delete(*names) == 300
    assert list(client.scan_iter()) == []
    with pytest.raises(peer.ResponseError, match="invalid cursor"):
        client.execute_command("SCAN", "x")


def test_info_is_that_of_a_node(client: puff.redis.Redis) -> None:
    assert client.info("cluster")["cluster_enabled"] == 1


def test_subscribers_of_all_nodes_are_counted(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    with contextlib.ExitStack() as stack:
        for node in cluster.clients:
            pubsub = stack.enter_context(node.pubsub())
            pubsub.subscribe("counted")
            assert pubsub.get_message(timeout=20)["type"] == "subscribe"
        assert sorted(client.pubsub_numsub("counted", "none")) == [("counted", 3), ("none", 0)]
        assert "counted" in client.pubsub_channels()
    with client.pubsub() as pubsub:
        pubsub.ssubscribe("a")
        assert pubsub.get_message(timeout=20)["type"] == "ssubscribe"
        assert client.pubsub_shardnumsub("a") == [("a", 1)]
    with pytest.raises(peer.ResponseError):
        client.execute_command("PUBSUB", "NONSENSE")


# ------------------------------------------------------------------------ pub-sub


def messages(pubsub: Any, number: int) -> list[tuple[str, str]]:
    """So many, as (channel, data), without order."""
    found: list[tuple[str, str]] = []
    assert eventually(lambda: take(pubsub, found) == number), found
    return sorted(found)


def take(pubsub: Any, found: list[tuple[str, str]]) -> int:
    message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
    if message is not None:
        found.append((message["channel"], message["data"]))
    return len(found)


def publish(cluster: OwnCluster, channel: str, data: str) -> int:
    """From the node that has the channel's slot now; how many heard it."""
    for client in cluster.clients:
        with contextlib.suppress(peer.exceptions.MovedError):
            return int(client.execute_command("SPUBLISH", channel, data))
    raise AssertionError("nobody has the slot")


def confirmed(pubsub: Any, kind: str, number: int) -> None:
    kinds = [pubsub.get_message(timeout=20)["type"] for _ in range(number)]
    assert kinds == [kind] * number


def test_channels_and_sharded_channels_of_any_slot(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    handled: list[Any] = []
    with client.pubsub() as pubsub:
        pubsub.subscribe("plain")
        pubsub.ssubscribe(*KEYS[:3], *["{a}2"], **{KEYS[3]: handled.append})
        pubsub.ssubscribe(KEYS[4:])
        assert eventually(lambda: all(publish(cluster, key, "0") == 1 for key in KEYS))
        expected = {(key, "0") for key in KEYS if key != KEYS[3]}
        found: set[tuple[str, str]] = set()
        assert eventually(lambda: found.update(messages_there(pubsub)) or found >= expected)
        # From whichever node: who listens at another one is not counted.
        assert eventually(lambda: client.publish("plain", "x") >= 0 and bool(messages_there(pubsub)))
        assert eventually(lambda: messages_there(pubsub) is not None and bool(handled))
        assert handled[0]["channel"] == KEYS[3]
        pubsub.sunsubscribe(KEYS[0], "{a}2")
        assert eventually(lambda: messages_there(pubsub) is not None and publish(cluster, KEYS[0], "1") == 0)
        assert publish(cluster, KEYS[1], "1") == 1
        # Behind what is still to come from other nodes.
        found.clear()
        assert eventually(lambda: found.update(messages_there(pubsub)) or (KEYS[1], "1") in found)
        pubsub.sunsubscribe()
        pubsub.unsubscribe()
        assert eventually(lambda: pubsub.get_message(timeout=0.05) is None and not pubsub.subscribed)
    assert eventually(lambda: client.status()["dedicated"]["in_use"] == 0)


def messages_there(pubsub: Any) -> set[tuple[str, str]]:
    found = set()
    while (message := pubsub.get_message(timeout=0.05)) is not None:
        if message["type"] in ("message", "smessage"):
            found.add((message["channel"], message["data"]))
    return found


def test_greenlets_wait_for_sharded_messages(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.ssubscribe(*KEYS)
    assert eventually(lambda: all(publish(cluster, key, "0") == 1 for key in KEYS))
    heard: list[Any] = []

    def listen() -> None:
        for message in pubsub.listen():
            heard.append((message["channel"], message["data"]))
            if message["data"] == "end":
                return

    listening = puff.spawn(listen)
    for number in range(20):
        publish(cluster, KEYS[number % 6], str(number))
    assert eventually(lambda: len(heard) == 26), heard
    publish(cluster, "a", "end")
    listening.join(20)
    for key in KEYS:
        of_key = [data for channel, data in heard if channel == key and data != "end"]
        assert of_key == ["0", *(str(number) for number in range(20) if KEYS[number % 6] == key)], "in order"
    pubsub.close()
    assert eventually(lambda: client.status()["dedicated"]["in_use"] == 0)


def test_a_subscription_follows_its_slot(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    with client.pubsub() as pubsub:
        pubsub.ssubscribe("e", "f")
        confirmed(pubsub, "ssubscribe", 2)
        for number in range(3):
            cluster.move("e")
            found: set[tuple[str, str]] = set()
            text = str(number)
            assert eventually(
                lambda: found.update(messages_there(pubsub)) or publish(cluster, "e", text) == 1  # noqa: B023
            )
            assert eventually(lambda: found.update(messages_there(pubsub)) or ("e", text) in found)  # noqa: B023
        assert publish(cluster, "f", "x") == 1
        assert messages(pubsub, 1)


def test_a_message_wakes_who_subscribes_later(cluster: OwnCluster, client: puff.redis.Redis) -> None:
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    waiting = puff.spawn(pubsub.get_message, timeout=20)
    pubsub.ssubscribe("a")
    waiting.join(20)
    assert publish(cluster, "a", "1") == 1
    assert messages(pubsub, 1) == [("a", "1")]
    pubsub.close()


# ------------------------------------------------------------------------ what is seen of it


def test_a_cluster_that_is_not_there(tmp_path: Path, puff: Run) -> None:
    program = """
import puff.redis

def main():
    client = puff.redis.Redis(url="redis+cluster://127.0.0.1:1")
    for call in (client.ping, lambda: client.blpop("k", 1), lambda: client.pipeline().watch("k")):
        try:
            call()
        except puff.redis.ConnectionError as error:
            print(error)
"""
    (tmp_path / "app.py").write_text(program)
    done = puff("run", "app.main", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert all("cannot connect to Redis at the cluster of 127.0.0.1:1: " in line for line in lines)
    assert "WARN redis::" in done.stderr
    assert "log." not in done.stderr, "where it is in redis-rs is nobody's business"


# ------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(made)
    return made


def uses_everything(url: str) -> None:
    client = puff.redis.Redis.from_url(url, decode_responses=True)
    for key in KEYS:
        assert client.set(key, key) is True
        assert client.rpush(f"list:{key}", "x") == 1
        assert client.blpop(f"list:{key}", 5) == (f"list:{key}", "x")
        assert client.transaction(lambda pipe, key=key: (pipe.multi(), pipe.get(key)), key) == [key]
    assert client.mget(KEYS) == KEYS
    with client.pubsub() as pubsub:
        pubsub.subscribe("plain")
        pubsub.ssubscribe(*KEYS)
        confirmed_kinds = sorted(pubsub.get_message(timeout=20)["type"] for _ in range(7))
        assert confirmed_kinds == ["ssubscribe"] * 6 + ["subscribe"]
        assert eventually(lambda: client.publish("plain", "x") >= 0 and bool(messages_there(pubsub)))
    client.close()


@pytest.mark.parametrize(
    ("hostname", "names"), [(None, ["127.0.0.1", "localhost"]), ("localhost", ["localhost"])]
)
def test_a_cluster_with_tls(
    authority: trustme.CA, ca_file: Path, hostname: str | None, names: list[str]
) -> None:
    """Nodes tell their addresses, or their names; the certificates have to be for these."""
    with own_tls_cluster(context(authority, *names), hostname) as (_, ports):
        uses_everything(f"rediss+cluster://localhost:{ports[0]}?ssl_ca_certs={ca_file}")


def test_names_that_do_not_fit_and_authorities_nobody_knows(
    authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    with own_tls_cluster(context(authority, "cache.example")) as (cluster, ports):
        url = f"rediss+cluster://localhost:{ports[0]},localhost:{ports[1]}"
        stranger = tmp_path / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(str(stranger))
        for parameters in (
            f"ssl_ca_certs={ca_file}",
            f"ssl_ca_certs={stranger}&ssl_check_hostname=false",
            f"ssl_ca_certs={tmp_path}/none.pem",
            "ssl_check_hostname=false",
        ):
            client = puff.redis.Redis.from_url(f"{url}?{parameters}")
            for call in (client.ping, lambda: client.blpop("a", 1)):  # noqa: B023
                with pytest.raises(peer.ConnectionError, match="cannot connect to Redis at the cluster of"):
                    call()
            client.close()
        for parameters in (f"ssl_ca_certs={ca_file}&ssl_check_hostname=false", "ssl_cert_reqs=none"):
            uses_everything(f"{url}?{parameters}")
        plain = puff.redis.Redis.from_url(f"redis+cluster://127.0.0.1:{ports[0]}", socket_timeout=20)
        with pytest.raises(peer.ConnectionError):
            plain.ping()
        plain.close()
        assert cluster.clients[0].ping()


def test_nodes_that_want_the_clients_certificate(
    authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    strict = context(authority, "127.0.0.1", "localhost")
    strict.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(strict)
    mine = authority.issue_cert("client")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    mine.private_key_pem.write_to_path(str(key))
    for number, blob in enumerate(mine.cert_chain_pems):
        blob.write_to_path(str(certificate), append=number > 0)
    with own_tls_cluster(strict) as (_, ports):
        url = f"rediss+cluster://localhost:{ports[0]}?ssl_ca_certs={ca_file}"
        uses_everything(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}")
        client = puff.redis.Redis.from_url(url)
        with pytest.raises(peer.ConnectionError):
            client.ping()
        client.close()
