"""Paths from a model to values, as in `filter(author__born__year__gte=1900)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.core.exceptions import FieldError, ValidationError
from django.db.models.sql import Query

from puff.graphql import GraphQLError
from puff.graphql._keyset import BAD_INPUT
from puff.graphql._where import Problem

from ._hints import value_hint

_TEXTS = frozenset(
    {f"{case}{lookup}" for case in ("", "i") for lookup in ("contains", "startswith", "endswith", "regex")}
    | {"iexact", "search", "trigram_similar", "trigram_word_similar", "unaccent"}
)
_KEYS = frozenset({"has_key"})
_SEVERAL_KEYS = frozenset({"has_keys", "has_any_keys"})


_COMPARED = frozenset({"exact", "gt", "gte", "lt", "lte"})
_PATTERNS = _TEXTS - {"search", "trigram_similar", "trigram_word_similar", "unaccent", "regex", "iregex"}
_BITS = {"Small": 15, "PositiveSmall": 15, "": 31, "Positive": 31, "Big": 63, "PositiveBig": 63}
_NUMBERS = {f"{size}{kind}Field": bits for size, bits in _BITS.items() for kind in ("Integer", "Auto")}
"""How large the numbers of a field may be: PostgreSQL reads no others where it expects one of them."""
_STRINGS = frozenset({"CharField", "TextField", "SlugField"})
BAD_VALUE = (ValueError, TypeError, ValidationError)
"""What fields raise of a value that they do not take."""
_OTHERS = frozenset(
    {"FloatField", "DecimalField", "BooleanField", "DateField", "DateTimeField", "TimeField", "UUIDField"}
)


class Path(NamedTuple):
    """Where a path leads.

    Attributes:
        text: The path as it is written.
        field: The field at its end, before transforms and lookups.
        rest: The names of these.
        is_own: Whether the field is a column of the model's own, without a join.
        has_many: Whether there may be several such values for one object.
    """

    text: str
    field: Any
    rest: tuple[str, ...]
    is_own: bool
    has_many: bool


def read_path(model: Any, text: str) -> Path:
    """Return where a path leads.

    Raises:
        Problem: it leads nowhere.
    """
    parts = text.split("__")
    try:
        steps, _, targets, rest = Query(model).names_to_path(parts, model._meta)
    except FieldError as error:
        raise Problem(f"{text!r} is no path of the model {model.__name__}: {error}", "Correct it") from None
    has_many = any(step.m2m for step in steps)
    first = model._meta.pk if parts[0] == "pk" else model._meta.get_field(parts[0]) if not has_many else None
    if first is not None and first.concrete and len(parts) == len(rest) + 1:
        return Path(text, first, tuple(rest), True, False)
    return Path(text, targets[0], tuple(rest), False, has_many)


def lookup_hint(path: Path) -> Any:
    """Return the type hint of what a path that ends with a lookup is compared with.

    Raises:
        Problem: there is no such lookup.
    """
    field, rest = path.field, list(path.rest)
    expression = field.get_col("t")
    while rest:
        name = rest.pop(0)
        lookup = expression.get_lookup(name) if not rest else None
        if lookup is not None:
            return _compared(field, name)
        transform = expression.get_transform(name)
        if transform is None:
            raise Problem(
                f"{path.text!r}: {name!r} is no lookup of {type(field).__name__}",
                f"Use one of {', '.join(sorted(field.get_lookups()))}",
            )
        expression = transform(expression)
        field = expression.output_field
    return value_hint(field)


def _compared(field: Any, lookup: str) -> Any:
    if lookup == "isnull":
        return bool
    if lookup in _KEYS:
        return str
    if lookup in _SEVERAL_KEYS:
        return list[str]
    if lookup in ("in", "range"):
        return list[value_hint(field)]  # type: ignore[misc]
    kind = field.get_internal_type()
    if kind.endswith("RangeField"):
        base = getattr(field, "base_field", None)
        if lookup == "contains" and base is not None:
            return value_hint(base() if isinstance(base, type) else base)
        raise Problem(
            f"the lookup {lookup!r} of a range has no type by itself", "Give the filter a method for it"
        )
    if kind == "ArrayField" or lookup not in _TEXTS:
        return value_hint(field)
    return value_hint(field) if kind in ("JSONField", "HStoreField") else str


def simple_reader(path: Path) -> Callable[[Any], Any] | None:
    """Return what reads a client's value as a parameter, for lookups whose SQL is the same for all values.

    None for others, and for fields that may be more than they seem. The function raises what that of
    :func:`value_reader` raises.
    """
    field, lookup = path.field, path.rest[0] if path.rest else "exact"
    column = _column_of(field)
    kind = column.get_internal_type()
    if len(path.rest) > 1 or not type(column).__module__.startswith("django."):
        return None
    if lookup in _PATTERNS:
        return str if kind in _STRINGS else None
    if kind not in _NUMBERS and kind not in _STRINGS and kind not in _OTHERS:
        return None
    read = value_reader(field)
    if lookup == "in":
        return lambda values: [read(value) for value in values]
    return read if lookup in _COMPARED else None


def value_reader(field: Any) -> Callable[[Any], Any]:
    """Return what makes of a client's value what the field's column is compared with.

    The function raises what the field raises of a value, one of `BAD_VALUE`, and OverflowError for a number
    that PostgreSQL would not read as a parameter there.
    """
    most = 1 << _NUMBERS.get(_column_of(field).get_internal_type(), 63)

    def read(value: Any) -> Any:
        value = field.get_prep_value(value)
        if isinstance(value, int) and not -most <= value < most:
            raise OverflowError(value)
        return value

    return read


def _column_of(field: Any) -> Any:
    """Return the field that says what a column's values are: of a foreign key, the other model's."""
    while field.is_relation:
        field = field.foreign_related_fields[0]
    return field


def bad_input(place: str, error: Exception) -> GraphQLError:
    """Return what a client is told of a value that a field does not take."""
    text = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    return GraphQLError(f"{place}: {text}", code=BAD_INPUT)
