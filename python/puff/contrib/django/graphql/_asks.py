"""What fields with objects of models share: what a client may ask, and the statement that it becomes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from puff.graphql import connection
from puff.graphql._options import FieldOptions
from puff.graphql._sql import ConstantSql

from .._prepared import Parameter, Prepared
from .._queries import query_and_params
from ._filters import Filters
from ._models import ModelType, has_plain_managers, is_limited, limited
from ._orders import Orders, Terms
from ._shapes import Shape

Make = Callable[..., Any]

_MOST_COMPILED = 128
"""Of one field; there are as many as combinations of filters and orders that clients use."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks of a field.

    Attributes:
        begin: What the field's `rows` take.
        filters: What the client filters by.
        order: What it orders by.
        window: How many rows it wants, and how many are left out before them; None for all.
    """

    begin: dict[str, Any]
    filters: Any = None
    order: Any = None
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Ask:
    """A field with objects of a model.

    Attributes:
        shape: What it returns.
        known: The type's model and columns.
        rows: Returns the queryset that all begins with: of the keys of the parents, or of values that objects
            are looked for by.
        filters: What a client may filter by.
        orders: What a client may order by.
        order: The order without that; empty for the model's own.
        joined: The key of the parents and that of the rows, at a relation.
        options: The field's name, description, permission.
        name: The member of the class that it is, `Query.questions`.
    """

    shape: Shape
    known: ModelType
    rows: Make
    filters: Filters | None
    orders: Orders | None
    order: Terms
    joined: tuple[str, str] | None
    options: FieldOptions
    name: str
    _compiled: dict[Any, Prepared] = field(default_factory=dict)

    def parameters(self) -> list[inspect.Parameter]:
        """Return the arguments that a client may give."""
        found = []
        if self.filters is not None:
            found.append(_parameter("filters", self.filters.cls | None, None))
        if self.orders is not None:
            found.append(_parameter("order", list[self.orders.cls] | None, None))  # type: ignore[name-defined]
        return found

    @property
    def is_constant(self) -> bool:
        """Whether it is one and the same statement for all clients and whatever they ask."""
        return self._is_fixed and not (self.filters or self.orders)

    @cached_property
    def _is_fixed(self) -> bool:
        """Whether what all begins with is the same each time, and holds no values: else it is made anew."""
        return not is_limited(self.shape.node) and has_plain_managers(self.known.model)

    def terms(self, order: Sequence[Any] | None) -> Terms:
        """Return the order that rows come in, by what a client says."""
        if self.orders is None or not order:
            return self.order
        terms = self.orders.terms(order)
        return terms.with_key(self.known.model) if self.shape.pages else terms

    def queryset(self, context: Any, wish: Wish) -> Any:
        """Return what a client asks for."""
        queryset = limited(self.shape.node, self.rows(**wish.begin), context)
        if wish.filters is not None and self.filters is not None:
            queryset = self.filters.apply(queryset, wish.filters)
        return self._in_order(queryset, self.terms(wish.order))

    def _in_order(self, queryset: Any, terms: Terms) -> Any:
        return terms.columns(queryset).order_by() if self.shape.pages else terms.sort(queryset)

    def statement(self, context: Any, wish: Wish) -> tuple[str, list[Any]]:
        """Return the statement and the parameters for what a client asks, in a resolver with this context."""
        flat = self._flat(wish.filters) if self._is_fixed else None
        if flat is None:
            return self.written(context, wish)
        sql, params = self.prepared(wish.begin, flat, self.terms(wish.order))(**wish.begin, **flat)
        if wish.window is None:
            return sql, params
        number = len(params)
        return f"{sql} LIMIT ${number + 1}::int8 OFFSET ${number + 2}::int8", [*params, *wish.window]

    def written(self, context: Any, wish: Wish) -> tuple[str, list[Any]]:
        """Return the same from a queryset of its own: what is not compiled before its values are known."""
        queryset = self.queryset(context, wish)
        if wish.window is not None:
            limit, offset = wish.window
            queryset = queryset[offset : offset + limit]
        return query_and_params(queryset, raw=True)

    def _flat(self, filters: Any) -> dict[str, Any] | None:
        return {} if filters is None or self.filters is None else self.filters.flat(filters)

    def prepared(
        self, begin: Iterable[str], filters: Iterable[str] = (), terms: Terms | None = None
    ) -> Prepared:
        """Return the queryset for some filters and an order, compiled once for all values."""
        names, order = tuple(filters), self.order if terms is None else terms
        key = (names, order)
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) >= _MOST_COMPILED:
                self._compiled.clear()

            def make() -> Any:
                queryset = self.rows(**{name: Parameter(name) for name in begin})
                if self.filters is not None and names:
                    queryset = self.filters.prepare(queryset, names)
                return self._in_order(queryset, order)

            found = self._compiled[key] = Prepared(make, raw=True)
        return found

    def function(self, statement: Callable[..., Any], *more: inspect.Parameter) -> Any:
        """Return the resolver: a class method with a signature, and what belongs to it."""
        hint = self.shape.hint()
        returns: Any = tuple.__class_getitem__((hint, str, list))
        if self.joined:
            returns = tuple.__class_getitem__((hint, str, list, list[str], list[str]))
        leading = [
            inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY),
            inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY),
        ]
        parameters = [*leading, *more, *self.parameters()]
        keys = ([self.joined[0]], [self.joined[1]]) if self.joined else ()

        def resolve(cls: Any, context: Any, /, **arguments: Any) -> Any:
            return (..., *statement(context, **arguments), *keys)

        resolve.__signature__ = inspect.Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
        resolve.__name__, resolve.__qualname__ = self.name.rpartition(".")[2], self.name
        return classmethod(self.options(resolve))

    def constant(self, sql: str) -> ConstantSql:
        """Return the field as one statement, which Rust runs by itself."""
        parents, children = ((self.joined[0],), (self.joined[1],)) if self.joined else ((), ())
        return ConstantSql(self.shape.hint(), sql, parents, children, self.options)

    def in_pages(self, function: Any, page: tuple[int, int], lateral: bool = False) -> Any:
        """Return the resolver of a connection; a page is how many by default, and how many at most."""

        def chosen(order: Any = None, **_: Any) -> list[str]:
            return self.terms(order).sql()

        order: Any = self.order.sql() if self.orders is None else chosen

        return connection(order_by=order, default=page[0], most=page[1], lateral=lateral)(function)


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
