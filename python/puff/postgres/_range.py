"""PostgreSQL's ranges."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar

from . import _types
from ._adapters import ISQLQuote, adapt, register_adapter
from ._catalog import look_up, scope_of, split_name
from ._exceptions import InterfaceError, ProgrammingError

__all__ = [
    "DateRange",
    "DateTimeRange",
    "DateTimeTZRange",
    "NumericRange",
    "Range",
    "RangeAdapter",
    "RangeCaster",
    "register_range",
]


class Range:
    """A range of values, from `lower` to `upper`; None stands for no bound on that side.

    `bounds` are two of ``()[]``: whether each end belongs to it. A range may be empty. Ranges can be
    compared, hashed, pickled, and asked for what is in them.

    >>> from puff.postgres.extras import NumericRange
    >>> 10 in NumericRange(1, 10)
    False

    Raises:
        ValueError: if `bounds` is something else.
    """

    __slots__ = ("_bounds", "_lower", "_upper")

    _lower: Any
    _upper: Any
    _bounds: str | None

    def __init__(self, lower: Any = None, upper: Any = None, bounds: str = "[)", empty: bool = False) -> None:
        if empty:
            self._lower = self._upper = self._bounds = None
            return
        if bounds not in ("[)", "(]", "()", "[]"):
            raise ValueError(f"bound flags not valid: {bounds!r}")
        self._lower = lower
        self._upper = upper
        self._bounds = bounds

    @property
    def lower(self) -> Any:
        """The lower end; None if there is none, or the range is empty."""
        return self._lower

    @property
    def upper(self) -> Any:
        """The upper end; None if there is none, or the range is empty."""
        return self._upper

    @property
    def isempty(self) -> bool:
        """Whether nothing is in it."""
        return self._bounds is None

    @property
    def lower_inf(self) -> bool:
        """Whether it has no lower end."""
        return self._bounds is not None and self._lower is None

    @property
    def upper_inf(self) -> bool:
        """Whether it has no upper end."""
        return self._bounds is not None and self._upper is None

    @property
    def lower_inc(self) -> bool:
        """Whether the lower end belongs to it."""
        return self._bounds is not None and self._lower is not None and self._bounds[0] == "["

    @property
    def upper_inc(self) -> bool:
        """Whether the upper end belongs to it."""
        return self._bounds is not None and self._upper is not None and self._bounds[1] == "]"

    def __contains__(self, x: Any) -> bool:
        if self._bounds is None:
            return False
        if self._lower is not None and (x < self._lower or (x == self._lower and self._bounds[0] == "(")):
            return False
        return self._upper is None or not (x > self._upper or (x == self._upper and self._bounds[1] == ")"))

    def __bool__(self) -> bool:
        return self._bounds is not None

    def _key(self) -> tuple[Any, Any, str | None]:
        return self._lower, self._upper, self._bounds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Any) -> bool:
        if not isinstance(other, Range):
            return NotImplemented
        for mine, theirs in zip(self._key(), other._key(), strict=True):
            if mine == theirs:
                continue
            if mine is None or theirs is None:
                return mine is None
            return bool(mine < theirs)
        return False

    def __le__(self, other: Any) -> bool:
        return NotImplemented if not isinstance(other, Range) else self == other or self < other

    def __gt__(self, other: Any) -> bool:
        return NotImplemented if not isinstance(other, Range) else other < self

    def __ge__(self, other: Any) -> bool:
        return NotImplemented if not isinstance(other, Range) else self == other or other < self

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._bounds is None:
            return f"{name}(empty=True)"
        return f"{name}({self._lower!r}, {self._upper!r}, {self._bounds!r})"

    def __str__(self) -> str:
        if self._bounds is None:
            return "empty"
        return f"{self._bounds[0]}{self._lower}, {self._upper}{self._bounds[1]}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Range.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class NumericRange(Range):
    """A range of numbers: `int4range`, `int8range` or `numrange`."""

    __slots__ = ()


class DateRange(Range):
    """A `daterange`."""

    __slots__ = ()


class DateTimeRange(Range):
    """A `tsrange`, of times without zone."""

    __slots__ = ()


class DateTimeTZRange(Range):
    """A `tstzrange`, of times with zone."""

    __slots__ = ()


class RangeAdapter:
    """Writes a range as a call of the function `name` of its type. Subclasses set the name."""

    name: ClassVar[str | None] = None

    def __init__(self, adapted: Range) -> None:
        self.adapted = adapted
        self._conn: Any = None

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def prepare(self, conn: Any) -> None:
        """Remembers the connection the ends are quoted for."""
        self._conn = conn

    def _quoted(self, value: Any) -> bytes:
        if value is None:
            return b"NULL"
        adapter = adapt(value)
        if self._conn is not None and hasattr(adapter, "prepare"):
            adapter.prepare(self._conn)
        quoted: bytes = adapter.getquoted()
        return quoted

    def getquoted(self) -> bytes:
        """The range as SQL.

        Raises:
            NotImplementedError: if the class has no name.
        """
        if self.name is None:
            raise NotImplementedError("RangeAdapter must be subclassed overriding its name")
        name = self.name.encode()
        span = self.adapted
        if span._bounds is None:
            return b"'empty'::" + name
        ends = self._quoted(span._lower), self._quoted(span._upper)
        return b"%s(%s, %s, '%s')" % (name, *ends, span._bounds.encode())


class NumberRangeAdapter(RangeAdapter):
    """Writes a `NumericRange` without a type: the server finds out which of the three is meant."""

    def _number(self, value: Any) -> bytes:
        if value is None:
            return b""
        if not isinstance(value, (int, float, Decimal)):
            raise ProgrammingError(f"can't adapt type '{type(value).__name__}' as the end of a NumericRange")
        quoted = self._quoted(value)
        # 'NaN'::float and its kind: their text alone, as the whole is quoted.
        return quoted.split(b"'")[1] if b"'" in quoted else quoted

    def getquoted(self) -> bytes:
        """The range as SQL.

        Raises:
            ProgrammingError: if an end is no number.
        """
        span = self.adapted
        if span._bounds is None:
            return b"'empty'"
        left, right = span._bounds.encode()[:1], span._bounds.encode()[1:]
        return b"'%s%s,%s%s'" % (left, self._number(span._lower), self._number(span._upper), right)


_BOUND = r'(?:"((?:[^"\\]|""|\\.)*)"|([^",]*))'
_RANGE = re.compile(rf"\s*([(\[]){_BOUND},{_BOUND}([)\]])\s*", re.DOTALL)
_DOUBLED = re.compile(r'""|\\(.)', re.DOTALL)


def _end(quoted: str | None, bare: str) -> str | None:
    if quoted is not None:
        return _DOUBLED.sub(lambda match: match.group(1) or '"', quoted)
    return bare or None


class RangeCaster:
    """Reads a range type, and writes its Python class.

    Attributes:
        range: the Python class, a subclass of `Range`.
        adapter: the class that writes it, a subclass of `RangeAdapter`.
        typecaster: the caster of the type.
        array_typecaster: the caster of its array type, or None.
    """

    def __init__(
        self,
        pgrange: str | type[RangeAdapter],
        pyrange: str | type[Range],
        oid: int,
        subtype_oid: int,
        array_oid: int | None = None,
    ) -> None:
        self.subtype_oid = subtype_oid
        self.adapter = self._adapter_of(pgrange)
        self.range = self._range_of(pyrange)
        name = self.adapter.name or self.adapter.__name__
        self.typecaster = _types.new_type((oid,), name, self.parse)
        self.array_typecaster = (
            _types.new_array_type((array_oid,), name + "ARRAY", self.typecaster) if array_oid else None
        )

    @staticmethod
    def _adapter_of(pgrange: str | type[RangeAdapter]) -> type[RangeAdapter]:
        if isinstance(pgrange, str):
            return type(pgrange, (RangeAdapter,), {"name": pgrange})
        if isinstance(pgrange, type) and issubclass(pgrange, RangeAdapter) and pgrange is not RangeAdapter:
            return pgrange
        raise TypeError("pgrange must be a string or a RangeAdapter strict subclass")

    @staticmethod
    def _range_of(pyrange: str | type[Range]) -> type[Range]:
        if isinstance(pyrange, str):
            return type(pyrange, (Range,), {"__slots__": ()})
        if isinstance(pyrange, type) and issubclass(pyrange, Range) and pyrange is not Range:
            return pyrange
        raise TypeError("pyrange must be a type or a Range strict subclass")

    @classmethod
    def _from_db(cls, name: str, pyrange: str | type[Range], conn_or_curs: Any) -> RangeCaster:
        schema, bare = split_name(name)
        found = look_up(
            conn_or_curs,
            """select t.oid, r.rngsubtype, t.typarray
            from pg_catalog.pg_type t
            join pg_catalog.pg_namespace n on n.oid = t.typnamespace
            join pg_catalog.pg_range r on r.rngtypid = t.oid
            where t.typname = %s
            and (n.nspname = %s or (%s::text is null and pg_catalog.pg_type_is_visible(t.oid)))""",
            (bare, schema, schema),
        )
        if not found:
            raise ProgrammingError(f"PostgreSQL range '{name}' not found")
        oid, subtype, array = found[0]
        return cls(name, pyrange, oid=oid, subtype_oid=subtype, array_oid=array)

    def parse(self, s: str | None, cur: Any = None) -> Range | None:
        """The range that `s` is the text of; None for None.

        Raises:
            InterfaceError: if it is no range.
        """
        if s is None:
            return None
        if s == "empty":
            return self.range(empty=True)
        match = _RANGE.fullmatch(s)
        if match is None:
            raise InterfaceError(f"failed to parse range: '{s}'")
        left, lower_quoted, lower, upper_quoted, upper, right = match.groups()
        ends = _end(lower_quoted, lower), _end(upper_quoted, upper)
        low, high = (None if end is None else cur.cast(self.subtype_oid, end) for end in ends)
        return self.range(low, high, left + right)

    def _register(self, scope: Any = None) -> None:
        _types.register_type(self.typecaster, scope)
        if self.array_typecaster is not None:
            _types.register_type(self.array_typecaster, scope)
        register_adapter(self.range, self.adapter)


class NumberRangeCaster(RangeCaster):
    """Reads the three types that share the class `NumericRange`."""

    @staticmethod
    def _adapter_of(pgrange: str | type[RangeAdapter]) -> type[RangeAdapter]:
        return NumberRangeAdapter


def register_range(
    pgrange: str, pyrange: str | type[Range], conn_or_curs: Any, globally: bool = False
) -> RangeCaster:
    """Reads and writes a range type of the user.

    Args:
        pgrange: the type's name, with its schema if that is not on the search path.
        pyrange: a subclass of `Range`, or the name of one to make.
        conn_or_curs: where the type is looked up, and read unless `globally`.
        globally: reads it in the whole process.

    Raises:
        ProgrammingError: if the database has no such range type.
    """
    caster = RangeCaster._from_db(pgrange, pyrange, conn_or_curs)
    caster._register(scope_of(conn_or_curs, globally))
    return caster


for _pgrange, _pyrange, _oid, _subtype_oid, _array_oid in (
    ("int4range", NumericRange, 3904, 23, 3905),
    ("int8range", NumericRange, 3926, 20, 3927),
    ("numrange", NumericRange, 3906, 1700, 3907),
):
    NumberRangeCaster(_pgrange, _pyrange, _oid, _subtype_oid, _array_oid)._register()
RangeCaster("daterange", DateRange, 3912, 1082, 3913)._register()
RangeCaster("tsrange", DateTimeRange, 3908, 1114, 3909)._register()
RangeCaster("tstzrange", DateTimeTZRange, 3910, 1184, 3911)._register()
