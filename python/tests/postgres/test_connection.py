"""Connections, beside psycopg2's: transactions, settings, what they say once they are closed."""

from __future__ import annotations

from typing import Any

import pytest
from beside import AtWork, Diary, Run, compare

from puff import postgres
from puff.postgres import extensions

pytestmark = pytest.mark.usefixtures("server")


def begins_and_ends(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    state = lambda: (connection.status, connection.get_transaction_status(), connection.closed)  # noqa: E731
    diary.note("new", state)
    diary.note("commit of nothing", connection.commit)
    cursor.execute("SELECT 1")
    diary.note("begun", state)
    connection.commit()
    diary.note("committed", state)
    diary.note("failing", lambda: cursor.execute("SELECT * FROM nowhere"))
    diary.note("failed", state)
    diary.note("in a failed one", lambda: cursor.execute("SELECT 1"))
    connection.rollback()
    diary.note("rolled back", state)
    cursor.execute("COMMIT")
    diary.note("by hand", state)
    cursor.execute("SELECT 1")
    connection.commit()
    connection.autocommit = True
    cursor.execute("SELECT 1")
    diary.note("autocommit", state)
    cursor.execute("BEGIN")
    diary.note("by hand in autocommit", state)
    diary.note("rollback in autocommit", connection.rollback)
    diary.note("still there", state)
    cursor.execute("ROLLBACK")
    diary.note("gone", state)


def in_blocks(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    with connection:
        cursor.execute("CREATE TEMP TABLE t (a int)")
        diary.note("inside", connection.status)
    diary.note("after", connection.status)
    try:
        with connection, connection.cursor() as inner:
            inner.execute("INSERT INTO t VALUES (1)")
            raise KeyError
    except KeyError:
        pass
    diary.note("inner closed", inner.closed)
    cursor.execute("SELECT count(*) FROM t")
    diary.note("rolled back", cursor.fetchall())
    connection.rollback()
    with connection:
        diary.note("nested", connection.__enter__)
    connection.autocommit = True
    with connection:
        cursor.execute("INSERT INTO t VALUES (1)")
        diary.note("a transaction, in spite of autocommit", connection.get_transaction_status())
        diary.note("autocommit cannot change", lambda: setattr(connection, "autocommit", False))
    diary.note("after with autocommit", (connection.get_transaction_status(), connection.autocommit))
    cursor.execute("INSERT INTO t VALUES (1)")
    diary.note("as before", connection.get_transaction_status())


def characteristics(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()

    def seen() -> Any:
        return connection.isolation_level, connection.readonly, connection.deferrable, connection.autocommit

    def actual() -> Any:
        found = []
        for name in ("isolation", "read_only", "deferrable"):
            cursor.execute(f"SHOW transaction_{name}")
            found.append(cursor.fetchone()[0])
            cursor.execute(f"SHOW default_transaction_{name}")
            found.append(cursor.fetchone()[0])
        connection.rollback()
        return found

    diary.note("new", seen)
    for level in ("serializable", "READ COMMITTED", "default", b"serializable", 1, 2, 3, 4, 0, 9, "x", None):
        diary.note(f"level {level!r}", lambda level=level: setattr(connection, "isolation_level", level))
        diary.note(f"seen {level!r}", seen)
        diary.note(f"actual {level!r}", actual)
    for value in (True, False, "default", "DEFAULT", b"default", "on", 1, 0, None):
        for name in ("readonly", "deferrable"):
            diary.note(f"{name} {value!r}", lambda n=name, v=value: setattr(connection, n, v))
            diary.note(f"{name} seen {value!r}", seen)
            diary.note(f"{name} actual {value!r}", actual)
    for level in (0, 1, 2, 3, 4, 5, None):
        diary.note(f"set_isolation_level {level}", lambda level=level: connection.set_isolation_level(level))
        diary.note(f"set_isolation_level {level} seen", seen)
    connection.set_session("serializable", readonly=True, deferrable=True)
    diary.note("all three", actual)
    connection.set_session(autocommit=True)
    diary.note("with autocommit", (seen(), actual()))
    connection.set_session("repeatable read", readonly=False)
    diary.note("changed in autocommit", (seen(), actual()))
    connection.autocommit = False
    diary.note("without autocommit again", (seen(), actual()))
    connection.set_session("default", readonly="default", deferrable="default")
    diary.note("defaults", (seen(), actual()))
    cursor.execute("SELECT 1")
    diary.note("set_session inside", lambda: connection.set_session(readonly=True))
    for name in ("autocommit", "isolation_level", "readonly", "deferrable"):
        diary.note(f"{name} inside", lambda name=name: setattr(connection, name, 1))
    connection.set_isolation_level(1)
    diary.note("set_isolation_level rolls back", connection.get_transaction_status())
    connection.autocommit = True
    connection.reset()
    diary.note("reset", (seen(), connection.status, actual()))


def encodings(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    diary.note("at first", connection.encoding)
    cursor.execute("SELECT 1")
    diary.note("the same", lambda: connection.set_client_encoding("utf-8"))
    diary.note("still in the transaction", connection.get_transaction_status())
    for encoding in ("latin1", "ISO-8859-5", "EUC_JP", "sql_ascii", "utf8"):
        connection.set_client_encoding(encoding)
        diary.note(encoding, (connection.encoding, connection.get_transaction_status()))
    connection.set_client_encoding("latin1")
    cursor.execute("SELECT %s, 'é'", ("è",))
    diary.note("text", (cursor.fetchone(), cursor.query))
    diary.note("cannot be written", lambda: cursor.execute("SELECT %s", ("ж",)))
    diary.note("unknown", lambda: connection.set_client_encoding("foo"))
    diary.note("kept", connection.encoding)


def closed(diary: Diary) -> None:
    connection = diary.connect()
    used, fresh = connection.cursor(), connection.cursor()
    used.execute("SELECT 1")
    connection.close()
    connection.close()
    calls = "commit rollback cursor reset cancel get_transaction_status get_backend_pid poll fileno"
    for name in (*calls.split(), "get_dsn_parameters", "tpc_recover", "isexecuting", "__enter__"):
        diary.note(name, getattr(connection, name))
    diary.note("__exit__", lambda: connection.__exit__(None, None, None))
    diary.note("set_session", lambda: connection.set_session("default"))
    diary.note("set_client_encoding", lambda: connection.set_client_encoding("utf8"))
    diary.note("get_parameter_status", lambda: connection.get_parameter_status("TimeZone"))
    diary.note("autocommit =", lambda: setattr(connection, "autocommit", True))
    for name in ("autocommit", "isolation_level", "readonly", "closed", "encoding", "protocol_version"):
        diary.note(name, getattr(connection, name))
    for name in ("host", "port", "dbname", "user", "password", "options", "socket", "status", "backend_pid"):
        diary.note(f"info.{name}", lambda name=name: getattr(connection.info, name))
    for name in ("transaction_status", "server_version", "protocol_version", "ssl_in_use", "dsn_parameters"):
        diary.note(f"info.{name}", lambda name=name: getattr(connection.info, name))
    diary.note("execute", lambda: fresh.execute("SELECT 1"))
    diary.note("fetch", used.fetchone)
    diary.note("cursor closed", (used.closed, fresh.closed))
    diary.note("cursor close", used.close)


def facts(diary: Diary) -> None:
    connection = diary.connect(password="secret")
    info = connection.info
    for name in ("host", "port", "dbname", "user", "password", "options", "status", "server_version"):
        diary.note(name, lambda name=name: getattr(info, name))
    for name in ("protocol_version", "needs_password", "ssl_in_use", "transaction_status"):
        diary.note(name, lambda name=name: getattr(info, name))
    diary.note("TimeZone", info.parameter_status("TimeZone"))
    diary.note("nonsense", (info.parameter_status("nonsense"), connection.get_parameter_status("nonsense")))
    diary.note("dsn", connection.dsn)
    diary.note("server_version of the connection", connection.server_version)
    diary.note("pid", connection.get_backend_pid() == info.backend_pid > 0)
    diary.note("fileno", connection.fileno() == info.socket > 0)
    diary.note("no password", "password" in connection.get_dsn_parameters())
    for name in ("dbname", "user", "host", "port"):
        diary.note(f"dsn {name}", connection.get_dsn_parameters()[name])
    diary.note("repr", repr(connection).split("; ", 1)[1])
    diary.note("async", (connection.async_, getattr(connection, "async"), connection.isexecuting()))


def said_unasked(diary: Diary) -> None:
    connection = diary.connect()
    connection.autocommit = True
    cursor = connection.cursor()
    held = connection.notices
    cursor.execute("DROP TABLE IF EXISTS nowhere")
    diary.note("notice", (list(connection.notices), held is connection.notices, list(held)))
    for number in range(60):
        cursor.execute(f"DROP TABLE IF EXISTS nowhere_{number}")
    diary.note("the last fifty", list(held))
    connection.notices = None
    cursor.execute("DROP TABLE IF EXISTS nowhere")
    diary.note("none", connection.notices)
    other = diary.connect()
    other.autocommit = True
    cursor.execute("LISTEN here")
    cursor.execute("NOTIFY here, 'mine'")
    pid = connection.get_backend_pid()
    diary.note("own", [(n.pid == pid, n.channel, n.payload) for n in connection.notifies])
    other.cursor().execute("NOTIFY here")
    cursor.execute("SELECT 1")
    diary.note("other's", [(n.pid == pid, n.channel, n.payload) for n in connection.notifies])
    connection.notifies.pop()
    diary.note("seen", len(connection.notifies))


def factories(diary: Diary) -> None:
    class Cursor(diary.extensions.cursor):  # type: ignore[name-defined,misc]
        pass

    class Connection(diary.extensions.connection):  # type: ignore[name-defined,misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.mine = 1

    connection = diary.connect(connection_factory=Connection, cursor_factory=Cursor)
    diary.note("kinds", (type(connection).__name__, connection.mine, type(connection.cursor()).__name__))
    diary.note("of a call", type(connection.cursor(cursor_factory=diary.extensions.cursor)).__name__)
    diary.note("not a cursor", lambda: connection.cursor(cursor_factory=lambda *args: 3))
    connection.cursor_factory = None
    diary.note("none", isinstance(connection.cursor(), Cursor))
    diary.note("a cursor of three", lambda: diary.extensions.cursor(3))
    diary.note("name", diary.extensions.cursor(connection, "x").name)
    diary.note("bad name", lambda: connection.cursor(3))


SCRIPTS = [
    begins_and_ends,
    in_blocks,
    characteristics,
    encodings,
    closed,
    facts,
    said_unasked,
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_as_psycopg2(script: Any, server: dict[str, Any], run: Run) -> None:
    compare(script, server, run)


def test_factories(server: dict[str, Any]) -> None:
    compare(factories, server, lambda function, *args: function(*args))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dbname": "nowhere"}, 'FATAL:  database "nowhere" does not exist'),
        ({"user": "nobody there"}, 'role "nobody there" does not exist'),
        ({"host": "/nowhere"}, "/nowhere"),
        ({"host": "127.0.0.1", "port": 1}, "127.0.0.1"),
    ],
)
def test_no_connection(change: dict[str, Any], words: str, server: dict[str, Any], run: Run) -> None:
    with pytest.raises(postgres.OperationalError) as caught:
        run(lambda: postgres.connect(**{**server, **change}))
    assert words in str(caught.value)


def test_a_server_that_went_away(server: dict[str, Any], ours: Any, run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        with ours.cursor() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.get_backend_pid(),))
        with pytest.raises(postgres.OperationalError) as caught:
            cursor.execute("SELECT 1")
        assert "closed the connection" in str(caught.value) or caught.value.pgcode == "57P01"
        assert caught.value.cursor is cursor
        assert connection.closed == 2
        assert connection.status == extensions.STATUS_READY
        assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_UNKNOWN
        with pytest.raises(postgres.InterfaceError, match="cursor already closed"):
            cursor.execute("SELECT 1")
        with pytest.raises(postgres.InterfaceError, match="connection already closed"):
            connection.rollback()
        connection.close()
        assert connection.closed == 1

    run(script)


def test_literals_follow_the_servers_setting(server: dict[str, Any], run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        evil = "\\'; SELECT 'injected' --"
        for setting in ("off", "on", "off"):
            # In the middle of a function's work, where no command tag tells.
            cursor.execute("SELECT set_config('standard_conforming_strings', %s, false)", (setting,))
            cursor.execute("SELECT %s, %s", (evil, "back\\slash"))
            assert cursor.fetchall() == [(evil, "back\\slash")]
        connection.rollback()
        cursor.execute("SELECT %s", (evil,))
        assert cursor.fetchall() == [(evil,)]
        connection.close()

    run(script)


def test_cancel(server: dict[str, Any], at_work: AtWork, run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        canceller = at_work(connection, connection.cancel)
        with pytest.raises(extensions.QueryCanceledError) as caught, connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        assert caught.value.pgcode == "57014"
        canceller.join()
        connection.rollback()
        connection.close()

    run(script)


def test_a_connection_whose_class_forgot_its_init() -> None:
    class Forgetful(extensions.connection):
        def __init__(self) -> None:
            pass

    connection = Forgetful()
    with pytest.raises(postgres.InterfaceError, match="connection already closed"):
        connection.cursor()
    connection.close()
    assert connection.closed == 1
