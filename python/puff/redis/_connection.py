"""redis-py's connection and pool, with connections of the native pool in the place of sockets.

redis-py's own classes need a connection of their own for what a shared one cannot do: `WATCH`, `MONITOR`,
subscriptions, `Redis.client()`. They get a `Connection` here, which is leased from the native pool as long as
it is connected.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from redis._parsers import Encoder, _RESP3Parser
from redis.connection import AbstractConnection, SSLConnection, parse_url
from redis.connection import ConnectionPool as _PeerPool
from redis.exceptions import ConnectionError, DataError, ResponseError
from redis.utils import SENTINEL

from .._hub import current_hub
from .._native import native
from ._retry import patient

if TYPE_CHECKING:
    from .._puff import RedisLease, RedisPool

_Words = tuple[Any, ...]

_FOREVER = 1e12
"""Seconds that no clock will see the end of."""


class Connection(AbstractConnection):
    """A connection of its own. Connected it holds one of the pool's dedicated connections."""

    def __init__(self, pool: RedisPool, first: _Words | None = None, **options: Any) -> None:
        self._pool = pool
        self._first = first
        """A command that says to which node of a cluster it goes."""
        super().__init__(parser_class=_RESP3Parser, driver_info=None, **options)
        self.retry = patient(self.retry)
        self.port = 0
        self._sock: Any = None
        self._utf8 = is_utf8(self.encoder)

    @property
    def host(self) -> str:
        return self._pool.address() or ""

    @host.setter
    def host(self, value: str) -> None:
        """Nothing: where the server is is the native pool's business."""

    def repr_pieces(self) -> list[tuple[str, object]]:
        return [("server", self._pool.address())]

    # ---------------------------------------------------------------- opening and closing

    def _connect(self) -> RedisLease:
        first = self._first
        if first is not None and not self._utf8:
            first = encoded(first, self.encoder)
        lease = partial(self._pool.lease, first)
        return current_hub().wait_for(lease, lost=_give_back)  # type: ignore[no-any-return]

    def _host_error(self) -> str:
        return self._pool.address() or "Redis"

    def on_connect_check_health(self, check_health: bool = True) -> None:
        # The native pool has logged in, and selected the database.
        self._reset_himport_state()
        if self.client_name:
            self.send_command("CLIENT", "SETNAME", self.client_name)
            self.read_response()

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        """Closes the connection for good; `connect` leases another one."""
        self._let_go(lambda lease: lease.close())

    def give_back(self) -> None:
        """Gives the connection back to the pool, which keeps it if nothing is left open on it."""
        self._let_go(lambda lease: lease.give_back())

    def _let_go(self, how: Callable[[RedisLease], None]) -> None:
        lease, self._sock = self._sock, None
        self._reset_himport_state()
        self.reset_should_reconnect()
        if lease is not None:
            how(lease)

    # ---------------------------------------------------------------- commands and answers

    def pack_command(self, *args: Any) -> list[_Words]:
        return [args]

    def pack_commands(self, commands: Iterable[_Words]) -> list[_Words]:
        return [tuple(words) for words in commands]

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        self.send_packed_command([args])

    def send_packed_command(self, command: list[_Words], check_health: bool = True) -> None:
        """Sends commands, which are packed on the way: each a tuple of words."""
        if not all(isinstance(words, tuple) for words in command):
            raise DataError("what is sent over a connection of Puff's are commands as tuples, not bytes")
        if self._sock is None:
            self.connect_check_health(check_health=False)
        if not self._utf8:
            command = [encoded(words, self.encoder) for words in command]
        try:
            current_hub().wait_for(partial(self._sock.send, command))
        except DataError:
            raise  # nothing was sent
        except BaseException:
            self.disconnect()
            raise

    def can_read(self, timeout: float | None = 0) -> bool:
        if self._sock is None:
            self.connect()
        return self._ask(partial(self._sock.ready, _FOREVER if timeout is None else timeout))  # type: ignore[no-any-return]

    def read_response(
        self,
        disable_decoding: bool = False,
        *,
        timeout: Any = SENTINEL,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any:
        if timeout is SENTINEL:
            timeout = None  # as long as the commands may take
        elif timeout is None:
            timeout = _FOREVER
        decode = self.encoder.decode_responses and not disable_decoding
        try:
            while True:
                lease = self._sock
                if lease is None:
                    raise ConnectionError("the connection to Redis is closed")
                push, response = self._ask(partial(lease.receive, timeout, decode and self._utf8))
                if decode and not self._utf8:
                    response = decoded(response, self.encoder)
                if not push:
                    break
                response = self._parser.handle_push_response(response)
                if push_request:
                    return response
        except BaseException:
            # Who gives up an answer cannot have the next one.
            if disconnect_on_error:
                self.disconnect()
            raise
        if self.health_check_interval:
            self.next_health_check = int(time.monotonic() + self.health_check_interval)
        if isinstance(response, ConnectionError):
            if disconnect_on_error:
                self.disconnect()
            raise response
        if isinstance(response, ResponseError):
            try:
                raise response
            finally:
                del response  # no cycle of frame and traceback
        return response

    def _ask(self, start: Callable[[Any], object]) -> Any:
        return current_hub().wait_for(start)


def _give_back(lease: RedisLease) -> None:
    lease.give_back()


def is_utf8(encoder: Encoder) -> bool:
    """Whether the native side can encode and decode as `encoder` does."""
    return (
        encoder.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
        and encoder.encoding_errors == "strict"
    )


def encoded(words: _Words, encoder: Encoder) -> _Words:
    """The words in another encoding than UTF-8."""
    return (words[0], *(encoder.encode(word) if isinstance(word, str) else word for word in words[1:]))


def decoded(response: Any, encoder: Encoder) -> Any:
    """The strings of a response in another encoding than UTF-8."""
    if isinstance(response, bytes):
        return encoder.decode(response)
    if isinstance(response, list):
        return [decoded(each, encoder) for each in response]
    if isinstance(response, dict):
        return {decoded(key, encoder): decoded(value, encoder) for key, value in response.items()}
    return response


# What a pool of its own is told. The rest is for redis-py's classes.
_SERVER = {"host", "port", "path", "db", "username", "password", "ssl"}
_TLS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
_LIMITS = {"socket_timeout", "socket_connect_timeout", "max_connections", "shared_connections"}
_IGNORED = {
    # How a socket is used is the native pool's business.
    "socket_read_size",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_type",
    "connection_class",
    "driver_info",
    "lib_name",
    "lib_version",
}
_CLIENT = {
    "encoding",
    "encoding_errors",
    "decode_responses",
    "retry",
    "retry_on_error",
    "retry_on_timeout",
    "health_check_interval",
    "client_name",
    "protocol",
    "legacy_responses",
    "event_dispatcher",
    "himport_registry",
}


class ConnectionPool(_PeerPool):
    """What redis-py's classes take connections from: a native pool, and how to read its answers.

    Without any of `url`, `host` and `path` it is the program's pool, or the one called `name`. With one of
    them it is a pool of its own, that is closed by `close`.

    Args:
        name: the name of a pool, as in `puff.global_redis(name)`.
        url: a URL, as `redis_url` in `puff.toml` has it.
        host, port, path, db, username, password: where a server is, as redis-py takes it.
        ssl, ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs, ssl_check_hostname: TLS, likewise.
        socket_timeout: seconds for an answer, beyond what a command waits for by itself; 5 by default.
        socket_connect_timeout: seconds for opening a connection; 5 by default.
        max_connections: how many dedicated connections there may be; 64 by default.
        shared_connections: how many connections all other commands share; 2 by default.
        options: what a client may be told: `decode_responses`, `encoding`, `encoding_errors`, `retry`,
            `legacy_responses`...

    Raises:
        ValueError: the URL is none of Redis'.
        TypeError: an option is not known, or is for a pool of its own.
        redis.exceptions.DataError: RESP2 is asked for (`protocol=2`).
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        url: str | None = None,
        retry: Any = None,
        **options: Any,
    ) -> None:
        _check_options(options)
        if options.get("protocol") not in (None, 3, "3"):
            raise DataError(
                "Puff's pool speaks RESP3. Without protocol=2 responses have the same Python types as with it"
            )
        server = {key: options.pop(key) for key in (_SERVER | _TLS) & options.keys()}
        limits = {key: options.pop(key) for key in _LIMITS & options.keys()}
        options = {key: value for key, value in options.items() if key in _CLIENT}
        own = url is not None or bool({"host", "path"} & server.keys())
        if own and name is not None:
            raise TypeError("a pool has a name, or a server of its own, not both")
        if not own and (server or limits):
            raise TypeError(
                f"{', '.join(sorted({*server, *limits}))}: where the program's pool connects to is said by "
                "its settings (redis_url); for a pool of its own say url or host"
            )
        self.name = name
        super().__init__(connection_class=Connection, retry=copy.deepcopy(retry), **options)
        self.native = (
            _own_pool(url if url is not None else _url(**server), limits) if own else native.RedisPool(name)
        )

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> ConnectionPool:
        """A pool of its own for the server at `url`, which may have redis-py's options as parameters."""
        if urlsplit(url).scheme in ("redis", "rediss", "unix"):
            known = parse_url(url)
            kind = known.pop("connection_class", None)
            merged = {"ssl": kind is SSLConnection, "host": "localhost", **known, **kwargs}
            return cls(**merged)
        return cls(url=url, **kwargs)

    def __repr__(self) -> str:
        where = repr(self.name) if self.name is not None else ""
        return f"<{type(self).__module__}.{type(self).__name__}({self.native.address() or where})>"

    def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> Any:
        """A connection; in a cluster for `WATCH` and `SSUBSCRIBE` one to the node that has the keys."""
        first = (command_name, *keys) if command_name in ("WATCH", "SSUBSCRIBE") else None
        connection = Connection(self.native, first, **self.connection_kwargs)
        connection.connect()
        return connection

    def make_connection(self) -> Connection:
        return Connection(self.native, **self.connection_kwargs)

    def release(self, connection: Any) -> None:
        if connection.should_reconnect():
            connection.disconnect()
        connection.give_back()

    def reset(self) -> None:
        """Nothing: connections are the native pool's."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Nothing: connections are the native pool's, and shared."""

    def close(self) -> None:
        """Closes a pool of its own; the program's stay open."""
        self.native.close()

    def set_retry(self, retry: Any) -> None:
        self.connection_kwargs["retry"] = retry

    def get_connection_count(self) -> list[tuple[int, dict[str, str]]]:
        return []

    def __del__(self) -> None:
        pass


def _check_options(options: dict[str, Any]) -> None:
    for option, value in options.items():
        if option not in _SERVER | _TLS | _LIMITS | _IGNORED | _CLIENT and value is not None:
            raise TypeError(f"{option} is no option of Puff's pools")


def _own_pool(url: str, limits: dict[str, Any]) -> RedisPool:
    return native.RedisPool.at(
        url,
        limits.get("shared_connections"),
        limits.get("max_connections"),
        limits.get("socket_connect_timeout") or limits.get("socket_timeout"),
        limits.get("socket_timeout"),
    )


def _url(
    host: str = "localhost",
    port: int = 6379,
    path: str | None = None,
    db: int | str | None = None,
    username: str | None = None,
    password: str | None = None,
    ssl: bool = False,
    **tls: Any,
) -> str:
    """The URL of a server that is described as redis-py does."""
    if username is not None and password is None:
        password = ""  # for a user who needs none
    parameters = {"username": username, "password": password, **(tls if ssl and path is None else {})}
    query = {key: value for key, value in parameters.items() if value is not None}
    if path is not None:
        return f"unix://{quote(path)}?{urlencode({'db': db or 0, **query})}"
    host = f"[{host}]" if ":" in host else host
    return f"redis{'s' if ssl else ''}://{host}:{port}/{db or 0}?{urlencode(query)}"
