"""What rows are sorted by: as Django writes it, as SQL for pages, and as a client chooses it."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import F

from puff.graphql import enum as graphql_enum
from puff.graphql._where import Problem

from ._paths import read_path


class Term(NamedTuple):
    """One thing that rows are sorted by.

    Attributes:
        path: As Django writes it, without the minus.
        descending: Whether the largest come first.
        column: What it is called in the rows.
        is_own: Whether that is a column of the model, which the rows may have anyway.
    """

    path: str
    descending: bool
    column: str
    is_own: bool

    def text(self) -> str:
        """Return the term as Django writes it."""
        return f"-{self.path}" if self.descending else self.path


class Terms(tuple["Term", ...]):
    """An order; an empty one is the model's own."""

    __slots__ = ()

    def sort(self, queryset: Any) -> Any:
        """Return a queryset in this order."""
        return queryset.order_by(*(term.text() for term in self)) if self else queryset

    def columns(self, queryset: Any) -> Any:
        """Return a queryset whose rows have what they are sorted by."""
        return queryset.annotate(**{term.column: F(term.path) for term in self if not term.is_own})

    def own(self) -> list[str]:
        """Return the columns of the model that are in it."""
        return [term.column for term in self if term.is_own]

    def sql(self) -> list[str]:
        """Return it for `graphql.connection`."""
        return [f'"{term.column}" {"DESC" if term.descending else "ASC"}' for term in self]

    def with_key(self, model: Any) -> Terms:
        """Return the order with the primary key at its end, which makes it one of all rows."""
        key = model._meta.pk.attname
        if any(term.column == key for term in self):
            return self
        return Terms((*self, Term("pk", False, key, True)))


def read_terms(model: Any, order: str | Sequence[str] | None) -> Terms:
    """Return an order as an author writes it: `"-pub_date"`, or `["author__name", "id"]`.

    Raises:
        Problem: a term is no path to one value.
    """
    return Terms(_term(model, text) for text in ((order,) if isinstance(order, str) else order or ()))


def meta_terms(model: Any) -> Terms:
    """Return the model's own order, where it can be written down."""
    try:
        return read_terms(model, [term for term in model._meta.ordering if isinstance(term, str)])
    except Problem:
        return Terms()


def _term(model: Any, text: str) -> Term:
    name = text.removeprefix("-")
    path = read_path(model, name)
    if path.rest or path.has_many:
        raise Problem(
            f"the order {text!r} is no path to one value of {model.__name__}",
            "Name a field, or the path to one by foreign keys",
        )
    column = path.field.attname if path.is_own else f"puff_order_{name}"
    # The attribute: ordering by a foreign key's name would be by the other model's order.
    return Term(column if path.is_own else name, text.startswith("-"), column, path.is_own)


@dataclass(frozen=True)
class Orders:
    """What clients may order by: an enum whose values are terms."""

    cls: Any
    by_text: dict[str, Term]

    def own(self) -> list[str]:
        """Return the columns of the model that clients may order by."""
        return [term.column for term in self.by_text.values() if term.is_own]

    def terms(self, order: Sequence[enum.Enum]) -> Terms:
        """Return what a client has chosen; what it names twice counts once."""
        chosen: dict[str, Term] = {}
        for member in order:
            term = self.by_text[member.value]
            chosen.setdefault(term.path, term)
        return Terms(chosen.values())


def order(model: Any, names: Collection[str], *, name: str | None = None) -> Any:
    """Make an enum of what clients may order by, for ``orders=`` of :func:`objects` and :func:`relation`.

    A list of names in its place makes one as well; make it yourself to use it in several fields.

    Args:
        model: The model.
        names: Names of fields, or paths by foreign keys: ``author__name``.
        name: The enum's name in the schema; by default ``QuestionOrder``.

    Raises:
        TypeError: a name is no path to one value.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> ChoiceOrder = django.order(Choice, ["votes", "question__pub_date"])
        >>> list(ChoiceOrder.__members__)
        ['VOTES_ASC', 'VOTES_DESC', 'QUESTION_PUB_DATE_ASC', 'QUESTION_PUB_DATE_DESC']
    """
    try:
        return make_orders(model, names, name or f"{model.__name__}Order").cls
    except Problem as problem:
        raise TypeError(f"{problem.problem}. {problem.fix}.") from None


_MARK = "__puff_orders__"


def make_orders(model: Any, names: Any, name: str) -> Orders:
    """Return what clients may order by, of names or of an enum that :func:`order` has made; `name` is for it.

    Raises:
        Problem: a name is no path to one value.
    """
    made: Orders | None = getattr(names, _MARK, None)
    if made is not None:
        return made
    members: dict[str, str] = {}
    by_text: dict[str, Term] = {}
    for path in [names] if isinstance(names, str) else names:
        for sign, direction in (("", "ASC"), ("-", "DESC")):
            text = sign + path
            members[f"{path.replace('__', '_').upper()}_{direction}"] = text
            by_text[text] = _term(model, text)
    if not members:
        raise Problem("there is nothing to order by", "Name fields, or leave out orders=")
    cls: Any = enum.Enum(name, members)  # type: ignore[misc]
    cls.__doc__ = ""
    made = Orders(graphql_enum(name=name)(cls), by_text)
    type.__setattr__(cls, _MARK, made)
    return made
