"""The program's services as Python objects: state, PostgreSQL, Redis, pub-sub, GraphQL.

Each `global_*` function may be called in a module's body: nothing is opened before the first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from greenlet import getcurrent, greenlet

from ._hub import Hub, current_hub
from ._native import native
from ._redis import PlainRedis
from ._subscription import Subscription
from ._sync import Lock
from .pubsub import PubSub

if TYPE_CHECKING:
    from ._puff import PgSession
    from .postgres.extensions import connection
    from .redis import Redis


class Postgres:
    """A PostgreSQL pool of the program's.

    Statements use `$1`-style parameters. Each call takes a connection from the pool and gives it back.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str | None = None) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"puff.global_postgres({'' if self._name is None else repr(self._name)})"

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Runs one statement; its rows as dicts by column name.

        Numbers, booleans, text, bytes, JSON, dates, UUIDs and arrays of these become Python objects, other
        types stay text. Parameters convert the other way; a list is a PostgreSQL array.

        Raises:
            puff.DatabaseError: PostgreSQL refused the statement (`error.sqlstate`, `error.detail`, ...).
            ConnectionError: the server cannot be reached, or the program has no pool of this name; it is a
                `puff.ServiceError` then, which tells the names there are.
            TimeoutError: no connection of the pool has become free in time.

        Example:
            >>> import puff
            >>> puff.global_postgres().query("SELECT $1::int + 1 AS n", [41])
            [{'n': 42}]
        """
        return current_hub().wait_for(partial(native.postgres_query, self._name, sql, params))  # type: ignore[no-any-return]

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Runs one statement; the number of rows it affected or returned. Errors as `query`."""
        return current_hub().wait_for(partial(native.postgres_execute, self._name, sql, params))  # type: ignore[no-any-return]

    def script(self, sql: str) -> None:
        """Runs several statements, parted by semicolons, in one implicit transaction. Errors as `query`."""
        current_hub().wait_for(partial(native.postgres_script, self._name, sql))

    def status(self) -> dict[str, Any]:
        """What the pool is doing, and what it has done since the program started. Needs no connection.

        Now: `max_size`, `size`, `idle`, `in_use`, `connecting` (connections) and `waiting` (callers).
        So far: `acquired` (connections handed out), `waited` and `timed_out` (callers), `wait_time` (of all
        callers, in seconds), `opened`, `open_failed`, and `closed`, a dict of counts by reason: `broken`,
        `idle`, `old`, `discarded`, `unclean`, `drained`.

        Raises:
            puff.ServiceError: the program has no such pool, or it cannot be opened.

        Example:
            >>> import puff
            >>> puff.global_postgres().status()["max_size"]
            10
        """
        return current_hub().wait_for(partial(native.postgres_status, self._name))  # type: ignore[no-any-return]

    def dsn(self) -> str:
        """What another driver connects with to the same database: libpq's `key=value` pairs, the password
        among them. Starts the private server if there is no URL.

        Raises:
            puff.ServiceError: the program has no such pool, or the private server does not start.

        Example:
            >>> import puff
            >>> from puff import postgres
            >>> connection = postgres.connect(puff.global_postgres().dsn())
            >>> connection.info.dbname
            'puff'
            >>> connection.close()
        """
        return current_hub().wait_for(partial(native.postgres_dsn, self._name))  # type: ignore[no-any-return]


_READY, _IDLE = 1, 0
"""A connection's status without a transaction, and its server's (`puff.postgres.extensions` has names)."""

Lent = Callable[[], "connection | str | None"]
"""Gives the connection that a request in process is to use; a text says why there is none to be had, None
that the request has one of its own."""

callers: list[Lent] = []
"""Frameworks whose tests have a connection for all that a test does."""


class _More(NamedTuple):
    """What a request in process brings besides document and variables."""

    operation: str | None
    headers: list[tuple[str, str]]
    state: dict[Any, Any] | None
    callers: tuple[PgSession | None, bool, str] | None


def _more(
    operation: str | None,
    headers: Mapping[str, str] | None,
    context: dict[Any, Any] | None,
    own: connection | None,
) -> _More:
    return _More(operation, list((headers or {}).items()), context, _of_caller(own))


def _of_caller(own: connection | None) -> tuple[PgSession | None, bool, str] | None:
    """The session that a request is to use, whether its transaction goes on, or why there is none."""
    found: connection | str | None = own
    for ask in callers:
        if found is None:
            found = ask()
    if found is None:
        return None
    if isinstance(found, str):
        return None, False, found
    if found.closed:
        raise importlib.import_module("puff.postgres").InterfaceError("connection already closed")
    if found.status == _READY and not found.autocommit:
        # It begins transactions with a statement. Begun by the request's, it would not know of it.
        with found.cursor() as cursor:
            cursor.execute("SELECT 1")
    return found._session, found.get_transaction_status() != _IDLE, ""


class GraphQL:
    """A GraphQL schema of the program's, called in process."""

    __slots__ = ("_loader", "_loading", "_name")

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._loading = Lock()
        self._loader: greenlet | None = None

    def __repr__(self) -> str:
        return f"puff.global_graphql({'' if self._name is None else repr(self._name)})"

    def query(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        context: dict[Any, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        operation: str | None = None,
        connection: connection | None = None,
    ) -> dict[str, Any]:
        """Executes a document; the answer as a dict with `data` and, if there are any, `errors`.

        Errors of the document or of resolvers are in the answer, never raised.

        Args:
            query: The document.
            variables: Its variables, of types that JSON knows.
            context: What the resolvers have as `context.state`: this very dict.
            headers: What they have as `context.headers`, and `auth_token` and `cookies` from them.
            operation: Which of the document's operations to run; needed when it has several.
            connection: A `puff.postgres` connection for all that the request does, statements and resolvers,
                in the place of the pool. In a transaction the request is a part of it, and does not end it;
                with autocommit it has transactions of its own. In tests of Django it is Django's.

        Raises:
            puff.postgres.InterfaceError: the connection is closed.
            RuntimeError: the program has no schema (`RuntimeConfig::set_gql_schema_class`, `--graphql`), or
                none of this name; the message tells the names there are.
            ValueError: a header is none of HTTP's.
            puff.graphql.SchemaError: in plain Python, where the schema that `puff.toml` or `PUFF_GRAPHQL`
                names is loaded on first use: it makes no sense.
        """
        more = _more(operation, headers, context, connection)
        return self._hub().wait_for(partial(native.graphql_query, self._name, query, variables, more))  # type: ignore[no-any-return]

    def plan(self, query: str, *, operation: str | None = None) -> str:
        """The layers that a document would have, as text, without running it.

        Raises:
            ValueError: the document does not fit the schema. Other errors as `query`.
        """
        self._hub()
        return native.graphql_plan(self._name, query, operation)

    def subscribe(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        context: dict[Any, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        operation: str | None = None,
        timeout: float | None = None,
    ) -> Subscription:
        """Subscribes: an iterator of answers, each a dict with `data` and, if there are any, `errors`.

        The generator behind it runs in a greenlet of its own, and is closed with the iterator. It waits when
        a few answers were not taken yet. A document that is no valid subscription gives one answer, with its
        errors; a generator that fails one more, with its error.

        Args:
            query: the document.
            variables: its variables.
            context: what the resolvers have as `context.state`: this very dict.
            headers: what they have as `context.headers`, and `auth_token` and `cookies` from them.
            operation: which of the document's operations to run; needed when it has several.
            timeout: how many seconds the iterator waits for each answer before it raises `TimeoutError`.

        Raises:
            RuntimeError: as `query`.
            ValueError: as `query`.

        Example:
            >>> import puff
            >>> with puff.global_graphql().subscribe("subscription { ticks }") as answers:
            ...     for answer in answers:
            ...         print(answer["data"]["ticks"])
            1
            2
        """
        self._hub()
        more = _more(operation, headers, context, None)
        return Subscription(lambda: native.graphql_subscribe(self._name, query, variables, more), timeout)

    def sdl(self) -> str:
        """The schema in GraphQL's schema definition language. Errors as `query`."""
        self._hub()
        return native.graphql_sdl(self._name)

    def _hub(self) -> Hub:
        """The hub, once the schema is there: a program loads it at its start, plain Python does so here."""
        hub = current_hub()
        # Whoever asks while it is being imported, from the module's own body, gets on without a lock, and
        # is told that the module has no such class yet.
        if native.graphql_pending(self._name) is not None and self._loader is not getcurrent():
            with self._loading:
                self._loader = getcurrent()
                try:
                    self._load()
                finally:
                    self._loader = None
        return hub

    def _load(self) -> None:
        path = native.graphql_pending(self._name)
        if path is not None:
            # By name: that room is above this one, and is needed by those who have a schema only.
            native.graphql_load(self._name, importlib.import_module("puff.graphql").load_schema(path))


_pubsub = PubSub()
_redis: dict[str | None, Redis] = {}
_postgres: dict[str | None, Postgres] = {}
_graphql: dict[str | None, GraphQL] = {}


def global_postgres(name: str | None = None) -> Postgres:
    """The program's PostgreSQL pool, or the one called `name`: the same object each time.

    A pool with a name is a table `[postgres.NAME]` of `puff.toml`, a variable `PUFF_POSTGRES_NAME_URL`, or
    one of a Rust program's (`RuntimeConfig::set_postgres_named`). Whether there is such a pool shows at its
    first use.

    Raises:
        TypeError: the name is not a text.

    Example:
        >>> import puff
        >>> reports = puff.global_postgres("reports")
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"the name of a pool is a str, not {type(name).__name__}")
    return _postgres.get(name) or _postgres.setdefault(name, Postgres(name))


def global_redis(name: str | None = None) -> Redis:
    """A client of the program's Redis pool, or of the one called `name`: the same object each time.

    It is a `puff.redis.Redis`: redis-py's class on Puff's pool. Where redis-py is not installed
    (`pip install "puff-py[redis]"`) it has `command`, `get` and `set` only.

    A pool with a name is a table `[redis.NAME]` of `puff.toml`, a variable `PUFF_REDIS_NAME_URL`, or one of
    a Rust program's (`RuntimeConfig::set_redis_named`). Whether there is such a pool shows at its first use.

    Raises:
        TypeError: the name is not a text.

    Example:
        >>> import puff
        >>> puff.global_redis().set("greeting", "hello")
        True
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"the name of a pool is a str, not {type(name).__name__}")
    return _redis.get(name) or _redis.setdefault(name, _redis_client(name))


def _redis_client(name: str | None) -> Redis:
    try:
        from .redis import Redis
    except ImportError as error:
        return cast("Redis", PlainRedis(name, str(error)))
    return Redis(name)


def global_pubsub() -> PubSub:
    """The program's pub-sub: the same object each time.

    Example:
        >>> import puff
        >>> puff.global_pubsub().publish("news", "nobody listens")
        0
    """
    return _pubsub


def global_graphql(name: str | None = None) -> GraphQL:
    """The program's GraphQL schema, or the one called `name`: the same object each time.

    A schema with a name is a table `[graphql_schema.NAME]` of `puff.toml`, a variable
    `PUFF_GRAPHQL_SCHEMA_NAME_CLASS`, or one of a Rust program's (`RuntimeConfig::set_gql_schema_named`).
    Whether there is such a schema shows at its first use.

    Raises:
        TypeError: the name is not a text.

    Example:
        >>> import puff
        >>> puff.global_graphql("admin")
        puff.global_graphql('admin')
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"the name of a schema is a str, not {type(name).__name__}")
    return _graphql.get(name) or _graphql.setdefault(name, GraphQL(name))


def global_state() -> Any:
    """The object that the Rust program made with `RuntimeConfig::set_global_state_fn`.

    Raises:
        RuntimeError: the program sets none, or none is running.

    Example:
        >>> import puff
        >>> try:
        ...     state = puff.global_state()
        ... except RuntimeError:
        ...     state = None  # this program, `puff`, has none
    """
    return native.global_state()
