"""What a type knows of its model: which columns its rows have, and who may see which."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models.manager import BaseManager

from puff.graphql._where import Problem

_MARK = "__puff_django__"

types_of: dict[Any, list[type]] = {}
"""The types that have been made of each model, in their order."""


@dataclass
class ModelType:
    """What :func:`puff.contrib.django.graphql.type` has made of a class.

    Attributes:
        model: The model.
        columns: Names of the columns that its rows have: those of its fields, keys that relations join by,
            and what the author asked for beside these.
    """

    model: Any
    columns: dict[str, None] = field(default_factory=dict)

    def rows(self, *more: str, manager: Any = None) -> Any:
        """Return a queryset of all objects, with the type's columns and no others.

        Args:
            more: Columns beside these.
            manager: Where the objects come from, if not from the model's default manager.
        """
        queryset = (self.model._default_manager if manager is None else manager).all()
        # A manager may add what only its own objects need.
        queryset = queryset.select_related(None).prefetch_related(None)
        return queryset.only(*self.columns, *more)


def model_type(cls: type) -> ModelType | None:
    """Return what a class knows of its model, also one that inherits it; None of another class."""
    found: ModelType | None = getattr(cls, _MARK, None)
    return found


def remember(cls: type, known: ModelType) -> None:
    """Keep what a class knows of its model."""
    setattr(cls, _MARK, known)
    types_of.setdefault(known.model, []).append(cls)


def is_limited(cls: type) -> bool:
    """Return whether a type says itself which rows a client sees."""
    return hasattr(cls, "get_queryset")


def has_plain_managers(model: Any) -> bool:
    """Return whether a model's managers give all there is; others may give something else at each call."""
    managers = (model._default_manager, model._base_manager)
    return all(type(manager).get_queryset is BaseManager.get_queryset for manager in managers)


def limited(cls: Any, queryset: Any, context: Any) -> Any:
    """Return what is left of a queryset for this client."""
    return cls.get_queryset(queryset, context) if is_limited(cls) else queryset


def member_of(model: Any, name: str) -> Any:
    """Return a model's field or relation, by the name that objects have it under.

    Raises:
        Problem: the model has none.
    """
    for related in model._meta.related_objects:
        if related.get_accessor_name() == name:
            return related
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise Problem(
            f"the model {model.__name__} has no field {name!r}", _meant(name, member_names(model))
        ) from None
    if found.auto_created and not found.concrete:
        # Found by the name for queries, and objects have it under another.
        raise Problem(
            f"the model {model.__name__} has no attribute {name!r}",
            f"Write {found.get_accessor_name()!r}, the relation's name on objects"
            if found.get_accessor_name()
            else "Give the relation a related_name",
        )
    return found


def member_names(model: Any) -> list[str]:
    """Return the names of all that a type may have of a model."""
    names = [one.name for one in (*model._meta.concrete_fields, *model._meta.many_to_many)]
    names += [one.attname for one in model._meta.concrete_fields if one.attname not in names]
    related = (related.get_accessor_name() for related in model._meta.related_objects)
    return names + [name for name in related if name]


def _meant(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}"
    return f"There are {', '.join(names)}"
