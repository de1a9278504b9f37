"""From Django's placeholders to PostgreSQL's: texts with `%s` become texts with `$1`.

Django's SQL is written for a driver that puts literals into the text. A literal has a type, a parameter has
none until the server finds one. So each number, date or UUID gets the type that its literal would have, and
texts stay without one, as literals in quotes do.
"""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils.functional import Promise

from puff.postgres._adapters import adapt
from puff.postgres._exceptions import ProgrammingError

from ._errors import QuerysetError

# The list of an IN is one parameter, so that the statement is the same whatever its length.
_PLACEHOLDER = re.compile(r"(?P<many>(?<!NOT) IN \((?P<list>%s(?:, %s)*)\))|%s|%%|%(?P<wrong>.?)", re.DOTALL)
_QUOTED = re.compile(
    r"""\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
_LITERAL = re.compile(r"'((?:[^'\\]|'')*)'(::[\w. ]+(?:\[\])?)?")
# Where one expression stands twice in a statement, the server has to see that it is the same.
_REPEATS = re.compile(r" GROUP BY |SELECT DISTINCT ")


class _Slot(NamedTuple):
    """A place for values in a statement: how many, and whether they are the list of an IN."""

    size: int
    is_list: bool


class _Template(NamedTuple):
    """A statement of Django, taken apart: a text before each slot, and one behind the last."""

    texts: tuple[str, ...]
    slots: tuple[_Slot, ...]
    size: int
    repeats: bool


class _Typed(NamedTuple):
    """A value as a parameter, with the cast that gives it a type."""

    value: Any
    cast: str


class Later(NamedTuple):
    """A value that is not there yet.

    Attributes:
        name: By which it will be given.
        cast: The type that it is told to have, as `::int4`.
        field: The field of a model that prepares it, if there is one.
        many: Whether it is a list of such values.
    """

    name: str
    cast: str
    field: Any = None
    many: bool = False


def bind(sql: str, params: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the statement with `$1`, `$2`... and the values as Puff's parameters take them.

    Raises:
        QuerysetError: a value has no SQL form, or a placeholder stands in quotes.
    """
    template = _template(sql) if len(sql) < 20_000 else _template.__wrapped__(sql)
    if template.size != len(params):
        raise QuerysetError(
            f"the statement has {template.size} places for parameters, and there are {len(params)} of them; "
            "in RawSQL, extra() and raw() a per cent sign of its own is written %%"
        )
    texts, slots = template.texts, template.slots
    binding = _Binding(_repeated(params) if template.repeats else None)
    pieces = [texts[0]]
    start = 0
    for index, (size, is_list) in enumerate(slots, 1):
        if is_list:
            pieces.append(binding.members(params[start : start + size]))
            start += size
        else:
            pieces.append(binding.one(params[start]))
            start += 1
        pieces.append(texts[index])
    return "".join(pieces), binding.values


@lru_cache(maxsize=512)
def _template(sql: str) -> _Template:
    _check_quotes(sql)
    texts: list[str] = []
    slots: list[_Slot] = []
    text, place = "", 0
    for found in _PLACEHOLDER.finditer(sql):
        text += sql[place : found.start()]
        place = found.end()
        if found["wrong"] is not None:
            raise QuerysetError(
                f"%{found['wrong']} in a statement of Django is no placeholder; in RawSQL, extra() and raw() "
                "a per cent sign of its own is written %%"
            )
        if found[0] == "%%":
            text += "%"
            continue
        texts.append(text)
        slots.append(_Slot(found[0].count("%s"), found["many"] is not None))
        text = ""
    texts.append(text + sql[place:])
    return _Template(tuple(texts), tuple(slots), sum(slot.size for slot in slots), bool(_REPEATS.search(sql)))


def _check_quotes(sql: str) -> None:
    if "'" not in sql:
        return
    for found in _QUOTED.finditer(sql):
        if found[0][0] in "'eE" and "%s" in found[0].replace("%%", ""):
            raise QuerysetError(
                f"a placeholder stands in quotes: {found[0]}. In RawSQL, extra() and raw() it has none"
            )


def _repeated(params: Sequence[Any]) -> frozenset[str]:
    """Return the texts that are there more than once."""
    texts = [value for value in params if type(value) is str]
    return frozenset(value for value in texts if texts.count(value) > 1)


class _Binding:
    """The parameters of one statement, as they are numbered.

    Where expressions have to be recognized as the same, equal values are the same parameter. That will not do
    for texts, as a parameter has one type wherever it is: those that are repeated are literals.
    """

    def __init__(self, repeated: frozenset[str] | None) -> None:
        self.values: list[Any] = []
        self._repeated = repeated or frozenset()
        self._seen: dict[Any, str] | None = None if repeated is None else {}

    def one(self, value: Any) -> str:
        """Return what stands in the place of a value."""
        kind = type(value)
        if kind is str:
            if value in self._repeated:
                return _quoted(value)
            self.values.append(value)
            return f"${len(self.values)}"
        typed = _typed(value)
        if isinstance(typed, str):
            return typed
        if isinstance(typed, list):
            return f"({', '.join(map(self.one, typed))})"
        if self._seen is None:
            return self._add(typed)
        return self._again(typed)

    def _add(self, typed: _Typed) -> str:
        self.values.append(typed.value)
        return f"${len(self.values)}{typed.cast}"

    def _again(self, typed: _Typed) -> str:
        assert self._seen is not None
        key = (typed.cast, repr(typed.value))
        if key not in self._seen:
            self._seen[key] = self._add(typed)
        return self._seen[key]

    def members(self, values: Sequence[Any]) -> str:
        """Return the right side of an IN, with the operator."""
        kinds = set(map(type, values))
        if Later in kinds and len(values) == 1:
            later = values[0]._replace(many=True)
            return f" = ANY({self._add(_Typed(later, later.cast and later.cast + '[]'))})"
        if kinds == {str}:
            self.values.append(list(values))
            return f" = ANY(${len(self.values)})"
        if kinds == {int}:
            self.values.append(list(values))
            cast = max(_int(min(values)).cast, _int(max(values)).cast, key=_NUMBERS.index)
            return f" = ANY(${len(self.values)}{cast}[])"
        typed = [_typed(value) for value in values]
        if all(isinstance(item, _Typed) and item.cast in _IN_ARRAYS for item in typed):
            common = _common([item.cast for item in typed])  # type: ignore[union-attr]
            if common is not None:
                self.values.append([item.value for item in typed])  # type: ignore[union-attr]
                return f" = ANY(${len(self.values)}{common}[])"
        return f" IN ({', '.join(map(self.one, values))})"


_NUMBERS = ("::int4", "::int8", "::numeric")
_IN_ARRAYS = frozenset(
    (
        *_NUMBERS,
        "::uuid",
        "::date",
        "::timestamp",
        "::timestamptz",
        "::time",
        "::timetz",
        "::interval",
        "::bool",
    )
)


def _common(casts: Iterable[str]) -> str | None:
    """Return the one type of all elements of an array; None if there is none."""
    different = set(casts)
    if len(different) == 1:
        return different.pop()
    return max(different, key=_NUMBERS.index) if different <= set(_NUMBERS) else None


def _quoted(text: str) -> str:
    """Return a literal, which like Django's own has no type."""
    if "\x00" in text:
        raise QuerysetError("PostgreSQL's texts have no NUL (0x00) characters")
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def _typed(value: Any) -> _Typed | str | list[Any]:
    """Return a value with its type, or SQL that stands for it, or a list that stands in parentheses."""
    converter = _CONVERTERS.get(type(value))
    if converter is None:
        converter = _converter(value)
    return converter(value)


def _int(value: int) -> _Typed:
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return _Typed(value, "::int4")
    return _Typed(value, "::int8" if -(1 << 63) <= value < 1 << 63 else "::numeric")


def _float(value: float) -> _Typed:
    # As the literal 0.5, which is no float8 for PostgreSQL either.
    return _Typed(value, "::numeric" if value - value == 0 else "::float8")


def _datetime(value: datetime.datetime) -> _Typed:
    return _Typed(value, "::timestamp" if value.tzinfo is None else "::timestamptz")


def _time(value: datetime.time) -> _Typed:
    return _Typed(value, "::time" if value.tzinfo is None else "::timetz")


def _list(values: list[Any]) -> _Typed | str:
    flat = list(_leaves(values))
    present = [value for value in flat if value is not None]
    if all(isinstance(value, str) for value in present):
        plain = _nested(values, lambda value: value if value is None else str.__str__(_plain(value)))
        return _Typed(plain, "::text[]" if present else "")
    typed = [_typed(value) for value in present]
    if all(isinstance(item, _Typed) for item in typed):
        cast = _common(item.cast for item in typed)  # type: ignore[union-attr]
        if cast:
            return _Typed(_nested(values, lambda value: value_of(value)), f"{cast}[]")
        if cast == "":
            return _Typed(_nested(values, lambda value: value_of(value)), "::text[]")
    raise QuerysetError(f"the elements of a list are of different types: {values!r:.100}")


def _leaves(values: list[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)  # type: ignore[arg-type]
        else:
            yield value


def _nested(values: Any, change: Callable[[Any], Any]) -> Any:
    return [_nested(value, change) if isinstance(value, (list, tuple)) else change(value) for value in values]


def value_of(value: Any) -> Any:
    """Return a value as Puff's parameters take it, without a type.

    Raises:
        QuerysetError: it has no SQL form.
    """
    if value is None or type(value) is dict:  # which is JSON, where nothing says that it is an hstore
        return value
    typed = _typed(value)
    return typed.value if isinstance(typed, _Typed) else typed


def _plain(text: str) -> str:
    return text.value if isinstance(text, enum.Enum) else text


def _range(value: Any) -> _Typed:
    """Return a range of any driver: all have `lower`, `upper`, `isempty` and the two `_inc`."""
    if value.isempty:
        return _Typed("empty", "")
    ends = [end for end in (value.lower, value.upper) if end is not None]
    cast = ""
    if any(isinstance(end, datetime.datetime) for end in ends):
        aware = "TZ" in type(value).__name__ or any(end.tzinfo is not None for end in ends)
        cast = "::tstzrange" if aware else "::tsrange"
    elif any(isinstance(end, datetime.date) for end in ends):
        cast = "::daterange"
    lower, upper = ("" if end is None else f'"{end}"' for end in (value.lower, value.upper))
    return _Typed(f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}", cast)


def _hstore(value: Mapping[Any, Any]) -> _Typed:
    def quoted(text: Any) -> str:
        return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

    pairs = (f"{quoted(key)}=>{'NULL' if item is None else quoted(item)}" for key, item in value.items())
    return _Typed(",".join(pairs), "::hstore")


def _other(value: Any) -> _Typed | str:
    """Return what the driver's adapter of a type makes of a value: a parameter if it is one literal."""
    try:
        adapter = adapt(value)
        if hasattr(adapter, "encoding"):
            adapter.encoding = "utf8"
        quoted = adapter.getquoted().decode()
    except ProgrammingError:
        raise QuerysetError(
            f"a {type(value).__name__} has no SQL form; filter by a value of the field's type, or register "
            "an adapter with puff.postgres.extensions.register_adapter"
        ) from None
    literal = _LITERAL.fullmatch(quoted)
    return _Typed(literal[1].replace("''", "'"), literal[2] or "") if literal else quoted


def _json(value: Any) -> _Typed:
    """Return JSON in the wrapper of a driver; psycopg 3 names its parts differently."""
    wrapped = value.obj if hasattr(value, "obj") else value.adapted
    dumps = value.dumps
    if dumps is None:
        import json

        dumps = json.dumps
    text = dumps(wrapped)
    return _Typed(text, "::jsonb" if type(value).__name__ == "Jsonb" else "")


def _tuple(value: tuple[Any, ...]) -> list[Any]:
    return list(value)


_CONVERTERS: dict[type, Callable[[Any], _Typed | str | list[Any]]] = {
    bool: lambda value: _Typed(value, "::bool"),
    int: _int,
    str: lambda value: _Typed(value, ""),
    float: _float,
    Decimal: lambda value: _Typed(value, "::numeric"),
    datetime.datetime: _datetime,
    datetime.date: lambda value: _Typed(value, "::date"),
    datetime.time: _time,
    datetime.timedelta: lambda value: _Typed(value, "::interval"),
    uuid.UUID: lambda value: _Typed(value, "::uuid"),
    bytes: lambda value: _Typed(value, "::bytea"),
    bytearray: lambda value: _Typed(value, "::bytea"),
    memoryview: lambda value: _Typed(value, "::bytea"),
    type(None): lambda value: "NULL",
    Later: lambda value: _Typed(value, value.cast),
    list: _list,
    tuple: _tuple,
    dict: _hstore,
}


def _converter(value: Any) -> Callable[[Any], _Typed | str | list[Any]]:
    """Find how values of a type that is no plain one are written, by what it inherits from."""
    if isinstance(value, Promise):
        return lambda value: _Typed(str(value), "")
    if isinstance(value, enum.Enum):
        return lambda value: _typed(value.value)
    if hasattr(value, "dumps") and (hasattr(value, "adapted") or hasattr(value, "obj")):
        return _json
    if hasattr(value, "isempty") and hasattr(value, "lower_inc"):
        return _range
    if type(value).__name__ == "Binary" and hasattr(value, "adapted"):
        return lambda value: _typed(value.adapted)
    for base in type(value).__mro__[1:]:
        if base in _CONVERTERS:
            return _CONVERTERS[base]
    return _other
