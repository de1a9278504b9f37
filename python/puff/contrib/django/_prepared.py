"""Querysets that are compiled once and asked with different values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.core.exceptions import FieldError
from django.db import connections
from django.db.models import Expression, Field

from ._errors import QuerysetError
from ._queries import query_and_params
from ._values import Later, value_of


class Parameter(Expression):  # type: ignore[misc]
    """Stands in a queryset for a value that comes later, where :func:`prepared` is called.

    It stands on the right of a lookup: ``filter(votes__gt=Parameter("least"))``. After ``__in`` the value is
    a list, and any number of keys is the same statement.

    Args:
        name: By which the value is given.
        output_field: What type it has, where PostgreSQL cannot tell, as in an annotation; values are then
            prepared as the field does it. Next to a column they are taken as they are.
    """

    def __init__(self, name: str, output_field: Field | None = None) -> None:
        super().__init__(output_field=output_field)
        self.name = name
        self.typed = output_field is not None

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Return the placeholder; in parentheses it is the list of an ``IN`` as well."""
        if not self.typed:
            return "(%s)", [Later(self.name, "")]
        return "(%s)", [
            Later(self.name, f"::{self.output_field.cast_db_type(connection)}", self.output_field)
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Prepared:
    """A queryset as a statement that is made once; see :func:`prepared`."""

    def __init__(self, make: Callable[[], Any], raw: Collection[str] | bool) -> None:
        self._make = make
        self._raw = raw
        self._compiled: tuple[str, list[Any], frozenset[str]] | None = None

    def _compile(self) -> tuple[str, list[Any], frozenset[str]]:
        if self._compiled is None:
            try:
                sql, params = query_and_params(self._make(), raw=self._raw)
            except FieldError as error:
                raise QuerysetError(f"a queryset cannot be prepared: {error}") from None
            names = frozenset(value.name for value in params if isinstance(value, Later))
            self._compiled = sql, params, names
        return self._compiled

    @property
    def sql(self) -> str:
        """The statement."""
        return self._compile()[0]

    def __call__(self, **values: Any) -> tuple[str, list[Any]]:
        """Return the statement and its parameters.

        Raises:
            TypeError: values are missing, or the queryset has no such parameter.
        """
        sql, params, names = self._compiled or self._compile()
        if values.keys() != names:
            raise TypeError(_difference(values.keys(), names))
        return sql, [_given(param, values[param.name]) if type(param) is Later else param for param in params]


def prepared(queryset: Any, *, raw: Collection[str] | bool = ()) -> Prepared:
    """Compile a queryset once, and ask it with different values.

    Django takes some tenths of a millisecond to build a queryset, each time, and to compile it, once or each
    time; what is left of that here is a call. The queryset has :class:`Parameter` wherever a value differs
    from call to call. What changes the statement itself, such as an order that a client chooses, needs a
    prepared one each.

    Args:
        queryset: A queryset, or better a function that makes it: that is called on first use, when models are
            there, and the database is known.
        raw: As for :func:`query_and_params`.

    Raises:
        puff.contrib.django.QuerysetError: at the first call, as of :func:`query_and_params`.

    Example:
        >>> choices_of = prepared(lambda: Choice.objects.filter(question__in=Parameter("ids")).order_by("id"))
        >>> choices_of(ids=[1, 2])[1]
        [[1, 2]]
        >>> @dataclass
        ... class QuestionObject:
        ...     id: int
        ...     @classmethod
        ...     def choices(cls, context, /) -> "tuple[list[ChoiceObject], str, list, list[str], list[str]]":
        ...         ids = [id for (id,) in context.parent_values(["id"])]
        ...         return ..., *choices_of(ids=ids), ["id"], ["question_id"]
    """
    return Prepared(queryset if callable(queryset) else lambda: queryset, raw)


def _given(param: Later, value: Any) -> Any:
    if param.field is None:
        return [value_of(each) for each in value] if param.many else value_of(value)
    connection = connections["default"]
    if param.many:
        return [value_of(param.field.get_db_prep_value(each, connection)) for each in value]
    return value_of(param.field.get_db_prep_value(value, connection))


def _difference(given: Collection[str], names: Collection[str]) -> str:
    missing = ", ".join(sorted(set(names) - set(given)))
    if missing:
        return f"the prepared queryset has the parameter {missing}, which is not given"
    unknown = ", ".join(sorted(set(given) - set(names)))
    return (
        f"the prepared queryset has no parameter {unknown} (parameters: {', '.join(sorted(names)) or 'none'})"
    )
