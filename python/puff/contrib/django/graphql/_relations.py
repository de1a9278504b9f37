"""Relations of types: the related objects of a whole layer, by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from puff.graphql import Permission
from puff.graphql._deferred import Deferred
from puff.graphql._options import FieldOptions
from puff.graphql._permissions import given
from puff.graphql._scope import Scope
from puff.graphql._where import Problem

from ._asks import Ask, Wish
from ._filters import make_filters
from ._joins import Join, join_of
from ._models import is_limited, member_of, model_type
from ._orders import Terms, make_orders, meta_terms, read_terms
from ._shapes import Shape, only_type, read_shape, title

__all__ = ["Relation", "join_of", "relation"]


class Relation(Deferred):
    """A relation of a type; made by :func:`relation`."""

    hint: Any = None
    """What the class says that it is; None where it says nothing."""

    def __init__(
        self,
        *,
        filters: Any = None,
        orders: Any = None,
        order: str | Sequence[str] | None = None,
        page: tuple[int, int] = (20, 100),
        lateral: bool = False,
        options: FieldOptions | None = None,
    ) -> None:
        self._filters = filters
        self._orders = orders
        self._order = order
        self._page = page
        self._lateral = lateral
        self._options = options

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        known = model_type(owner)
        if known is None:
            raise Problem("relation() stands in a class that has no model", "Decorate it with @type(model)")
        join = join_of(known.model, name, member_of(known.model, name))
        shape, options = self._shape(join, scope)
        ask = self._ask(join, shape, self._options or options, owner)
        if shape.pages:
            return ask.in_pages(ask.function(self._statement(ask, join)), self._page, self._lateral)
        if ask.is_constant:
            return ask.constant(ask.prepared(["keys"]).sql)
        return ask.function(self._statement(ask, join))

    def _shape(self, join: Join, scope: Scope) -> tuple[Shape, Any]:
        if self.hint is None:
            node = only_type(join.model)
            return Shape(
                node, join.many, nullable=not join.many and (join.nullable or is_limited(node))
            ), None
        shape, options = read_shape(self.hint, scope, join.model)
        if shape.many != join.many:
            raise Problem(
                f"{join.name!r} is {'many objects' if join.many else 'one object'}, and its type hint says "
                f"{'many' if shape.many else 'one'}",
                f"Write list[{shape.node.__name__}]" if join.many else f"Write {shape.node.__name__} | None",
            )
        return shape, options

    def _ask(self, join: Join, shape: Shape, options: Any, owner: type) -> Ask:
        known = model_type(shape.node)
        assert known is not None
        if not join.many and (self._filters or self._orders or self._order):
            raise Problem(f"{join.name!r} is one object, and nothing to filter or to order", "Leave that out")
        if self._lateral and not shape.pages:
            raise Problem("lateral= is for pages", f"Write Connection[{shape.node.__name__}]")
        named = owner.__name__ + title(join.name)
        order = read_terms(known.model, self._order)
        if shape.pages:
            order = Terms(order or meta_terms(known.model)).with_key(known.model)
        orders = make_orders(known.model, self._orders, f"{named}Order") if self._orders else None
        manager = join.model._base_manager if join.forward else join.model._default_manager
        key = [join.child_key] if join.child_key in _columns(join.model) else []
        sorted_by = [*order.own(), *(orders.own() if orders and shape.pages else [])]

        def rows(keys: Any) -> Any:
            return join.narrow(known.rows(*key, *sorted_by, manager=manager), keys)

        filters = None
        if self._filters:
            filters = make_filters(known.model, self._filters, f"{named}Filter", owner.__module__)
        return Ask(
            shape,
            known,
            rows,
            filters,
            orders,
            order,
            (join.parent_key, join.child_key),
            options or FieldOptions(),
            f"{owner.__qualname__}.{join.name}",
        )

    def _statement(self, ask: Ask, join: Join) -> Any:
        def statement(context: Any, **asked: Any) -> tuple[str, list[Any]]:
            found = context.parent_values([join.parent_key])
            keys = list(dict.fromkeys(key for (key,) in found if key is not None))
            return ask.statement(context, Wish({"keys": keys}, **asked))

        return statement


def _columns(model: Any) -> set[str]:
    return {column.attname for column in model._meta.concrete_fields}


def relation(
    *,
    filters: Any = None,
    orders: Any = None,
    order: str | Sequence[str] | None = None,
    first: int = 20,
    most: int = 100,
    lateral: bool = False,
    name: str | None = None,
    description: str | None = None,
    deprecated: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
    cost: int | None = None,
    list_size: int | None = None,
) -> Any:
    """Say more about a relation of a type than its name: filters, an order, pages, permissions.

    It is assigned to the relation's name, with a type hint or without. With the hint
    ``Connection[ChoiceType]`` the objects come in pages, one page for each parent, by one statement.

    Args:
        filters: What clients may filter by: a class under :func:`filter`, or lookups as that takes them. The
            field gets the argument ``filters``.
        orders: What clients may order by: an enum of :func:`order`, or names of fields as that takes them.
            The field gets the argument ``order``, a list.
        order: The order if a client says nothing: ``"-votes"``, or several. By default the model's own; pages
            end with the primary key in any case.
        first: How many objects a page has if the client does not say.
        most: How many a client may ask for.
        lateral: How pages of many parents are found; see :func:`puff.graphql.connection`.
        name: The GraphQL name, as with :func:`puff.graphql.field`; so are ``description``, ``deprecated``,
            ``permission``, ``cost`` and ``list_size``.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> @django.type(Question, fields=["id"])
        ... class QuestionType:
        ...     choices: "list[ChoiceType]" = django.relation(filters={"votes": ["gt"]}, order="-votes")
        >>> @django.type(Question, fields=["id"])
        ... class LongQuestionType:
        ...     choices: "Connection[ChoiceType]" = django.relation(order="-votes", first=10)
    """
    options = FieldOptions(
        name, description, deprecated, permission=given(permission), cost=cost, list_size=list_size
    )
    return Relation(
        filters=filters,
        orders=orders,
        order=order,
        page=(first, most),
        lateral=lateral,
        options=None if options == FieldOptions() else options,
    )
