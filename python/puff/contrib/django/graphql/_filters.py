"""Filters: an input with a field for each lookup that clients may use."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Q

from puff.graphql import GraphQLError
from puff.graphql import input as graphql_input
from puff.graphql._keyset import BAD_INPUT
from puff.graphql._where import Problem, Where

from .._prepared import Parameter
from ._paths import BAD_VALUE, bad_input, lookup_hint, read_path, simple_reader
from ._typing import dataclass_transform

C = TypeVar("C", bound="type[Any]")
Lookups = Mapping[str, Collection[str]] | Collection[str]

_MARK = "__puff_filters__"
_DEEPEST = 8
"""How deep `all_of`, `any_of` and `none_of` may stand in each other."""
_GROUPS = ("all_of", "any_of", "none_of")


@dataclass(frozen=True)
class Filters:
    """What clients may filter by.

    Attributes:
        cls: The input.
        model: The model.
        paths: The lookup that each field stands for.
        many: The fields whose paths lead to several values for one object.
        methods: What the author does with a field: gets the queryset and the value, and returns a queryset.
        simple: The fields whose values can be parameters of a statement, with what reads a value.
    """

    cls: Any
    model: Any
    paths: dict[str, str]
    many: frozenset[str]
    methods: dict[str, Callable[[Any, Any], Any]]
    simple: dict[str, Callable[[Any], Any]]

    def flat(self, given: Any) -> dict[str, Any] | None:
        """Return the values of filters by name, as a statement takes them; None if one has to be written.

        Raises:
            GraphQLError: a value is none that the field takes.
        """
        found: dict[str, Any] = {}
        for name in (*self.paths, *self.methods, *_GROUPS):
            value = getattr(given, name, None)
            if value is None:
                continue
            read = self.simple.get(name)
            if read is None:
                return None
            try:
                found[name] = read(_plain(value))
            except OverflowError:
                return None
            except BAD_VALUE as error:
                raise bad_input("filters", error) from None
        return found

    def prepare(self, queryset: Any, names: Sequence[str]) -> Any:
        """Return a queryset filtered by parameters, which have the names of the fields."""
        condition = Q(**{self.paths[name]: Parameter(name) for name in names})
        return self._narrow(queryset, condition, any(name in self.many for name in names))

    def _narrow(self, queryset: Any, condition: Q, joins: bool) -> Any:
        if not joins:
            return queryset.filter(condition) if condition else queryset
        # Joins to several rows would give an object as often as one of them fits.
        found = self.model._base_manager.filter(condition)
        return queryset.filter(pk__in=found.order_by().values("pk"))

    def apply(self, queryset: Any, given: Any) -> Any:
        """Return what is left of a queryset.

        Raises:
            GraphQLError: a value is none that the field takes.
        """
        condition, joins = self._condition(given, 0)
        try:
            queryset = self._narrow(queryset, condition, joins)
        except BAD_VALUE as error:
            raise bad_input("filters", error) from None
        for name, method in self.methods.items():
            value = getattr(given, name, None)
            if value is not None:
                queryset = method(queryset, value)
        return queryset

    def _condition(self, given: Any, depth: int) -> tuple[Q, bool]:
        if depth > _DEEPEST:
            raise GraphQLError(f"filters stand in each other {_DEEPEST} deep at most", code=BAD_INPUT)
        condition, joins = Q(), False
        for name, path in self.paths.items():
            value = getattr(given, name)
            if value is not None:
                condition &= Q(**{path: _plain(value)})
                joins = joins or name in self.many
        for group in _GROUPS:
            inner, inner_joins = self._group(group, getattr(given, group, None), given, depth)
            condition &= inner
            joins = joins or inner_joins
        return condition, joins

    def _group(self, group: str, members: Any, given: Any, depth: int) -> tuple[Q, bool]:
        found, joins = Q(), False
        for member in members or ():
            if any(getattr(member, name, None) is not None for name in self.methods):
                names = ", ".join(self.methods)
                raise GraphQLError(f"filters: {names} cannot stand in {group}", code=BAD_INPUT)
            inner, inner_joins = self._condition(member, depth + 1)
            found = found & inner if group == "all_of" else found | inner
            joins = joins or inner_joins
        return (~found if group == "none_of" and found else found), joins


@dataclass_transform(kw_only_default=True)
def filter(
    model: Any, lookups: Lookups = (), *, name: str | None = None, groups: bool = True
) -> Callable[[C], C]:
    """Make a class an input that clients filter by, for ``filters=`` of :func:`objects` and :func:`relation`.

    Each field is a lookup of Django's: ``pub_date__gte``, ``author__name__icontains``. What clients leave out
    or give as null does not count; all that they give has to hold. A lookup in the dict gets the type of what
    it compares; hints of the class are lookups too, with types of the author's own, such as an enum. A field
    that is no lookup has a method ``filter_NAME(queryset, value)``, which returns a queryset.

    Where a path leads to several rows, as ``choices__votes__gt``, an object is found once, however many fit.

    Args:
        model: The model.
        lookups: By field, the lookups that it may be filtered by: ``{"pub_date": ["exact", "gte"]}``. A list
            of fields means ``exact`` for each.
        name: The input's name in the schema, by default that of the class.
        groups: Whether clients may combine filters: with ``all_of``, ``any_of`` and ``none_of``, which are
            lists of filters.

    Raises:
        puff.graphql.SchemaError: the model has no such lookup.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> @django.filter(Question, {"pub_date": ["gte", "lt"], "question_text": ["icontains"]})
        ... class QuestionFilter:
        ...     popular: bool | None = None
        ...
        ...     @staticmethod
        ...     def filter_popular(queryset, value):
        ...         return queryset.filter(choices__votes__gt=100) if value else queryset
    """

    def decorate(cls: C) -> C:
        _Builder(cls, model, groups).build(lookups)
        made = dataclasses.dataclass(kw_only=True)(cls)
        return graphql_input(name=name)(made)  # type: ignore[return-value]

    return decorate


class _Builder:
    def __init__(self, cls: Any, model: Any, groups: bool) -> None:
        self._cls = cls
        self._model = model
        self._groups = groups
        self._paths: dict[str, str] = {}
        self._many: set[str] = set()
        self._methods: dict[str, Callable[[Any, Any], Any]] = {}
        self._simple: dict[str, Callable[[Any], Any]] = {}

    def build(self, lookups: Lookups) -> None:
        cls = self._cls
        own = inspect.get_annotations(cls)
        hints: dict[str, Any] = {}
        for name, path in _flat(lookups):
            try:
                found = read_path(self._model, path)
                self._take(name, path)
                hints[name] = own.pop(name, None) or lookup_hint(found) | None
            except Problem as problem:
                raise Where(cls, name).error(problem) from None
        for name, hint in own.items():
            method = inspect.getattr_static(cls, f"filter_{name}", None)
            if method is not None:
                self._methods[name] = getattr(cls, f"filter_{name}")
            else:
                try:
                    self._take(name, name)
                except Problem as problem:
                    problem.fix += (
                        f", or give it a method: `@staticmethod def filter_{name}(queryset, value)`"
                    )
                    raise Where(cls, name).error(problem) from None
            hints[name] = hint
        if self._groups:
            for group in _GROUPS:
                hints.setdefault(group, list[cls.__name__] | None)  # type: ignore[name-defined]
        for name in hints:
            if name not in vars(cls):
                setattr(cls, name, None)
        cls.__annotations__ = hints
        many = frozenset(self._many)
        setattr(cls, _MARK, Filters(cls, self._model, self._paths, many, self._methods, self._simple))

    def _take(self, name: str, path: str) -> None:
        found = read_path(self._model, path)
        lookup_hint(found)
        self._paths[name] = path
        read = simple_reader(found)
        if read is not None:
            self._simple[name] = read
        if found.has_many:
            self._many.add(name)


def make_filters(model: Any, given: Any, name: str, module: str) -> Filters:
    """Return what clients may filter by, of lookups or of a class that :func:`filter` has made.

    Args:
        model: The model.
        given: The lookups, or the class.
        name: What a class of its own is called.
        module: Where it belongs.

    Raises:
        Problem: it is neither.
    """
    made: Filters | None = getattr(given, _MARK, None)
    if made is None:
        if isinstance(given, (type, str)):
            raise Problem(
                f"filters={given!r} is no filter",
                "Give a class under @filter(...), or lookups: {'pub_date': ['gte', 'lt']}",
            )
        cls = type(name, (), {"__module__": module})
        made = getattr(filter(model, given)(cls), _MARK)
    if not issubclass(model, made.model):
        raise Problem(
            f"{made.cls.__name__} filters objects of {made.model.__name__}, not of {model.__name__}",
            "Make one for this model",
        )
    return made


def _flat(lookups: Lookups) -> list[tuple[str, str]]:
    """Return names of fields, and the paths that they stand for."""
    if not isinstance(lookups, Mapping):
        return [(name, name) for name in ([lookups] if isinstance(lookups, str) else lookups)]
    return [
        (field if lookup == "exact" else f"{field}__{lookup}",) * 2
        for field, names in lookups.items()
        for lookup in ([names] if isinstance(names, str) else names)
    ]


def _plain(value: Any) -> Any:
    """Return a client's value as Django's fields know it: of an enum, the value of its member."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, enum.Enum) else value
