"""The table of adapters, the adapters in it, and the names of psycopg2 around them."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg2
import psycopg2.extensions as oracle_extensions
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import puff
import puff.postgres
from puff._native import native
from puff.postgres import _adapters
from puff.postgres._adapters import AsIs, ISQLQuote, adapt, adapters, register_adapter
from puff.postgres._exceptions import ProgrammingError

UTF8 = SimpleNamespace(_codec="utf_8", _backslash_quotes=False)


class Texts(list):  # type: ignore[type-arg]
    pass


def merge(query: str | bytes, args: Any, connection: Any = UTF8) -> bytes:
    return native.pg_merge(query.encode() if isinstance(query, str) else query, args, connection)


@pytest.fixture(autouse=True)
def _same_adapters_afterwards() -> Iterator[None]:
    before = dict(adapters)
    yield
    adapters.clear()
    adapters.update(before)


# ---------------------------------------------------------------- adapters


def test_a_type_is_adapted_by_its_own_adapter_then_its_base_s() -> None:
    class Base:
        pass

    class Derived(Base):
        pass

    register_adapter(Base, lambda value: AsIs("base"))
    assert merge("%s %s", (Base(), Derived())) == b"base base"
    register_adapter(Derived, lambda value: AsIs("derived"))
    assert merge("%s %s", (Base(), [Derived()])) == b"base ARRAY[derived]"


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        True,
        "a",
        b"a",
        bytearray(b"a"),
        memoryview(b"a"),
        decimal.Decimal(1),
        [1],
        (1,),
        dt.date(2020, 1, 1),
        dt.time(1),
        dt.datetime(2020, 1, 1),
        dt.timedelta(1),
        uuid.UUID(int=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_adapter_of_a_builtin_type_can_be_replaced(value: Any) -> None:
    before = adapters.get((type(value), ISQLQuote))
    expected = merge("%s", (value,)) if before else None
    register_adapter(type(value), lambda value: AsIs("other"))
    assert merge("%s %%", (value,)) == b"other %"
    assert merge("%s", ([value],)) in (b"ARRAY[other]", b"other")
    if before:
        register_adapter(type(value), before)
        assert merge("%s", (value,)) == expected
    else:
        del adapters[type(value), ISQLQuote]
        with pytest.raises(ProgrammingError, match="can't adapt type 'UUID'"):
            merge("%s", (value,))


def test_a_uuid_after_it_is_registered() -> None:
    value = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    register_adapter(uuid.UUID, _adapters.UUID_adapter)
    assert merge("%s", (value,)) == b"'00112233-4455-6677-8899-aabbccddeeff'::uuid"
    assert adapt(value).getquoted() == merge("%s", (value,))


def test_an_adapter_may_change_the_table() -> None:
    class Switch:
        def __conform__(self, protocol: object) -> Any:
            register_adapter(int, lambda value: AsIs("late"))
            return AsIs("now")

    assert merge("%s %s %s", (1, Switch(), 1)) == b"1 now late"


def test_objects_that_adapt_themselves() -> None:
    seen = []

    class Point:
        def __conform__(self, protocol: object) -> Any:
            return self if protocol is ISQLQuote else None

        def prepare(self, connection: Any) -> None:
            seen.append(connection)

        def getquoted(self) -> str:
            return "é"

    assert merge("%s", (Point(),)) == "é".encode()
    assert seen == [UTF8]
    assert merge("%s", (AsIs("now()"),)) == b"now()"


@pytest.mark.parametrize("quoted", [3, None])
def test_what_is_no_literal_is_refused(quoted: Any) -> None:
    class Odd:
        def __conform__(self, protocol: object) -> Any:
            return SimpleNamespace(getquoted=lambda: quoted)

    with pytest.raises(ValueError, match="only bytes values expected, got"):
        merge("%s", (Odd(),))


def test_an_error_of_an_adapter_is_the_caller_s() -> None:
    def broken(value: Any) -> Any:
        raise ZeroDivisionError

    register_adapter(complex, broken)
    with pytest.raises(ZeroDivisionError):
        merge("%s", (1j,))


def test_lists_that_are_changed_or_contain_themselves() -> None:
    items: list[Any] = []

    class Clears:
        def __conform__(self, protocol: object) -> Any:
            items.clear()
            return AsIs("x")

    items.extend([1, Clears(), 2])
    assert merge("%s", (items,)) == b"ARRAY[1,x]"
    args: list[Any] = [1, Clears(), 2]
    items = args
    with pytest.raises(IndexError, match="list index out of range"):
        merge("%s %s %s", args)
    items.append(items)
    for value in (items, [Texts([items])], (items,)):
        with pytest.raises(RecursionError):
            merge("%s", (value,))


def test_adapters_may_wait(run: Callable[..., Any]) -> None:
    class Slow:
        def __init__(self, number: int) -> None:
            self.number = number

        def __conform__(self, protocol: object) -> Any:
            puff.sleep(0.001 * (5 - self.number))
            return AsIs(str(self.number))

    def statements() -> list[bytes]:
        greenlets = [puff.spawn(merge, "%s %s %s", (n, [Slow(n), Slow(n + 1)], n)) for n in range(4)]
        return [each.join(30) for each in greenlets]

    assert run(statements) == [b"%d ARRAY[%d,%d] %d" % (n, n, n + 1, n) for n in range(4)]


def test_subclasses_of_containers() -> None:
    class Pair(tuple):  # type: ignore[type-arg]
        pass

    assert merge("%s %s", (Texts(["a"]), Pair((1, "b")))) == b"ARRAY['a'] (1, 'b')"
    assert merge("%s", ([Texts([])],)) == b"ARRAY[ARRAY[]]"


# ---------------------------------------------------------------- names that programs use


def test_constructors_of_dates_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("Date", (2020, 1, 2)),
        ("Time", (1, 2, 3)),
        ("Time", (1, 2, 3.5, dt.timezone.utc)),
        ("Timestamp", (2020, 1, 2)),
        ("Timestamp", (2020, 1, 2, 3, 4, 5.25, dt.timezone.utc)),
        ("DateFromTicks", (1e9,)),
        ("TimeFromTicks", (1e9 + 0.5,)),
        ("TimestampFromTicks", (1e9 + 0.25,)),
        ("Binary", (None,)),
    ]
    for zone in ("Europe/Berlin", "America/St_Johns", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        for name, args in calls:
            ours, theirs = getattr(_adapters, name)(*args), getattr(psycopg2, name)(*args)
            assert ours.getquoted() == theirs.getquoted()
            assert str(ours) == str(theirs)
            assert getattr(ours, "type", None) == getattr(theirs, "type", None)
    monkeypatch.undo()
    time.tzset()
    assert "TZ" not in os.environ or os.environ["TZ"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Int", True),
        ("Int", 1.5),
        ("Int", "12"),
        ("Float", 1),
        ("Float", -0.5),
        ("Boolean", "x"),
        ("Boolean", 0),
        ("AsIs", b"x"),
        ("AsIs", None),
        ("AsIs", "é"),
        ("QuotedString", "it's"),
        ("SQL_IN", [1, None]),
        ("SQL_IN", []),
        ("NoneAdapter", 5),
        ("IntervalFromPy", dt.timedelta(-1, 5)),
        ("DateFromPy", dt.date(1, 1, 1)),
    ],
)
def test_adapters_by_hand(name: str, value: Any) -> None:
    ours, theirs = getattr(_adapters, name)(value), getattr(oracle_extensions, name)(value)
    assert ours.getquoted() == theirs.getquoted()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Int", "x"),
        ("Int", None),
        ("Binary", "x"),
        ("Binary", 5),
        ("QuotedString", 1),
        ("QuotedString", "€"),
        ("QuotedString", "\x00"),
        ("DateFromPy", 5),
        ("TimeFromPy", dt.date(1, 1, 1)),
    ],
)
def test_errors_of_adapters_by_hand(name: str, value: Any) -> None:
    def of(module: Any) -> tuple[str, str]:
        with pytest.raises((TypeError, ValueError)) as raised:
            getattr(module, name)(value).getquoted()
        return type(raised.value).__name__, str(raised.value)

    assert of(_adapters) == of(oracle_extensions)


def test_adapt_as_programs_call_it() -> None:
    assert isinstance(adapt(1), _adapters.Int)
    assert adapt(1).adapted == 1
    quoted = adapt("x")
    assert adapt(quoted) is quoted
    assert quoted.__conform__(int) is None
    with pytest.raises(ProgrammingError, match="can't adapt type 'int'"):
        adapt(1, None)
    with pytest.raises(NotImplementedError):
        ISQLQuote(1).getquoted()
    with pytest.raises(TypeError):
        _adapters.List((1,))  # type: ignore[arg-type]


def test_codecs_are_psycopg2s() -> None:
    assert _adapters.encodings == oracle_extensions.encodings
    for codec in _adapters.encodings.values():
        "a".encode(codec)


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('"\\')))
@example("")
def test_names_are_quoted_as_psycopg2_does(ours: Any, theirs: Any, name: str) -> None:
    expected = oracle_extensions.quote_ident(name, theirs)
    assert _adapters.quote_ident(name, ours) == expected
    assert _adapters.quote_ident(name.encode(), ours.cursor()) == expected


def test_names_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="NUL"):
        _adapters.quote_ident("a\0b", UTF8)
    with pytest.raises(TypeError, match="argument 2 must be a connection or a cursor"):
        _adapters.quote_ident("a", 3)
    with pytest.raises(TypeError, match="Expected bytes or unicode string, got int instead"):
        _adapters.quote_ident(1, UTF8)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        _adapters.quote_ident("\ud800", UTF8)
