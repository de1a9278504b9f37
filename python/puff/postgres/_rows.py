"""Cursors whose rows know the names of their columns, and connections that make them."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, SupportsIndex

from .._native import native
from ._composite import field_name
from ._connection import connection
from ._cursor import cursor

__all__ = [
    "DictConnection",
    "DictCursor",
    "DictCursorBase",
    "DictRow",
    "NamedTupleConnection",
    "NamedTupleCursor",
    "RealDictConnection",
    "RealDictCursor",
    "RealDictRow",
]


class DictCursorBase(cursor):
    """What the two cursors of dicts share: ``row_factory`` may be given as an argument."""

    _factory: Any = None
    _described: Any = None
    _names: list[str]
    _index: OrderedDict[str, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        factory = kwargs.pop("row_factory", self._factory)
        super().__init__(*args, **kwargs)
        self.row_factory = factory

    def _describe(self) -> None:
        # The description is the same object as long as the result is.
        description = self.description
        if description is not self._described:
            self._names = [column.name for column in description or ()]
            self._index = OrderedDict((name, at) for at, name in enumerate(self._names))
            self._described = description

    @property
    def column_mapping(self) -> list[str]:
        """The names of the columns."""
        self._describe()
        return self._names

    @property
    def index(self) -> OrderedDict[str, int]:
        """The number of the column of each name; of the last one, where a name comes twice."""
        self._describe()
        return self._index


class DictRow(list[Any]):
    """A row as a list that can also be asked by the names of columns."""

    __slots__ = ("_index",)

    def __init__(self, cursor: DictCursorBase) -> None:
        self._index = cursor.index
        super().__init__([None] * len(cursor.column_mapping))

    def __getitem__(self, x: Any) -> Any:
        if not isinstance(x, (int, slice)):
            x = self._index[x]
        return super().__getitem__(x)

    def __setitem__(self, x: Any, v: Any) -> None:
        if not isinstance(x, (int, slice)):
            x = self._index[x]
        super().__setitem__(x, v)

    def items(self) -> Iterator[tuple[str, Any]]:
        """The names and values."""
        return ((name, list.__getitem__(self, at)) for name, at in self._index.items())

    def keys(self) -> Iterator[str]:
        """The names."""
        return iter(self._index)

    def values(self) -> Iterator[Any]:
        """The values, as often as there are names."""
        return (list.__getitem__(self, at) for at in self._index.values())

    def get(self, x: Any, default: Any = None) -> Any:
        """The value of a column, or `default` if there is none of this name."""
        try:
            return self[x]
        except (KeyError, IndexError):
            return default

    def copy(self) -> OrderedDict[str, Any]:  # type: ignore[override]
        """The row as a dict."""
        return OrderedDict(self.items())

    def __contains__(self, x: object) -> bool:
        return x in self._index

    def __copy__(self) -> DictRow:
        return _restore(type(self), list(self), self._index)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return _restore, (type(self), list(self), self._index)


def _restore(kind: type[DictRow], values: list[Any], index: OrderedDict[str, int]) -> DictRow:
    row = kind.__new__(kind)
    row.extend(values)
    row._index = index
    return row


class DictCursor(DictCursorBase):
    """Rows are `DictRow`: ``row[0]`` and ``row["name"]``.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor(cursor_factory=DictCursor)
        >>> cursor.execute("SELECT 1 AS id, 'Oslo' AS name")
        >>> row = cursor.fetchone()
        >>> row[0], row["name"]
        (1, 'Oslo')
        >>> connection.close()
    """

    _factory = DictRow


class RealDictRow(OrderedDict[str, Any]):
    """A row as a dict, in the order of the columns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and isinstance(args[0], native.Cursor):
            super().__init__()
            # For as long as a cursor fills the row, it sets items by number.
            names = args[0].column_mapping  # type: ignore[attr-defined]
            if names:
                self._pending = iter(names), len(names)
            return
        super().__init__(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        pending = self.__dict__.get("_pending")
        if pending is not None:
            names, left = pending
            key = next(names)
            if left == 1:
                del self._pending
            else:
                self._pending = names, left - 1
        super().__setitem__(key, value)


class RealDictCursor(DictCursorBase):
    """Rows are `RealDictRow`: ``row["name"]``, and no numbers.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor(cursor_factory=RealDictCursor)
        >>> cursor.execute("SELECT 1 AS id, 'Oslo' AS name")
        >>> dict(cursor.fetchone())
        {'id': 1, 'name': 'Oslo'}
        >>> connection.close()
    """

    _factory = RealDictRow


@lru_cache(maxsize=1024)
def _record(names: tuple[str, ...]) -> Any:
    return namedtuple("Record", [field_name(name) for name in names])


class NamedTupleCursor(cursor):
    """Rows are named tuples: ``row.name``, or ``row[0]``.

    Names that Python does not take are changed: ``"?column?"`` is ``f_column_``.
    """

    Record: Any = None
    MAX_CACHE = 1024
    _described: Any = None

    def _make_nt(self) -> Any:
        return _record(tuple(column.name for column in self.description or ()))

    def _rows(self) -> Any:
        description = self.description
        if description is not self._described or self.Record is None:
            self.Record = self._make_nt()
            self._described = description
        return self.Record

    def fetchone(self) -> Any:
        """The next row, or None after the last."""
        row = super().fetchone()
        return None if row is None else self._rows()._make(row)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows; `arraysize` of them by default."""
        rows = super().fetchmany(size)
        return list(map(self._rows()._make, rows))

    def fetchall(self) -> list[Any]:
        """All rows that were not fetched yet."""
        rows = super().fetchall()
        return list(map(self._rows()._make, rows))

    def __next__(self) -> Any:
        return self._rows()._make(super().__next__())


class DictConnection(connection):
    """Makes `DictCursor`."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A new cursor: a `DictCursor` unless another kind is asked for."""
        kwargs.setdefault("cursor_factory", self.cursor_factory or DictCursor)
        return super().cursor(*args, **kwargs)


class RealDictConnection(connection):
    """Makes `RealDictCursor`."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A new cursor: a `RealDictCursor` unless another kind is asked for."""
        kwargs.setdefault("cursor_factory", self.cursor_factory or RealDictCursor)
        return super().cursor(*args, **kwargs)


class NamedTupleConnection(connection):
    """Makes `NamedTupleCursor`."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A new cursor: a `NamedTupleCursor` unless another kind is asked for."""
        kwargs.setdefault("cursor_factory", self.cursor_factory or NamedTupleCursor)
        return super().cursor(*args, **kwargs)
