"""redis-py's client and pipeline on the native pool.

What any connection can carry goes to the native pool in one call, which packs the words and makes the
objects. The rest, and a client with a connection of its own, goes the way of redis-py's classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import redis
from redis._parsers import Encoder
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterCrossSlotError, RedisError, ResponseError, WatchError

from .._hub import current_hub
from .._redis import plain_command
from ._connection import ConnectionPool, decoded, encoded, is_utf8
from ._lock import Lock
from ._pubsub import PubSub
from ._reentrant import ReentrantLock
from ._retry import retry_of

_T = TypeVar("_T")

# On a connection it leaves what later commands of its kind need.
_HIMPORT = ("HIMPORT", b"HIMPORT")
# In a pipeline redis-py sends it after its own MULTI.
_DISCARD = ("DISCARD", b"DISCARD")


class _Transport:
    """How commands reach the native pool. Part of a client and of a pipeline."""

    connection_pool: ConnectionPool
    response_callbacks: Any
    connection: Any

    def __del__(self) -> None:
        # redis-py's own would close the pool under pipelines and pub-subs that are still in use, and wait for
        # an answer to UNWATCH, in the middle of whatever the collector interrupts.
        connection = getattr(self, "connection", None)
        if connection is not None:
            self.connection = None
            connection.disconnect()

    def _use(self, pool: ConnectionPool) -> None:
        self._encoder: Encoder = pool.get_encoder()
        self._utf8 = is_utf8(self._encoder)
        self._decode: bool = self._encoder.decode_responses
        self._execute = pool.native.execute
        self._retry = retry_of(pool.connection_kwargs)

    def _ask(self, words: tuple[Any, ...], decode: bool) -> Any:
        """One command's response, as redis-py's parser would give it."""
        if self._utf8:
            return self._persist(partial(self._execute, words, decode))
        words = encoded(words, self._encoder)
        response = self._persist(partial(self._execute, words, False))
        return decoded(response, self._encoder) if decode else response

    def _ask_many(self, commands: list[Any], transaction: bool) -> list[Any]:
        """The responses of commands that go together."""
        many = self.connection_pool.native.execute_many
        if self._utf8:
            found = self._persist(partial(many, commands, transaction, self._decode))
        else:
            commands = [encoded(words, self._encoder) for words, _ in commands]
            found = self._persist(partial(many, commands, transaction, False))
            found = decoded(found, self._encoder) if self._decode else found
        return found  # type: ignore[no-any-return]

    def _persist(self, start: Callable[[Any], object]) -> Any:
        wait = current_hub().wait_for
        if self._retry is None:
            return wait(start)
        return self._retry.call_with_retry(lambda: wait(start), lambda _: None)

    def _carry_out(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """One command and its response callback: `Redis.execute_command` without a connection."""
        never_decode = options.pop(NEVER_DECODE, None) is not None
        try:
            response = self._ask(args, self._decode and not never_decode)
        except ResponseError:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise
        options.pop(EMPTY_RESPONSE, None)
        options.pop("keys", None)  # for redis-py's client-side cache
        return self._understood(args[0], response, options)

    def _understood(self, name: Any, response: Any, options: dict[str, Any]) -> Any:
        callbacks = self.response_callbacks
        # The dict ignores the case of names, at a price: nearly all come as they are in there.
        callback = dict.get(callbacks, name)
        if callback is None:
            if name.isupper() or name not in callbacks:
                return response
            callback = callbacks[name]
        return callback(response, **options)


class Redis(_Transport, redis.Redis):  # type: ignore[misc]
    """redis-py's `Redis` on Puff's pool.

    Without a server it uses the program's pool, or the one called `name`. With a `url`, or with `host` or
    `unix_socket_path` as redis-py takes them, it has a pool of its own, which `close` closes.

    May be made at import time; nothing is opened before the first command. One client serves all greenlets
    and threads at once.

    Args:
        name: the name of a pool, as in `puff.global_redis(name)`.
        url: where the server is, for a pool of its own.
        connection_pool: a `puff.redis.ConnectionPool` to share.
        single_connection_client: keeps a connection of its own, as `client()` does.
        unix_socket_path: the path of a server's socket, for a pool of its own.
        options: as for `ConnectionPool`: `decode_responses`, `retry`, `socket_timeout`...

    Raises:
        TypeError: an option is not known, or does not go with the others.
        ValueError: the URL is none of Redis'.

    Example:
        >>> import puff.redis
        >>> redis = puff.redis.Redis(decode_responses=True)
        >>> redis.set("greeting", "hello")
        True
        >>> redis.get("greeting")
        'hello'
        >>> redis.pipeline().incr("visits").expire("visits", 60).execute()
        [1, True]
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        url: str | None = None,
        connection_pool: ConnectionPool | None = None,
        single_connection_client: bool = False,
        unix_socket_path: str | None = None,
        **options: Any,
    ) -> None:
        own = connection_pool is None
        if connection_pool is None:
            if unix_socket_path is not None:
                options["path"] = unix_socket_path
            connection_pool = ConnectionPool(name, url=url, **options)
        elif name is not None or url is not None or unix_socket_path is not None or options:
            raise TypeError("a connection_pool has its settings already")
        elif not isinstance(connection_pool, ConnectionPool):
            kind = type(connection_pool)
            raise TypeError(
                f"connection_pool is a puff.redis.ConnectionPool, not {kind.__module__}.{kind.__qualname__}"
            )
        self._use(connection_pool)
        super().__init__(connection_pool=connection_pool, single_connection_client=single_connection_client)
        self.auto_close_connection_pool = own
        self.single_connection_lock = ReentrantLock()  # type: ignore[assignment]

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> Redis:
        """A client with a pool of its own for the server at `url`, which may have options as parameters."""
        single = kwargs.pop("single_connection_client", False)
        pool = ConnectionPool.from_url(url, **kwargs)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client

    # ---------------------------------------------------------------- commands

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.connection is not None or args[0][:7] in _HIMPORT:
            return super().execute_command(*args, **options)
        return self._carry_out(args, options)

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Sends one command; its reply as int, bytes, list, dict, None... without redis-py's callbacks.

        A status is str, a set is a set. Without a command it is redis-py's: what commands the server has.

        Raises:
            ConnectionError: the server cannot be reached (Python's own class).
            RuntimeError: the server answered with an error; the message is the server's.

        Example:
            >>> import puff.redis
            >>> puff.redis.Redis().command("PING")
            'PONG'
        """
        if not args:
            return super().command(**kwargs)
        return plain_command(self.connection_pool.native, args)

    def get(self, name: Any) -> Any:
        if self.connection is not None:
            return super().get(name)
        return self._understood("GET", self._ask(("GET", name), self._decode), {})

    def set(self, name: Any, value: Any, *args: Any, **options: Any) -> Any:
        if self.connection is not None or args or options:
            return super().set(name, value, *args, **options)
        return self._understood("SET", self._ask(("SET", name, value), self._decode), {})

    def mget(self, keys: Any, *args: Any) -> Any:
        if self.connection is not None or args or type(keys) not in (list, tuple) or not keys:
            return super().mget(keys, *args)
        return self._understood("MGET", self._ask(("MGET", *keys), self._decode), {})

    def delete(self, *names: Any) -> Any:
        if self.connection is not None:
            return super().delete(*names)
        return self._understood("DEL", self._ask(("DEL", *names), self._decode), {})

    def incrby(self, name: Any, amount: int = 1) -> Any:
        if self.connection is not None:
            return super().incrby(name, amount)
        return self._understood("INCRBY", self._ask(("INCRBY", name, amount), self._decode), {})

    incr = incrby

    # ---------------------------------------------------------------- what belongs to a client

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def transaction(
        self,
        func: Callable[[Any], Any],
        *watches: Any,
        shard_hint: Any = None,
        value_from_callable: bool = False,
        watch_delay: float | None = None,
    ) -> Any:
        with self.pipeline(True, shard_hint) as pipe:
            while True:
                try:
                    if watches:
                        pipe.watch(*watches)
                    value = func(pipe)
                    responses = pipe.execute()
                except WatchError:
                    if watch_delay:
                        current_hub().sleep(watch_delay)
                else:
                    return value if value_from_callable else responses

    def pubsub(self, **kwargs: Any) -> PubSub:
        return PubSub(self.connection_pool, **kwargs)

    def lock(
        self,
        name: str,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        lock_class: Any = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
    ) -> Any:
        made = lock_class or Lock
        return super().lock(
            name, timeout, sleep, blocking, blocking_timeout, made, thread_local, raise_on_release_error
        )

    def set_retry(self, retry: Any) -> None:
        super().set_retry(retry)
        self._use(self.connection_pool)

    def status(self) -> dict[str, Any]:
        """What the pool is doing, and what it has done. Needs no connection.

        Now: `max_size` and `open` (shared connections), `in_flight` (commands), and under `dedicated`
        `max_size`, `in_use`, `idle` (connections of one caller) and `waiting` (callers). So far: `commands`,
        `failures` (commands without an answer), and under `dedicated` `timed_out`. Under `circuit`: `open`
        (whether commands fail at once), `retry_in` (seconds until it is tried again), and so far `connected`
        and `failed` (attempts to connect).

        Raises:
            puff.ServiceError: the program has no such pool, or it cannot be opened.
        """
        return current_hub().wait_for(self.connection_pool.native.status)  # type: ignore[no-any-return]


class Pipeline(_Transport, redis.client.Pipeline):  # type: ignore[misc]
    """redis-py's `Pipeline`. Its commands are sent over a shared connection in one piece, as a transaction
    too; with `WATCH` it has a connection of its own until it is reset.

    Example:
        >>> import puff
        >>> with puff.global_redis().pipeline() as pipe:
        ...     pipe.set("pages", 41).incr("pages").execute()
        [True, 42]
    """

    def __init__(
        self, connection_pool: ConnectionPool, response_callbacks: Any, transaction: bool, shard_hint: Any
    ) -> None:
        super().__init__(connection_pool, response_callbacks, transaction, shard_hint)
        self.transaction: Any = transaction  # a method of the class whose methods these are
        self._watched: Any = b""
        self._use(connection_pool)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = self.command_stack
        if (
            self.connection is not None
            or self.watching
            or any(args[0][:7] in _HIMPORT or args[0] in _DISCARD for args, _ in stack)
        ):
            try:
                return super().execute(raise_on_error)
            except AskError as error:
                raise self._elsewhere(error) from error
        if not stack:
            return []
        try:
            if self.scripts:
                self.load_scripts()
            # What redis-py does not send either has its response already.
            known = {
                index: options[EMPTY_RESPONSE]
                for index, (_, options) in enumerate(stack)
                if EMPTY_RESPONSE in options
            }
            sent = [each for index, each in enumerate(stack) if index not in known] if known else stack
            found = self._exchange(sent, bool(self.transaction) or self.explicit_transaction)
            for index, response in known.items():
                found.insert(index, response)
            return self._finished(stack, found, known, raise_on_error)
        finally:
            self.reset()

    def _exchange(self, commands: list[Any], transaction: bool) -> list[Any]:
        if not commands:
            return []
        try:
            return self._ask_many(commands, transaction)
        except RedisError as error:
            index = getattr(error, "puff_index", None)
            if index is not None:
                self.annotate_exception(error, index + 1, commands[index][0])
            raise

    def _finished(
        self, stack: list[Any], found: list[Any], known: dict[int, Any], raise_on_error: bool
    ) -> list[Any]:
        callbacks, callback_of = self.response_callbacks, dict.get
        for index, (args, options) in enumerate(stack):
            response = found[index]
            if isinstance(response, Exception):
                if raise_on_error:
                    self.annotate_exception(response, index + 1, args)
                    raise response
            elif callback_of(callbacks, args[0]) is None and args[0].isupper():
                pass  # most have none
            elif index not in known:
                options.pop("keys", None)
                options.pop(NEVER_DECODE, None)
                found[index] = self._understood(args[0], response, options)
        return found

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "WATCH":
            if self.connection is None:
                self.connection = self.connection_pool.get_connection(*args)
                self._watched = args[1]
            return super().execute_command(*args, **options)
        if self.watching:
            return super().execute_command(*args, **options)
        self.command_stack.append((args, options))
        return self

    def get(self, name: Any) -> Any:
        if self.watching:
            return super().get(name)
        self.command_stack.append((("GET", name), {}))
        return self

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        # Loading scripts needs no connection of its own.
        if self.connection is None and args[0] in ("SCRIPT EXISTS", "SCRIPT LOAD"):
            return self._carry_out(args, options)
        try:
            return super().immediate_execute_command(*args, **options)
        except AskError as error:
            raise self._elsewhere(error) from error

    def _elsewhere(self, error: AskError) -> RedisError:
        """What it means for a transaction that another node of the cluster has a key."""
        if error.slot_id == key_slot(self._encoder.encode(self._watched)):
            self.reset()  # the next attempt is elsewhere
            return WatchError("the slot of the watched keys is moving to another node")
        return ClusterCrossSlotError("the keys of a transaction with WATCH have to be in one slot")
