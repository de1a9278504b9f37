"""Statements of querysets that differ in nothing but the values of their conditions: compiled once.

Most of what a queryset costs is that Django makes a text which it has made before. What is kept here is that
text by the shape of the query: all that the query consists of, but for the values. A query in which there is
anything that is not known here has no shape, and is compiled each time. So is one whose values do not stand
in its text one for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import Model, lookups
from django.db.models.expressions import Col
from django.db.models.fields import related_lookups
from django.db.models.sql import Query
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.where import WhereNode

from ._placeholders import Template, fill, template_of

_MOST = 1000
"""How many statements are kept; then it begins anew: who has more than that has clients that make them."""


def _classes(*names: str) -> frozenset[type]:
    """Those that this version of Django has."""
    found = (getattr(module, name, None) for module in (lookups, related_lookups) for name in names)
    return frozenset(kind for kind in found if kind is not None)


# Exactly these, and no subclasses: their text is the same whatever their value.
_OF_ONE = _classes(
    *("Exact", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual"),
    *("IntegerFieldExact", "IntegerGreaterThan", "IntegerGreaterThanOrEqual"),
    *("IntegerLessThan", "IntegerLessThanOrEqual"),
    *("RelatedExact", "RelatedGreaterThan", "RelatedGreaterThanOrEqual"),
    *("RelatedLessThan", "RelatedLessThanOrEqual"),
    *("IExact", "Contains", "IContains", "StartsWith", "IStartsWith", "EndsWith", "IEndsWith"),
    *("Regex", "IRegex"),
)
_OF_MANY = _classes("In", "RelatedIn")
_WITHOUT = _classes("IsNull", "RelatedIsNull")


class Shape(NamedTuple):
    """What a query is but for its values.

    Attributes:
        key: To find it by.
        conditions: Those that have values, in the order of the text.
        known: Objects whose numbers are in the key; while that is kept they live, or others get the numbers.
    """

    key: tuple[Any, ...]
    conditions: list[Any]
    known: list[Any]


class _Unknown(Exception):
    """There is something in a query that is not known here."""


def shape_of(query: Any, *parts: Any) -> Shape | None:
    """Return the shape of a query; None if there is something in it that is not known here.

    Args:
        query: Django's.
        parts: What else the text depends on.
    """
    if type(query) is not Query or query.annotations or query.combined_queries:
        return None
    conditions: list[Any] = []
    known: list[Any] = []
    try:
        where = _where(query.where, conditions, known)
        # Most are plain, and a call for each of forty would be most of what this costs.
        rest = [
            (name, value if type(value) in _PLAIN else _frozen(value, known))
            for name, value in vars(query).items()
            if name != "where"
        ]
    except _Unknown:
        return None
    return Shape((*parts, query.model._meta.db_table, where, *rest), conditions, known)


class Seen:
    """Statements by the shapes of their queries."""

    def __init__(self) -> None:
        self._statements: dict[tuple[Any, ...], tuple[Template | None, list[Any]]] = {}

    def statement(self, shape: Shape, compiler: Any) -> tuple[str, list[Any]] | None:
        """Return the statement for a query of this shape with its values, if there has been one."""
        template, _ = self._statements.get(shape.key, (None, None))
        values = None if template is None else _values(shape.conditions, compiler)
        return None if template is None or values is None else fill(template, values)

    def keep(self, shape: Shape, compiler: Any, sql: str, bound: tuple[str, list[Any]]) -> None:
        """Keep what Django has compiled, if its values are those of the conditions, one for one.

        Args:
            shape: The query's, from before it was compiled.
            compiler: Django's.
            sql: What it has compiled.
            bound: The same with its values, as `bind` gives it.
        """
        if shape.key in self._statements:
            return
        values = _values(shape.conditions, compiler)
        if values is None:  # of a condition that Django leaves out, or that nothing fulfils
            return
        if len(self._statements) >= _MOST:
            self._statements.clear()
        template = template_of(sql)
        is_right = len(template.slots) == len(values) and fill(template, values) == bound
        are_lists = [type(condition) in _OF_MANY for condition in shape.conditions]
        is_right = is_right and are_lists == [slot.is_list for slot in template.slots]
        self._statements[shape.key] = template if is_right else None, shape.known


def _values(conditions: list[Any], compiler: Any) -> list[Sequence[Any]] | None:
    """Return the values as Django prepares them, in groups; None if there are none for a condition."""
    connection = compiler.connection
    groups: list[Sequence[Any]] = []
    for condition in conditions:
        try:
            text, params = condition.process_rhs(compiler, connection)
        except (EmptyResultSet, FullResultSet):
            return None
        if text != "%s" and text != f"({', '.join(['%s'] * len(params))})":
            return None
        groups.append(params)
    return groups


# ---------------------------------------------------------------- what is known


def _where(node: Any, conditions: list[Any], known: list[Any]) -> tuple[Any, ...]:
    kind = type(node)
    if kind is WhereNode:
        children = [_where(child, conditions, known) for child in node.children]
        return (node.connector, node.negated, *children)
    if kind in _WITHOUT:
        return kind, _frozen(node.lhs, known), _frozen(node.rhs, known)
    value = node.rhs if kind in _OF_ONE or kind in _OF_MANY else None
    # A boolean may be in the text, a value that makes SQL is.
    if value is None or type(value) is bool or hasattr(value, "as_sql") or node.bilateral_transforms:
        raise _Unknown
    conditions.append(node)
    return kind, _frozen(node.lhs, known)


def _frozen(value: Any, known: list[Any]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    freeze = _FREEZE.get(kind)
    if freeze is not None:
        return freeze(value, known)
    if isinstance(value, type) and issubclass(value, Model):
        return value
    raise _Unknown


def _each(values: Any, known: list[Any]) -> tuple[Any, ...]:
    return tuple([_frozen(value, known) for value in values])


def _set(values: Any, known: list[Any]) -> Any:
    # Of names, all that Django has in sets.
    return frozenset(values) if set(map(type, values)) <= {str} else _each(values, known)


def _dict(values: Any, known: list[Any]) -> tuple[Any, ...]:
    return tuple([(_frozen(key, known), _frozen(value, known)) for key, value in values.items()])


def _column(column: Any, known: list[Any]) -> tuple[Any, ...]:
    target, field = column.target, column.output_field
    # By their numbers: fields compare and hash themselves in Python, again and again.
    known += (target, field)
    return Col, column.alias, id(target), id(field)


def _table(table: Any, known: list[Any]) -> tuple[Any, ...]:
    return BaseTable, table.table_name, table.table_alias


def _join(join: Any, known: list[Any]) -> tuple[Any, ...]:
    if join.filtered_relation is not None:
        raise _Unknown
    known.append(join.join_field)
    names = join.table_name, join.parent_alias, join.table_alias
    return Join, *names, join.join_type, join.nullable, id(join.join_field)


_PLAIN = frozenset((str, int, bool, type(None)))
_FREEZE: dict[type, Callable[[Any, list[Any]], Any]] = {
    tuple: _each,
    list: _each,
    set: _set,
    frozenset: _set,
    dict: _dict,
    Col: _column,
    BaseTable: _table,
    Join: _join,
}
