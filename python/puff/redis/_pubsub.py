"""redis-py's pub-sub, whose waits are greenlets'. In a cluster sharded channels are where their slots are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

import redis.client
from redis.crc import key_slot

from .._hub import current_hub
from .._native import native
from .._sync import Event
from ._connection import ConnectionPool
from ._reentrant import ReentrantLock


class _Patient(redis.client.PubSub):
    """redis-py's `PubSub` without what stops a thread."""

    connection: Any
    encoder: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lock: Any = ReentrantLock()
        self.subscribed_event: Any = Event()


class _Place:
    """Where connections for a sharded channel come from: the pool, which is told the channel."""

    def __init__(self, pool: ConnectionPool, channel: Any) -> None:
        self._pool = pool
        self._channel = channel

    def get_connection(self) -> Any:
        return self._pool.get_connection("SSUBSCRIBE", self._channel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class _Slot(_Patient):
    """The sharded channels of one slot, with a connection to the node that has it."""

    def handle_message(self, response: Any, ignore_subscribe_messages: bool = False) -> Any:
        if isinstance(response, list) and response[0] in (b"sunsubscribe", "sunsubscribe"):
            channel = response[1]
            if channel in self.shard_channels and channel not in self.pending_unsubscribe_shard_channels:
                # Nobody wanted that: the slot has moved. The next connection finds it, and subscribes again.
                self.connection.disconnect()
                return None
        return super().handle_message(response, ignore_subscribe_messages)


class PubSub(_Patient):
    """redis-py's `PubSub`. In a cluster the sharded channels of each slot have a connection of their own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._slots: dict[int, _Slot] = {}
        self._turn = 0
        self._options = {
            name: options[name]
            for name in ("ignore_subscribe_messages", "encoder", "push_handler_func")
            if name in options
        }
        super().__init__(*args, **options)

    def reset(self) -> None:
        slots, self._slots = self._slots, {}
        for slot in slots.values():
            slot.reset()
        super().reset()

    @property
    def subscribed(self) -> bool:
        return super().subscribed or any(slot.subscribed for slot in self._slots.values())

    def ssubscribe(self, *args: Any, target_node: Any = None, **kwargs: Any) -> None:
        if not self._in_cluster():
            super().ssubscribe(*args, **kwargs)
            return
        # What redis-py calls a subscription has a name and a handler.
        channels = {getattr(each, "name", each): each for each in _flat(args)}
        for number, names in self._by_slot([*channels, *kwargs]):
            slot = self._slots.get(number)
            if slot is None:
                place: Any = _Place(self.connection_pool, names[0])
                slot = self._slots[number] = _Slot(place, **self._options)
            handlers = {name: kwargs[name] for name in names if name in kwargs}
            slot.ssubscribe(*(channels[name] for name in names if name not in handlers), **handlers)
        self.subscribed_event.set()

    def sunsubscribe(self, *args: Any, target_node: Any = None) -> None:
        if not self._in_cluster():
            super().sunsubscribe(*args)
            return
        names = _flat(args)
        if not names:
            for slot in self._slots.values():
                slot.sunsubscribe()
        for number, some in self._by_slot(names):
            if number in self._slots:
                self._slots[number].sunsubscribe(*some)

    def get_message(self, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0) -> Any:
        until = None if timeout is None else time.monotonic() + timeout
        if not self.subscribed and not self.subscribed_event.wait(timeout):
            return None
        left = None if until is None else max(0.0, until - time.monotonic())
        if not self._slots:
            return super().get_message(ignore_subscribe_messages, left)  # type: ignore[arg-type]
        ready = self._ready(left)
        if ready is None:
            return None
        if ready is self:
            return super().get_message(ignore_subscribe_messages, 0)
        message = ready.get_message(ignore_subscribe_messages, 0)
        self._forget(ready)
        return message

    get_sharded_message = get_message

    def listen(self) -> Iterator[Any]:
        while self.subscribed:
            message = self.get_message(timeout=None)
            if message is not None:
                yield message

    # ----------------------------------------------------------------

    def _in_cluster(self) -> bool:
        return bool(current_hub().wait_for(self.connection_pool.native.in_cluster))

    def _by_slot(self, names: Any) -> Iterator[tuple[int, list[Any]]]:
        def of(name: Any) -> int:
            return key_slot(self.encoder.encode(name))

        return ((number, list(some)) for number, some in groupby(sorted(names, key=of), key=of))

    def _ready(self, timeout: float | None) -> Any:
        """Who has something to receive, each in its turn; None if nothing comes in time."""
        members: list[Any] = [*self._slots.values(), *([self] if self.connection is not None else [])]
        self._turn = (self._turn + 1) % len(members)
        members = members[self._turn :] + members[: self._turn]
        leases = [member.connection._sock for member in members]
        if None in leases:
            return members[leases.index(None)]  # connects anew
        index = current_hub().wait_for(partial(native.RedisLease.first, leases, timeout))
        return None if index is None else members[index]

    def _forget(self, member: _Slot) -> None:
        """Closes the connection of a slot without channels."""
        if member.subscribed:
            return
        self._slots = {number: slot for number, slot in self._slots.items() if slot is not member}
        member.reset()
        if not self._slots and not self.channels and not self.patterns:
            self.subscribed_event.clear()


def _flat(args: tuple[Any, ...]) -> list[Any]:
    return [name for arg in args for name in (arg if isinstance(arg, (list, tuple)) else [arg])]
