"""PostgreSQL, Redis and pub-sub from plain Python, on private services that start themselves."""

from __future__ import annotations

import datetime as dt
import decimal
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import puff
from puff import postgres
from puff.pubsub import Message

Run = Callable[..., Any]
POSTGRES = puff.global_postgres()
REDIS = puff.global_redis()
PUBSUB = puff.global_pubsub()

VALUES: list[tuple[str, Any]] = [
    ("bool", True),
    ("int2", -32768),
    ("int8", 2**63 - 1),
    ("float8", 0.1),
    ("float8", float("-inf")),
    ("numeric", decimal.Decimal("12345678901234567890.123456789")),
    ("text", "quotes ' \" \\ and \u2603 \U0001f600"),
    ("text", ""),
    ("bytea", bytes(range(256))),
    ("date", dt.date(2024, 2, 29)),
    ("time", dt.time(23, 59, 59, 1)),
    ("timestamp", dt.datetime(1999, 12, 31, 23, 59, 59, 120000)),
    ("timestamptz", dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.timezone.utc)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("jsonb", {"a": [1, None, {"b": "c"}]}),
    ("int4[]", [1, None, 3]),
    ("int4[]", []),
    ("int4[]", [[1, 2], [3, 4]]),
    ("text[]", ["", "NULL", None, 'a "b" \\ {c},d']),
    ("bytea[]", [b"\x00\\", b""]),
    ("uuid[]", [uuid.UUID(int=0)]),
    ("int4", None),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda each: str(each)[:20])
def test_values_come_back_as_they_went(run: Run, kind: str, value: Any) -> None:
    rows = run(POSTGRES.query, f"SELECT $1::{kind} AS value", [value])
    assert rows == [{"value": value}]
    assert type(rows[0]["value"]) is type(value)


def test_drivers_connect_to_the_same_database(run: Run) -> None:
    dsn = run(POSTGRES.dsn)
    connection = postgres.connect(dsn)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_user, pg_postmaster_start_time()::text")
        found = cursor.fetchone()
    connection.close()
    sql = "SELECT current_database()::text, current_user::text, pg_postmaster_start_time()::text"
    assert tuple(POSTGRES.query(sql)[0].values()) == found
    with pytest.raises(puff.ServiceError, match="nowhere"):
        run(puff.global_postgres("nowhere").dsn)


def test_what_python_cannot_hold_stays_text() -> None:
    rows = POSTGRES.query(
        "SELECT 'infinity'::timestamptz AS a, '10000-01-01'::date AS b, '1 mon'::interval AS c"
    )
    assert rows == [{"a": "infinity", "b": "10000-01-01", "c": "1 mon"}]


def test_execute_counts_and_script_runs_several(run: Run) -> None:
    run(POSTGRES.script, "DROP TABLE IF EXISTS counted; CREATE TABLE counted (n int)")
    assert run(POSTGRES.execute, "INSERT INTO counted SELECT generate_series(1, $1)", [7]) == 7
    assert run(POSTGRES.execute, "UPDATE counted SET n = n WHERE n > 5") == 2


def test_a_refused_statement_tells_all(run: Run) -> None:
    with pytest.raises(puff.DatabaseError, match="does not exist") as caught:
        run(POSTGRES.query, "SELECT * FROM no_such_table")
    assert caught.value.sqlstate == "42P01"
    run(
        POSTGRES.script,
        "DROP TABLE IF EXISTS strict; CREATE TABLE strict (n int CONSTRAINT positive CHECK (n > 0))",
    )
    with pytest.raises(puff.DatabaseError) as caught:
        run(POSTGRES.execute, "INSERT INTO strict VALUES (-1)")
    assert (caught.value.sqlstate, caught.value.constraint) == ("23514", "positive")


def test_a_parameter_without_sql_form_is_named() -> None:
    with pytest.raises(TypeError, match=r"parameter \$2: a object has no SQL form"):
        POSTGRES.query("SELECT $1, $2", [1, object()])


def test_statements_of_many_greenlets_share_the_pool() -> None:
    waits = [puff.spawn(POSTGRES.query, "SELECT pg_sleep(0.05), $1::int AS n", [n]) for n in range(40)]
    assert [rows[0]["n"] for rows in puff.join_all(waits)] == list(range(40))


def test_a_killed_greenlet_gives_its_connection_back() -> None:
    for _ in range(30):  # three times the pool
        victim = puff.spawn(POSTGRES.query, "SELECT pg_sleep(60)")
        puff.sleep(0.01)
        victim.kill()
    assert POSTGRES.query("SELECT 1 AS one") == [{"one": 1}]


def test_redis_commands(run: Run) -> None:
    run(REDIS.set, "key", "value")
    assert run(REDIS.get, "key") == b"value"
    assert run(REDIS.get, b"missing") is None
    assert run(REDIS.command, "INCRBY", "number", 41) + 1 == 42
    run(REDIS.command, "DEL", "number")
    assert run(REDIS.command, "LRANGE", "key-of-none", 0, -1) == []
    with pytest.raises(RuntimeError, match="WRONGTYPE"):
        run(REDIS.command, "LPUSH", "key", "x")
    with pytest.raises(TypeError, match="not NoneType"):
        run(REDIS.command, "GET", None)


def test_pubsub_delivers_with_the_senders_id(run: Run) -> None:
    def body() -> tuple[Any, ...]:
        connection, other = PUBSUB.connection(), PUBSUB.connection_with_id(PUBSUB.new_connection_id())
        connection.subscribe("room")
        assert PUBSUB.publish_as(other.id, "room", "hello") == 1
        assert connection.publish("room", b"\x00") == 1
        assert PUBSUB.publish("room", '{"a": 1}') == 1
        first, second, third = (connection.receive(20) for _ in range(3))
        assert isinstance(first, Message)
        assert isinstance(second, Message)
        assert isinstance(third, Message)
        assert (first.text, first.from_connection_id, first.channel) == ("hello", other.id, "room")
        assert (second.body, second.from_connection_id) == (b"\x00", connection.id)
        assert (third.json(), third.from_connection_id) == ({"a": 1}, None)
        assert connection.receive(0.01) is None
        connection.unsubscribe("room")
        for _ in range(2000):  # Redis hears of it a moment later
            count = PUBSUB.publish("room", "nobody")
            if count == 0:
                break
            puff.sleep(0.01)
        connection.close()
        return count, other.id != connection.id

    assert run(body) == (0, True)


def test_greenlets_that_use_a_connection_first_share_it() -> None:
    channels = [f"first:{number}" for number in range(5)]
    with PUBSUB.connection() as connection:
        puff.join_all([puff.spawn(connection.subscribe, channel) for channel in channels])
        assert [PUBSUB.publish(channel, channel) for channel in channels] == [1] * 5
        # Several that wait each have one, though all come at once.
        waiting = [puff.spawn(connection.receive, 20) for _ in channels]
        texts = [event.text for event in puff.join_all(waiting) if isinstance(event, Message)]
        assert sorted(texts) == channels


def test_a_timeout_around_a_receive_is_not_its_own() -> None:
    with PUBSUB.connection() as connection:
        connection.subscribe("quiet")
        with pytest.raises(TimeoutError, match="the block took longer"), puff.timeout(0.05):
            connection.receive(60)
        assert connection.receive(0.01) is None


def test_closing_ends_a_waiting_receive() -> None:
    connection = PUBSUB.connection()
    connection.subscribe("quiet")
    begun = puff.Event()
    waiting = puff.spawn(lambda: (begun.set(), connection.receive())[1])
    assert begun.wait(20)
    puff.run_in_hub(connection.close)  # when the hub does something else, it waits
    assert waiting.join(20) is None
    with pytest.raises(RuntimeError, match="closed"):
        connection.receive()


def test_services_work_from_several_threads() -> None:
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(POSTGRES.query("SELECT $1::int AS n", [n])))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(rows[0]["n"] for rows in results) == list(range(6))


def test_without_a_schema_graphql_says_how_to_get_one() -> None:
    with pytest.raises(RuntimeError, match="--graphql"):
        puff.global_graphql().query("{ hello }")
