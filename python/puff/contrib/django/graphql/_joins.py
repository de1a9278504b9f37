"""Relations of models as joins of layers: which key of the parents is which column of the children."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import F

from puff.graphql._where import Problem

_BY_HAND = "Write a resolver for it, which returns a statement, or objects"
PARENT = "puff_parent"
"""The column of the children that says whose they are, where their table does not have it."""


class Join(NamedTuple):
    """How the objects of a relation are found, for all parents of a layer at once.

    Attributes:
        name: The relation's name on the parents' model.
        model: The children's model.
        many: Whether a parent may have several of them.
        nullable: Whether a parent may have none, where it does not have several.
        parent_key: The column of the parents.
        child_key: The column of the children with the same value.
        narrow: Of a queryset of children, those of parents with the given keys, with the child key.
        forward: Whether it is a foreign key, whose objects come from the model's base manager.
    """

    name: str
    model: Any
    many: bool
    nullable: bool
    parent_key: str
    child_key: str
    narrow: Callable[[Any, Any], Any]
    forward: bool = False


def join_of(model: Any, name: str, member: Any) -> Join:
    """Return the join for a relation.

    Raises:
        Problem: it is none that one join can follow.
    """
    if member is None or not member.is_relation:
        raise Problem(
            f"{name!r} is no relation of {model.__name__}", "Leave out relation(), or name a relation"
        )
    if member.related_model is None or (not member.auto_created and member.one_to_many):
        raise Problem(f"{name!r} is a generic relation, whose model differs from row to row", _BY_HAND)
    if member.many_to_many:
        return _many_to_many(name, member)
    field = member.field if member.auto_created and not member.concrete else member
    if len(field.foreign_related_fields) != 1:
        raise Problem(f"{name!r} goes by several columns", _BY_HAND)
    if field is member:
        return _forward(name, field)
    key = field.attname
    return Join(
        name,
        member.related_model,
        many=not field.unique,
        nullable=True,
        parent_key=field.foreign_related_fields[0].attname,
        child_key=key,
        narrow=lambda queryset, keys: queryset.filter(**{f"{key}__in": keys}),
    )


def _forward(name: str, field: Any) -> Join:
    target = field.foreign_related_fields[0].attname
    return Join(
        name,
        field.related_model,
        many=False,
        nullable=field.null,
        parent_key=field.attname,
        child_key=target,
        narrow=lambda queryset, keys: queryset.filter(**{f"{target}__in": keys}),
        forward=True,
    )


def _many_to_many(name: str, member: Any) -> Join:
    back = member.auto_created and not member.concrete
    field = member.field if back else member
    through = field.remote_field.through._meta
    own = field.m2m_reverse_field_name() if back else field.m2m_field_name()
    # What the children's model calls the parents in queries.
    path = field.name if back else field.related_query_name()

    def narrow(queryset: Any, keys: Any) -> Any:
        # The annotation finds the join that the filter has made.
        return queryset.filter(**{f"{path}__in": keys}).annotate(**{PARENT: F(path)})

    return Join(
        name,
        member.related_model,
        many=True,
        nullable=False,
        parent_key=through.get_field(own).foreign_related_fields[0].attname,
        child_key=PARENT,
        narrow=narrow,
    )
