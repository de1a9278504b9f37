"""What redis-py's classes wait for by themselves, in greenlets of one thread: pauses, locks, each other."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as peer
from redis.backoff import AbstractBackoff, ConstantBackoff, ExponentialBackoff
from redis.retry import Retry

import puff
import puff.redis

CLIENT = puff.redis.Redis()


@pytest.fixture
def key() -> Iterator[str]:
    """The name of a key that nobody else uses, and that is gone afterwards."""
    name = f"test:{uuid.uuid4()}"
    yield name
    CLIENT.delete(name)


def meanwhile(wait: Callable[[], Any]) -> tuple[Any, float]:
    """What `wait` returns in a greenlet, and how often another greenlet of the thread woke up meanwhile: its
    share of what another thread did, for a busy machine keeps both from it."""

    def body() -> tuple[Any, float]:
        ticks = beats = 0
        done = threading.Event()

        def tick() -> None:
            nonlocal ticks
            while True:
                puff.sleep(0.01)
                ticks += 1

        def beat() -> None:
            nonlocal beats
            while not done.wait(0.01):
                beats += 1

        ticking, beating = puff.spawn(tick), threading.Thread(target=beat)
        beating.start()
        try:
            return wait(), (ticks + 1) / (beats + 1)
        finally:
            done.set()
            ticking.kill()

    return puff.spawn(body).join(60)


class Own(Retry):
    """A subclass, as users write them."""

    seen = 0

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:
        type(self).seen += 1
        return super().call_with_retry(do, fail, *args, **kwargs)


def nowhere(**options: Any) -> puff.redis.Redis:
    return puff.redis.Redis(unix_socket_path="/nowhere/redis.sock", **options)


@pytest.mark.parametrize("kind", [Retry, Own])
@pytest.mark.parametrize("way", ["shared", "pipeline", "watch", "pubsub"])
def test_others_run_between_two_attempts(kind: type[Retry], way: str) -> None:
    client = nowhere(retry=kind(ConstantBackoff(0.2), 2))
    uses: dict[str, Callable[[], Any]] = {
        "shared": lambda: client.get("k"),
        "pipeline": client.pipeline().get("k").execute,
        "watch": lambda: client.pipeline().watch("k"),
        "pubsub": lambda: client.pubsub().subscribe("c"),
    }

    def wait() -> float:
        began = time.monotonic()
        with pytest.raises(peer.ConnectionError):
            uses[way]()
        return time.monotonic() - began

    seconds, share = meanwhile(wait)
    assert seconds > 0.39, "it waits all the same"
    assert share > 0.25
    assert kind is Retry or Own.seen > 0


def test_a_retry_stays_what_it_was() -> None:
    resets: list[int] = []

    class Counted(ConstantBackoff):
        def reset(self) -> None:
            resets.append(1)

    given = Retry(Counted(0), 1)
    client = nowhere(retry=given)
    with pytest.raises(peer.ConnectionError):
        client.ping()
    assert resets == [1]
    assert client.get_retry() == given
    assert client.get_retry() is not given
    assert isinstance(client.get_retry()._backoff, Counted)
    other = Retry(ExponentialBackoff(0.01, 0.01), 3)
    client.set_retry(other)
    assert client.get_retry() == other
    client.set_retry(None)
    assert client.get_retry() is None
    with pytest.raises(peer.ConnectionError):
        client.ping()


def test_errors_that_are_tried_again_may_be_named(key: str) -> None:
    CLIENT.set(key, "x")
    path = CLIENT.connection_pool.native.address()
    seen: list[str] = []

    class Mending(AbstractBackoff):
        def compute(self, failures: int) -> float:
            seen.append("mended")
            CLIENT.delete(key)
            return 0.0

    def client(**options: Any) -> puff.redis.Redis:
        return puff.redis.Redis(unix_socket_path=path, **options)

    with pytest.raises(peer.ResponseError):
        client(retry=Retry(Mending(), 1)).lpush(key, 1)
    assert client(retry=Retry(Mending(), 1), retry_on_error=[peer.ResponseError]).lpush(key, 1) == 1
    assert seen == ["mended"]
    once = client(retry_on_timeout=True)._retry
    assert (once.get_retries(), peer.TimeoutError in once._supported_errors) == (1, True)
    assert client(retry_on_error=[])._retry is None


def test_others_run_while_a_transaction_waits_for_its_next_attempt(key: str) -> None:
    attempts: list[float] = []

    def change(pipe: puff.redis.Pipeline) -> str:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            CLIENT.set(key, "theirs")
        pipe.multi()
        pipe.set(key, "ours")
        return "value"

    found, share = meanwhile(lambda: CLIENT.transaction(change, key, watch_delay=0.4))
    assert found == [True]
    assert attempts[1] - attempts[0] > 0.39
    assert share > 0.25
    assert CLIENT.transaction(change, key, value_from_callable=True) == "value"


def test_others_run_while_a_lock_is_waited_for(key: str) -> None:
    held = CLIENT.lock(key, timeout=20)
    assert held.acquire()
    found, share = meanwhile(lambda: CLIENT.lock(key, sleep=0.2).acquire(blocking_timeout=0.5))
    assert not found
    assert share > 0.25
    held.release()


def test_others_run_while_a_subscription_is_waited_for() -> None:
    """redis-py's `get_message` waits for one to begin."""
    pubsub = CLIENT.pubsub()
    found, share = meanwhile(lambda: pubsub.get_message(timeout=0.4))
    assert found is None
    assert share > 0.25
    waiting = puff.spawn(pubsub.get_message, timeout=20)
    pubsub.subscribe("c")
    assert waiting.join(20)["type"] == "subscribe"
    pubsub.close()


def test_a_lock_is_its_greenlets(key: str) -> None:
    lock = CLIENT.lock(key, timeout=20)

    def hold() -> tuple[bool, bool]:
        with lock:
            others = puff.spawn(lock.acquire, blocking=False).join(20)
            return others, lock.owned()

    assert puff.spawn(hold).join(20) == (False, True)


def test_greenlets_share_a_client_with_one_connection() -> None:
    """Each has its own answers, as threads have with redis-py."""
    own = CLIENT.client()

    def ask(number: int) -> bool:
        words = [b"%d %d" % (number, n) for n in range(50)]
        return [own.echo(word) for word in words] == words

    assert all(puff.join_all([puff.spawn(ask, number) for number in range(20)]))
    own.close()


def test_a_lock_that_is_taken_twice_is_released_twice() -> None:
    from puff.redis._reentrant import ReentrantLock

    lock = ReentrantLock()
    log: list[str] = []

    def other() -> None:
        with lock:
            log.append("other")

    with lock:
        with lock:
            waiting = puff.spawn(other)
            with pytest.raises(RuntimeError, match="somebody else"):
                puff.spawn(lock.release).join(20)
        log.append("still ours")
    waiting.join(20)
    assert log == ["still ours", "other"]
