"""The columns of a queryset's statement: how they are called, and what Django would make of their values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from inspect import getattr_static
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models.expressions import BaseExpression, Col, CombinedExpression, Value, Window
from django.db.models.functions import Cast, Coalesce, Extract, Length
from django.db.models.functions.datetime import TruncBase

from ._errors import QuerysetError

_LONGEST = 63
"""Bytes of a name that PostgreSQL keeps."""

_DOUBLE = "({})::double precision"
_NUMERIC = "({})::numeric"
_WHOLE = "({})::bigint"
_TRUNCATED = "trunc(({})::numeric)"
_DATE = "({})::date"
_TIME = "({})::time"
_ZONED = "(({})::timestamp AT TIME ZONE %s)"
_CHANGES = {"HStoreField": "({})::jsonb"}
"""What drivers do for Django: a dict is JSON to others."""


class Column(NamedTuple):
    """One column.

    Attributes:
        expression: What Django selects.
        sql: The same as SQL, with `%s`.
        params: The values for it.
        name: How the column is called in the rows.
        change: SQL around it, with `{}` in its place, that does what Django does with the value in Python.
        more: The values for that.
    """

    expression: Any
    sql: str
    params: Sequence[Any]
    name: str
    change: str = ""
    more: tuple[Any, ...] = ()

    def selected(self) -> tuple[Any, tuple[str, Sequence[Any]], str | None]:
        """Return the column as Django's compiler keeps it: the expression, its SQL and its alias."""
        if not self.change:
            expression = self.expression
            if isinstance(expression, Col) and expression.target.column == self.name:
                return expression, (self.sql, self.params), None  # called so anyway
            return expression, (self.sql, self.params), self.name
        return self.expression, self.changed(self.sql, self.params), self.name

    def changed(self, sql: str, params: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """Return SQL for the value as Django would have it, of SQL for the value that the database has."""
        return self.change.format(sql) if self.change else sql, [*params, *self.more]


def of(compiler: Any, raw: Collection[str] | bool) -> list[Column]:
    """Return the columns that a compiler has set up, in their order.

    Args:
        compiler: Django's, after its ``pre_sql_setup``.
        raw: Columns that are left as the database has them; True for all.

    Raises:
        QuerysetError: two columns have the same name, a name is too long, or Django changes values in Python.
    """
    columns: list[Column] = []
    select = compiler.select
    for (expression, (sql, params), _), name in zip(select, _names(compiler), strict=True):
        if isinstance(expression, Col):
            field = expression.output_field
            change = _CHANGES.get(field.get_internal_type(), "")
            _check_field(field, name, raw)
            columns.append(Column(expression, sql, params, name, change))
        elif hasattr(expression, "get_cols"):  # ColPairs: a primary key of several columns
            for part in expression.get_cols():
                part_sql, part_params = compiler.compile(part)
                columns.append(Column(part, part_sql, part_params, part.target.attname))
        else:
            change, more = _change(expression, compiler.connection, name, raw)
            columns.append(Column(expression, sql, params, name, change, more))
    _check_names([column.name for column in columns])
    return columns


def _names(compiler: Any) -> list[str]:
    query = compiler.query
    selected = getattr(query, "selected", None)  # since Django 5.2
    if selected:
        return list(selected)
    if not query.default_cols:
        return [*query.extra_select, *query.values_select, *query.annotation_select]
    names: list[str | None] = [None] * len(compiler.select)
    for alias, index in compiler.annotation_col_map.items():
        names[index] = alias
    if compiler.klass_info is not None:
        _name_fields(compiler.klass_info, compiler.select, names, "")
    return names  # type: ignore[return-value]  # all are there now


def _name_fields(info: dict[str, Any], select: Sequence[Any], names: list[str | None], prefix: str) -> None:
    """Name the columns of a model, then those of the models that `select_related` brings along."""
    for index in info["select_fields"]:
        if names[index] is None:
            names[index] = prefix + select[index][0].target.attname
    for related in info.get("related_klass_infos", ()):
        _name_fields(related, select, names, f"{prefix}{_relation(related)}__")


def _relation(info: dict[str, Any]) -> str:
    if not info["reverse"]:
        return str(info["field"].name)
    setter = info["remote_setter"]
    # A FilteredRelation has its name nowhere else.
    return str(setter.args[0] if hasattr(setter, "args") else info["field"].related_query_name())


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise QuerysetError(f"two columns are called {twice!r}; give the annotation another name")
    for name in names:
        if len(name) > _LONGEST // 4 and len(name.encode()) > _LONGEST:
            raise QuerysetError(
                f"the column {name!r} is longer than PostgreSQL's names, which have {_LONGEST} bytes; "
                "annotate() it under a shorter one"
            )


# ---------------------------------------------------------------- what Django does in Python


def _check_field(field: Any, name: str, raw: Collection[str] | bool) -> None:
    """Look whether a field changes its values in Python."""
    if not changes(field) or _is_raw(name, raw):
        return
    raise QuerysetError(
        f"the column {name!r} is of the field {field}, and {type(field).__qualname__}.from_db_value changes "
        f"its values in Python, where Puff's rows never come. Leave it out, with defer({name!r}) or "
        f"only(...), or take the database's own values with query_and_params(..., raw=[{name!r}])"
    )


def _is_raw(name: str, raw: Collection[str] | bool) -> bool:
    return raw is True or (raw is not False and name in raw)


def changes(field: Any) -> bool:
    """Return whether a field changes what the database has, in Python."""
    if not hasattr(field, "from_db_value"):
        return False
    if getattr(type(field), "from_db_value", None) is models.JSONField.from_db_value:
        return False  # jsonb is JSON as it is
    base = getattr(field, "base_field", None)
    if base is not None and not hasattr(type(field), "from_db_value"):
        return changes(base)  # an ArrayField has it for its elements' sake
    return True


def _change(
    expression: Any, connection: Any, name: str, raw: Collection[str] | bool
) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL that does what Django does with the values of an expression in Python."""
    field = getattr(expression, "_output_field_or_none", None)
    if field is None:
        return "", ()
    _check_field(field, name, raw)
    cls: Any = type(expression)
    kind = _convert_value(cls)
    if kind == "trunc":
        return _truncated(expression, field, connection)
    if kind == "own":
        if _is_raw(name, raw):
            return "", ()
        raise QuerysetError(
            f"the values of the column {name!r} are changed in Python by {type(expression).__qualname__}."
            f"convert_value, where Puff's rows never come. Leave it out, or take the database's own values "
            f"with query_and_params(..., raw=[{name!r}])"
        )
    internal = field.get_internal_type()
    if internal in _CHANGES:
        return _CHANGES[internal], ()
    if internal == "FloatField":
        return _DOUBLE, ()
    if internal == "DecimalField":
        return _NUMERIC, ()
    if internal.endswith("IntegerField") and not _is_whole(expression):
        return _WHOLE if isinstance(expression, Extract) else _TRUNCATED, ()
    return "", ()


@lru_cache(maxsize=512)
def _convert_value(kind: type) -> str:
    found = getattr_static(kind, "convert_value", None)
    if found is getattr_static(BaseExpression, "convert_value"):
        return "type"
    return "trunc" if found is getattr_static(TruncBase, "convert_value") else "own"


def _truncated(expression: Any, field: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
    if isinstance(field, models.DateTimeField):
        if not settings.USE_TZ:
            return "", ()
        return _ZONED, (connection.ops._prepare_tzname_delta(expression.get_tzname()),)
    if isinstance(field, models.DateField):
        return _DATE, ()
    return (_TIME, ()) if isinstance(field, models.TimeField) else ("", ())


def _is_whole(expression: Any) -> bool:
    """Return whether SQL has a whole number there by itself; Django makes an `int` of whatever it finds."""
    if isinstance(expression, (models.Count, Cast, Length)):
        return True
    if isinstance(expression, Col):
        return str(expression.target.get_internal_type()).endswith(("IntegerField", "AutoField"))
    if isinstance(expression, Value):
        return isinstance(expression.value, int)
    if isinstance(expression, CombinedExpression) and expression.connector in ("+", "-", "*"):
        return _is_whole(expression.lhs) and _is_whole(expression.rhs)
    if isinstance(expression, (Coalesce, models.Sum, models.Max, models.Min)):
        sources = [source for source in expression.get_source_expressions() if source is not None]
        return all(_is_whole(source) for source in sources if not source.conditional)  # not FILTER's
    if isinstance(expression, Window):
        source = expression.source_expression
        return _is_whole(source) or not any(source.get_source_expressions())  # as RowNumber and Rank
    return False
