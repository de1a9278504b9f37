"""From Django's placeholders to PostgreSQL's: texts with `%s` become texts with `$1`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from ._errors import QuerysetError
from ._values import NUMBERS, Later, Typed, common_cast, typed_int, typed_value

# The list of an IN is one parameter, so that the statement is the same whatever its length.
_PLACEHOLDER = re.compile(r"(?P<many>(?<!NOT) IN \((?P<list>%s(?:, %s)*)\))|%s|%%|%(?P<wrong>.?)", re.DOTALL)
_QUOTED = re.compile(
    r"""\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
# Functions of values of any type: they take a literal without one for a text, and refuse a parameter.
_OF_ANY = re.compile(
    r"\b(concat|concat_ws|format|jsonb?_build_(object|array)|json_(object|array))\(", re.IGNORECASE
)
# Where one expression stands twice in a statement, the server has to see that it is the same.
_REPEATS = re.compile(r" GROUP BY |SELECT DISTINCT ")


class _Slot(NamedTuple):
    """A place for values in a statement.

    Attributes:
        size: How many.
        is_list: Whether they are the list of an IN.
        is_any: Whether a text has to be called one there.
    """

    size: int
    is_list: bool
    is_any: bool


class Template(NamedTuple):
    """A statement of Django, taken apart: a text before each slot, and one behind the last."""

    texts: tuple[str, ...]
    slots: tuple[_Slot, ...]
    size: int
    repeats: bool


def bind(sql: str, params: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the statement with `$1`, `$2`... and the values as Puff's parameters take them.

    Raises:
        QuerysetError: a value has no SQL form, or a placeholder stands in quotes.
    """
    template = template_of(sql)
    if template.size != len(params):
        raise QuerysetError(
            f"the statement has {template.size} places for parameters, and there are {len(params)} of them; "
            "in RawSQL, extra() and raw() a per cent sign of its own is written %%"
        )
    groups = []
    start = 0
    for slot in template.slots:
        groups.append(params[start : start + slot.size])
        start += slot.size
    return fill(template, groups)


def fill(template: Template, groups: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Return the statement with the values of each slot, as `bind`; lists may have other sizes."""
    texts = template.texts
    binding = _Binding(_repeated([*chain(*groups)]) if template.repeats else None)
    pieces = [texts[0]]
    for values, text, (_, is_list, is_any) in zip(groups, texts[1:], template.slots, strict=True):
        if is_list:
            pieces.append(binding.members(values))
        else:
            one = binding.one(values[0])
            pieces.append(f"({one}::text)" if is_any and type(values[0]) is str else one)
        pieces.append(text)
    return "".join(pieces), binding.values


def template_of(sql: str) -> Template:
    """Return a statement of Django taken apart; the last ones that are not very long are remembered.

    Raises:
        QuerysetError: a placeholder stands in quotes, or is none.
    """
    return _template(sql) if len(sql) < 20_000 else _template.__wrapped__(sql)


@lru_cache(maxsize=512)
def _template(sql: str) -> Template:
    _check_quotes(sql)
    texts: list[str] = []
    slots: list[_Slot] = []
    text, place = "", 0
    of_any = _OF_ANY.search(sql) is not None
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
        is_any = of_any and _is_any(sql, found.start())
        slots.append(_Slot(found[0].count("%s"), found["many"] is not None, is_any))
        text = ""
    texts.append(text + sql[place:])
    return Template(tuple(texts), tuple(slots), sum(slot.size for slot in slots), bool(_REPEATS.search(sql)))


def _is_any(sql: str, place: int) -> bool:
    """Return whether a place is an argument of a function of values of any type."""
    depth = 0
    for index in range(place - 1, -1, -1):
        if sql[index] == ")":
            depth += 1
        elif sql[index] == "(":
            if depth == 0:
                name = re.search(r"\w*$", sql[:index])
                return name is not None and _OF_ANY.fullmatch(f"{name[0]}(") is not None
            depth -= 1
    return False


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
    counted = Counter(value for value in params if type(value) is str)
    return frozenset(value for value, count in counted.items() if count > 1)


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
        typed = typed_value(value)
        if isinstance(typed, str):
            return typed
        if isinstance(typed, list):
            return f"({', '.join(map(self.one, typed))})"
        if self._seen is None:
            return self._add(typed)
        return self._again(typed)

    def _add(self, typed: Typed) -> str:
        self.values.append(typed.value)
        return f"${len(self.values)}{typed.cast}"

    def _again(self, typed: Typed) -> str:
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
            return f" = ANY({self._add(Typed(later, later.cast and later.cast + '[]'))})"
        if kinds == {str}:
            self.values.append(list(values))
            return f" = ANY(${len(self.values)})"
        if kinds == {int}:
            self.values.append(list(values))
            cast = max(typed_int(min(values)).cast, typed_int(max(values)).cast, key=NUMBERS.index)
            return f" = ANY(${len(self.values)}{cast}[])"
        typed = [typed_value(value) for value in values]
        if all(isinstance(item, Typed) and item.cast in _IN_ARRAYS for item in typed):
            common = common_cast([item.cast for item in typed])  # type: ignore[union-attr]
            if common is not None:
                self.values.append([item.value for item in typed])  # type: ignore[union-attr]
                return f" = ANY(${len(self.values)}{common}[])"
        return f" IN ({', '.join(map(self.one, values))})"


_IN_ARRAYS = frozenset(
    (
        *NUMBERS,
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


def _quoted(text: str) -> str:
    """Return a literal, which like Django's own has no type."""
    if "\x00" in text:
        raise QuerysetError("PostgreSQL's texts have no NUL (0x00) characters")
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"
