"""Root fields: objects of a model, all of them, a page, or the one with a key."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from puff.graphql import GraphQLError, Permission
from puff.graphql._deferred import Deferred
from puff.graphql._keyset import BAD_INPUT
from puff.graphql._options import FieldOptions
from puff.graphql._permissions import given
from puff.graphql._scope import Scope
from puff.graphql._where import Problem

from ._asks import Ask, Wish
from ._filters import make_filters
from ._hints import value_hint
from ._models import model_type
from ._orders import Terms, make_orders, meta_terms, read_terms
from ._paths import BAD_VALUE, bad_input, read_path, value_reader
from ._shapes import Shape, read_shape, title


class Objects(Deferred):
    """Objects of a model at a root; made by :func:`objects`."""

    def __init__(self, returns: Any, **how: Any) -> None:
        self._returns = returns
        self._filters = how["filters"]
        self._orders = how["orders"]
        self._order = how["order"]
        self._by: list[str] = [how["by"]] if isinstance(how["by"], str) else list(how["by"])
        self._limit: int | None = how["limit"]
        self._page = how["page"]
        self._options = how["options"]

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        shape, _ = read_shape(self._returns, scope)
        ask = self._ask(shape, owner, name)
        if not shape.many:
            return self._one(ask)
        if shape.pages:
            if self._limit is not None:
                raise Problem("pages have no limit=", "Write first= and most=")
            return ask.in_pages(ask.function(self._all(ask)), self._page)
        if self._limit is not None:
            return self._limited(ask)
        if ask.is_constant:
            return ask.constant(ask.prepared([]).sql)
        return ask.function(self._all(ask))

    def _ask(self, shape: Shape, owner: type, name: str) -> Ask:
        known = model_type(shape.node)
        assert known is not None
        if shape.many and self._by:
            raise Problem(
                "by= finds one object, and its type is a list",
                f"Write '{shape.node.__name__} | None', or filters=",
            )
        if not shape.many:
            if not self._by:
                raise Problem(
                    "it is one object, and nothing says which", "Write by='id', or name another field"
                )
            if self._filters or self._orders or self._limit:
                raise Problem("it is one object, and nothing to filter or to order", "Leave that out")
        order = read_terms(known.model, self._order)
        if shape.pages:
            order = Terms(order or meta_terms(known.model)).with_key(known.model)
        orders = make_orders(known.model, self._orders, f"{title(name)}Order") if self._orders else None
        sorted_by = [*order.own(), *(orders.own() if orders and shape.pages else [])]

        def rows(**values: Any) -> Any:
            queryset = known.rows(*sorted_by)
            return queryset.filter(**values) if values else queryset

        filters = None
        if self._filters:
            filters = make_filters(known.model, self._filters, f"{title(name)}Filter", owner.__module__)
        return Ask(
            shape, known, rows, filters, orders, order, None, self._options, f"{owner.__qualname__}.{name}"
        )

    def _all(self, ask: Ask) -> Any:
        def statement(context: Any, **asked: Any) -> tuple[str, list[Any]]:
            return ask.statement(context, Wish({}, **asked))

        return statement

    def _limited(self, ask: Ask) -> Any:
        default, most = self._limit or 0, self._page[1]
        if not 1 <= default <= most:
            raise Problem(
                f"a list has {default} objects by default and {most} at most",
                "Let limit= be at least 1, and most= not less than that",
            )

        def statement(context: Any, limit: Any, offset: Any, **asked: Any) -> tuple[str, list[Any]]:
            for name, value, largest in (("limit", limit, most), ("offset", offset, None)):
                if value < 0 or (largest is not None and value > largest):
                    bounds = "0 or more" if largest is None else f"from 0 to {largest}"
                    raise GraphQLError(f"{name} is {value}, and has to be {bounds}", code=BAD_INPUT)
            return ask.statement(context, Wish({}, window=(limit, offset), **asked))

        kind = inspect.Parameter.KEYWORD_ONLY
        return ask.function(
            statement,
            inspect.Parameter("limit", kind, default=default, annotation=int),
            inspect.Parameter("offset", kind, default=0, annotation=int),
        )

    def _one(self, ask: Ask) -> Any:
        fields = {}
        for name in self._by:
            path = read_path(ask.known.model, name)
            if path.rest:
                raise Problem(f"by={name!r} is no field of the model", "Name a field")
            fields[name] = path.field
        readers = {name: value_reader(field) for name, field in fields.items()}

        def statement(context: Any, **given: Any) -> tuple[str, list[Any]]:
            values = {}
            for name, read in readers.items():
                try:
                    values[name] = read(given[name])
                except OverflowError:
                    return ask.written(context, Wish(given, window=(1, 0)))
                except BAD_VALUE as error:
                    raise bad_input(name, error) from None
            return ask.statement(context, Wish(values, window=(1, 0)))

        kind = inspect.Parameter.KEYWORD_ONLY
        return ask.function(
            statement,
            *(inspect.Parameter(name, kind, annotation=value_hint(field)) for name, field in fields.items()),
        )


def objects(
    returns: Any,
    *,
    by: str | Sequence[str] = (),
    filters: Any = None,
    orders: Any = None,
    order: str | Sequence[str] | None = None,
    limit: int | None = None,
    first: int = 20,
    most: int = 100,
    name: str | None = None,
    description: str | None = None,
    deprecated: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
    cost: int | None = None,
    list_size: int | None = None,
) -> Any:
    """Declare a field of a root class with objects of a model. Assign it *without a type hint*.

    Without arguments of a client's, and for a type without ``get_queryset``, it is a constant statement,
    which Rust runs without Python. Else the queryset is compiled once for each set of filters and each order
    that clients use, as by :func:`puff.contrib.django.prepared`, unless the type has a ``get_queryset`` or a
    filter changes the statement itself: a method of the author's, a group, a lookup by parts of a value.

    Args:
        returns: The field's type, or its text: ``"list[QuestionType]"`` for all,
            ``"Connection[QuestionType]"`` for pages, ``"QuestionType | None"`` for the one that ``by`` finds.
        by: The field, or the fields, that find one object; each is an argument that has to be given.
        filters: What clients may filter by: a class under :func:`filter`, or lookups as that takes them.
        orders: What clients may order by: an enum of :func:`order`, or names of fields.
        order: The order if a client says nothing: ``"-pub_date"``, or several. By default the model's own;
            pages end with the primary key in any case.
        limit: How many objects a list has if the client does not say; the field gets the arguments ``limit``
            and ``offset``. None: all of them.
        first: How many objects a page has if the client does not say.
        most: How many objects a client may ask for, of a list with a limit or a page.
        name: The GraphQL name, as with :func:`puff.graphql.field`; so are ``description``, ``deprecated``,
            ``permission``, ``cost`` and ``list_size``.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> @dataclass
        ... class Query:
        ...     questions = django.objects("list[QuestionType]", filters={"pub_date": ["gte"]}, limit=20)
        ...     latest = django.objects("Connection[QuestionType]", order="-pub_date")
        ...     question = django.objects("QuestionType | None", by="id")
    """
    options = FieldOptions(
        name, description, deprecated, permission=given(permission), cost=cost, list_size=list_size
    )
    return Objects(
        returns,
        by=by,
        filters=filters,
        orders=orders,
        order=order,
        limit=limit,
        page=(first, most),
        options=options,
    )
