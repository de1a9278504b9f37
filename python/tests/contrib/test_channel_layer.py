"""`puff.contrib.channels` on plain Python's private Redis: the channel layer's specification, and beyond."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import logging
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import redis as peer
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from django.core.exceptions import ImproperlyConfigured

import puff
import puff.redis
from puff import _loop
from puff.contrib.channels import RedisChannelLayer
from puff.contrib.channels._scripts import POP

Test = Callable[..., Coroutine[Any, Any, None]]


def made(**config: Any) -> RedisChannelLayer:
    """A layer that shares its keys with nobody."""
    return RedisChannelLayer(**{"prefix": f"tests-{uuid.uuid4().hex[:8]}", **config})


def in_loop(test: Test) -> Callable[..., None]:
    """The test in a loop of its own, with a `layer` that is flushed."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def body() -> None:
            layer = made(capacity=3, channel_capacity={"tiny*": 1})
            try:
                await asyncio.wait_for(test(layer, *args, **kwargs), 60)
            finally:
                await layer.flush()

        asyncio.run(body())

    # All but `layer` is for pytest to give.
    del run.__wrapped__
    signature = inspect.signature(test)
    kept = list(signature.parameters.values())[1:]
    run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return run


async def nothing_comes(layer: RedisChannelLayer, channel: str) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive(channel), 0.2)


# ------------------------------------------------------------------------ channels


@in_loop
async def test_messages_come_in_order(layer: RedisChannelLayer) -> None:
    message = {
        "type": "a.b",
        "bytes": b"\x00\xff",
        "text": "é",
        "n": [1, -(2**40), 2.5, None, True],
        "of": {"1": {}},
    }
    for channel in ("normal.1", await layer.new_channel(), await layer.new_channel("own")):
        for number in range(3):
            await layer.send(channel, {**message, "number": number})
        with pytest.raises(ChannelFull):
            await layer.send(channel, message)
        received = [await layer.receive(channel) for _ in range(3)]
        assert received == [{**message, "number": number} for number in range(3)]
        await nothing_comes(layer, channel)


@in_loop
async def test_capacities(layer: RedisChannelLayer) -> None:
    await layer.send("tiny.1", {"type": "x"})
    with pytest.raises(ChannelFull):
        await layer.send("tiny.1", {"type": "x"})
    await layer.receive("tiny.1")
    await layer.send("tiny.1", {"type": "x"})


@in_loop
async def test_each_message_is_received_once(layer: RedisChannelLayer) -> None:
    layer.capacity = 1000
    got: list[int] = []

    async def work() -> None:
        while len(got) < 300:
            got.append((await layer.receive("jobs"))["n"])

    workers = [asyncio.create_task(work()) for _ in range(5)]
    for number in range(304):
        await layer.send("jobs", {"n": number})
    await asyncio.wait_for(asyncio.gather(*workers), 30)
    assert sorted(got) == list(range(len(got)))
    assert len(got) >= 300


@in_loop
async def test_names_and_messages_that_are_not_valid(layer: RedisChannelLayer) -> None:
    for name in ("=+135!", "a b", "", "x" * 100, b"bytes", "two!!", None):
        with pytest.raises(TypeError):
            await layer.send(name, {"type": "x"})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await layer.receive(name)  # type: ignore[arg-type]
    for name in ("a!b", "", "a b"):
        with pytest.raises(TypeError):
            await layer.group_send(name, {"type": "x"})
        with pytest.raises(TypeError):
            await layer.group_add(name, "channel")
    with pytest.raises(TypeError, match="a message is a dict, not list"):
        await layer.send("channel", [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="serialize"):
        await layer.send("channel", {"type": object()})
    with pytest.raises(AssertionError, match="another process"):
        await layer.receive("specific.0123!x")


@in_loop
async def test_messages_expire(layer: RedisChannelLayer) -> None:
    layer.expiry = 0.1
    await layer.send("channel", {"n": 1})
    layer.expiry = 60
    await layer.send("channel", {"n": 2})
    await asyncio.sleep(0.2)
    assert await layer.receive("channel") == {"n": 2}
    # What has expired takes no place.
    layer.expiry = 0.3
    for _ in range(2):
        for number in range(3):
            await layer.send("channel", {"n": number})
        await asyncio.sleep(0.4)
    await nothing_comes(layer, "channel")


@in_loop
async def test_a_receiver_that_gives_up_loses_nothing(layer: RedisChannelLayer) -> None:
    layer.capacity = 1000
    for channel in (await layer.new_channel(), "normal"):
        sent = 0
        received = []
        for delay in range(40):
            await layer.send(channel, {"n": sent})
            sent += 1
            task = asyncio.create_task(layer.receive(channel))
            await asyncio.sleep(delay / 20_000)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                received.append((await task)["n"])
        while len(received) < sent:
            received.append((await asyncio.wait_for(layer.receive(channel), 10))["n"])
        assert sorted(received) == list(range(sent))


@in_loop
async def test_a_question_that_is_asked_again_has_the_same_answer(layer: RedisChannelLayer) -> None:
    for number in range(3):
        await layer.send("normal.1", {"type": "a.b", "number": number})

    async def ask(number: int, count: int = 1, who: str = "me") -> Any:
        return await layer._ask(POP, layer._key("normal.1"), count, who, number, 60_000)

    first = await ask(7)
    assert len(first) == 1
    assert await ask(7, 2) == first
    assert await ask(6) == [], "it comes late"
    second = await ask(9)
    assert len(second) == 1
    assert second != first
    assert await ask(7) == [], "it comes late, too"
    assert len(await ask(1, who="you")) == 1
    assert await ask(10) == []
    assert await ask(9) == [], "the next question has been asked, so this one was answered"


@in_loop
async def test_a_channel_nobody_reads_is_bounded(layer: RedisChannelLayer, caplog: Any) -> None:
    slow, quick = await layer.new_channel(), await layer.new_channel()
    for number in range(10):
        await layer.send(slow, {"n": number})
        await layer.send(quick, {"n": number})
        assert await layer.receive(quick) == {"n": number}
    assert [(await layer.receive(slow))["n"] for _ in range(3)] == [7, 8, 9]
    assert caplog.text.count("over its capacity of 3") == 1
    assert not layer._inboxes._inboxes


@in_loop
async def test_what_is_never_taken_is_forgotten(layer: RedisChannelLayer) -> None:
    layer._inboxes._expiry = 0.05
    gone, alive = await layer.new_channel(), await layer.new_channel()
    await layer.send(gone, {"n": 0})
    for number in range(3):
        await layer.send(alive, {"n": number})
        assert await layer.receive(alive) == {"n": number}
        await asyncio.sleep(0.1)
    assert gone not in layer._inboxes._inboxes


# ------------------------------------------------------------------------ groups


@in_loop
async def test_groups(layer: RedisChannelLayer) -> None:
    first, second, third = [await layer.new_channel() for _ in range(3)]
    other = await layer.new_channel("other")
    for channel in (first, second, third, other, "normal"):
        await layer.group_add("group", channel)
    await layer.group_add("group", first)  # once more is nothing more
    await layer.group_discard("group", second)
    await layer.group_discard("group", "never")
    await layer.group_discard("none", first)
    await layer.group_send("group", {"type": "x", "list": []})
    await layer.group_send("none", {"type": "y"})
    for channel in (first, third, other, "normal"):
        assert await layer.receive(channel) == {"type": "x", "list": []}
        await nothing_comes(layer, channel)
    await nothing_comes(layer, second)


@in_loop
async def test_members_of_a_group_get_copies(layer: RedisChannelLayer) -> None:
    channels = [await layer.new_channel() for _ in range(2)]
    for channel in channels:
        await layer.group_add("group", channel)
    await layer.group_send("group", {"list": []})
    one, other = [await layer.receive(channel) for channel in channels]
    one["list"].append(1)
    assert other == {"list": []}


@in_loop
async def test_full_members_do_not_keep_the_others(layer: RedisChannelLayer, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "puff.channels")
    full, other = await layer.new_channel("full"), await layer.new_channel("other")
    await layer.send(full, {"n": 0})
    for channel in (full, other, "tiny.1"):
        await layer.group_add("group", channel)
    for number in range(1, 4):
        await layer.group_send("group", {"n": number})
    assert [(await layer.receive(full))["n"] for _ in range(3)] == [0, 1, 2]
    assert [(await layer.receive(other))["n"] for _ in range(3)] == [1, 2, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 3 channels over capacity in group group",
        "2 of 3 channels over capacity in group group",
    ]


@in_loop
async def test_a_member_with_two_capacities_gets_one_copy(layer: RedisChannelLayer) -> None:
    """As where one process says another one than the process that it takes the place of."""
    await layer.group_add("group", "plain")
    key, member = layer._member("group", "plain")
    await layer._command("ZADD", key, int(time.time() * 1000), f"7{member}")
    await layer.group_send("group", {"n": 1})
    assert await layer.receive("plain") == {"n": 1}
    await nothing_comes(layer, "plain")


@in_loop
async def test_membership_expires(layer: RedisChannelLayer) -> None:
    old, new = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("group", old)
    await layer.group_add("group", new)
    key, member = layer._member("group", old)
    since = time.time() - layer.group_expiry - 60
    await layer._command("ZADD", key, int(since * 1000), member)
    await layer.group_send("group", {"n": 1})
    assert await layer.receive(new) == {"n": 1}
    await nothing_comes(layer, old)


@in_loop
async def test_flush_takes_this_layer_only(layer: RedisChannelLayer) -> None:
    other = made(prefix=layer.prefix + "*")
    await other.send("channel", {"n": 1})
    await layer.send("channel", {"n": 1})
    await layer.group_add("group", "channel")
    await other.flush()
    assert await layer.receive("channel") == {"n": 1}
    await layer.flush()
    await layer.group_send("group", {"n": 1})
    await nothing_comes(layer, "channel")


# ------------------------------------------------------------------------ loops, threads, greenlets


def test_several_loops_at_once() -> None:
    layer = made(capacity=1000)
    ready, channels, got = threading.Barrier(4), [], []

    async def listen() -> None:
        channel = await layer.new_channel()
        channels.append(channel)
        await layer.group_add("group", channel)
        await asyncio.to_thread(ready.wait, 20)
        # They end one after the other: whoever reads for all hands over.
        for _ in range(20 * (channels.index(channel) + 1)):
            got.append((await asyncio.wait_for(layer.receive(channel), 20))["n"])

    threads = [threading.Thread(target=asyncio.run, args=(listen(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait(20)

    async def send() -> None:
        for number in range(60):
            await layer.group_send("group", {"n": number})

    asyncio.run(send())
    for thread in threads:
        thread.join(30)
    assert len(got) == 20 + 40 + 60
    asyncio.run(layer.flush())


def test_one_loop_after_another() -> None:
    layer = made()
    first, second = [async_to_sync(layer.new_channel)() for _ in range(2)]
    async_to_sync(layer.send)(first, {"n": 1})
    async_to_sync(layer.send)(second, {"n": 2})
    assert async_to_sync(layer.receive)(second) == {"n": 2}
    assert async_to_sync(layer.receive)(first) == {"n": 1}
    # A loop that was stopped in the middle does not keep the others from reading.
    stopped = asyncio.new_event_loop()
    waiting = stopped.create_task(layer.receive(first))
    stopped.run_until_complete(asyncio.sleep(0.05))
    async_to_sync(layer.send)(second, {"n": 3})
    async_to_sync(layer.send)(second, {"n": 4})
    found = asyncio.run(asyncio.wait_for(layer.receive(second), 20))
    assert found["n"] in (3, 4)  # 3 may have been read by the other one
    waiting.cancel()
    stopped.run_until_complete(asyncio.wait([*asyncio.all_tasks(stopped)], timeout=20))
    stopped.close()
    asyncio.run(layer.flush())


def test_greenlets_send(run: Callable[..., Any]) -> None:
    layer = made(capacity=2)

    def send() -> None:
        layer.send_sync("channel", {"n": 1})
        layer.group_send_sync("group", {"n": 2})
        with pytest.raises(ChannelFull):
            layer.send_sync("channel", {"n": 3})

    asyncio.run(layer.group_add("group", "channel"))
    run(send)
    assert [asyncio.run(layer.receive("channel"))["n"] for _ in range(2)] == [1, 2]
    asyncio.run(layer.flush())


def test_a_greenlet_that_waits_for_a_loop() -> None:
    """asgiref stops the thread for that: the hub's. Nothing of this may need it."""
    layer = made()

    def both() -> Any:
        async_to_sync(layer.send)("channel", {"n": 1})
        return async_to_sync(layer.receive)("channel")

    assert puff.spawn(both).join(30) == {"n": 1}
    asyncio.run(layer.flush())


def test_loops_leave_nothing_behind() -> None:
    layer = made()

    def use() -> None:
        for _ in range(50):
            async_to_sync(layer.group_send)("group", {"n": 1})

    def left() -> tuple[int, int]:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), len(_loop._doors)

    use()
    before = left()
    use()
    descriptors, doors = left()
    assert descriptors <= before[0] + 2
    assert doors <= before[1]


# ------------------------------------------------------------------------ configuration and failures


def test_formats() -> None:
    for name in ("msgpack", "json"):
        layer = made(serializer_format=name)
        asyncio.run(layer.send("channel", {"a": [1, {"b": None}]}))
        assert asyncio.run(layer.receive("channel")) == {"a": [1, {"b": None}]}
    with pytest.raises(ImproperlyConfigured, match="'yaml'"):
        made(serializer_format="yaml")


def test_hosts() -> None:
    program = puff.redis.Redis()
    path = program.config_get("unixsocket")["unixsocket"]
    url = f"unix://{path}?db=5"
    for hosts in (url, [url], {"address": url, "socket_timeout": 3}, [{"path": path, "db": 5}]):
        layer = made(hosts=hosts)
        asyncio.run(layer.send("channel", {"n": 1}))
        assert program.exists(f"{layer.prefix}:channel") == 0
        assert asyncio.run(layer.receive("channel")) == {"n": 1}
    for hosts in ([url, url], 5, ["http://x"], ("localhost",), {"address": url, "nonsense": 1}):
        with pytest.raises(ImproperlyConfigured, match="hosts"):
            made(hosts=hosts)


def test_a_redis_that_is_not_there() -> None:
    for hosts in (("127.0.0.1", 1), "no_such_pool"):
        layer = made(hosts=[hosts])
        for use in (layer.send("a", {}), layer.receive("a"), layer.group_add("a", "b"), layer.flush()):
            with pytest.raises(peer.ConnectionError):
                asyncio.run(asyncio.wait_for(use, 20))
        with pytest.raises(peer.ConnectionError):
            layer.send_sync("a", {})
        channel = asyncio.run(layer.new_channel())

        async def all_hear_of_it(layer: RedisChannelLayer = layer, channel: str = channel) -> list[Any]:
            receivers = [asyncio.wait_for(layer.receive(channel), 20) for _ in range(3)]
            return await asyncio.gather(*receivers, return_exceptions=True)

        heard = asyncio.run(all_hear_of_it())
        assert [isinstance(error, peer.ConnectionError) for error in heard] == [True] * 3


def test_a_key_of_another_type() -> None:
    layer = made()
    program = puff.redis.Redis()
    program.set(f"{layer.prefix}:channel", 1)
    with pytest.raises(peer.ResponseError, match="wrong kind"):
        asyncio.run(layer.send("channel", {}))
    with pytest.raises(peer.ResponseError, match="wrong kind"):
        asyncio.run(layer.receive("channel"))
    asyncio.run(layer.flush())


def test_scripts_are_sent_again_when_redis_forgot_them() -> None:
    layer = made()
    asyncio.run(layer.send("channel", {"n": 1}))
    puff.redis.Redis().script_flush()
    asyncio.run(layer.send("channel", {"n": 2}))
    assert [asyncio.run(layer.receive("channel"))["n"] for _ in range(2)] == [1, 2]


def test_a_thousand_members_are_two_trips() -> None:
    async def body() -> None:
        layer = made(capacity=2000)
        channels = [await layer.new_channel() for _ in range(1000)]
        await asyncio.gather(*[layer.group_add("group", channel) for channel in channels])
        commands = puff.redis.Redis().status()["commands"]
        await layer.group_send("group", {"n": 1})
        received = await asyncio.wait_for(asyncio.gather(*map(layer.receive, channels)), 30)
        assert received == [{"n": 1}] * 1000
        assert puff.redis.Redis().status()["commands"] - commands < 10
        await layer.flush()

    began = time.monotonic()
    asyncio.run(body())
    assert time.monotonic() - began < 60
