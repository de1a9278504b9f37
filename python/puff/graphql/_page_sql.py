"""The SQL for pages of an author's statement: one statement for all parents of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._keyset import Keys


@dataclass(frozen=True)
class Window:
    """Which part of all rows a client asks for."""

    size: int
    backward: bool
    after: str | None
    before: str | None


@dataclass(frozen=True)
class _Facts:
    """What a client wants to know beside the rows; ``cursor`` is the expression for it."""

    cursor: str | None
    total: bool
    before: bool
    after: bool

    @property
    def needed(self) -> bool:
        """Whether something about all rows is to be known."""
        return self.total or self.before or self.after


class PageWriter:
    """Writes the statement for pages around that for all rows.

    Its own columns are named as in the engine's ``Page``: ``puff_aside``, ``puff_before``, ``puff_after``,
    ``puff_total``, ``puff_cursor``.
    """

    def __init__(
        self, sql: str, params: list[Any], keys: Keys, window: Window, child_keys: list[str]
    ) -> None:
        self.params = params
        self._all = sql.strip().rstrip(";")
        self._keys = keys
        self._window = window
        self._child_keys = [_quoted(name) for name in child_keys]
        self._sought: list[str] | None = None
        self._order = (keys.reversed() if window.backward else keys).sql()
        after = None if window.after is None else keys.read(window.after, "after")
        before = None if window.before is None else keys.read(window.before, "before")
        self._after = None if after is None else keys.after(self._places(after))
        self._before = None if before is None else keys.reversed().after(self._places(before))
        self.from_cursor = after is not None or before is not None

    def seek(self, parents: list[tuple[Any, ...]]) -> None:
        """Look for the page of each of these parents by itself; each is the values of its keys."""
        known = [values for values in parents if None not in values]
        self._sought = [
            self._place([values[number] for values in known]) for number in range(len(self._child_keys))
        ]

    def write(self, selects: Callable[[str], bool]) -> str:
        """Return the statement for what the client ``selects``."""
        info = selects("page_info")
        cursors = info and (selects("page_info.start_cursor") or selects("page_info.end_cursor"))
        cursor = self._keys.cursor() if cursors or selects("edges.cursor") else None
        total = selects("total_count")
        # Without a cursor there is nothing before the first page, and nothing after the last.
        before = self._after is not None and info and selects("page_info.has_previous_page")
        after = self._before is not None and info and selects("page_info.has_next_page")
        facts = _Facts(cursor, total, before, after)
        if self._sought is not None:
            return self._by_lateral(facts, self._sought)
        return self._by_numbers(facts) if self._child_keys else self._of_root(facts)

    def _places(self, values: list[str | None]) -> list[str | None]:
        return [None if value is None else self._place(value) for value in values]

    def _place(self, value: Any) -> str:
        self.params.append(value)
        return f"${len(self.params)}"

    def _range(self) -> str:
        return " AND ".join(f"({condition})" for condition in (self._after, self._before) if condition)

    def _page(self, facts: _Facts, source: str, *conditions: str) -> str:
        """Return a SELECT for the rows of one page."""
        page = f"SELECT puff_q.*{_named(facts.cursor, 'puff_cursor')} FROM {source} puff_q"
        if self.from_cursor:
            conditions = (*conditions, self._range())
        if conditions:
            page += f" WHERE {' AND '.join(conditions)}"
        return f"{page} ORDER BY {self._order} LIMIT {self._place(self._window.size + 1)}"

    def _with_facts(self, facts: _Facts, page: str, keys: str, *conditions: str) -> str:
        """Return a SELECT for a page and one row more, with nothing of the author's in it.

        That row says what is true of all rows that meet the conditions. Both begin with the columns ``keys``.
        """
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        counted = f"(SELECT count(*) FROM puff_all{where})" if facts.total else "NULL::bigint"
        is_before = _exists(conditions, self._after) if facts.before else "false"
        is_after = _exists(conditions, self._before) if facts.after else "false"
        return (
            f"SELECT {keys}puff_p.*, false AS puff_aside, NULL::bigint AS puff_total, false AS puff_before, "
            f"false AS puff_after, row_number() OVER () AS puff_n FROM (\n{page}\n) puff_p\n"
            f"UNION ALL SELECT {keys}puff_q.*{', NULL' if facts.cursor else ''}, true, {counted}, "
            f"{is_before}, {is_after}, 0\nFROM (SELECT) puff_s LEFT JOIN puff_all puff_q ON false"
        )

    def _of_root(self, facts: _Facts) -> str:
        if not facts.needed:
            return self._page(facts, f"(\n{self._all}\n)")
        rows = self._with_facts(facts, self._page(facts, "puff_all"), "")
        return f"{self._named_all()}{rows}\nORDER BY puff_n"

    def _named_all(self) -> str:
        return f"WITH puff_all AS NOT MATERIALIZED (\n{self._all}\n)\n"

    def _by_lateral(self, facts: _Facts, sought: list[str]) -> str:
        """Write a page for each of the keys."""
        names = [f"puff_k{number}" for number in range(len(sought))]
        both = list(zip(self._child_keys, names, strict=True))
        matches = [f"{key} = {name}" for key, name in both]
        keys = "".join(f"{name} AS {key}, " for key, name in both)
        page = self._page(facts, "puff_all", *matches)
        if facts.needed:
            rows = self._with_facts(facts, page, keys, *matches)
        else:
            rows = f"SELECT {keys}puff_p.*, row_number() OVER () AS puff_n FROM (\n{page}\n) puff_p"
        # An array of no values gives the parameter the type of the column.
        arrays = ", ".join(
            f"(SELECT array_agg({key}) FROM puff_all WHERE false) || {place}"
            for key, place in zip(self._child_keys, sought, strict=True)
        )
        return (
            f"{self._named_all()}SELECT puff_r.* FROM (SELECT DISTINCT * FROM unnest({arrays}) "
            f"AS puff_u ({', '.join(names)})) puff_k\nCROSS JOIN LATERAL (\n{rows}\n) puff_r ORDER BY puff_n"
        )

    def _by_numbers(self, facts: _Facts) -> str:
        """Write the rows of all parents, numbered for each."""
        partition = ", ".join(self._child_keys)
        total = facts.total
        parted = self.from_cursor and facts.needed
        rows = f"SELECT puff_q.*{_named(facts.cursor, 'puff_cursor')}"
        if total:
            rows += f", count(*) OVER (PARTITION BY {partition}) AS puff_total"
        if parted:
            rows += ", CASE"
            if self._after is not None:
                rows += f" WHEN ({self._after}) IS NOT TRUE THEN -1"
            if self._before is not None:
                rows += f" WHEN ({self._before}) IS NOT TRUE THEN 1"
            rows += " ELSE 0 END AS puff_part"
        rows += f" FROM (\n{self._all}\n) puff_q"
        if self.from_cursor and not parted:
            rows += f" WHERE {self._range()}"
        limit = self._place(self._window.size + 1)
        if not parted:
            return (
                f"SELECT * FROM (SELECT puff_c.*, row_number() OVER (PARTITION BY {partition} "
                f"ORDER BY {self._order}) AS puff_n FROM (\n{rows}\n) puff_c) puff_r\n"
                f"WHERE puff_n <= {limit} ORDER BY puff_n"
            )
        # One row of each side, if there is one, says that the side is not empty, and how many rows there are.
        return (
            "SELECT *, puff_part <> 0 AS puff_aside, puff_part < 0 AS puff_before, "
            "puff_part > 0 AS puff_after\n"
            f"FROM (SELECT puff_c.*, row_number() OVER (PARTITION BY {partition}, puff_part "
            f"ORDER BY {self._order}) AS puff_n FROM (\n{rows}\n) puff_c) puff_r\n"
            f"WHERE puff_n <= CASE puff_part WHEN 0 THEN {limit} ELSE 1 END ORDER BY puff_n"
        )


def _named(expression: str | None, name: str) -> str:
    return "" if expression is None else f", {expression} AS {name}"


def _exists(conditions: tuple[str, ...], condition: str | None) -> str:
    """Return whether there are rows that the last condition leaves out."""
    where = " AND ".join((*conditions, f"({condition}) IS NOT TRUE"))
    return f"EXISTS (SELECT FROM puff_all WHERE {where})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
