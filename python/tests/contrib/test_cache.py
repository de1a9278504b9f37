"""`puff.contrib.django.cache` beyond what Django's own suite looks at, on plain Python's private Redis."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis as peer
from asgiref.sync import async_to_sync
from django.core.cache import cache as default_cache
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.exceptions import ImproperlyConfigured

import puff
import puff.redis
from puff.contrib.django.cache import RedisCache, get_redis_connection
from puff.contrib.django.cache._shield import FIRST_PAUSE, Shield
from puff.contrib.django.cache.compressors import ZlibCompressor
from puff.contrib.django.cache.serializers import JSONSerializer

Run = Callable[..., Any]


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Hex:
    """A serializer of a user's own, which knows bytes only."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.mark = options.get("HEX_MARK", b"x")

    def dumps(self, value: bytes) -> bytes:
        return self.mark + value.hex().encode()

    def loads(self, data: bytes) -> bytes:
        return bytes.fromhex(data[1:].decode())


class Doubling:
    """A compressor of a user's own, which does the opposite."""

    min_length = 100

    def __init__(self, options: dict[str, Any]) -> None:
        pass

    def compress(self, value: bytes) -> bytes:
        return b"2" + value * 2

    def decompress(self, value: bytes) -> bytes:
        if value[:1] != b"2":
            raise ValueError("not mine")
        return value[1 : len(value) // 2 + 1]


@pytest.fixture
def cache() -> Iterator[RedisCache]:
    """The default cache, empty before and after."""
    default_cache.clear()
    found = caches["default"]
    assert isinstance(found, RedisCache)
    yield found
    default_cache.clear()


def made(server: Any = "", **params: Any) -> RedisCache:
    """A cache with settings of its own and keys of its own."""
    return RedisCache(server, {"KEY_PREFIX": f"tests:{uuid.uuid4()}", **params})


# ------------------------------------------------------------------------ values and times


def test_from_everywhere(run: Run, cache: RedisCache) -> None:
    assert run(cache.get, "key") is None
    assert run(cache.set, "key", {"a": [1, 2.5]}) is True
    assert run(default_cache.get, "key") == {"a": [1, 2.5]}
    assert run(cache.get_many, iter(["key", "none"])) == {"key": {"a": [1, 2.5]}}
    assert run(cache.set_many, {"one": 1, "two": 2}, 60) == []
    assert run(cache.incr, "one") == 2
    assert run(cache.delete_many, iter(["one", "two", "three"])) == 2
    assert run(cache.get_or_set, "made", lambda: "new") == "new"
    assert run(cache.clear) is True
    assert run(cache.keys) == []


def test_values_come_back_as_they_were(cache: RedisCache) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    values = [0, 1, -1, 2**63 - 1, -(2**63), 2**63, 10**5000, True, False, None, 1.5, "", "1", b"1", b"-1"]
    values += ["\ud7ff", Size.LARGE, {"k": now}, {1, 2}, decimal.Decimal("1.10"), [], float("inf")]
    for value in values:
        cache.set("key", value)
        found = cache.get("key", "missing")
        assert found == value
        assert type(found) is type(value)
    cache.set("key", -12)
    assert cache.get_client().get(cache.make_key("key")) == b"-12"


def test_what_other_backends_stored_is_read(cache: RedisCache) -> None:
    # Both Django's own and django-redis keep whole numbers as they are, and pickle the rest.
    raw = cache.get_client()
    raw.set(cache.make_key("a"), pickle.dumps({"x": 1}, 2))
    raw.set(cache.make_key("b"), b"42")
    assert cache.get_many(["a", "b"]) == {"a": {"x": 1}, "b": 42}


@pytest.mark.parametrize(
    ("timeout", "left"),
    [(None, None), (10, 10_000), (0.25, 250), (0.0001, 1), (datetime.timedelta(minutes=1), 60_000)],
)
def test_times_to_live(cache: RedisCache, timeout: Any, left: int | None) -> None:
    def soon(found: int | None) -> bool:
        return found == left if left is None else found is not None and left - 5000 <= found <= left

    for store in (
        lambda: cache.set("key", "x", timeout),
        lambda: cache.add("key", "x", timeout),
        lambda: not cache.set_many({"key": "x"}, timeout),
        lambda: cache.set("key", "x") and cache.touch("key", timeout),
        lambda: cache.set("key", "x") and cache.expire("key", timeout),
    ):
        cache.delete("key")
        assert store()
        assert soon(cache.pttl("key") or left)


def test_no_time_to_live_deletes(cache: RedisCache) -> None:
    for timeout in (0, -1, -0.5, datetime.timedelta(0)):
        cache.set("key", 1)
        assert cache.set("key", 2, timeout) is True
        assert cache.get("key") is None
        cache.set_many({"key": 1, "more": 1})
        assert cache.set_many({"key": 2}, timeout) == []
        assert cache.keys() == ["more"]
        assert cache.add("key", 1, timeout) is True
        assert cache.get("key") is None
        cache.set("key", 1)
        assert cache.add("key", 2, timeout) is False
        assert cache.touch("key", timeout) is True
        assert cache.get("key") is None


def test_ttl_and_its_kin(cache: RedisCache) -> None:
    assert (cache.ttl("none"), cache.pttl("none")) == (0, 0)
    for change in (cache.persist, partial(cache.expire, timeout=1), partial(cache.pexpire, timeout=1)):
        assert change("none") is False
    cache.set("key", 1, None)
    assert (cache.ttl("key"), cache.pttl("key")) == (None, None)
    assert cache.expire("key", 100) is True
    assert cache.ttl("key") in range(90, 101)
    assert cache.pexpire("key", 15_000.5) is True
    assert 0 < (cache.pttl("key") or 0) <= 15_001
    assert cache.expire("key", DEFAULT_TIMEOUT) is True
    assert cache.ttl("key") in range(290, 301)
    assert cache.persist("key") is True
    # It lives for ever already: for touch that is as good.
    assert cache.persist("key") is False
    assert cache.touch("key", None) is True
    assert cache.expire("key", None) is True
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    assert cache.expire_at("key", then) is True
    assert 3590 < (cache.ttl("key") or 0) <= 3600
    assert cache.pexpire_at("key", int(then.timestamp() * 1000) + 60_000) is True
    assert 3650 < (cache.ttl("key") or 0) <= 3660
    assert cache.expire_at("key", 1) is True
    assert cache.has_key("key") is False


def test_set_on_conditions(cache: RedisCache) -> None:
    assert cache.set("key", 1, xx=True) is False
    assert cache.set("key", 1, nx=True) is True
    assert cache.set("key", 2, nx=True) is False
    assert cache.set("key", 3, xx=True) is True
    assert cache.get("key") == 3


# ------------------------------------------------------------------------ counting and versions


def test_counting_is_one_step(run: Run, cache: RedisCache) -> None:
    cache.set("hits", 0, 100)

    def count() -> None:
        counters = [puff.spawn(default_cache.incr, "hits") for _ in range(50)]
        assert sorted(puff.join_all(counters)) == list(range(1, 51))

    run(count)
    assert cache.get("hits") == 50
    assert cache.ttl("hits") in range(90, 101)


def test_counting_beyond_what_redis_can(cache: RedisCache) -> None:
    cache.set("big", 2**63 - 2, 100)
    # Beyond what a number of Lua's can tell.
    cache.set("large", 2**53)
    assert [cache.incr("large"), cache.incr("large", 2)] == [2**53 + 1, 2**53 + 3]
    assert [cache.incr("big", 2), cache.incr("big"), cache.decr("big", 2**64)] == [
        2**63,
        2**63 + 1,
        1 - 2**63,
    ]
    assert cache.decr("big", 2) == -(2**63) - 1
    assert cache.ttl("big") in range(90, 101)
    cache.set("big", 2**70)
    adders = [puff.spawn(default_cache.incr, "big", 3) for _ in range(20)]
    puff.join_all(adders)
    assert cache.get("big") == 2**70 + 60


def test_what_cannot_be_counted(cache: RedisCache) -> None:
    with pytest.raises(ValueError, match="'none' not found"):
        cache.incr("none")
    assert cache.incr("none", 5, ignore_key_check=True) == 5
    for value in ("text", 1.5, True, None):
        cache.set("key", value)
        with pytest.raises(peer.ResponseError, match="not an integer"):
            cache.decr("key")
        assert cache.get("key") == value
    cache.sadd("set", 1)
    with pytest.raises(peer.ResponseError, match="wrong kind"):
        cache.incr("set")


def test_versions(cache: RedisCache) -> None:
    cache.set("key", "old", 100)
    cache.set("key", "new", version=2)
    assert cache.get_many(["key"], version=2) == {"key": "new"}
    assert cache.incr_version("key", 2) == 3
    assert cache.get("key") is None
    assert cache.get("key", version=3) == "old"
    assert cache.ttl("key", version=3) in range(90, 101)
    assert cache.decr_version("key", 1, version=3) == 2
    assert cache.get("key", version=2) == "old"
    with pytest.raises(ValueError, match="'none' not found"):
        cache.incr_version("none")
    assert list(cache.iter_keys("*", version=2)) == ["key"]


# ------------------------------------------------------------------------ many keys


def test_patterns(cache: RedisCache) -> None:
    cache.set_many({f"item:{number}": number for number in range(250)})
    cache.set_many({"other": 1, "it[em": 1})
    assert len(set(cache.iter_keys("item:*", itersize=10))) == 250
    assert sorted(cache.keys("item:1?")) == [f"item:1{number}" for number in range(10)]
    assert cache.keys("it\\[em") == ["it[em"]
    assert cache.delete_pattern("item:1*") == 111
    assert cache.delete_pattern("item:1*") == 0
    assert cache.delete_pattern("item:*", itersize=7) == 139
    assert sorted(cache.keys()) == ["it[em", "other"]


def test_clear_takes_this_cache_only(cache: RedisCache) -> None:
    other = caches["other"]  # its prefix is a pattern of keys that are not its own
    raw = get_redis_connection("default")
    foreign = f"tests-foreign:{uuid.uuid4()}"
    raw.set(foreign, 1, ex=60)
    cache.set("key", 1)
    cache.set("key", 1, version=7)
    other.set("key", 2)
    neighbour = made(KEY_PREFIX="tests-x")
    neighbour.set("key", 3)
    other.clear()
    assert (other.get("key"), neighbour.get("key"), cache.get("key"), raw.get(foreign)) == (None, 3, 1, b"1")
    cache.clear()
    assert (cache.get("key"), cache.get("key", version=7), neighbour.get("key")) == (None, None, 3)
    assert raw.get(foreign) == b"1"
    neighbour.clear()
    raw.delete(foreign)


def test_keys_of_other_makes() -> None:
    mine = made(
        KEY_FUNCTION=lambda key, prefix, version: f"{prefix}#{version}#{key}",
        REVERSE_KEY_FUNCTION=lambda key: "was " + key.split("#", 2)[2],
    )
    mine.set_many({"a:b#c": 1, "d": 2})
    mine.set("d", 3, version=2)
    assert sorted(mine.keys()) == ["was a:b#c", "was d"]
    mine.clear()
    assert mine.keys() == mine.keys(version=2) == []
    prefixed = made(KEY_PREFIX="with:colons")
    prefixed.set("a:b", 1)
    assert prefixed.keys() == ["a:b"]
    prefixed.clear()


def test_many_keys_are_few_commands(cache: RedisCache) -> None:
    client = cache.get_client()
    before = client.status()["commands"]
    names = [f"key{number}" for number in range(500)]
    cache.set_many(dict.fromkeys(names, "x"), 60)
    assert len(cache.get_many(names)) == 500
    assert cache.delete_many(names) == 500
    # A pipeline counts its commands.
    assert client.status()["commands"] - before <= 502
    assert cache.get_many([]) == {}
    assert cache.set_many({}) == []
    assert cache.set_many({}, 0) == []
    assert cache.delete_many([]) is None


# ------------------------------------------------------------------------ sets, hashes, sorted sets, locks


def test_sets(cache: RedisCache) -> None:
    assert cache.sadd("a", "x", 1, ("t", 2)) == 3
    assert cache.smembers("a") == {"x", 1, ("t", 2)}
    assert (cache.scard("a"), cache.sismember("a", 1), cache.smismember("a", "x", "y")) == (
        3,
        True,
        [True, False],
    )
    cache.sadd("b", 1, "y")
    assert (cache.sdiff("a", "b"), cache.sinter("a", "b")) == ({"x", ("t", 2)}, {1})
    assert cache.sunion("a", "b") == {"x", "y", 1, ("t", 2)}
    assert (cache.sdiffstore("c", "b", "a"), cache.smembers("c")) == (1, {"y"})
    assert (cache.sinterstore("c", "b", "a"), cache.sunionstore("d", "b", "a")) == (1, 4)
    assert cache.smove("a", "b", "x") is True
    assert cache.smove("a", "b", "x") is False
    assert cache.srem("b", "x", "none") == 1
    assert cache.spop("c") == 1
    assert (cache.spop("c"), cache.spop("c", 2), cache.srandmember("c"), cache.srandmember("c", 2)) == (
        None,
        set(),
        None,
        [],
    )
    assert cache.srandmember("b", 5) in ([1, "y"], ["y", 1])
    cache.sadd("e", "bar1", "bar2", "zoo", 1)
    assert set(cache.sscan_iter("e", match="bar*")) == {"bar1", "bar2"} == cache.sscan("e", match="bar*")


def test_hashes(cache: RedisCache) -> None:
    assert cache.hset("h", "one", {"x": 1}) == 1
    assert cache.hset("h", mapping={"one": 1, "two": None}) == 1
    assert cache.hgetall("h") == {"one": 1, "two": None}
    assert (cache.hget("h", "two", 5), cache.hget("h", "three", 5)) == (None, 5)
    assert (cache.hlen("h"), cache.hkeys("h"), cache.hexists("h", "one")) == (2, ["one", "two"], True)
    assert cache.hdel("h", "one", "two", "three") == 2


def test_sorted_sets(cache: RedisCache) -> None:
    assert cache.zadd("z", {"a": 1, "b": 2.5, 3: 4}) == 3
    assert cache.zadd("z", {"a": 0}, gt=True, ch=True) == 0
    assert (cache.zcard("z"), cache.zcount("z", 2, "+inf"), cache.zscore("z", "b")) == (3, 2, 2.5)
    assert (cache.zscore("z", "none"), cache.zrank("z", "b"), cache.zrank("z", "none")) == (None, 1, None)
    assert cache.zrange("z", 0, -1) == ["a", "b", 3]
    assert cache.zrange("z", 0, 0, desc=True, withscores=True) == [(3, 4.0)]
    assert cache.zrevrange("z", 0, 1) == [3, "b"]
    assert cache.zrangebyscore("z", 2, 9, withscores=True) == [("b", 2.5), (3, 4.0)]
    assert cache.zrangebyscore("z", 0, 9, start=1, num=1) == ["b"]
    assert cache.zrevrangebyscore("z", 9, 2) == [3, "b"]
    assert cache.zincrby("z", 1.5, "a") == 2.5
    assert cache.zpopmin("z", 1) == [("a", 2.5)]
    assert cache.zpopmax("z") == (3, 4.0)
    assert (cache.zrem("z", "none"), cache.zremrangebyscore("z", 0, 9)) == (0, 1)
    assert (cache.zpopmin("z"), cache.zpopmax("z", 2)) == (None, [])


def test_locks_wait_as_greenlets(run: Run, cache: RedisCache) -> None:
    held = cache.lock("lock", timeout=20)
    assert isinstance(held, puff.redis.Lock)
    entered = []

    def enter() -> None:
        with default_cache.lock("lock", timeout=20, sleep=0.01):
            entered.append("second")

    def meet() -> None:
        assert held.acquire() is True
        waiting = puff.spawn(enter)
        assert default_cache.lock("lock").acquire(blocking=False) is False
        assert default_cache.lock("lock", blocking_timeout=0.05, sleep=0.02).acquire() is False
        # Had the thread of the hub been stopped, nothing of this would run meanwhile.
        puff.spawn(puff.sleep, 0.03).join()
        entered.append("first")
        held.release()
        waiting.join(20)

    run(meet)
    assert entered == ["first", "second"]
    with pytest.raises(peer.exceptions.LockError, match="not owned"):
        held.release()


# ------------------------------------------------------------------------ asyncio


def test_asynchronous_methods(cache: RedisCache) -> None:
    async def use() -> list[Any]:
        results: list[Any] = [await cache.aset("key", 1), await cache.aget("key"), await cache.aadd("key", 2)]
        results += [await cache.aincr("key"), await cache.adecr("key", 5), await cache.atouch("key", 9)]
        results += [await cache.aset_many({"a": 1, "b": 2}, 60), await cache.aget_many(["a", "b", "c"])]
        results += [await cache.ahas_key("a"), await cache.adelete("a"), await cache.adelete_many(["b", "c"])]
        results += [await cache.aget_or_set("made", lambda: "new"), await cache.aincr_version("made")]
        results += [await cache.adecr_version("made", version=2), await cache.aclear(), await cache.aclose()]
        return results

    expected = [True, 1, False, 2, -3, True, [], {"a": 1, "b": 2}, True, True, 1, "new", 2, 1, True, None]
    assert asyncio.run(asyncio.wait_for(use(), 60)) == expected
    # From a greenlet, too, which waits for a loop on another thread.
    assert puff.spawn(async_to_sync(use)).join(60) == expected


# ------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    "options",
    [
        {"SERIALIZER": "json"},
        {"SERIALIZER": "msgpack"},
        {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
        {"SERIALIZER": JSONSerializer, "COMPRESSOR": ZlibCompressor},
        {"serializer": "django.core.cache.backends.redis.RedisSerializer"},
        {"serializer": JSONSerializer()},
        {"PICKLE_VERSION": 2, "COMPRESSOR": "zlib"},
        {"COMPRESSOR": "gzip"},
        {"COMPRESSOR": "lzma"},
        {"COMPRESSOR": "lz4"},
        {"COMPRESSOR": "zstd"},
        {"COMPRESSOR": "django_redis.compressors.zstd.ZStdCompressor"},
        {"COMPRESSOR": f"{__name__}.Doubling"},
        {"CLIENT_CLASS": "django_redis.client.DefaultClient", "MAX_ENTRIES": 5},
    ],
    ids=lambda options: "-".join(options),
)
def test_serializers_and_compressors(options: dict[str, Any]) -> None:
    mine = made(OPTIONS=options)
    values = {"long": "text " * 100, "short": "é", "nested": {"a": [1, None, 2.5, True]}, "number": 7}
    mine.set_many(values)
    assert mine.get_many(values) == values
    assert mine.incr("number") == 8
    stored = len(mine.get_client().get(mine.make_key("long")))
    assert stored < 200 if "COMPRESSOR" in options and "Doubling" not in str(options) else stored > 499
    mine.clear()


def test_compression_may_begin_and_end(cache: RedisCache) -> None:
    packed = RedisCache("", {"KEY_PREFIX": "tests", "OPTIONS": {"COMPRESSOR": "zlib"}})
    cache.set("old", "text " * 100)
    assert packed.get("old") == "text " * 100
    limited = made(OPTIONS={"COMPRESSOR": "zlib", "COMPRESSOR_MIN_LENGTH": 10_000})
    limited.set("key", "text " * 100)
    assert len(limited.get_client().get(limited.make_key("key"))) > 500
    limited.clear()


def test_a_serializer_of_ones_own() -> None:
    mine = made(OPTIONS={"SERIALIZER": f"{__name__}.Hex"})
    mine.set("key", b"12")
    assert mine.get("key") == b"12"
    assert mine.get_client().get(mine.make_key("key")) == b"x3132"
    mine.clear()


def test_servers_and_clients(cache: RedisCache) -> None:
    program = cache.get_client()
    assert isinstance(program, puff.redis.Redis)
    assert get_redis_connection("default") is program is cache.client.get_client()
    # Another object for each greenlet, and one pool for all.
    assert puff.spawn(lambda: caches["default"]).join() is not cache
    assert puff.spawn(lambda: caches["default"].get_client()).join() is program
    with pytest.raises(NotImplementedError, match="'memory' is a django"):
        get_redis_connection("memory")

    info = program.info("server")
    path = program.config_get("unixsocket")["unixsocket"]
    own = made(
        f"unix://{path}?db=0", OPTIONS={"socket_timeout": 2, "CONNECTION_POOL_KWARGS": {"max_connections": 3}}
    )
    assert own.get_client().info("server")["run_id"] == info["run_id"]
    assert own.get_client() is not program
    assert own.get_client().status()["dedicated"]["max_size"] == 3

    replicas = made([f"unix://{path}?db=0", f"unix://{path}?db=1"])
    replicas.set("key", 1)
    assert replicas.get("key") is None
    assert replicas.get_client(write=True).get(replicas.make_key("key")) == b"1"
    replicas.clear()
    split = made(f"unix://{path}?db=0, unix://{path}?db=1;unix://{path}?db=2")
    assert len(split._setup.clients) == 3
    numbered = made(f"unix://{path}", OPTIONS={"db": 3})
    numbered.set("key", 1)
    assert made(f"unix://{path}?db=3", KEY_PREFIX=numbered.key_prefix).get("key") == 1
    numbered.clear()


@pytest.mark.parametrize(
    ("server", "options", "said"),
    [
        ("127.0.0.1:6379:1", {}, "LOCATION of a Redis cache is a URL"),
        ("http://localhost", {}, "unknown scheme"),
        ("redis://localhost?db=x", {}, "Invalid value for 'db'"),
        ("", {"SERIALISER": "json"}, "SERIALISER is no option"),
        ("", {"sockettimeout": 3}, "sockettimeout is no option of Puff's pools"),
        ("", {"SOCKET_TIMEOUT": 3}, "said by its settings"),
        ("", {"protocol": 2}, "RESP3"),
        ("", {"decode_responses": True}, "not for caches"),
        ("", {"SERIALIZER": "yaml"}, "'yaml' is neither one of gzip, json"),
        ("", {"COMPRESSOR": "puff.none"}, "'puff.none' is neither"),
        ("", {"PICKLE_VERSION": "new"}, "must be an integer"),
        ("", {"PICKLE_VERSION": 99}, "can't be higher"),
        ("", {"CLIENT_CLASS": "django_redis.client.ShardClient"}, "has no counterpart"),
    ],
)
def test_settings_that_make_no_sense(server: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        made(server, OPTIONS=options)


def test_a_pool_that_is_not_there() -> None:
    mine = made("no_such_pool")
    with pytest.raises(peer.ConnectionError, match='no Redis pool "no_such_pool"'):
        mine.get("key")


def test_without_redis_py() -> None:
    program = """
import sys
sys.modules["redis"] = None
from django.conf import settings
settings.configure(CACHES={"default": {"BACKEND": "puff.contrib.django.cache.RedisCache"}})
from django.core.cache import InvalidCacheBackendError, cache
try:
    cache.get("key")
except InvalidCacheBackendError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "needs redis-py" in done.stdout


# ------------------------------------------------------------------------ failures


def test_failures_are_errors_unless_they_are_ignored(run: Run) -> None:
    # Port 1 of this machine: nobody listens there.
    loud = made("redis://127.0.0.1:1")
    for use in (
        partial(loud.get, "key"),
        partial(loud.set, "key", 1),
        loud.clear,
        partial(loud.touch, "key"),
    ):
        with pytest.raises(peer.ConnectionError):
            run(use)
    quiet = made("redis://127.0.0.1:1", OPTIONS={"IGNORE_EXCEPTIONS": True, "LOG_IGNORED_EXCEPTIONS": False})
    assert run(quiet.get, "key", "default") == "default"
    answers = {
        "set": (["key", 1], False),
        "add": (["key", 1], False),
        "touch": (["key"], False),
        "delete": (["key"], False),
        "has_key": (["key"], False),
        "incr": (["key"], None),
        "decr": (["key"], None),
        "get_many": ([["key"]], {}),
        "set_many": ([{"key": 1}], ["key"]),
        "delete_many": ([["key"]], 0),
        "clear": ([], True),
        "ttl": (["key"], None),
        "keys": ([], []),
        "delete_pattern": (["*"], 0),
        "smembers": (["key"], set()),
        "hgetall": (["key"], {}),
        "zrange": (["key", 0, 1], []),
        "get_or_set": (["key", lambda: 5], 5),
        "expire": (["key", 5], False),
    }
    for name, (arguments, expected) in answers.items():
        assert run(getattr(quiet, name), *arguments) == expected, name
    with pytest.raises(peer.ConnectionError):
        run(quiet.lock("key").acquire)  # a lock that is not there must not seem to be taken


def test_wrong_types_and_damaged_values(cache: RedisCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.sadd("set", 1)
    with pytest.raises(peer.ResponseError, match="wrong kind"):
        cache.get("set")
    lax = RedisCache("", {"KEY_PREFIX": "tests", "OPTIONS": {"IGNORE_EXCEPTIONS": True}})
    assert lax.get("set", 5) == 5
    assert "ignores an error of Redis" in caplog.text
    # An answer, if a bad one: the next command is asked.
    lax.set("key", 1)
    assert lax.get("key") == 1
    cache.get_client().set(cache.make_key("key"), b"no pickle")
    with pytest.raises(pickle.UnpicklingError):
        lax.get("key")


class Clock:
    """A clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


class Server:
    """What a command asks: how often it was, and whether it fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def __call__(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "answer"


def test_the_shield_asks_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, server, shield = Clock(monkeypatch), Server(), Shield(None, longest=1.0)
    assert shield.run(server, "missing") == "answer"
    server.error = peer.TimeoutError("no answer")
    pauses = []
    for _ in range(6):
        server.asked = 0
        began = clock.now
        assert [shield.run(server, "missing") for _ in range(100)] == ["missing"] * 100
        assert server.asked == 1
        assert shield.open
        while server.asked == 1:
            clock.now += 0.01
            shield.run(server, "missing")
        pauses.append(round(clock.now - began, 1))
        clock.now = shield._until
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == 1.0
    assert pauses == sorted(pauses)
    server.error = None
    assert shield.run(server, "missing") == "answer"
    assert not shield.open
    server.error = peer.ConnectionError("gone again")
    shield.run(server, "missing")
    assert shield._pause == FIRST_PAUSE


def test_the_shield_lets_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, server, shield = Clock(monkeypatch), Server(), Shield(None)
    server.error = peer.ConnectionError("refused")
    shield.run(server, "missing")
    clock.now += 1
    outcomes = []

    def slow() -> str:
        outcomes.append(shield.run(server, "missing"))  # another one, while this one tries
        raise peer.TimeoutError("no answer")

    assert shield.run(slow, "missing") == "missing"
    assert outcomes == ["missing"]
    assert server.asked == 1
    # Errors that are not Redis's are nobody's to ignore, and do not leave the circuit half open.
    clock.now += 10

    def broken() -> str:
        raise KeyError("a fault of the program's")

    with pytest.raises(KeyError):
        shield.run(broken, "missing")
    server.error = None
    assert shield.run(server, "missing") == "answer"


def test_failures_that_began_before_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    shield = Shield(None)
    barrier = threading.Barrier(8)

    def command() -> str:
        barrier.wait(20)
        raise peer.TimeoutError("no answer")

    threads = [threading.Thread(target=shield.run, args=(command, "missing")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert shield._pause <= 4 * FIRST_PAUSE  # as many as saw the circuit closed at the very same time
