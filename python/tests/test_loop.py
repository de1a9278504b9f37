"""`puff._loop`: asyncio awaits native work, with or without the hub."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from functools import partial
from typing import Any

import pytest
import redis as peer
from asgiref.sync import async_to_sync

import puff
import puff.redis
from puff._hub import current_hub
from puff._loop import wait_in_loop

CLIENT = puff.redis.Redis()


async def ask(*words: Any, lost: Any = None) -> Any:
    return await wait_in_loop(partial(CLIENT.connection_pool.native.execute, words, False), lost)


async def in_use() -> int:
    status = await wait_in_loop(CLIENT.connection_pool.native.status)
    return int(status["dedicated"]["in_use"])


def test_results_and_errors() -> None:
    async def body() -> None:
        assert await ask("ECHO", "x") == b"x"
        assert await asyncio.gather(*[ask("ECHO", str(n)) for n in range(500)]) == [
            str(n).encode() for n in range(500)
        ]
        with pytest.raises(peer.ResponseError, match="unknown command"):
            await ask("NOSUCH")
        with pytest.raises(peer.DataError):
            await ask("ECHO", object())
        assert await ask("ECHO", "y") == b"y"

    asyncio.run(asyncio.wait_for(body(), 60))


def test_a_cancelled_task_drops_its_work() -> None:
    async def body() -> None:
        task = asyncio.create_task(ask("BLPOP", f"none:{uuid.uuid4()}", 100))
        while not await in_use():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while await in_use():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(body(), 60))


def test_a_result_that_must_not_be_lost() -> None:
    async def body() -> None:
        lost: list[Any] = []
        for delay in range(20):
            task = asyncio.create_task(ask("ECHO", str(delay), lost=lost.append))
            await asyncio.sleep(delay / 20_000)
            begun = time.monotonic()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                lost.append(await task)
            # One that is cancelled before it began has asked for nothing; what is lost is waited for 1 s.
            is_late = time.monotonic() - begun >= 1
            assert delay == 0 or is_late or lost[-1] == str(delay).encode()

    asyncio.run(asyncio.wait_for(body(), 60))


def test_the_hub_may_wait_for_the_loop() -> None:
    def stops_the_hub() -> Any:
        answer: list[Any] = []
        thread = threading.Thread(target=lambda: answer.append(asyncio.run(ask("ECHO", "x"))))
        thread.start()
        thread.join(20)  # the thread's own join: all greenlets stand still
        return answer

    assert puff.spawn(stops_the_hub).join(60) == [b"x"]
    assert puff.spawn(lambda: async_to_sync(ask)("ECHO", "x")).join(60) == b"x"


def test_many_loops_at_once() -> None:
    async def body(name: str) -> None:
        for number in range(100):
            assert await ask("ECHO", f"{name}:{number}") == f"{name}:{number}".encode()

    threads = [threading.Thread(target=asyncio.run, args=(body(str(n)),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_what_comes_after_the_loop_is_nobodys() -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(ask("BLPOP", f"none:{uuid.uuid4()}", 0.2))
    loop.run_until_complete(asyncio.sleep(0.05))
    time.sleep(0.4)  # it is answered, and the loop does not look
    assert loop.run_until_complete(asyncio.wait_for(task, 20)) is None
    late = loop.create_task(ask("BLPOP", f"none:{uuid.uuid4()}", 0.2))
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    time.sleep(0.4)
    assert CLIENT.ping()
    late._log_destroy_pending = False  # type: ignore[attr-defined]
    assert current_hub() is not None
