"""Which type hint, and so which GraphQL type, a field of a model has."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from typing import Any

from django.db import models

from puff.graphql import ID, JSON, BigInt
from puff.graphql import enum as graphql_enum
from puff.graphql._where import Problem

_HINTS: dict[str, Any] = {
    "AutoField": ID,
    "BigAutoField": ID,
    "SmallAutoField": ID,
    "BigIntegerField": BigInt,
    "IntegerField": int,
    "FloatField": float,
    "DecimalField": decimal.Decimal,
    "BooleanField": bool,
    "CharField": str,
    "TextField": str,
    "FilePathField": str,
    "FileField": str,
    "GenericIPAddressField": str,
    "DateTimeField": datetime.datetime,
    "DateField": datetime.date,
    "TimeField": datetime.time,
    "DurationField": datetime.timedelta,
    "UUIDField": uuid.UUID,
    "BinaryField": bytes,
    "JSONField": JSON,
    "HStoreField": JSON,
    "RangeField": str,
}
"""By the name of Django's class, of which some are only there where PostgreSQL's app is."""


def column_hint(field: Any) -> Any:
    """Return the type hint of a field that is a column, with `| None` where it may be null.

    Keys are `ID`, also those of other models. A field of a class of its own has the hint of what it inherits.

    Raises:
        Problem: nothing is known of its class.
    """
    hint = value_hint(field)
    return hint | None if field.null else hint


def value_hint(field: Any) -> Any:
    """Return the type hint of a field's values that are there.

    Raises:
        Problem: nothing is known of its class.
    """
    if field.primary_key or field.is_relation:
        return ID
    if getattr(field, "base_field", None) is not None and field.get_internal_type() == "ArrayField":
        return list[column_hint(field.base_field)]  # type: ignore[misc]
    # By its class: its internal type is that of what it gives.
    generated: Any = getattr(models, "GeneratedField", ())
    if isinstance(field, generated):
        return value_hint(field.output_field)
    for base in type(field).__mro__:
        if base.__name__ in _HINTS and base.__module__.startswith("django."):
            return _HINTS[base.__name__]
    raise Problem(
        f"{field} is a {type(field).__qualname__}, which has no GraphQL type by itself",
        f"Say which in the class: `{field.name}: str`, for example",
    )


def choices(model: Any, field: str, *, name: str | None = None) -> type[enum.Enum]:
    """Make an enum of a field's ``choices``, for a field of a type or of a filter.

    An enum that is one already, such as ``models.TextChoices``, needs none of it: ``state: State`` will do.

    Args:
        model: The model.
        field: The field that has the choices.
        name: The enum's name in the schema; by default that of the model and the field, ``QuestionState``.

    Raises:
        TypeError: the field has no choices, or two of them would have the same name.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> QuestionState = django.choices(Question, "state")
        >>> list(QuestionState.__members__)
        ['DRAFT', 'OPEN', 'CLOSED']
        >>> @django.type(Question, fields=["id", "question_text"])
        ... class QuestionType:
        ...     state: QuestionState
    """
    flat = [pair for pair in model._meta.get_field(field).flatchoices if pair[0] not in (None, "")]
    if not flat:
        raise TypeError(f"{model.__name__}.{field} has no choices")
    title = name or f"{model.__name__}{field.title().replace('_', '')}"
    names = [_name(value, label) for value, label in flat]
    if len(set(names)) < len(names):
        raise TypeError(f"two choices of {model.__name__}.{field} have the same name, of {', '.join(names)}")
    members = enum.Enum(title, dict(zip(names, [value for value, _ in flat], strict=True)))  # type: ignore[misc]
    labels = "\n".join(f"    {one}: {label}" for one, (_, label) in zip(names, flat, strict=True))
    members.__doc__ = f"Attributes:\n{labels}"
    return graphql_enum(name=title)(members)


def _name(value: Any, label: Any) -> str:
    """Return the name of a choice: that of its value, or of its label where the value is a number."""
    text = str(value) if isinstance(value, str) and re.search(r"[^\W\d]", value) else str(label)
    text = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").upper()
    return text if text and not text[0].isdigit() else f"VALUE_{text}"
