"""Types of models: a dataclass with a choice of the model's fields."""

from __future__ import annotations

import builtins
import dataclasses
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, TypeVar

from puff.graphql import Permission
from puff.graphql import field as graphql_field
from puff.graphql import type as graphql_type
from puff.graphql._deferred import Deferred
from puff.graphql._members import place_of
from puff.graphql._where import Problem, Where

from .._columns import changes
from ._hints import column_hint
from ._models import ModelType, member_of, model_type, remember
from ._relations import Relation, join_of
from ._typing import dataclass_transform
from ._values import Converted, Url

C = TypeVar("C", bound="builtins.type[Any]")
ALL = "__all__"


@dataclass_transform(kw_only_default=True)
def type(
    model: Any,
    *,
    fields: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    also: Collection[str] = (),
    name: str | None = None,
    description: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
) -> Callable[[C], C]:
    """Make a class a GraphQL type with fields of a model. It becomes a dataclass.

    A name in ``fields`` is that of a column, or of a relation as objects have it: ``author``, ``choices``.
    What the class itself says wins: a type hint for a name is the type of that field, and a method is its
    resolver. Hints for names that the model does not have are fields too; ``get_queryset`` may annotate them.

    ======================================  ==========================================================
    field of the model                      in GraphQL
    ======================================  ==========================================================
    keys, ``author_id``                     ``ID``
    ``BigIntegerField``                     ``BigInt``; other numbers, texts and dates are themselves
    ``JSONField``, ``HStoreField``          ``JSON``
    ``ArrayField``                          a list
    ``FileField``                           the file's URL; null if there is none
    with ``null=True``                      nullable
    with ``choices``                        as without; an enum if the hint is one
    with a ``from_db_value`` of its own     what that returns, called in Python for a layer
    a foreign key, ``OneToOneField``        the other model's type; ``author_id`` is the key alone
    a relation back, ``ManyToManyField``    a list of the other model's type
    ======================================  ==========================================================

    A relation is one statement for a layer. Its type is the one that has been made of the other model; if
    there are several, say which: ``choices: list[ChoiceType]``. :func:`relation` gives it filters, an order,
    or pages.

    A class method ``get_queryset(cls, queryset, context)`` limits the rows that a client sees, wherever they
    come from; it gets a queryset and returns one. Foreign keys to such a type may be null.

    Args:
        model: The model.
        fields: Names, or ``"__all__"`` for all columns. Relations are always named.
        exclude: All columns but these, instead of ``fields``.
        also: Further columns that rows have, for resolvers of the class: only columns of fields are read.
        name: The GraphQL name, instead of that of the class.
        description: The description, instead of the docstring. Those of fields are their ``help_text``.
        permission: Who may see objects of the type, as with :func:`puff.graphql.type`.

    Raises:
        puff.graphql.SchemaError: the model has no such field, or one that has no GraphQL type.

    Example:
        >>> from django.utils import timezone
        >>> from puff.contrib.django import graphql as django
        >>> @django.type(Question, fields=["id", "question_text", "choices"])
        ... class QuestionType:
        ...     id: int
        ...
        ...     @classmethod
        ...     def get_queryset(cls, queryset, context):
        ...         return queryset.filter(pub_date__lte=timezone.now())
    """

    def decorate(cls: C) -> C:
        if "__dataclass_fields__" in vars(cls):
            raise Where(cls).error(
                Problem("it is a dataclass already", "Leave out @dataclass: this decorator makes it one")
            )
        _Builder(cls, model, also).build(_chosen(cls, model, fields, exclude))
        made = dataclasses.dataclass(kw_only=True)(cls)
        mark = graphql_type(name=name, description=description, permission=permission)
        return mark(made)  # type: ignore[return-value]

    return decorate


def _chosen(
    cls: builtins.type, model: Any, fields: Collection[str] | None, exclude: Collection[str] | None
) -> list[str]:
    """Return the names that the author has chosen, his class's own aside."""
    columns = [column.attname for column in model._meta.concrete_fields]
    if fields == ALL:
        return columns
    for given, what in ((fields, "fields"), (exclude, "exclude")):
        if isinstance(given, str):
            raise Where(cls).error(
                Problem(f"{what}={given!r} is a text", f"Write a list of names, {what}=[{given!r}]")
            )
    if fields is not None and exclude is not None:
        raise Where(cls).error(Problem("there are both fields= and exclude=", "Leave out one of them"))
    if exclude is None:
        return list(fields or ())
    left_out = set()
    for name in exclude:
        try:
            left_out.add(getattr(member_of(model, name), "attname", name))
        except Problem as problem:
            raise Where(cls).error(problem) from None
    return [name for name in columns if name not in left_out]


class _Builder:
    """Gives one class what its model knows."""

    def __init__(self, cls: builtins.type, model: Any, also: Collection[str]) -> None:
        self._cls = cls
        self._known = ModelType(model)
        self._hints: dict[str, Any] = dict(inspect.get_annotations(cls))
        self._also = also

    def build(self, names: list[str]) -> None:
        cls, model = self._cls, self._known.model
        for base in cls.__mro__[1:]:
            inherited = model_type(base)
            if inherited is not None and issubclass(model, inherited.model):
                self._known.columns.update(inherited.columns)
        own = {name for name, value in vars(cls).items() if isinstance(value, Relation)}
        hints: dict[str, Any] = {}
        for name in dict.fromkeys([*names, *self._hints, *own]):
            try:
                if name in names or name in own:
                    self._add(name, member_of(model, name), hints)
                elif name.startswith("_"):
                    hints[name] = self._hints[name]
                else:
                    self._add(name, self._maybe(name), hints)
            except Problem as problem:
                raise Where(cls, name).error(problem) from None
        for name in self._also:
            try:
                self._known.columns[member_of(model, name).attname] = None
            except (Problem, AttributeError):
                wrong = Problem(f"also= names {name!r}, which is no column", "Name a column of the model")
                raise Where(cls).error(wrong) from None
        cls.__annotations__ = hints
        hook = vars(cls).get("get_queryset")
        if hook is not None:
            if not isinstance(hook, (classmethod, staticmethod)):
                raise place_of(cls, "get_queryset").error(
                    Problem(
                        "it is asked of no object", "Write @classmethod, get_queryset(cls, queryset, context)"
                    )
                )
            graphql_field(private=True)(hook)  # no resolver, although it looks like one
        remember(cls, self._known)

    def _maybe(self, name: str) -> Any:
        try:
            return member_of(self._known.model, name)
        except Problem:
            return None

    def _add(self, name: str, member: Any, hints: dict[str, Any]) -> None:
        """Give the class one field, and its rows the column for it."""
        hint = self._hints.get(name)
        value = vars(self._cls).get(name)
        if isinstance(value, Relation) or _is_relation(name, member):
            self._add_relation(name, member, hint, value)
        elif value is not None and hint is None:
            pass  # a resolver of the author's own
        elif member is None:
            hints[name] = hint  # comes from an annotation
        else:
            self._add_column(name, member, hint, hints)

    def _add_relation(self, name: str, member: Any, hint: Any, value: Any) -> None:
        if value is not None and not isinstance(value, (Relation, Deferred)):
            return  # a resolver of the author's own
        relation = value if isinstance(value, Relation) else Relation()
        relation.hint = hint
        join = join_of(self._known.model, name, member)
        if join.parent_key != "pk":
            self._known.columns[join.parent_key] = None
        setattr(self._cls, name, relation)

    def _add_column(self, name: str, column: Any, hint: Any, hints: dict[str, Any]) -> None:
        if not column.concrete:
            raise Problem(f"{column} is no column of the table", "Write a resolver for it, or leave it out")
        self._known.columns[column.attname] = None
        if hint is None and hasattr(column, "storage"):
            setattr(self._cls, name, Url(column))
            return
        if changes(column):
            setattr(self._cls, name, Converted(column, column_hint(column) if hint is None else hint))
            return
        if hint is None:
            hint = column_hint(column)
            if column.help_text:
                hint = Annotated[hint, graphql_field(description=str(column.help_text))]
        hints[name] = hint


def _is_relation(name: str, member: Any) -> bool:
    """Return whether a name is that of related objects; `author_id` is that of a key."""
    if member is None or not member.is_relation:
        return False
    return bool(member.many_to_many) or name != getattr(member, "attname", None)
