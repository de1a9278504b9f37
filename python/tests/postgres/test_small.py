"""Transaction ids, notifications, time zones, passwords, names: beside psycopg2's."""

from __future__ import annotations

import copy
import datetime
import pickle
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.tz
import pytest

from puff import postgres
from puff.postgres import extensions, extras, tz


def outcome(function: Any) -> Any:
    try:
        return function()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize(
    "parts",
    [
        (1, "a", "b"),
        (0, "", ""),
        (2**31 - 1, "a b~", "_"),
        (-1, "a", "b"),
        (1, "a" * 64, "b" * 64),
        (1, "a" * 65, "b"),
        (1, "a", "b" * 65),
        (1, "é", "b"),
        (1, "a\n", "b"),
        (1, b"a", "b"),
        ("1", "a", "b"),
    ],
)
def test_xid(parts: tuple[Any, ...]) -> None:
    def seen(of: Any) -> Any:
        made = of(*parts)
        return str(made), repr(made), list(made), made.prepared, made.owner, made.database

    assert outcome(lambda: seen(extensions.Xid)) == outcome(lambda: seen(psycopg2.extensions.Xid))


@pytest.mark.parametrize(
    "text",
    ["1_Zw==_Yg==", "foo", "-1_Zw==_Yg==", "a_Zw==_Yg==", "1_Zw_Yg==", "1__", "1_Zw==", "", "9999999999_a_b"],
)
def test_xid_from_string(text: str) -> None:
    def seen(of: Any) -> Any:
        made = of.from_string(text)
        return str(made), list(made), len(made)

    assert seen(extensions.Xid) == seen(psycopg2.extensions.Xid)


@pytest.mark.parametrize("other", [(1, "c"), (1, "c", "p"), (2, "c"), (1, "c", "")])
@pytest.mark.parametrize("payload", [(), ("p",)])
def test_notify(payload: tuple[str, ...], other: tuple[Any, ...]) -> None:
    ours, theirs = extensions.Notify(1, "c", *payload), psycopg2.extensions.Notify(1, "c", *payload)
    assert repr(ours) == repr(theirs)
    assert list(ours) == list(theirs)
    assert (ours == other) == (theirs == other)
    assert ours == extensions.Notify(1, "c", *payload)
    assert hash(ours) == hash(theirs)


@pytest.mark.parametrize("offset", [0, 90, 330, datetime.timedelta(hours=5, minutes=3, seconds=2), None])
def test_fixed_offsets(offset: Any) -> None:
    ours, theirs = tz.FixedOffsetTimezone(offset), psycopg2.tz.FixedOffsetTimezone(offset)
    assert ours.utcoffset(None) == theirs.utcoffset(None)
    assert ours.tzname(None) == theirs.tzname(None)
    assert ours is tz.FixedOffsetTimezone(offset)
    assert pickle.loads(pickle.dumps(ours)) == ours == copy.deepcopy(ours)


def test_negative_offsets_have_their_right_name() -> None:
    # psycopg2 says -02:30.
    assert tz.FixedOffsetTimezone(-90).tzname(None) == "-01:30"
    assert tz.FixedOffsetTimezone(name="X").tzname(None) == "X"


@pytest.mark.parametrize("month", [1, 7])
def test_local_time(month: int) -> None:
    when = datetime.datetime(2020, month, 1, 12, tzinfo=tz.LOCAL)
    assert when.utcoffset() == when.replace(tzinfo=psycopg2.tz.LOCAL).utcoffset()
    assert when.tzname() == when.replace(tzinfo=psycopg2.tz.LOCAL).tzname()


def test_passwords() -> None:
    ours, theirs = extensions.encrypt_password, psycopg2.extensions.encrypt_password
    assert ours("a", "u", algorithm="md5") == theirs("a", "u", algorithm="md5")
    with pytest.raises(postgres.ProgrammingError, match="requires a connection"):
        ours("a", "u")


REPLICATION = {
    "LogicalReplicationConnection",
    "PhysicalReplicationConnection",
    "REPLICATION_LOGICAL",
    "REPLICATION_PHYSICAL",
    "ReplicationCursor",
    "ReplicationMessage",
    "StopReplication",
}
HELPERS = {"OrderedDict", "lru_cache", "namedtuple", "psycopg2"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (postgres, psycopg2),
        (extensions, psycopg2.extensions),
        (extras, psycopg2.extras),
        (extensions.connection, psycopg2.extensions.connection),
        (extensions.cursor, psycopg2.extensions.cursor),
        (extensions.ConnectionInfo, psycopg2.extensions.ConnectionInfo),
        (extensions.lobject, psycopg2.extensions.lobject),
    ],
)
def test_every_name_is_there(ours: Any, theirs: Any) -> None:
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert names - REPLICATION - HELPERS - set(dir(ours)) == set()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in dir(psycopg2.extensions)
        if name.startswith(("ISOLATION", "STATUS", "POLL", "TRANSACTION_"))
    ],
)
def test_constants(name: str) -> None:
    assert getattr(extensions, name) == getattr(psycopg2.extensions, name)


def test_the_module() -> None:
    for name in ("apilevel", "threadsafety", "paramstyle"):
        assert getattr(postgres, name) == getattr(psycopg2, name)
    assert postgres.__version__.split()[0] == psycopg2.__version__.split()[0]
