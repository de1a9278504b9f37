"""Parameters of statements by name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# What a `:name` cannot be part of, then the parameter itself. Casts (`::`) and slices (`[1:n]`) are none.
_TOKEN = re.compile(
    r"""
      \b[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | (?P<comment>/\*)
    | (?P<dollar>(?<!\w)\$(?:[^\W\d]\w*)?\$)
    | ::
    | (?<!\w):(?P<name>[^\W\d]\w*)
    | \$(?P<number>\d+)
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=512)
def numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement with `$1`, `$2`... in place of each `:name`, and the names in that order.

    Literals, quoted names, comments and casts are left alone.

    Raises:
        ValueError: The statement has numbered parameters as well, or names none.

    Example:
        >>> numbered("SELECT * FROM item WHERE id = :id::int OR parent = :id AND kind = ':kind'")
        ("SELECT * FROM item WHERE id = $1::int OR parent = $1 AND kind = ':kind'", ('id',))
    """
    names: dict[str, int] = {}
    pieces: list[str] = []
    start = place = 0
    while found := _TOKEN.search(statement, place):
        place = found.end()
        if found["comment"]:
            place = _end_of_comment(statement, place)
        elif found["dollar"]:
            end = statement.find(found["dollar"], place)
            place = len(statement) if end < 0 else end + len(found["dollar"])
        elif found["number"]:
            raise ValueError(
                f"the statement has both ${found['number']} and parameters given by name in a dict; "
                "write :name for each, or give a list"
            )
        elif found["name"]:
            number = names.setdefault(found["name"], len(names) + 1)
            pieces += statement[start : found.start()], f"${number}"
            start = place
    pieces.append(statement[start:])
    return "".join(pieces), tuple(names)


def _end_of_comment(statement: str, place: int) -> int:
    """Return where a comment ends that has begun before ``place``; comments of PostgreSQL nest."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", statement[place:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return place + mark.end()
    return len(statement)


def by_name(statement: str, params: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return a statement with its `:name`s numbered, and their values from the dict in that order.

    Raises:
        TypeError: A name has no value, or the statement mixes names and numbers.
    """
    try:
        text, names = numbered(statement)
        return text, [params[name] for name in names]
    except KeyError as missing:
        known = ", ".join(map(str, params)) or "none"
        raise TypeError(
            f"the statement has the parameter :{missing.args[0]}, and the dict of parameters has no such key "
            f"(keys: {known})"
        ) from None
    except ValueError as error:
        raise TypeError(str(error)) from None
