"""From querysets to statements."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import RawQuerySet
from django.db.models.sql.where import WhereNode

from . import _bridge, _columns  # noqa: F401  (the former for context.user)
from ._errors import QuerysetError
from ._placeholders import bind
from ._seen import Seen, shape_of

_seen = Seen()
_wrappers: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""One of each database, to look at and not to ask with: what is known takes no greenlet's own one.

Weak, because a wrapper that its thread lets go of has to end its connection.
"""
_NAMED = re.compile(r"%%|%\((?P<name>[^)]*)\)s")


def query_and_params(queryset: Any, *, raw: Collection[str] | bool = ()) -> tuple[str, list[Any]]:
    """Return a queryset as the statement and the parameters that a resolver of GraphQL returns.

    Nothing is asked of the database: it is Puff that runs the statement, and its rows become JSON without
    having been Python objects. They are the rows that ``queryset.values()`` gives, with the same names:

    - a model's fields by their attributes: ``id``, ``question_text``, ``author_id``;
    - those of ``select_related("author")`` with the path before them: ``author__name``;
    - annotations, and what ``values()`` and ``values_list()`` name, by these names.

    Whatever makes a statement may be in the queryset: filters, annotations, aggregates by group, subqueries,
    window functions, ``distinct``, slices, unions, ``only`` and ``defer``, ``extra``. What differs from an
    earlier queryset in nothing but the values of its filters is not compiled again. One that is known to be
    empty, as ``none()``, gives a statement without rows. A manager stands for all its objects, and ``raw()``
    for its own statement.

    Args:
        queryset: What to ask. Its database is one of PostgreSQL; which one of the program's pools runs the
            statement is for the caller to know.
        raw: Names of columns that are wanted as the database has them, although Django would change their
            values in Python by the field's ``from_db_value``; True for all columns.

    Raises:
        puff.contrib.django.QuerysetError: it is no queryset, or one whose rows are not what SQL alone gives:
            it has ``prefetch_related``, or a field with a ``from_db_value`` of its own.

    Greenlets: does not wait.

    Example:
        >>> sql, params = query_and_params(Choice.objects.filter(votes__gt=10).only("choice_text"))
        >>> params
        [10]
        >>> sql[-39:]
        'WHERE "polls_choice"."votes" > $1::int4'
        >>> @dataclass
        ... class Query:
        ...     @classmethod
        ...     def questions(cls, context, /, text: str) -> "tuple[list[QuestionObject], str, list]":
        ...         return ..., *query_and_params(Question.objects.filter(question_text__icontains=text))
    """
    if isinstance(queryset, Manager):
        queryset = queryset.all()
    if isinstance(queryset, RawQuerySet):
        return _raw(queryset)
    if not isinstance(queryset, QuerySet):
        raise QuerysetError(_no_queryset(queryset))
    if queryset._prefetch_related_lookups:
        raise QuerysetError(
            f"{_of(queryset)} has prefetch_related, which is a second statement: leave it out, with "
            "prefetch_related(None), and give the related objects a field with a resolver of its own"
        )
    connection = _connection(queryset)
    query = queryset.query
    shape = shape_of(query, connection.alias, raw if isinstance(raw, bool) else frozenset(raw))
    if shape is not None:
        known = _seen.statement(shape, query.get_compiler(connection=connection))
        if known is not None:
            return known
    compiler = query.get_compiler(connection.alias, elide_empty=False)
    prepare = compiler.pre_sql_setup
    columns: list[_columns.Column] = []
    hidden: list[Any] = []

    def prepare_and_name(**options: Any) -> Any:
        # Later than Django's own preparations, so that what it compares are the columns as it knows them.
        prepared = prepare(**options)
        columns.extend(_columns.of(compiler, raw))
        hidden.extend(prepared[0])  # what DISTINCT and ORDER BY need together
        if not (query.combinator or compiler.qualify or hidden):
            compiler.select = [column.selected() for column in columns]
        return prepared

    compiler.pre_sql_setup = prepare_and_name
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        return query_and_params(_empty(queryset), raw=raw)
    if query.combinator or compiler.qualify or hidden:
        sql, params = _around(sql, params, columns, len(hidden))
    bound = bind(sql, params)
    if shape is not None:
        _seen.keep(shape, compiler, sql, bound)
    return bound


def _connection(queryset: Any) -> Any:
    """Return Django's wrapper of the queryset's database, which may be that of another greenlet."""
    alias = queryset.db
    connection = _wrappers.get(alias)
    if connection is None or connection.settings_dict is not connections.settings.get(alias):
        connection = connections[alias]
    if connection.vendor != "postgresql":
        raise QuerysetError(
            f"{_of(queryset)} asks the database {alias!r}, which is {connection.display_name}: Puff's "
            "GraphQL asks PostgreSQL. Name one with using()"
        )
    if alias != DEFAULT_DB_ALIAS:
        _check_database(queryset, connection)
    _wrappers[alias] = connection
    return connection


def _check_database(queryset: Any, connection: Any) -> None:
    """Refuse what lies in another database than the default one, which is the program's."""
    default = connections[DEFAULT_DB_ALIAS]
    own, other = default.settings_dict.get("NAME"), connection.settings_dict.get("NAME")
    if default.vendor == "postgresql" and own and other and own != other:
        raise QuerysetError(
            f"{_of(queryset)} asks the database {queryset.db!r}, which is {other!r}; GraphQL asks "
            f"the program's, {own!r}. Ask Django for it, in a resolver that returns objects"
        )


def _of(queryset: Any) -> str:
    return f"the queryset of {queryset.model.__qualname__}"


def _no_queryset(value: Any) -> str:
    if isinstance(value, type) and issubclass(value, Model):
        return f"{value.__qualname__} is a model; give a queryset, such as {value.__qualname__}.objects.all()"
    if isinstance(value, Model):
        name = type(value).__qualname__
        return f"an object of {name} is no queryset; give one, such as {name}.objects.filter(pk=...)"
    hint = ""
    if (
        isinstance(value, (list, tuple, dict, int))
        or hasattr(value, "__next__")
        or hasattr(value, "__anext__")
    ):
        hint = ": that is what was made of one; give the queryset itself, without list(), iterator()..."
    return f"query_and_params() takes a queryset, not {type(value).__qualname__}{hint}"


def _around(
    sql: str, params: Sequence[Any], columns: list[_columns.Column], hidden: int
) -> tuple[str, Sequence[Any]]:
    """Put a statement whose columns have names of Django's own into one that gives them ours.

    The order of the rows outlives that: PostgreSQL neither flattens such a subquery nor sorts it again.
    """
    names = [_quoted(column.name) for column in columns]
    known = ", ".join([*names, *(f"hidden_{number}" for number in range(hidden))])
    selected: list[str] = []
    more: list[Any] = []
    for column, name in zip(columns, names, strict=True):
        text, added = column.changed(name, ())
        selected.append(f"{text} AS {name}" if column.change else name)
        more += added
    return f'SELECT {", ".join(selected)} FROM ({sql}) "rows" ({known})', [*more, *params]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def _empty(queryset: Any) -> Any:
    """Return a queryset with the columns of this one and no rows; its own conditions have no SQL."""
    clone = queryset._chain()
    query = clone.query
    if query.combinator:
        selected = getattr(query, "selected", None)
        first = query.combined_queries[0].clone()
        if selected is not None and first.selected is None:
            first.set_values(selected)
        clone.query = first
        return _empty(clone)
    query.where = WhereNode()
    query.set_empty()
    return clone


def _raw(queryset: Any) -> tuple[str, list[Any]]:
    _connection(queryset)
    if queryset._prefetch_related_lookups:
        raise QuerysetError(f"raw() of {queryset.model.__qualname__} has prefetch_related, which is no SQL")
    sql, params = queryset.raw_query, queryset.params
    if params is None or (not params and "%" not in sql.replace("%%", "")):
        return sql, []
    if not isinstance(params, Mapping):
        return bind(sql, tuple(params))
    values: list[Any] = []

    def numbered(found: re.Match[str]) -> str:
        if found["name"] is None:
            return found[0]
        if found["name"] not in params:
            raise QuerysetError(f"raw() has the placeholder {found[0]}, and its params have no such key")
        values.append(params[found["name"]])
        return "%s"

    return bind(_NAMED.sub(numbered, sql), values)
