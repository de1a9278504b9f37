"""Fields whose values are made in Python of what the column has: once for a layer, if they are asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import Model

from puff.graphql import field as graphql_field
from puff.graphql._annotations import shallow
from puff.graphql._deferred import Deferred
from puff.graphql._scope import Scope


class Url(Deferred):
    """The URL of a file, as the field's storage gives it."""

    def __init__(self, column: Any) -> None:
        self._column = column

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        storage = self._column.storage
        return of_column(
            self._column,
            str | None,
            lambda value: storage.url(value) if value else None,
            lambda file: file.url if file else None,
        )


class Converted(Deferred):
    """What the field's `from_db_value` makes of the column."""

    def __init__(self, column: Any, hint: Any) -> None:
        self._column = column
        self._hint = hint

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        convert, expression = self._column.from_db_value, self._column.cached_col

        def converted(value: Any) -> Any:
            return convert(value, expression, connections["default"])

        return of_column(self._column, shallow(self._hint, scope), converted, lambda value: value)


def of_column(
    column: Any, returns: Any, convert: Callable[[Any], Any], of_object: Callable[[Any], Any]
) -> Any:
    """Return a resolver that converts the values of a column, one for each parent.

    Args:
        column: The model's field.
        returns: The type hint.
        convert: Of what the database has.
        of_object: Of what an object of the model has, where a resolver has returned objects.
    """
    attribute = column.attname

    def values(cls: type, parents: Any, context: Any, /) -> Any:
        return [
            (of_object if isinstance(parent, Model) else convert)(getattr(parent, attribute))
            for parent in parents
        ]

    signature = inspect.signature(values)
    values.__signature__ = signature.replace(return_annotation=returns)  # type: ignore[attr-defined]
    return classmethod(graphql_field(description=str(column.help_text) or None)(values))
