"""Keyset pagination: orders, cursors, and the conditions that say which rows come after one."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ._connections import Order
from .errors import GraphQLError

BAD_INPUT = "BAD_USER_INPUT"

_TERM = re.compile(
    r"\s*(?P<expression>\S.*?)(?:\s+(?P<direction>ASC|DESC))?(?:\s+NULLS\s+(?P<nulls>FIRST|LAST))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_PIECE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]|[^'"(),]+""")


@dataclass(frozen=True)
class Key:
    """One column or expression that rows are sorted by."""

    expression: str
    descending: bool
    nulls_first: bool
    nullable: bool = True

    def reversed(self) -> Key:
        return Key(self.expression, not self.descending, not self.nulls_first, self.nullable)

    def sql(self) -> str:
        direction = "DESC" if self.descending else "ASC"
        return f"{self.expression} {direction} NULLS {'FIRST' if self.nulls_first else 'LAST'}"

    def after(self, place: str | None) -> str:
        """Return the condition that a row has another value, which comes after that of ``place``."""
        if place is None:
            return f"{self.expression} IS NOT NULL" if self.nulls_first else "false"
        beyond = f"{self.expression} {'<' if self.descending else '>'} {place}"
        return (
            f"({beyond} OR {self.expression} IS NULL)" if self.nullable and not self.nulls_first else beyond
        )

    def same(self, place: str | None) -> str:
        return f"{self.expression} IS NULL" if place is None else f"{self.expression} = {place}"


@dataclass(frozen=True)
class Keys:
    """What rows are sorted by."""

    keys: tuple[Key, ...]

    def reversed(self) -> Keys:
        return Keys(tuple(key.reversed() for key in self.keys))

    def sql(self) -> str:
        return ", ".join(key.sql() for key in self.keys)

    @cached_property
    def _mark(self) -> str:
        """A text that tells cursors of this order from those of others."""
        return f"{zlib.crc32(self.sql().encode()):08x}"

    def cursor(self) -> str:
        """Return the expression for the cursor of a row: JSON with the values as text, in base64."""
        values = "".join(f", ({key.expression})::text" for key in self.keys)
        json_text = f"json_build_array('{self._mark}'::text{values})::text"
        return f"translate(encode(convert_to({json_text}, 'UTF8'), 'base64'), chr(10), '')"

    def read(self, cursor: str, argument: str) -> list[str | None]:
        """Return the values that a cursor holds.

        Raises:
            GraphQLError: It is none of a connection in this order.
        """
        try:
            found = json.loads(base64.b64decode(cursor, validate=True))
        except (ValueError, binascii.Error, RecursionError):
            found = None
        fits = isinstance(found, list) and len(found) == len(self.keys) + 1 and found[0] == self._mark
        if not fits or not all(map(_is_value, found)):
            raise GraphQLError(
                f"{argument}: {cursor[:80]!r} is no cursor of this connection in its present order",
                code=BAD_INPUT,
            )
        values: list[str | None] = found[1:]
        return values

    def after(self, places: Sequence[str | None]) -> str:
        """Return the condition that a row comes after one with the values at ``places`` (None is null)."""
        first, place = self.keys[0], places[0]
        if all(place is not None for place in places) and not any(key.nullable for key in self.keys):
            directions = {key.descending for key in self.keys}
            if len(self.keys) > 1 and len(directions) == 1:
                names = ", ".join(key.expression for key in self.keys)
                return f"({names}) {'<' if first.descending else '>'} ({', '.join(map(str, places))})"
        condition = ""
        for key, value in reversed(list(zip(self.keys, places, strict=True))):
            later = key.after(value)
            condition = f"({later} OR {key.same(value)} AND {condition})" if condition else later
        if len(self.keys) > 1 and place is not None and (first.nulls_first or not first.nullable):
            # What an index on the first column can begin with.
            return f"{first.expression} {'<=' if first.descending else '>='} {place} AND {condition}"
        return condition


def _is_value(value: object) -> bool:
    """Return whether PostgreSQL could have written it: no text of its holds a NUL."""
    return value is None or (isinstance(value, str) and "\0" not in value)


def read_order(order: Order, never_null: Container[str]) -> Keys:
    """Return what an author wants rows sorted by.

    Args:
        order: The text, or its parts.
        never_null: The columns that are never null.

    Raises:
        ValueError: It names nothing, or is no order.
    """
    terms = _split(order) if isinstance(order, str) else tuple(order)
    if not terms:
        raise ValueError("order_by names no column")
    return Keys(tuple(_key(term, never_null) for term in terms))


def _key(term: str, never_null: Container[str]) -> Key:
    found = _TERM.fullmatch(term) if isinstance(term, str) else None
    if found is None:
        raise ValueError(f"order_by has {term!r}, and no column there")
    descending = (found["direction"] or "").upper() == "DESC"
    nulls = (found["nulls"] or "").upper()
    expression = found["expression"]
    name = expression[1:-1] if expression.startswith('"') else expression
    nulls_first = nulls == "FIRST" if nulls else descending
    simple = re.fullmatch(r'\w+|"[^"]+"', expression) is not None
    return Key(
        expression if simple else f"({expression})",
        descending,
        nulls_first,
        not (simple and name in never_null),
    )


@lru_cache(maxsize=256)
def _split(order: str) -> tuple[str, ...]:
    """Return the parts of an order between the commas that stand in no parentheses."""
    terms, depth = [""], 0
    for piece in _PIECE.findall(order):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and depth == 0:
            terms.append("")
        else:
            terms[-1] += piece
    return tuple(terms) if order.strip() else ()
