"""Statements put together from parts, with names and values quoted where they go in.

Example:
    >>> import puff
    >>> from puff.postgres import connect
    >>> from puff.postgres.sql import SQL, Identifier
    >>> query = SQL("SELECT {} FROM {} WHERE id = %s").format(
    ...     SQL(", ").join(map(Identifier, ["name", "age"])), Identifier("public", "person"))
    >>> connection = connect(puff.global_postgres().dsn())
    >>> query.as_string(connection)
    'SELECT "name", "age" FROM "public"."person" WHERE id = %s'
    >>> connection.close()

Every `Composable` can be passed to ``cursor.execute`` in place of a text.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

from .._native import native
from ._adapters import connection_of, quote_ident

__all__ = ["DEFAULT", "NULL", "SQL", "Composable", "Composed", "Identifier", "Literal", "Placeholder"]


class Composable:
    """A part of a statement. Parts are joined with ``+`` and repeated with ``*``."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def as_string(self, context: Any) -> str:
        """The SQL, in the way of a connection, or of a cursor's connection.

        Raises:
            TypeError: if the part needs a connection, and `context` is something else.
        """
        raise NotImplementedError

    def __add__(self, other: Composable) -> Composed:
        if not isinstance(other, Composable):
            return NotImplemented
        return Composed([*_parts(self), *_parts(other)])

    def __mul__(self, times: int) -> Composed:
        return Composed([self] * times)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._wrapped == other._wrapped

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wrapped!r})"


def _parts(part: Composable) -> list[Composable]:
    return part.seq if isinstance(part, Composed) else [part]


class Composed(Composable):
    """Parts in a row. Iterating gives the parts.

    Raises:
        TypeError: if one of them is no `Composable`.
    """

    def __init__(self, seq: Iterable[Composable]) -> None:
        parts = list(seq)
        for part in parts:
            if not isinstance(part, Composable):
                raise TypeError(f"Composed elements must be Composable, got {part!r} instead")
        super().__init__(parts)

    @property
    def seq(self) -> list[Composable]:
        """The parts, in a new list."""
        return list(self._wrapped)

    def as_string(self, context: Any) -> str:
        """The SQL of the parts, one after the other."""
        return "".join([part.as_string(context) for part in self._wrapped])

    def __iter__(self) -> Iterator[Composable]:
        return iter(self._wrapped)

    def join(self, joiner: str | SQL) -> Composed:
        """The parts with `joiner` between them."""
        if isinstance(joiner, str):
            joiner = SQL(joiner)
        elif not isinstance(joiner, SQL):
            raise TypeError("Composed.join() argument must be a string or an SQL")
        return joiner.join(self._wrapped)


class SQL(Composable):
    """SQL as the programmer wrote it; never give it text from elsewhere."""

    def __init__(self, string: str) -> None:
        if not isinstance(string, str):
            raise TypeError("SQL values must be strings")
        super().__init__(string)

    @property
    def string(self) -> str:
        """The text."""
        return str(self._wrapped)

    def as_string(self, context: Any) -> str:
        """The text, as it is."""
        return self.string

    def format(self, *args: Composable, **kwargs: Composable) -> Composed:
        """Puts parts in the places of ``{}``, ``{0}`` and ``{name}``; ``{{`` is a brace.

        Raises:
            ValueError: for ``{0!r}`` and ``{0:x}``, and if ``{}`` and ``{0}`` are mixed.
            IndexError: KeyError: if a part is missing.
        """
        parts: list[Composable] = []
        automatic: int | None = 0
        for text, name, spec, conversion in string.Formatter().parse(self.string):
            if spec:
                raise ValueError("no format specification supported by SQL")
            if conversion:
                raise ValueError("no format conversion supported by SQL")
            if text:
                parts.append(SQL(text))
            if name is None:
                continue
            if name.isdigit():
                if automatic:
                    raise ValueError("cannot switch from automatic field numbering to manual")
                automatic = None
                parts.append(args[int(name)])
            elif name:
                parts.append(kwargs[name])
            elif automatic is None:
                raise ValueError("cannot switch from manual field numbering to automatic")
            else:
                parts.append(args[automatic])
                automatic += 1
        return Composed(parts)

    def join(self, seq: Iterable[Composable]) -> Composed:
        """The parts of `seq` with this one between them."""
        pairs = zip(repeat(self), seq, strict=False)
        return Composed(list(chain.from_iterable(pairs))[1:])


class Identifier(Composable):
    """A name, or several for a qualified one, in double quotes.

    Raises:
        TypeError: without a name, or if one is no text.
    """

    def __init__(self, *strings: str) -> None:
        if not strings:
            raise TypeError("Identifier cannot be empty")
        for part in strings:
            if not isinstance(part, str):
                raise TypeError("SQL identifier parts must be strings")
        super().__init__(strings)

    @property
    def strings(self) -> tuple[str, ...]:
        """The names."""
        return tuple(self._wrapped)

    @property
    def string(self) -> str:
        """The name.

        Raises:
            AttributeError: if there are several.
        """
        if len(self._wrapped) > 1:
            raise AttributeError("the Identifier wraps more than one string")
        return str(self._wrapped[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._wrapped))})"

    def as_string(self, context: Any) -> str:
        """The names in quotes, with dots between them."""
        return ".".join([quote_ident(name, context) for name in self._wrapped])


class Literal(Composable):
    """A value, as its adapter writes it. Prefer placeholders and arguments where you can."""

    @property
    def wrapped(self) -> Any:
        """The value."""
        return self._wrapped

    def as_string(self, context: Any) -> str:
        """The literal."""
        connection = connection_of(context)
        if connection is None:
            raise TypeError("context must be a connection or a cursor")
        return native.pg_quote(self._wrapped, connection).decode(connection._codec)


class Placeholder(Composable):
    """``%s``, or ``%(name)s`` with a name.

    Raises:
        ValueError: if the name contains a closing parenthesis.
        TypeError: if it is no text.
    """

    def __init__(self, name: str | None = None) -> None:
        if isinstance(name, str):
            if ")" in name:
                raise ValueError(f"invalid name: {name!r}")
        elif name is not None:
            raise TypeError(f"expected string or None as name, got {name!r}")
        super().__init__(name)

    @property
    def name(self) -> str | None:
        """The name, if it has one."""
        return None if self._wrapped is None else str(self._wrapped)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self._wrapped is None else repr(self._wrapped)})"

    def as_string(self, context: Any) -> str:
        """The placeholder."""
        return "%s" if self._wrapped is None else f"%({self._wrapped})s"


NULL = SQL("NULL")
DEFAULT = SQL("DEFAULT")
