"""The channel layer itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import AuthenticationError, ConnectionError, NoScriptError, TimeoutError

from puff._hub import current_hub
from puff._loop import wait_in_loop
from puff.redis import Redis

from ._inboxes import Inboxes
from ._scripts import ADD, GROUP_SEND, POP, PUT_BACK, SEND, STAMP, Script

log = logging.getLogger("puff.channels")

_WAIT = 5
"""Seconds that Redis waits for a message before it is asked anew."""
_BATCH = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

Message = dict[str, Any]
_Words = tuple[Any, ...]


class RedisChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """A channel layer of Django Channels on Puff's Redis pool.

    Messages are kept in Redis until somebody receives them; each is received at most once. Any number of
    loops and threads may use it at once. `send_sync` and `group_send_sync` are for greenlets.

    Args:
        hosts: where Redis is: a URL, the name of a pool of the program's, `(host, port)`, or a dict with
            `address` and options of `puff.redis.ConnectionPool`; or a list with one of these. Without it, the
            program's Redis.
        prefix: what the keys in Redis begin with. Layers with the same prefix on the same Redis are one.
        expiry: seconds that a message waits to be received.
        group_expiry: seconds that a channel stays in a group.
        capacity: how many messages may wait in a channel.
        channel_capacity: other capacities, by patterns (`"http.*"`) or regular expressions.
        serializer_format: `"msgpack"` or `"json"`.

    Raises:
        django.core.exceptions.ImproperlyConfigured: the configuration makes no sense.
        redis.exceptions.RedisError: of all methods.

    Example:
        ```python
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "puff.contrib.channels.RedisChannelLayer",
                "CONFIG": {"hosts": "redis://localhost:6379/1", "capacity": 500},
            }
        }
        ```
    """

    extensions = ["groups", "flush"]  # noqa: RUF012  (as Channels has it)

    def __init__(
        self,
        hosts: Any = None,
        prefix: str = "channels",
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: dict[Any, int] | None = None,
        serializer_format: str = "msgpack",
    ) -> None:
        super().__init__(expiry, capacity)
        self.channel_capacity = self.compile_capacities(channel_capacity or {})
        self.group_expiry = group_expiry
        self.prefix = prefix
        self.client_prefix = uuid.uuid4().hex
        """What tells the channels of this layer from those of other processes."""
        self._encode, self._decode = _format(serializer_format)
        self._client = _client(hosts)  # a pool of its own ends with it
        self._native = self._client.connection_pool.native
        self._inboxes = Inboxes(self._read, self._put_back, self.get_capacity, expiry)
        self._numbers = itertools.count(1)
        self._joined: dict[tuple[str, str], float] = {}
        """Groups with channels of this process, and when they were added."""
        self._connected = False
        self._questions = itertools.count(1)
        self._unanswered: dict[str, int] = {}
        """The number of the latest question for messages, by queue, until it is answered."""
        self._answering = threading.Lock()

    # ---------------------------------------------------------------- channels

    async def send(self, channel: str, message: Message) -> None:
        """Sends a message onto a channel.

        Raises:
            channels.exceptions.ChannelFull: as many messages wait as there may.
            TypeError: the name is not valid, or the message no dict of what can be sent.
        """
        self._sent(await self._ask(SEND, *self._send(channel, message)))

    def send_sync(self, channel: str, message: Message) -> None:
        """As `send`, for greenlets and threads."""
        self._sent(self._ask_sync(SEND, *self._send(channel, message)))

    def _send(self, channel: str, message: Message) -> _Words:
        self.require_valid_channel_name(channel)
        queue = self.non_local_name(channel)
        entry = channel[len(queue) :].encode() + b" " + self._body(message)
        return self._key(queue), int(self.expiry * 1000), self.get_capacity(channel), entry

    def _sent(self, done: int) -> None:
        if not done:
            raise ChannelFull

    async def receive(self, channel: str) -> Message:
        """The next message of a channel; waits for it. Of several who wait, one gets it.

        A Redis that goes away is waited for, if it has been there before.

        Raises:
            TypeError: the name is not valid.
            AssertionError: it is a channel of another process.
        """
        self.require_valid_channel_name(channel)
        queue = self.non_local_name(channel)
        if "!" in channel and not queue.endswith(f"{self.client_prefix}!"):
            raise AssertionError(f"{channel} is a channel of another process or layer")
        entry = await self._inboxes.receive(queue, channel)
        message: Message = self._decode(entry[STAMP:].partition(b" ")[2])
        return message

    async def new_channel(self, prefix: str = "specific") -> str:
        """The name of a channel that nobody has, for this process to receive on."""
        return f"{prefix}.{self.client_prefix}!{next(self._numbers)}"

    # ---------------------------------------------------------------- groups

    async def group_add(self, group: str, channel: str) -> None:
        """Adds a channel to a group, or makes it stay for another `group_expiry`."""
        key, member = self._member(group, channel)
        if f"{self.client_prefix}!" in channel:
            self._joined[key, member] = time.monotonic()
        await self._ask(ADD, key, int(self.group_expiry * 1000), member)

    async def group_discard(self, group: str, channel: str) -> None:
        """Takes a channel out of a group."""
        key, member = self._member(group, channel)
        self._joined.pop((key, member), None)
        await self._command("ZREM", key, member)

    async def group_send(self, group: str, message: Message) -> None:
        """Sends a message to all channels of a group. Full ones do not get it, which is logged."""
        self._group_sent(group, await self._ask(GROUP_SEND, *self._group_send(group, message)))

    def group_send_sync(self, group: str, message: Message) -> None:
        """As `group_send`, for greenlets and threads."""
        self._group_sent(group, self._ask_sync(GROUP_SEND, *self._group_send(group, message)))

    def _group_send(self, group: str, message: Message) -> _Words:
        self.require_valid_group_name(group)
        times = int(self.group_expiry * 1000), int(self.expiry * 1000)
        return self._group_key(group), self._key(""), *times, self._body(message)

    def _group_sent(self, group: str, counts: list[int]) -> None:
        over, of = counts
        if over:
            log.info("%s of %s channels over capacity in group %s", over, of, group)

    def _member(self, group: str, channel: str) -> tuple[str, str]:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        return self._group_key(group), f"{self.get_capacity(channel)} {channel}"

    # ---------------------------------------------------------------- the end

    async def flush(self) -> None:
        """Deletes all messages and groups of this layer, in all processes."""
        pattern, cursor = f"{_literal(self._key(''))}*", b"0"
        while True:
            cursor, keys = await self._command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            if keys:
                await self._command("UNLINK", *keys)
            if cursor == b"0":
                return

    async def close_pools(self) -> None:
        """Nothing, for code that was written for channels_redis: the pool is shared by all loops."""

    # ---------------------------------------------------------------- keys and messages

    def _key(self, channel: str) -> str:
        return f"{self.prefix}:{channel}"

    def _group_key(self, group: str) -> str:
        return f"{self.prefix}:group:{group}"

    def _body(self, message: Message) -> bytes:
        if not isinstance(message, dict):
            raise TypeError(f"a message is a dict, not {type(message).__name__}")
        return self._encode(message)

    async def _read(self, queue: str, wanted: int) -> Sequence[tuple[list[str], bytes]]:
        """For the inboxes."""
        found = []
        for entry in await self._pop(queue, _BATCH if queue.endswith("!") else min(wanted, _BATCH)):
            names = entry[STAMP : entry.index(b" ", STAMP)].decode()
            found.append(([queue + name for name in names.split(",")], entry))
        return found

    # ---------------------------------------------------------------- Redis

    async def _pop(self, queue: str, count: int) -> list[bytes]:
        """Up to `count` entries of a queue; after some seconds without one, none."""
        pause, is_away = _FIRST_PAUSE, False
        while True:
            try:
                if is_away:
                    # Before it waits for entries: others may come for the groups meanwhile.
                    await self._rejoin()
                    is_away = False
                entries = await self._pop_once(queue, count)
            except AuthenticationError:
                raise
            except (ConnectionError, TimeoutError) as error:
                if not self._connected:
                    raise
                log.warning("channel layer: %s; the next attempt is in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause, is_away = min(pause * 2, _LONGEST_PAUSE), True
            else:
                self._connected = True
                return entries

    async def _rejoin(self) -> None:
        """Redis was away, and may have forgotten the groups."""
        since = time.monotonic() - self.group_expiry
        # A copy: other threads join groups meanwhile.
        self._joined = {joined: when for joined, when in list(self._joined.items()) if when > since}
        log.warning("channel layer: Redis is back; %s channels join their groups again", len(self._joined))
        now, expiry = int(time.time() * 1000), int(self.group_expiry * 1000)
        joined = list(self._joined)
        for first in range(0, len(joined), 1000):
            some = joined[first : first + 1000]
            words: list[_Words] = [("ZADD", key, now, member) for key, member in some]
            words += [("PEXPIRE", key, expiry) for key in {key for key, _ in some}]
            commands: list[Any] = [(each, {}) for each in words]
            await wait_in_loop(partial(self._native.execute_many, commands, False, False))

    async def _pop_once(self, queue: str, count: int) -> list[bytes]:
        entries = await self._take(queue, count)
        # To move the first to the first place is to look at it, once there is one: what is taken by a command
        # that waits is lost if the wait ends at the same time.
        if not entries and await self._command("BLMOVE", *[self._key(queue)] * 2, "LEFT", "LEFT", _WAIT):
            entries = await self._take(queue, count)
        return entries

    async def _take(self, queue: str, count: int) -> list[bytes]:
        """Up to `count` entries that are there. An answer that is lost is had the next time."""
        number = self._unanswered.setdefault(queue, next(self._questions))

        def given_up(entries: list[bytes]) -> None:
            self._put_back(queue, self._answered(queue, number, entries))

        words = self._key(queue), count, self.client_prefix, number, int(self.expiry * 1000)
        return self._answered(queue, number, await self._ask(POP, *words, lost=given_up))

    def _answered(self, queue: str, number: int, entries: list[bytes]) -> list[bytes]:
        with self._answering:
            if self._unanswered.get(queue) != number:
                return []  # another loop has asked the same, and has had the answer
            del self._unanswered[queue]
            return entries

    def _put_back(self, queue: str, entries: list[bytes]) -> None:
        """Who was to have them is not there any more. Nobody waits for the answer, but a greenlet."""
        if entries:
            name = f"{self.client_prefix}.{next(self._questions)}"
            words = self._key(queue), name, int(self.expiry * 1000), *reversed(entries)
            current_hub().spawn(self._put_back_in_time, words)

    def _put_back_in_time(self, words: tuple[Any, ...]) -> None:
        hub, pause, deadline = current_hub(), _FIRST_PAUSE, time.monotonic() + self.expiry
        while True:
            try:
                self._ask_sync(PUT_BACK, *words)
                return
            except (ConnectionError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    log.warning("channel layer: %s messages are lost: %s", len(words) - 3, error)
                    return
            hub.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ask(self, script: Script, *words: Any, lost: Callable[[Any], object] | None = None) -> Any:
        try:
            return await self._command(*script.words(True, *words), lost=lost)
        except NoScriptError:
            return await self._command(*script.words(False, *words), lost=lost)

    def _ask_sync(self, script: Script, *words: Any) -> Any:
        wait, execute = current_hub().wait_for, self._native.execute
        try:
            return wait(partial(execute, script.words(True, *words), False))
        except NoScriptError:
            return wait(partial(execute, script.words(False, *words), False))

    async def _command(self, *words: Any, lost: Callable[[Any], object] | None = None) -> Any:
        return await wait_in_loop(partial(self._native.execute, words, False), lost)


def _client(hosts: Any) -> Redis:
    if isinstance(hosts, list):
        if len(hosts) != 1:
            raise ImproperlyConfigured("hosts of a channel layer of Puff's is one Redis, not several")
        hosts = hosts[0]
    try:
        if hosts is None:
            return Redis()
        if isinstance(hosts, dict):
            options = dict(hosts)
            address = options.pop("address", None)
            return Redis(**options) if address is None else Redis.from_url(address, **options)
        if isinstance(hosts, tuple):
            host, port = hosts
            return Redis(host=host, port=port)
        if isinstance(hosts, str):
            return Redis.from_url(hosts) if "://" in hosts else Redis(hosts)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"hosts of the channel layer: {error}") from error
    raise ImproperlyConfigured(f"hosts of the channel layer: {hosts!r} is no place of a Redis")


def _format(name: str) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if name == "json":
        return lambda message: json.dumps(message).encode(), json.loads
    if name != "msgpack":
        raise ImproperlyConfigured(f'serializer_format is "msgpack" or "json", not {name!r}')
    try:
        import msgpack
    except ImportError as error:
        raise ImproperlyConfigured(
            'the channel layer needs msgpack, which is not installed: pip install "puff-py[channels]"'
        ) from error
    return msgpack.packb, partial(msgpack.unpackb, strict_map_key=False)


def _literal(text: str) -> str:
    """A text as a part of a pattern of Redis that matches only itself."""
    return "".join(f"\\{each}" if each in "*?[]\\" else each for each in text)
